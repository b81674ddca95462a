package fanouttest

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/timezone"
)

// ReportingEngine is what the suite of reports by filters works on.
type ReportingEngine struct {
	AcceptingEngine
	Events  fanout.EventLog
	Reports report.Store
}

// ReportsByFilters is the suite of reports that are made of the events that filters select, against a plain oracle: a
// loop over what was published.
func ReportsByFilters(t *testing.T, open func(t *testing.T) ReportingEngine) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("a report by filters is what a loop over the events finds, seed %d", seed),
			func(t *testing.T) {
				t.Parallel()
				reportIsWhatALoopFinds(t, rand.New(rand.NewPCG(7, seed)), open(t))
			})
	}
}

// told is an event of the oracle's world.
type told struct {
	id      string
	kind    event.Kind
	at      time.Time // its own time
	arrived time.Time
	// What there is of it, by filter.
	has     map[filter.ID]string
	path    string
	stated  int64 // hits of an attack or an incident
	blocked bool
}

// reportDays is over how many days the events of the suite come, reportStart when the first ones do.
const reportDays = 6

// reportSlot is how many hours lie between the batches in which events come.
const reportSlot = 9

var reportStart = enginetest.At.Add(-reportDays * 24 * time.Hour)

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func anyTold(r *rand.Rand, n int) told {
	arrived := reportStart.Add(time.Duration(r.IntN(reportDays*24/reportSlot)) * reportSlot * time.Hour).
		Add(time.Duration(r.IntN(40)) * time.Minute)
	e := told{id: fmt.Sprintf("e%d", n), at: arrived, arrived: arrived, path: pick(r, "/a", "/b"),
		stated: 1 + r.Int64N(9),
		has:    map[filter.ID]string{filter.ByDomain: pick(r, "a.example", "B.example", "c.example")}}
	if r.IntN(3) == 0 {
		e.at = arrived.Add(-time.Duration(r.Int64N(40 * int64(time.Hour)))).Truncate(time.Second)
	}
	e.kind = event.Kind(pick(r, "new_hits", "new_hits", "new_hits", "new_attack", "new_incident", "vuln",
		"security_issue", "create_user"))
	attacked := func() {
		e.has[filter.ByType] = pick(r, "sqli", "xss", "rce")
		e.has[filter.ByIP] = pick(r, "203.0.113.7", "2001:db8::7")
		e.has[filter.ByStatus] = pick(r, "200", "404", "500")
		e.has[filter.ByTarget] = pick(r, "server", "database")
	}
	switch e.kind {
	case event.NewHits:
		attacked()
		e.has[filter.ByCountry], e.blocked = pick(r, "NL", "PL"), r.IntN(2) == 0
	case event.NewAttack:
		attacked()
	case event.NewIncident:
		attacked()
		e.has[filter.BySeverity] = pick(r, "High", "Low")
	case event.Vuln:
		e.has[filter.BySeverity] = pick(r, "High", "Medium", "Low")
	case event.SecurityIssue:
		e.has[filter.BySeverity] = pick(r, "Critical", "High", "Info")
	default:
		e.has = map[filter.ID]string{}
	}
	e.has[filter.ByKind] = string(e.kind)
	return e
}

func (e told) entry(t *testing.T) delivery.Entry {
	t.Helper()
	status, _ := strconv.Atoi(e.has[filter.ByStatus])
	assault := map[string]any{"id": e.id, "type": e.has[filter.ByType], "host": e.has[filter.ByDomain],
		"path": e.path, "hits": e.stated, "sources": []string{e.has[filter.ByIP]}, "response_status": status,
		"target": e.has[filter.ByTarget], "threat": e.has[filter.BySeverity]}
	finding := map[string]any{"id": e.id, "domain": e.has[filter.ByDomain], "host": e.has[filter.ByDomain],
		"path": e.path, "threat": e.has[filter.BySeverity], "risk": e.has[filter.BySeverity]}
	data := map[event.Kind]map[string]any{
		event.NewHits: {"hit": map[string]any{"type": e.has[filter.ByType], "domain": e.has[filter.ByDomain],
			"path": e.path, "remote_addr4": e.has[filter.ByIP], "remote_country": e.has[filter.ByCountry],
			"response_status": status, "target": e.has[filter.ByTarget],
			"block_status": map[bool]string{true: "blocked", false: "monitored"}[e.blocked]}},
		event.NewAttack:     {"attack": assault},
		event.NewIncident:   {"incident": assault},
		event.Vuln:          {"vuln": finding},
		event.SecurityIssue: {"security_issue": finding},
		event.CreateUser:    {"user": map[string]any{"name": e.id}},
	}[e.kind]
	detail, err := json.Marshal(map[string]any{"version": 1, "id": e.id, "tenant": "42", "time": e.at, "data": data})
	require.NoError(t, err)
	return delivery.Entry{DetailType: string(e.kind), At: e.arrived, Detail: detail}
}

// selected is the oracle of filters: it knows nothing of package filter but its words.
func (e told) selected(filters []filter.Filter) bool {
	for _, f := range filters {
		there := false
		for _, v := range f.Values {
			has := e.has[f.ID]
			there = there || has != "" && (strings.EqualFold(has, string(v)) ||
				f.ID == filter.ByStatus && has[:1]+"xx" == string(v)) ||
				f.ID == filter.ByURL && strings.EqualFold(e.has[filter.ByDomain]+e.path, string(v))
		}
		if there != (f.Operator == filter.Equal) {
			return false
		}
	}
	return true
}

// reportWays are what filters of the suite are made of.
var reportWays = map[filter.ID][]filter.Value{
	filter.BySeverity: {"high", "low", "critical"}, filter.ByDomain: {"a.example", "b.example", "d.example"},
	filter.ByKind: {"vuln", "new_hits", "new_incident"}, filter.ByCountry: {"NL", "DE"},
	filter.ByType: {"sqli", "xss"}, filter.ByStatus: {"4xx", "500"}, filter.ByIP: {"203.0.113.7"},
	filter.ByTarget: {"database"}, filter.ByURL: {"a.example/a", "c.example/b"},
}

func anyReportFilters(r *rand.Rand) (out []filter.Filter) {
	ids := slices.Clone(filter.OfReports)
	r.Shuffle(len(ids), func(a, b int) { ids[a], ids[b] = ids[b], ids[a] })
	for _, id := range ids[:1+r.IntN(3)] {
		values := slices.Clone(reportWays[id])
		if len(values) == 0 {
			continue
		}
		r.Shuffle(len(values), func(a, b int) { values[a], values[b] = values[b], values[a] })
		out = append(out, filter.Filter{ID: id, Operator: pick(r, filter.Equal, filter.NotEqual),
			Values: values[:1+r.IntN(len(values))]})
	}
	if len(out) == 0 {
		return anyReportFilters(r)
	}
	return out
}

// foundRows is what the oracle counts.
type foundRows struct {
	report.Headline
	attacks map[string]int64 // hits by type, host and path
}

// loop is the oracle.
func loop(events []told, p calendar.Period, filters []filter.Filter) foundRows {
	zone := timezone.Open(p.Zone)
	end, err := time.ParseInLocation(time.DateOnly, string(p.To.Add(2)), zone)
	if err != nil {
		panic(err)
	}
	seen, stated := map[string]int64{}, map[string]int64{}
	out := foundRows{attacks: map[string]int64{}}
	for _, e := range events {
		day := e.at.In(zone).Format(time.DateOnly)
		if day < string(p.From) || day > string(p.To) || !e.arrived.Before(end) || !e.selected(filters) {
			continue
		}
		key := strings.Join([]string{e.has[filter.ByType], e.has[filter.ByDomain], e.path}, " ")
		switch e.kind {
		case event.NewHits:
			out.Hits++
			seen[key]++
			if e.blocked {
				out.Blocked++
			}
		case event.NewAttack:
			stated[key] = max(stated[key], e.stated)
		case event.NewIncident:
			out.Incidents++
		case event.Vuln, event.SecurityIssue:
			out.Vulnerabilities++
		}
	}
	for key, n := range seen {
		out.attacks[key] = n
	}
	for key, n := range stated {
		out.attacks[key] = max(out.attacks[key], n)
	}
	out.Attacks = int64(len(out.attacks))
	return out
}

func reportIsWhatALoopFinds(t *testing.T, r *rand.Rand, e ReportingEngine) {
	f := &fanout.Fanout{Integrations: several{}, Systems: e.Systems, Store: e.Log,
		Logger: slog.New(slog.DiscardHandler)}
	var events []told
	for n := range 240 {
		events = append(events, anyTold(r, n))
	}
	slices.SortStableFunc(events, func(a, b told) int { return a.arrived.Compare(b.arrived) })
	now, came := enginetest.At.Add(40*time.Hour), 0
	for len(events) > came {
		var entries []delivery.Entry
		for _, e := range events[came:] {
			if e.arrived.Sub(events[came].arrived) > time.Hour {
				break
			}
			entries = append(entries, e.entry(t))
		}
		came += len(entries)
		require.NoError(t, enginetest.ProcessAll(t.Context(), f, e.Log.Take(t, entries)))
		again := slices.Clone(entries[:1])
		again[0].At = entries[len(entries)-1].At
		require.NoError(t, enginetest.ProcessAll(t.Context(), f, e.Log.Take(t, again)))
	}
	s := &report.Service{Store: e.Reports, Now: func() time.Time { return now }, Events: fanout.Events{Log: e.Events},
		EventsKept: 30 * 24 * time.Hour, Log: slog.New(slog.DiscardHandler),
		NewID: func() string { return fmt.Sprint("r", r.Uint64()) }}
	some := 0
	for range 12 {
		filters, zone := anyReportFilters(r), pick(r, "UTC", "Asia/Tokyo", "America/Los_Angeles")
		for len(filter.CheckReport(filters)) > 0 { // what selects nothing is refused
			filters = anyReportFilters(r)
		}
		from := calendar.DayOf(reportStart, timezone.Open(zone)).Add(r.IntN(reportDays))
		p, err := calendar.NewPeriod(from, from.Add(r.IntN(3)), zone)
		require.NoError(t, err)
		ordered, err := s.Order(t.Context(), activity.Actor{Tenant: "42", Email: "ada@example.com"},
			report.Request{Period: p, Format: report.CSV, Filters: filters})
		require.NoError(t, err)
		require.NoError(t, s.MakeOrdered(t.Context(), ordered))
		got, err := s.Get(t.Context(), "42", ordered.ID)
		require.NoError(t, err)
		require.Equal(t, report.Ready, got.State, got.Reason)
		require.Equal(t, filters, got.Filters)
		want := loop(events, p, filters)
		require.Equal(t, want.Headline, got.Headline.Now, "%s to %s in %s by %+v", p.From, p.To, zone, filters)
		require.True(t, got.Headline.Alone)
		require.Equal(t, want.attacks, attackRows(t, s, got), "%s to %s in %s by %+v", p.From, p.To, zone, filters)
		if !want.Empty() {
			some++
		}
	}
	require.Greater(t, some, 6, "most reports of the suite tell of something")
}

// attackRows are the rows of a report's file of attacks: hits by type, host and path.
func attackRows(t *testing.T, s *report.Service, r report.Report) map[string]int64 {
	t.Helper()
	file, err := s.File(t.Context(), r.Tenant, r.ID, "attacks-"+r.Period.Key()+".csv")
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(file.Data), "\ufeff"))).ReadAll()
	require.NoError(t, err)
	out := map[string]int64{}
	for _, row := range rows[1:] {
		n, err := strconv.ParseInt(row[5], 10, 64)
		require.NoError(t, err)
		out[strings.Join(row[:3], " ")] = n
	}
	return out
}
