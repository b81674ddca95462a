package reporttest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
)

const day = calendar.Day("2023-03-01")

func attack(n int, seen int64) daily.Attack {
	a := daily.Attack{Type: "sqli", Host: "shop.example.com", Path: fmt.Sprintf("/%d", n), Seen: seen, First: at,
		Last: at.Add(time.Hour), Sources: []string{"203.0.113.7"}}
	a.Key[0], a.Key[1], a.Key[2] = byte(n>>16), byte(n>>8), byte(n)
	return a
}

// recorded is what the suite reads back.
type recorded struct {
	counts    map[daily.Dimension]map[string]int64
	attacks   map[daily.AttackKey]daily.Attack
	incidents map[string]daily.Incident
	vulns     map[string]daily.Vulnerability
}

func read(t *testing.T, l report.DailyTotals, tenant string, first, last calendar.Day) recorded {
	t.Helper()
	r := recorded{map[daily.Dimension]map[string]int64{}, map[daily.AttackKey]daily.Attack{},
		map[string]daily.Incident{}, map[string]daily.Vulnerability{}}
	require.NoError(t, l.Counts(t.Context(), tenant, first, last, func(_ calendar.Day, c daily.Count) error {
		if r.counts[c.Dimension] == nil {
			r.counts[c.Dimension] = map[string]int64{}
		}
		r.counts[c.Dimension][c.Value] += c.N
		return nil
	}))
	require.NoError(t, l.Attacks(t.Context(), tenant, first, last, func(_ calendar.Day, a daily.Attack) error {
		r.attacks[a.Key] = a
		return nil
	}))
	require.NoError(t, l.Incidents(t.Context(), tenant, first, last, func(i daily.Incident) error {
		r.incidents[i.ID] = i
		return nil
	}))
	require.NoError(t, l.Vulnerabilities(t.Context(), tenant, first, last, func(v daily.Vulnerability) error {
		r.vulns[v.ID] = v
		return nil
	}))
	return r
}

// DailyTotalsEngine is what the suite of the daily totals works on.
type DailyTotalsEngine struct {
	Log      enginetest.Log
	Totals   report.DailyTotals
	Counting *enginetest.Counting // nil: the engine counts as it accepts
}

// OpenDailyTotals opens an engine.
type OpenDailyTotals func(t *testing.T) DailyTotalsEngine

// totalsRig hands day entries in.
type totalsRig struct {
	*enginetest.Rig
	counting *enginetest.Counting
}

// DailyTotals is the suite of report.DailyTotals, and of what writes it: fanout.Store.Accept, or counting.Store.Write
// where the engine counts apart.
func DailyTotals(t *testing.T, open OpenDailyTotals) {
	run := enginetest.Parallel(t, open)
	run("batches add up", batchesAddUp)
	run("an intake handed in again counts once", repeatedIntakeCountsOnce)
	run("tenants and days are apart", tenantsAndDaysAreApart)
	run("a finding that is published again is one", findingPublishedAgainIsOne)
	run("a day keeps the largest values and no more than twice its limit", dayKeepsTheLargestValues)
	run("a day keeps the largest attacks and counts the others", dayKeepsTheLargestAttacks)
	run("findings beyond the limit are counted", findingsBeyondTheLimitAreCounted)
	run("TestP9: a report says what the daily totals let go of", reportSaysWhatIsMissing)
	run("an error of the visitor ends the visit", visitorEndsTheVisit)
	run("it agrees with the domain on what is kept of a large day", agreesWithTheDomain)
}

func batchesAddUp(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	one := daily.Entry{Tenant: "42", Day: day,
		Counts:  []daily.Count{{Dimension: daily.Total, N: 3}, {Dimension: daily.ByType, Value: "sqli", N: 3}},
		Attacks: []daily.Attack{attack(1, 3)}}
	add(t, q, one)
	two := one
	other := attack(1, 4)
	other.First, other.Last, other.Sources, other.Blocked, other.ID = at.Add(-time.Hour), at,
		[]string{"203.0.113.8"}, 4, "A-1"
	two.Attacks = []daily.Attack{other, attack(2, 1)}
	add(t, q, two)
	got := read(t, l, "42", day, day)
	require.Equal(t, map[daily.Dimension]map[string]int64{daily.Total: {"": 6}, daily.ByType: {"sqli": 6}},
		got.counts)
	require.Len(t, got.attacks, 2)
	a := got.attacks[attack(1, 0).Key]
	require.EqualValues(t, 7, a.Hits())
	require.EqualValues(t, 4, a.Blocked)
	require.Equal(t, "A-1", a.ID)
	require.True(t, a.First.Equal(at.Add(-time.Hour)) && a.Last.Equal(at.Add(time.Hour)))
	require.Equal(t, []string{"203.0.113.7", "203.0.113.8"}, a.Sources)
}

func repeatedIntakeCountsOnce(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	again := add(t, q, daily.Entry{Tenant: "42", Day: day,
		Counts: []daily.Count{{Dimension: daily.Total, N: 3}}, Attacks: []daily.Attack{attack(1, 3)}})
	require.NoError(t, again())
	got := read(t, l, "42", day, day)
	require.EqualValues(t, 3, got.counts[daily.Total][""])
	require.EqualValues(t, 3, got.attacks[attack(1, 0).Key].Hits())
}

func tenantsAndDaysAreApart(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	for _, tenant := range []string{"42", "43"} {
		for n := range 3 {
			add(t, q, daily.Entry{Tenant: tenant, Day: day.Add(n),
				Counts:          []daily.Count{{Dimension: daily.Total, N: int64(n + 1)}},
				Vulnerabilities: []daily.Vulnerability{{ID: fmt.Sprint(n), Threat: "Low", At: at}}})
		}
	}
	require.EqualValues(t, 3, read(t, l, "42", day, day.Add(1)).counts[daily.Total][""])
	require.Len(t, read(t, l, "43", day.Add(1), day.Add(2)).vulns, 2)
	require.Empty(t, read(t, l, "44", day, day.Add(2)).counts)
}

func findingPublishedAgainIsOne(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	i := daily.Incident{Attack: attack(1, 5), Threat: "High"}
	i.ID = "INC-1"
	add(t, q, daily.Entry{Tenant: "42", Day: day, Incidents: []daily.Incident{i},
		Vulnerabilities: []daily.Vulnerability{{ID: "V1", Threat: "Low", At: at}}})
	i.Seen = 9
	add(t, q, daily.Entry{Tenant: "42", Day: day, Incidents: []daily.Incident{i},
		Vulnerabilities: []daily.Vulnerability{{ID: "V1", Threat: "High", At: at}}})
	got := read(t, l, "42", day, day)
	require.Len(t, got.incidents, 1)
	require.EqualValues(t, 9, got.incidents["INC-1"].Hits())
	require.Equal(t, "High", got.vulns["V1"].Threat)
}

func dayKeepsTheLargestValues(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	total := int64(0)
	for batch := range 9 {
		r := daily.Entry{Tenant: "42", Day: day}
		for n := range 500 {
			value, hits := batch*500+n, int64(1)
			if n == 250 {
				hits = 100 // one large one in each batch
			}
			total += hits
			r.Counts = append(r.Counts, daily.Count{Dimension: daily.BySource,
				Value: fmt.Sprintf("10.0.%d.%d", value/256, value%256), N: hits})
		}
		add(t, q, r)
	}
	got := read(t, l, "42", day, day).counts[daily.BySource]
	require.LessOrEqual(t, len(got), 2*daily.MaxValues+1)
	sum, large := int64(0), 0
	for _, n := range got {
		sum += n
		if n == 100 {
			large++
		}
	}
	require.Equal(t, total, sum, "what was let go of is counted as "+daily.Other)
	require.Equal(t, 9, large)
}

func dayKeepsTheLargestAttacks(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	const all = 2*daily.MaxAttacks + 500
	for batch := 0; batch < all; batch += 500 {
		r := daily.Entry{Tenant: "42", Day: day}
		for n := range 500 {
			seen := int64(1)
			if n == 7 {
				seen = 50
			}
			r.Attacks = append(r.Attacks, attack(batch+n, seen))
		}
		add(t, q, r)
	}
	got := read(t, l, "42", day, day)
	require.LessOrEqual(t, len(got.attacks), 2*daily.MaxAttacks)
	require.GreaterOrEqual(t, len(got.attacks), daily.MaxAttacks)
	require.EqualValues(t, all, int64(len(got.attacks))+got.counts[daily.Dropped][daily.DroppedAttacks])
	for batch := 0; batch < all; batch += 500 {
		require.Contains(t, got.attacks, attack(batch+7, 0).Key)
	}
}

func findingsBeyondTheLimitAreCounted(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	for batch := range 3 {
		r := daily.Entry{Tenant: "42", Day: day}
		for n := range 400 {
			r.Vulnerabilities = append(r.Vulnerabilities,
				daily.Vulnerability{ID: fmt.Sprintf("V-%d-%d", batch, n), Threat: "Low", At: at})
		}
		add(t, q, r)
	}
	got := read(t, l, "42", day, day)
	require.Len(t, got.vulns, daily.MaxFindings)
	require.EqualValues(t, 200, got.counts[daily.Dropped][daily.DroppedVulns])
}

func reportSaysWhatIsMissing(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	const attacks, incidents, vulns = 2*daily.MaxAttacks + 500, daily.MaxFindings + 200, daily.MaxFindings + 100
	fill := func(d calendar.Day, attacks, incidents, vulns int) {
		for from := 0; from < max(attacks, incidents, vulns); from += 500 {
			r := daily.Entry{Tenant: "42", Day: d, Counts: []daily.Count{{Dimension: daily.Total, N: 1}}}
			for n := from; n < from+500; n++ {
				name := fmt.Sprintf("%s-%d", d, n)
				if n < attacks {
					a := attack(n, int64(n+1))
					a.Key[15] = d[len(d)-1]
					r.Attacks = append(r.Attacks, a)
				}
				if n < incidents {
					i := daily.Incident{Attack: attack(n, 1), Threat: "High"}
					i.ID = name
					r.Incidents = append(r.Incidents, i)
				}
				if n < vulns {
					r.Vulnerabilities = append(r.Vulnerabilities,
						daily.Vulnerability{ID: name, Threat: "Low", At: at})
				}
			}
			add(t, q, r)
		}
	}
	fill(day, attacks, incidents, 10)
	fill(day.Add(1), 20, daily.MaxFindings, vulns)
	fill(day.Add(2), 30, 0, daily.MaxFindings)
	build := func(f calendar.Frequency, d calendar.Day) *report.Summary {
		s, err := report.Build(t.Context(), l, "42", "Acme", calendar.Containing(f, d, "UTC"),
			report.RowsOf(report.CSV), at)
		require.NoError(t, err)
		return s
	}
	require.Empty(t, build(calendar.Daily, day.Add(2)).Missing(), "a day at the limit lacks nothing")
	require.Empty(t, build(calendar.Daily, day.Add(-1)).Missing())
	for _, f := range []calendar.Frequency{calendar.Weekly, calendar.Monthly} {
		s := build(f, day)
		of := func(m report.Missing, gone int64, days ...calendar.Day) {
			t.Helper()
			require.Equal(t, gone, m.Gone(), m.What)
			require.Equal(t, days, m.Days, m.What)
			require.Equal(t, m.Recorded, m.Listed, "CSV lists what is recorded")
		}
		missing := s.Missing()
		require.Len(t, missing, 3)
		require.EqualValues(t, attacks+20+30, missing[0].Of)
		require.EqualValues(t, len(s.Attacks), missing[0].Listed)
		of(missing[0], attacks+20+30-int64(len(s.Attacks)), day)
		require.EqualValues(t, incidents+daily.MaxFindings, missing[1].Of)
		of(missing[1], 200, day)
		require.EqualValues(t, 10+vulns+daily.MaxFindings, missing[2].Of)
		of(missing[2], 100, day.Add(1))
	}
}

func visitorEndsTheVisit(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	add(t, q, daily.Entry{Tenant: "42", Day: day,
		Counts: []daily.Count{{Dimension: daily.ByHost, Value: "a", N: 1},
			{Dimension: daily.ByHost, Value: "b", N: 1}}})
	visits := 0
	err := l.Counts(t.Context(), "42", day, day, func(calendar.Day, daily.Count) error {
		visits++
		return fmt.Errorf("enough")
	})
	require.ErrorContains(t, err, "enough")
	require.Equal(t, 1, visits)
}

// add hands in one event with records; again does it once more.
func add(t *testing.T, q totalsRig, records ...daily.Entry) (again func() error) {
	t.Helper()
	accepted := q.Publish(1)[0]
	accepted.Event.Tenant = records[0].Tenant // a record is of a tenant who has an event in the batch
	again, err := q.counting.Write(t, q.Log, accepted, trigger.Outcome{}, records)
	require.NoError(t, err)
	return again
}

func beginTotals(t *testing.T, open OpenDailyTotals) (totalsRig, report.DailyTotals) {
	e := open(t)
	return totalsRig{&enginetest.Rig{T: t, Log: e.Log}, e.Counting}, e.Totals
}
