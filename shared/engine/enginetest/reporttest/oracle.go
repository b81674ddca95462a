package reporttest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// agreesWithTheDomain adds random entries to an engine and to daily.Totals, and compares the days. Values, attacks
// and findings are so many that each limit is passed, some of them more than once.
func agreesWithTheDomain(t *testing.T, open OpenDailyTotals) {
	q, l := beginTotals(t, open)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	days := map[calendar.Day]*daily.Totals{day: {}, day.Add(1): {}}
	for batch := range 14 {
		e := randomEntry(random, batch)
		if batch%5 == 4 {
			e.Day = day.Add(1)
		}
		add(t, q, e)
		days[e.Day].Add(e)
	}
	for _, what := range []string{daily.DroppedAttacks, daily.DroppedIncidents, daily.DroppedVulns} {
		require.Positive(t, days[day].Counts[daily.Dropped][what], "the limit was passed")
	}
	require.Positive(t, days[day].Counts[daily.BySource][daily.Other], "the limit was passed")
	for d, want := range days {
		got := read(t, l, "42", d, d)
		require.Equal(t, want.Counts, got.counts, "seed %d, day %s", seed, d)
		require.Equal(t, len(want.Attacks), len(got.attacks), "seed %d, day %s", seed, d)
		for k, a := range want.Attacks {
			requireAttack(t, a, got.attacks[k], fmt.Sprintf("seed %d, day %s", seed, d))
		}
		require.Len(t, got.incidents, len(want.Incidents), "seed %d, day %s", seed, d)
		for _, i := range want.Incidents {
			require.Equal(t, i.Threat, got.incidents[i.ID].Threat, "seed %d, day %s, %s", seed, d, i.ID)
		}
		require.Len(t, got.vulns, len(want.Vulnerabilities), "seed %d, day %s", seed, d)
		for _, v := range want.Vulnerabilities {
			require.Equal(t, v.Threat, got.vulns[v.ID].Threat, "seed %d, day %s, %s", seed, d, v.ID)
		}
	}
}

// randomEntry is of many values of few sizes, so that what is let go of is decided by names and keys too.
func randomEntry(random *rand.Rand, batch int) daily.Entry {
	e := daily.Entry{Tenant: "42", Day: day}
	seen := map[int]bool{}
	once := func(n int) bool {
		was := seen[n]
		seen[n] = true
		return !was
	}
	for range 400 {
		if n := random.IntN(6000); once(n) {
			e.Counts = append(e.Counts, daily.Count{Dimension: daily.BySource, Value: fmt.Sprint("source-", n),
				N: 1 + random.Int64N(3)})
		}
		if n := random.IntN(30_000); once(100_000 + n) {
			a := attack(n, 1+random.Int64N(3))
			a.Sources = []string{fmt.Sprint("203.0.113.", random.IntN(20))}
			a.First = at.Add(-time.Duration(random.IntN(60)) * time.Minute)
			e.Attacks = append(e.Attacks, a)
		}
		threat := fmt.Sprint("of batch ", batch)
		if n := random.IntN(2500); once(200_000 + n) {
			i := daily.Incident{Attack: attack(n, 1), Threat: threat}
			i.ID = fmt.Sprint("I", n)
			e.Incidents = append(e.Incidents, i)
		}
		if n := random.IntN(2500); once(300_000 + n) {
			e.Vulnerabilities = append(e.Vulnerabilities,
				daily.Vulnerability{ID: fmt.Sprint("V", n), Threat: threat, At: at})
		}
	}
	e.Counts = append(e.Counts, daily.Count{Dimension: daily.Total, N: 400})
	return e
}

func requireAttack(t *testing.T, want, got daily.Attack, where string) {
	t.Helper()
	require.True(t, want.First.Equal(got.First) && want.Last.Equal(got.Last), where)
	got.First, got.Last, want.First, want.Last = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	require.Equal(t, want, got, where)
}
