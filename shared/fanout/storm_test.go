package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// guarded is a fan-out to one integration with a storm guard, by a clock that stands.
type guarded struct {
	*fanout.Fanout
	t     *testing.T
	store *intakes
	now   time.Time
	seq   int
}

func guard(t *testing.T, of destination.System, i integration.Integration) *guarded {
	t.Helper()
	f, m := newFanout()
	of.Name, of.Parameters = "plain", destination.ParametersOf[struct{}]()
	g := &guarded{Fanout: f, t: t, store: m, now: time.Date(2023, 3, 1, 12, 0, 10, 0, time.UTC)}
	f.Systems, f.Messages, f.Now = one(of), &fanout.MessageCounts{}, func() time.Time { return g.now }
	i.ID, i.Tenant, i.System = "i", "42", "plain"
	i.Subscriptions = []integration.Subscription{{Event: event.System}, {Event: event.VulnHigh},
		{Event: event.RulesAndTriggers}}
	f.Integrations = subscribers{i}
	return g
}

// users are so many entries that arrive now.
func (g *guarded) users(count int) (out []delivery.Entry) {
	for range count {
		g.seq++
		e := entry(event.CreateUser, fmt.Sprint("u", g.seq), "42", newUser)
		e.At = g.now
		out = append(out, e)
	}
	return out
}

// fanOut returns what a batch comes to: how many messages at once, and the events of each digest of a storm.
func (g *guarded) fanOut(entries []delivery.Entry) (atOnce int, digests []delivery.Delivery) {
	g.t.Helper()
	before := len(g.store.accepted)
	_, err := g.Process(g.t.Context(), entries)
	require.NoError(g.t, err)
	seen := map[string]bool{}
	for _, d := range g.store.accepted[before].Deliveries {
		for _, e := range d.Events {
			require.False(g.t, seen[e.ID], "%s is sent twice", e.ID)
			seen[e.ID] = true
		}
		if d.Digest == "" {
			require.Zero(g.t, d.Due)
			atOnce++
			continue
		}
		require.Equal(g.t, delivery.DigestStorm, d.Digest)
		require.Nil(g.t, d.Held)
		digests = append(digests, d)
	}
	require.Len(g.t, seen, len(entries), "each is in one delivery")
	return atOnce, digests
}

func (g *guarded) requireFanOut(count, atOnce, inDigest int, why string) {
	g.t.Helper()
	now, digests := g.fanOut(g.users(count))
	require.Equal(g.t, atOnce, now, why)
	events := 0
	for _, d := range digests {
		require.Equal(g.t, g.now.Truncate(time.Minute).Add(time.Minute), d.Due)
		events += d.Count
	}
	require.Equal(g.t, inDigest, events, why)
	require.LessOrEqual(g.t, len(digests), 1)
}

func TestWhatIsBeyondTheStormGuardIsOneDigestUntilAMinuteHasNoMore(t *testing.T) {
	g := guard(t, people, integration.Integration{StormGuard: "5/minute"})
	g.requireFanOut(3, 3, 0, "few")
	g.requireFanOut(2, 2, 0, "as many as it lets through")
	g.requireFanOut(4, 0, 4, "more")
	g.requireFanOut(1, 0, 1, "more")
	g.now = g.now.Add(time.Minute)
	g.requireFanOut(2, 0, 2, "the minute after a storm is told as one")
	g.requireFanOut(4, 0, 4, "and has too many itself")
	g.now = g.now.Add(time.Minute)
	g.requireFanOut(5, 0, 5, "so the next is, too, and has no more than it lets through")
	g.now = g.now.Add(time.Minute)
	g.requireFanOut(9, 5, 4, "so that this one begins anew")
	g.now = g.now.Add(2 * time.Minute)
	g.requireFanOut(1, 1, 0, "a minute with none ends a storm")
}

func TestAStormGuardIsOnForPeopleUnlessItIsSwitchedOff(t *testing.T) {
	for name, c := range map[string]struct {
		of     destination.System
		guard  integration.StormGuard
		atOnce int
	}{"as it is": {people, "", 60}, "other": {people, "70/minute", 70}, "off": {people, "none", 100},
		"a machine's": {machines, "", 100}} {
		g := guard(t, c.of, integration.Integration{StormGuard: c.guard})
		now, digests := g.fanOut(g.users(100))
		require.Equal(t, c.atOnce, now, name)
		for _, d := range digests {
			require.Equal(t, 100-c.atOnce, d.Count, name)
		}
	}
}

func TestWhatAlwaysPassesAndWhatClosesAnIncidentMakesNoStormAndIsInNone(t *testing.T) {
	g := guard(t, onCall, integration.Integration{StormGuard: "2/minute"})
	var entries []delivery.Entry
	add := func(kind event.Kind, id, data string) {
		e := entry(kind, id, "42", data)
		e.At = g.now
		entries = append(entries, e)
	}
	for n := range 5 {
		add(event.IncidentsExceeded, fmt.Sprint("i", n), `{"trigger_name":"T","count":1,"period":60,`+
			`"reaction":{"trigger":"t","integrations":["i"]}}`)
		add(event.Vuln, fmt.Sprint("v", n),
			fmt.Sprintf(`{"vuln":{"id":"V%d","threat":"High","title":"XSS","status":"closed"}}`, n))
		add(event.IntegrationFailing, fmt.Sprint("f", n), `{"integration":{"id":"other","name":"x","type":"slack"}}`)
	}
	now, digests := g.fanOut(append(entries, g.users(3)...))
	require.Equal(t, 17, now)
	require.Len(t, digests, 1)
	require.Equal(t, []event.Kind{event.CreateUser}, digests[0].Kinds)
	require.Equal(t, 1, digests[0].Count)
}

func TestATriggersNotificationsAndSubscriptionsCountTogether(t *testing.T) {
	g := guard(t, people, integration.Integration{StormGuard: "4/minute"})
	var entries []delivery.Entry
	for n := range 3 {
		e := entry(event.AttacksExceeded, fmt.Sprint("h", n), "42", `{"trigger_name":"T","count":1,"period":60,`+
			`"reaction":{"trigger":"t","integrations":["i"]}}`)
		e.At = g.now
		entries = append(entries, e)
	}
	now, digests := g.fanOut(append(entries, g.users(3)...))
	require.Equal(t, 4, now)
	require.Len(t, digests, 1)
	require.Equal(t, 2, digests[0].Count)
}

func TestAStormGuardCountsTheMessagesOfAGrouping(t *testing.T) {
	g := guard(t, people, integration.Integration{StormGuard: "2/minute", Grouping: "10/5m"}) // 20 events in 5 minutes
	made := map[string]int{}
	for range 5 {
		for range 2 {
			before := len(g.store.accepted)
			_, err := g.Process(t.Context(), g.users(3))
			require.NoError(t, err)
			for _, d := range g.store.accepted[before].Deliveries {
				require.Equal(t, time.Date(2023, 3, 1, 12, 5, 0, 0, time.UTC), d.Due)
				made[d.Digest] += d.Count
			}
		}
		g.now = g.now.Add(time.Minute)
	}
	require.Equal(t, map[string]int{"group/10": 4, "storm": 26}, made, "after the first minute it is a storm")
}

// stale finds the states of triggers changed for some times.
type stale struct {
	*intakes
	times int
}

func (s *stale) Accept(ctx context.Context, in fanout.Intake) error {
	if s.times--; s.times >= 0 {
		return trigger.ErrStale
	}
	return s.intakes.Accept(ctx, in)
}

func TestABatchThatIsTriedAgainCountsOnce(t *testing.T) {
	g := guard(t, people, integration.Integration{StormGuard: "5/minute"})
	s := &stale{intakes: g.store, times: 3}
	g.Store = s
	g.requireFanOut(3, 3, 0, "tried four times")
	entries := g.users(2)
	s.times = 100
	_, err := g.Process(t.Context(), entries)
	require.ErrorIs(t, err, trigger.ErrStale)
	s.times = 0
	now, digests := g.fanOut(entries)
	require.Equal(t, 2, now, "given up, and handed in again")
	require.Empty(t, digests)
	g.requireFanOut(1, 0, 1, "the sixth")
}

// uncounted counts nothing.
type uncounted struct{}

func (uncounted) CountMessages(context.Context, []fanout.BatchMessages) ([]fanout.MinuteMessages, error) {
	return nil, errors.New("away")
}

func TestWhereNothingCanBeCountedEverythingIsSent(t *testing.T) {
	g := guard(t, people, integration.Integration{StormGuard: "1/minute"})
	g.Messages = uncounted{}
	g.requireFanOut(9, 9, 0, "no guard")
}

func TestEventsThatCameLateAreAStormOfTheMinuteInWhichTheyAreTold(t *testing.T) {
	g := guard(t, people, integration.Integration{StormGuard: "2/minute"})
	entries := g.users(40)
	for n := range entries {
		entries[n].At = g.now.Add(time.Duration(n-39) * time.Minute)
	}
	now, digests := g.fanOut(entries)
	require.Equal(t, 2, now)
	for _, d := range digests {
		require.True(t, d.Due.After(d.CreatedAt))
		require.LessOrEqual(t, d.Due.Sub(d.CreatedAt), destination.File.Every, "where engines look for it")
		require.False(t, d.Due.After(g.now.Truncate(time.Minute).Add(time.Minute)))
	}
	require.Less(t, len(digests), 8)
}
