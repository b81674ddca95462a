package report_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
)

// digests are the digests that were published, newest last.
func (r *rig) digests() (out []event.DigestData) {
	r.t.Helper()
	entries, err := r.db.Bus().Receive(r.t.Context(), 1000)
	require.NoError(r.t, err)
	for _, e := range entries {
		if e.DetailType == string(event.ScheduledDigest) {
			parsed, err := event.Parse(e.DetailType, e.Detail)
			require.NoError(r.t, err, "fan-out takes it")
			require.True(r.t, parsed.Type().Digest())
			receiver, direct := parsed.Direct()
			require.True(r.t, direct)
			require.Equal(r.t, "i", receiver)
			out = append(out, event.Data[event.DigestData](parsed))
		}
	}
	return out
}

func (r *rig) issue(at time.Time, id, risk string) event.Event {
	return r.event(event.SecurityIssue, at, fmt.Sprintf(`{"security_issue":{"id":%q,"title":"Issue %s","host":"shop",`+
		`"path":"/%s","method":"GET","risk":%q}}`, id, id, id, risk))
}

func (r *rig) endpoint(at time.Time, what, path string) event.Event {
	return r.event(event.APIStructureChanged, at, fmt.Sprintf(
		`{"endpoint_path":%q,"http_method":"GET","domain":"api.example.com","change_type":%q}`, path, what))
}

func (r *rig) digest(f calendar.Frequency, from, to calendar.Day, zone string) event.DigestData {
	r.t.Helper()
	d, err := r.service.Digest(r.t.Context(), "42", calendar.Period{Frequency: f, From: from, To: to, Zone: zone})
	require.NoError(r.t, err)
	return d
}

func lines(d event.DigestData) (out []string) {
	for _, l := range d.Lines {
		out = append(out, l.Label+": "+l.Text)
	}
	return out
}

func TestADigestOfIssuesHasThoseThatAreNew(t *testing.T) {
	r := start(t, "2023-03-05T12:00:00Z")
	day := instant(t, "2023-03-04T10:00:00Z")
	r.publish(r.issue(day.Add(-48*time.Hour), "old", "Critical"), r.issue(day, "old", "Critical"),
		r.issue(day, "a", "Low"), r.issue(day, "b", "Critical"), r.issue(day.Add(time.Hour), "a", "High"),
		r.event(event.Vuln, day, `{"vuln":{"id":"v","title":"XSS","domain":"shop","threat":"Medium"}}`))
	d := r.digest(calendar.IssuesDaily, "2023-03-04", "2023-03-04", "UTC")
	require.Equal(t, []string{"Critical: Issue b · GET shop/b", "High: Issue a · GET shop/a", "Medium: XSS · shop"},
		lines(d))
	require.Equal(t, []event.DigestTotal{{Name: "Critical issues", N: 1}, {Name: "High issues", N: 1},
		{Name: "Medium issues", N: 1}}, d.Totals)
	require.Equal(t, []string{"Critical: Issue b · GET shop/b"},
		lines(r.digest(calendar.CriticalDaily, "2023-03-04", "2023-03-04", "UTC")))
	require.Empty(t, r.digest(calendar.IssuesDaily, "2023-03-05", "2023-03-05", "UTC").Totals)
}

func TestADigestListsFiftyLinesAndCountsTheRest(t *testing.T) {
	r := start(t, "2023-03-05T12:00:00Z")
	for n := range 60 {
		r.publish(r.issue(instant(t, "2023-03-04T10:00:00Z"), fmt.Sprintf("i%02d", n), "Low"))
	}
	d := r.digest(calendar.IssuesDaily, "2023-03-04", "2023-03-04", "UTC")
	require.Len(t, d.Lines, 50)
	require.EqualValues(t, 10, d.More)
	require.Equal(t, []event.DigestTotal{{Name: "Low issues", N: 60}}, d.Totals)
}

func TestADigestOfTheAttackSurface(t *testing.T) {
	r := start(t, "2023-03-06T12:00:00Z")
	at := instant(t, "2023-03-01T10:00:00Z")
	r.publish(
		r.event(event.NewScopeIPs, at, `{"data":[{"action":"create","entity":{"ip":"203.0.113.8"}},`+
			`{"action":"delete","entity":{"ip":"203.0.113.9"}}]}`),
		r.event(event.NewScopeDomains, at, `{"data":[{"action":"create","entity":{"domain":"a.example.com"}}]}`),
		r.event(event.NewScopeServices, at, `{"data":[{"entity":{"domain":"a.example.com","port":443}}]}`),
		r.event(event.NewScopeIPs, at.Add(time.Hour), `{"data":[{"action":"create","entity":{"ip":"203.0.113.8"}}]}`),
		r.issue(at, "a", "High"))
	d := r.digest(calendar.SurfaceWeekly, "2023-02-27", "2023-03-05", "UTC")
	require.Equal(t, []string{"New domain: a.example.com", "New IP: 203.0.113.8", "New service: a.example.com:443",
		"Removed IP: 203.0.113.9"}, lines(d))
	require.Equal(t, []event.DigestTotal{{Name: "New domains", N: 1}, {Name: "New IPs", N: 1},
		{Name: "New services", N: 1}, {Name: "Removed IPs", N: 1}, {Name: "High issues", N: 1}}, d.Totals)
}

func TestAnHourOfChangesOfAPIsIsThatOfTheClockInEveryZone(t *testing.T) {
	r := start(t, "2023-10-29T12:00:00Z")
	require.NoError(t, r.db.Reports().SaveSettings(t.Context(), report.Settings{Tenant: "42", Zone: "Asia/Kolkata"},
		enginetest.Entry("42")))
	at := instant(t, "2023-10-28T18:15:00Z") // 23:45; its hour ends on the next day of Kolkata
	r.publish(r.endpoint(at, "added", "/a"), r.endpoint(at.Add(30*time.Minute), "changed", "/b"),
		r.endpoint(at.Add(time.Hour), "unused", "/c"), r.endpoint(at.Add(time.Minute), "added", "/a"),
		r.event(event.APIStructureChanged, at, `{"endpoint_path":"/a","http_method":"GET","reaction":{"trigger":"t",`+
			`"integrations":["i"]}}`))
	d := r.digest(calendar.APIHourly, "2023-10-28T18", "2023-10-28T18", "Asia/Kolkata")
	require.Equal(t, []string{"Added: GET api.example.com/a", "Changed: GET api.example.com/b"}, lines(d))
	require.Equal(t, "2023-10-28T23:30:00+05:30", d.From)
	require.Equal(t, "2023-10-29T00:30:00+05:30", d.To)
	require.Equal(t, []string{"No longer used: GET api.example.com/c"},
		lines(r.digest(calendar.APIHourly, "2023-10-28T19", "2023-10-28T19", "Asia/Kolkata")))
	require.Len(t, r.digest(calendar.APIDaily, "2023-10-28", "2023-10-29", "Asia/Kolkata").Lines, 3)
}

func TestADigestIsSentOnceToAReceiverAndOnlyIfThereIsSomethingToTell(t *testing.T) {
	r := start(t, "2023-03-04T12:00:00Z")
	r.subscribe("i", []string{"ada@example.com", "grace@example.com"}, event.IssuesDaily, event.APIHourly)
	r.run()
	r.publish(r.issue(instant(t, "2023-03-04T13:00:00Z"), "a", "Low"),
		r.endpoint(instant(t, "2023-03-04T13:30:00Z"), "added", "/a"))
	for until := instant(t, "2023-03-07T12:00:00Z"); r.now.Before(until); r.now = r.now.Add(5 * time.Minute) {
		r.run()
	}
	got := r.digests()
	require.Len(t, got, 2, "one of the hour and one of the day, for both addresses")
	require.Equal(t, event.APIHourly, got[0].Digest)
	require.Equal(t, event.IssuesDaily, got[1].Digest)
	require.Equal(t, "2023-03-04", got[1].From)
	for range 3 { // a queue that hands a job out again
		require.NoError(t, r.service.Perform(t.Context(), report.Job{Tenant: "42", Client: "Acme", Receiver: "i",
			Period: calendar.Containing(calendar.IssuesDaily, "2023-03-04", "UTC")}))
	}
	entries, err := r.db.Bus().Receive(t.Context(), 1000)
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, e := range entries {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(t, err)
		if parsed.Kind == event.ScheduledDigest {
			ids[parsed.ID] = true
		}
	}
	require.Len(t, ids, 2, "an id counts once")
}

// next is the day or hour after one.
func next(t *testing.T, f calendar.Frequency, d calendar.Day) calendar.Day {
	if f != calendar.APIHourly {
		return d.Add(1)
	}
	begin, err := time.Parse("2006-01-02T15", string(d))
	require.NoError(t, err)
	return calendar.Day(begin.Add(time.Hour).Format("2006-01-02T15"))
}

// TestEachDayAndHourIsInOneDigest keeps the schedule in random zones at random hours, over changes of clocks, with
// times in which nothing runs.
func TestEachDayAndHourIsInOneDigest(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe",
		"Pacific/Kiritimati", "Pacific/Niue", "America/Santiago"}
	starts := []string{"2023-03-20T07:00:00Z", "2023-10-24T16:40:00Z", "2023-09-28T23:50:00Z", "2023-03-30T00:00:00Z"}
	random := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		name, hour := zones[random.IntN(len(zones))], random.IntN(24)
		r := start(t, starts[random.IntN(len(starts))])
		if random.IntN(2) == 0 {
			r.service.Spread = 45 * time.Minute
		}
		r.hour(name, hour)
		var jobs []report.Job
		var at []time.Time
		r.service.Enqueue = func(_ context.Context, more []report.Job) error {
			for _, j := range more {
				jobs, at = append(jobs, j), append(at, r.now)
			}
			return nil
		}
		r.subscribe("i", []string{"ada@example.com"}, event.IssuesDaily, event.APIHourly, event.SurfaceWeekly)
		r.run()
		jobs, at = nil, nil // one that was due within the quarter of an hour before
		for until := r.now.Add(16 * 24 * time.Hour); r.now.Before(until); {
			r.now = r.now.Add(5 * time.Minute)
			if random.IntN(500) == 0 { // it is down
				r.now = r.now.Add(time.Duration(random.IntN(20*60)) * time.Minute)
			}
			r.run()
		}
		clocks := zone(t, name)
		last := map[calendar.Frequency]calendar.Day{}
		for n, j := range jobs {
			f := j.Period.Frequency
			after := next(t, f, j.Period.To)
			if before := last[f]; before != "" {
				require.Equal(t, next(t, f, before), j.Period.From, "%s in %s at %d: no gap, none twice", f, name, hour)
			}
			last[f] = j.Period.To
			shown := at[n].UTC().Format("2006-01-02T15")
			if f != calendar.APIHourly {
				shown = at[n].In(clocks).Format("2006-01-02 15")
				after = calendar.Day(fmt.Sprintf("%s %02d", after, hour))
			}
			require.GreaterOrEqual(t, shown, string(after), "%s in %s at %d: it is over", f, name, hour)
			require.Empty(t, j.Address)
		}
		newest := r.now.Add(-2 * time.Hour)
		require.GreaterOrEqual(t, string(last[calendar.APIHourly]),
			newest.Add(-time.Hour).UTC().Format("2006-01-02T15"))
		local := newest.In(clocks)
		over := local.AddDate(0, 0, -1)
		if local.Hour() < hour {
			over = local.AddDate(0, 0, -2)
		}
		require.GreaterOrEqual(t, string(last[calendar.IssuesDaily]), over.Format(time.DateOnly), "%s at %d", name,
			hour)
		require.NotEmpty(t, last[calendar.SurfaceWeekly])
		require.False(t, strings.Contains(string(last[calendar.SurfaceWeekly]), "T"))
	}
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}
