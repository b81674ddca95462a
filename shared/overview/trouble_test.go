package overview_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/overview"
)

var now = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

// world is what a Reader reads: one integration.
type world struct {
	one      integration.Integration
	opens    bool
	away     error
	missing  string
	points   []health.Point
	waiting  integration.Waiting
	dead     int
	deadFrom time.Time // what CountDead was asked for
	held     time.Time
}

func (w *world) List(_ context.Context, _, after string, _ int) ([]integration.Integration, error) {
	if after != "" {
		return nil, nil
	}
	return []integration.Integration{w.one}, nil
}

func (w *world) Opens(context.Context, integration.Integration) (bool, error) {
	return w.opens, w.away
}

func (w *world) Lookup(name string) (destination.System, bool, bool) {
	return destination.System{Name: name, Missing: w.missing}, true, true
}

func (w *world) Series(_ context.Context, _, id string, _ int64, _ time.Time) ([]health.Point, error) {
	if id == health.Arrivals {
		return nil, nil
	}
	return w.points, nil
}

func (w *world) Several(_ context.Context, _ string, of []health.SeriesKey, _ time.Time,
	visit func(int, health.Point)) error {
	for n := range of {
		for _, p := range w.points {
			visit(n, p)
		}
	}
	return nil
}

func (w *world) CountWaitingOf(_ context.Context, _ string, ids []string, _ int) ([]integration.Waiting, error) {
	return slices.Repeat([]integration.Waiting{w.waiting}, len(ids)), nil
}

func (w *world) CountDead(_ context.Context, _, _ string, from time.Time, _ int) (int, error) {
	w.deadFrom = from
	return w.dead, nil
}

func (w *world) HeldUntil(_ context.Context, _ string, ids []string) ([]time.Time, error) {
	return slices.Repeat([]time.Time{w.held}, len(ids)), nil
}

// trouble reads the overview and returns what needs a person; nil = nothing does.
func (w *world) trouble(t *testing.T) *overview.Trouble {
	t.Helper()
	w.one.ID, w.one.Tenant, w.one.System, w.one.Window = "i", "42", "slack", 1
	r := overview.Reader{Integrations: w, Systems: w, Counters: w, Backlog: w, Holds: w,
		Now: func() time.Time { return now }}
	o, err := r.Read(t.Context(), "42")
	require.NoError(t, err)
	require.Len(t, o.Integrations, 1)
	if len(o.Trouble) == 0 {
		return nil
	}
	require.Len(t, o.Trouble, 1)
	return &o.Trouble[0]
}

// died is a counter with deliveries that were given up after this answer.
func died(n int, a health.Answer) health.Point {
	p := health.Point{At: now.Add(-time.Hour), Tally: health.Tally{Attempts: n, Failures: n}, Answer: a}
	p.Dead = n
	return p
}

func TestEachCauseIsToldWithWhatBelongsToIt(t *testing.T) {
	gone := health.Answer{Status: 404, Words: "answered 404 Not Found"}
	late := health.Answer{Status: 503, Words: "answered 503 Service Unavailable"}
	since := now.Add(-3 * time.Hour)
	failing := integration.Integration{Failing: &integration.Failing{Since: since, Answer: gone}}
	off := integration.Integration{Off: &integration.Off{By: integration.ByPlatform, Reason: "20 of 20 requests failed",
		At: since, Answer: &gone}}
	for name, of := range map[string]struct {
		world world
		want  overview.Trouble
	}{
		"disabled by the platform": {world{one: off, opens: true},
			overview.Trouble{Cause: overview.Disabled, Since: since, Answer: gone, Reason: "20 of 20 requests failed"}},
		"secrets that were sealed with a lost key": {world{one: failing},
			overview.Trouble{Cause: overview.Lost, Reason: integration.LostSecrets}},
		"a key service that does not answer": {world{away: errors.New("timeout"), missing: "no mail server"},
			overview.Trouble{Cause: overview.Away, Reason: integration.AwaySecrets}},
		"a deployment without a mail server": {world{one: failing, opens: true, missing: "no mail server"},
			overview.Trouble{Cause: overview.Missing, Reason: "no mail server"}},
		"failing, with the newest answer": {
			world{one: failing, opens: true, points: []health.Point{died(2, gone), died(1, late)}, held: now},
			overview.Trouble{Cause: overview.Failing, Since: since, Answer: late}},
		"failing, and no counter knows an answer": {world{one: failing, opens: true},
			overview.Trouble{Cause: overview.Failing, Since: since, Answer: gone}},
		"held, and something waits": {
			world{opens: true, held: now.Add(time.Minute), waiting: integration.Waiting{Count: 3}},
			overview.Trouble{Cause: overview.Held, Waiting: integration.Waiting{Count: 3, Next: now.Add(time.Minute)}}},
		"held, where what waits for its first request is not counted": {
			world{opens: true, held: now.Add(time.Minute), waiting: integration.Waiting{Floor: true}},
			overview.Trouble{Cause: overview.Held,
				Waiting: integration.Waiting{Floor: true, Next: now.Add(time.Minute)}}},
		"failing, with some that are held": {world{one: failing, opens: true,
			waiting: integration.Waiting{Count: 3, Held: 12, HeldUntil: now.Add(time.Hour)}},
			overview.Trouble{Cause: overview.Failing, Since: since, Answer: gone,
				Waiting: integration.Waiting{Count: 3, Held: 12, HeldUntil: now.Add(time.Hour)}}},
		"deliveries that died": {world{opens: true, points: []health.Point{died(2, gone)}, dead: 2},
			overview.Trouble{Cause: overview.NotSent, Answer: gone, NotSent: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			got := of.world.trouble(t)
			require.NotNil(t, got)
			of.want.Integration = of.world.one
			require.Equal(t, of.want, *got)
		})
	}
}

func TestWhatNeedsNobodyIsNotTold(t *testing.T) {
	for name, w := range map[string]world{
		"an integration that works": {opens: true, waiting: integration.Waiting{Count: 3}},
		"one that a person disabled": {
			one: integration.Integration{Off: &integration.Off{By: integration.ByPerson}}},
		"one with deliveries that quiet hours hold": {opens: true, held: now.Add(time.Minute),
			waiting: integration.Waiting{Held: 3, HeldUntil: now.Add(time.Hour)}},
		"one that is held with nothing to do": {opens: true, held: now.Add(time.Minute)},
		"what died and was sent again": {opens: true,
			points: []health.Point{died(2, health.Answer{Words: "answered 404"})}},
	} {
		t.Run(name, func(t *testing.T) { require.Nil(t, w.trouble(t)) })
	}
}

// What was not sent is counted from before an integration began to fail: the retries of what died take an hour.
func TestWhatWasNotSentIsCountedFromBeforeTheTrouble(t *testing.T) {
	since := now.Add(-3 * time.Hour)
	w := world{opens: true, one: integration.Integration{Failing: &integration.Failing{Since: since}}}
	require.NotNil(t, w.trouble(t))
	require.Equal(t, since.Add(-time.Hour), w.deadFrom)
	w = world{one: integration.Integration{Off: &integration.Off{By: integration.ByPlatform, At: since}}}
	require.NotNil(t, w.trouble(t))
	require.Equal(t, since.Add(-health.DefaultSpan-time.Hour), w.deadFrom)
}
