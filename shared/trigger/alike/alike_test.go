package alike_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/trigger/alike"
)

type is alike.Trigger

func (t is) Alike() alike.Trigger { return alike.Trigger(t) }

// Only those are asked together that count the same whatever the event is.
func TestOnlyTriggersThatCountTheSameAreAskedTogether(t *testing.T) {
	t.Parallel()
	came := time.Unix(1677628800, 0)
	all := []is{
		{Condition: "hits", Counts: "hits"},
		{Condition: "hits", Counts: "hits", Since: came.Add(-time.Hour)},
		{Condition: "hits", Counts: "hits", Since: came.Add(time.Hour)}, // it may be that it does not watch yet
		{Condition: "hits", Counts: "hits xss"},
		{Condition: "attacks", Counts: "attacks"},
		{Condition: "attacks", Paths: true}, // where it counts the other one does not
		{Condition: "user"},
		{Condition: "user"},
		{Condition: "hits", Counts: "hits xss"},
	}
	require.Equal(t, [][]int{{0, 1}, {2}, {3, 8}, {4}, {5}, {6}, {7}}, alike.Split(all, came))
	require.Equal(t, [][]int{{0, 1, 2}, {3, 8}, {4}, {5}, {6}, {7}}, alike.Split(all, time.Time{}),
		"an event of no known time came before nothing")
	require.Empty(t, alike.Split([]is{}, came))
}

func TestFirst(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for _, times := range [][]time.Time{{early, late}, {late, early}, {{}, late, {}, early}, {early, {}}} {
		require.Equal(t, early, alike.First(times, func(at time.Time) time.Time { return at }))
	}
	require.Zero(t, alike.First([]time.Time{{}, {}}, func(at time.Time) time.Time { return at }))
}

func TestShareSortsAndSharesWhatTheFirstOfAGroupFound(t *testing.T) {
	t.Parallel()
	type one struct{ at, came int }
	found := [][]one{{{2, 0}, {1, 1}, {2, 2}, {1, 3}}, nil, nil, {{5, 0}}}
	alike.Share([][]int{{0, 2}, {1}, {3}}, found, func(a, b one) int { return a.at - b.at })
	sorted := []one{{1, 1}, {1, 3}, {2, 0}, {2, 2}}
	require.Equal(t, [][]one{sorted, nil, sorted, {{5, 0}}}, found, "what is equal stays in its order")
}

func TestOfOneConditionOnlyTheTriggersWithTheDeepestPathCount(t *testing.T) {
	t.Parallel()
	type deep struct {
		is
		depth int
	}
	of := func(condition string, depth int) deep {
		return deep{is{Condition: condition, Paths: depth > 0}, depth}
	}
	all := []deep{of("hits", 1), of("hits", 3), of("hits", 0), of("attacks", 2), of("hits", 3), of("user", 0)}
	left := func(matched ...int) []int {
		return alike.Deepest(all, matched, func(d deep) int { return d.depth })
	}
	require.Equal(t, []int{1, 3, 4, 5}, left(0, 1, 2, 3, 4, 5))
	require.Equal(t, []int{0, 3}, left(0, 2, 3))
	require.Equal(t, []int{2, 5}, left(2, 5), "no filter names a path")
	require.Equal(t, []int{2}, left(2))
	require.Empty(t, left())
}
