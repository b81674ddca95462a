package fanout_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
)

// one is the catalogue of one system.
type one destination.System

func (o one) Lookup(string) (destination.System, bool, bool) {
	return destination.System(o), true, true
}
func (o one) Names() []string { return nil }

const closedIssue = `{"object_id":7,"security_issue":{"id":"S1","risk":"High","title":"x","status":"closed"}}`

// grouping is an integration with a grouping, and the entries that came to it.
func grouping(t *testing.T, of destination.System, g integration.Grouping, pass []string,
	entries []delivery.Entry) []delivery.Delivery {
	t.Helper()
	f, m := newFanout()
	of.Name, of.Parameters = "plain", destination.ParametersOf[struct{}]()
	f.Systems = one(of)
	f.Integrations = subscribers{{ID: "i", Tenant: "42", System: "plain", Grouping: g, Hold: hold.Rules{Pass: pass},
		Subscriptions: []integration.Subscription{{Event: event.System}, {Event: event.IssueHigh},
			{Event: event.RulesAndTriggers}}}}
	_, err := f.Process(t.Context(), entries)
	require.NoError(t, err)
	return m.accepted[0].Deliveries
}

var (
	people   = destination.System{Class: notification.Basic, Group: destination.Messengers}
	machines = destination.System{Class: notification.Advanced, Group: destination.SIEM}
	onCall   = destination.System{Class: notification.Basic, Group: destination.Incidents}
)

func TestGroupedEventsWaitForTheEndOfTheirMinutesAndOthersGoAtOnce(t *testing.T) {
	noon := time.Date(2023, 3, 1, 12, 1, 0, 0, time.UTC)
	var entries []delivery.Entry
	add := func(kind event.Kind, id, data string) {
		e := entry(kind, id, "42", data)
		e.At = noon.Add(time.Duration(len(entries)) * time.Second)
		entries = append(entries, e)
	}
	for n := range 5 {
		add(event.CreateUser, fmt.Sprint("u", n), newUser)
	}
	add(event.TriggerCreate, "t", `{"trigger":{"id":"t","name":"x"}}`)
	add(event.IntegrationFailing, "f", `{"integration":{"id":"other","name":"x","type":"slack"}}`)
	got := grouping(t, people, "3/5m", []string{string(event.RulesAndTriggers)}, entries)
	var sizes []int
	for _, d := range got {
		sizes = append(sizes, d.Count)
		if d.Digest == "" {
			require.Zero(t, d.Due, d.Kinds)
			continue
		}
		require.Equal(t, "group/3", d.Digest)
		require.Equal(t, noon.Truncate(5*time.Minute).Add(5*time.Minute), d.Due)
		require.Equal(t, []event.Kind{event.CreateUser}, d.Kinds)
	}
	require.Equal(t, []int{1, 1, 3, 2}, sizes)
	for _, d := range grouping(t, machines, "3/5m", nil, entries) {
		require.Zero(t, d.Due, "machines get what comes")
		require.Empty(t, d.Digest)
	}
}

func TestWhatClosesAnIncidentIsTheManagersAlone(t *testing.T) {
	entries := []delivery.Entry{entry(event.SecurityIssue, "a", "42", closedIssue),
		entry(event.CreateUser, "b", "42", newUser)}
	e, err := event.Parse(string(event.SecurityIssue), entries[0].Detail)
	require.NoError(t, err)
	o, ok := e.Object()
	require.True(t, ok)
	require.Equal(t, event.Closed, o.Step)
	for group, apart := range map[*destination.System]bool{&onCall: true, &people: false} {
		for _, d := range grouping(t, *group, "50/5m", []string{}, entries) {
			if slices.Contains(d.Kinds, event.SecurityIssue) {
				require.Equal(t, apart, d.Digest == "")
			}
		}
	}
}

// TestEveryEventOfAGroupingIsSentOnce is a property: whatever comes when, in how many batches, each event is in one
// delivery, no message has more events than it may, none waits longer than the grouping says, and events of different
// spans are apart.
func TestEveryEventOfAGroupingIsSentOnce(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		upTo, minutes := 2+r.IntN(20), 1+r.IntN(10)
		g := integration.Grouping(fmt.Sprintf("%d/%dm", upTo, minutes))
		at := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
		came := map[string]time.Time{}
		var waiting []delivery.Windowed
		var all []delivery.Delivery
		for range 1 + r.IntN(6) {
			var entries []delivery.Entry
			for range 1 + r.IntN(30) {
				e := entry(event.CreateUser, fmt.Sprint("e", len(came)), "42", newUser)
				at = at.Add(time.Duration(r.IntN(60_000)) * time.Millisecond)
				e.At = at
				came[fmt.Sprint("e", len(came))] = at
				entries = append(entries, e)
			}
			all = append(all, grouping(t, people, g, nil, entries)...)
		}
		seen := map[string]bool{}
		events := map[string][]event.Event{}
		for _, d := range all {
			waiting = append(waiting, delivery.Windowed{ID: d.ID, Due: d.Due, Count: d.Count,
				Size: delivery.Size(d.Events), Digest: d.Digest})
			events[d.ID] = d.Events
		}
		slices.SortFunc(waiting, func(a, b delivery.Windowed) int { return a.Due.Compare(b.Due) })
		for _, message := range delivery.Coalesce(waiting) {
			count := 0
			for _, d := range message {
				for _, e := range events[d.ID] {
					require.False(t, seen[e.ID], "seed %d: %s is sent twice", seed, e.ID)
					seen[e.ID] = true
					wait := d.Due.Sub(came[e.ID])
					require.Greater(t, wait, time.Duration(0), "seed %d", seed)
					require.LessOrEqual(t, wait, time.Duration(minutes)*time.Minute, "seed %d", seed)
					count++
				}
			}
			require.LessOrEqual(t, count, upTo, "seed %d", seed)
		}
		require.Len(t, seen, len(came), "seed %d: none is left out", seed)
	}
}
