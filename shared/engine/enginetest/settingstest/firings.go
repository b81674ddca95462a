package settingstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

func (r *triggerRig) firings(id, before string, limit int) []trigger.Firings {
	r.t.Helper()
	out, err := r.Store.Firings(r.t.Context(), trigger.FiringQuery{Tenant: "42", Trigger: id, Before: before,
		Limit: limit})
	require.NoError(r.t, err)
	return out
}

func firingsAreKept(t *testing.T, r *triggerRig) {
	r.watch(trigger.Trigger{Template: trigger.Payloads, Threshold: &trigger.Threshold{Period: 60, Count: 1},
		Actions: []trigger.Action{{ID: trigger.Graylist, LockTime: 3600}}})
	f := r.fanout()
	require.Empty(t, r.firings("t", "", 10))
	var published []event.Event
	for n := range 3 {
		when := at.Add(time.Duration(n) * time.Hour)
		published = append(published, r.process(f, r.hit(when, "203.0.113.5", "a"), r.hit(when, "203.0.113.5", "b"),
			r.hit(when, "203.0.113.6", "c"))...)
	}
	require.Len(t, published, 3)
	all := r.firings("t", "", 10)
	require.Len(t, all, 3)
	seen := map[string]bool{}
	for _, of := range all {
		require.Len(t, of.List, 1)
		one := of.List[0]
		seen[one.EventID(trigger.Graylist)] = true
		require.Equal(t, "203.0.113.5", one.Source)
		require.EqualValues(t, 2, one.Count)
		require.Equal(t, &trigger.Threshold{Period: 60, Count: 1}, one.Threshold)
		require.Equal(t, time.Minute, one.To.Sub(one.From))
		require.NotEmpty(t, one.Event)
		require.Equal(t, trigger.Graylist, one.Actions[0].ID)
		require.True(t, one.At.Equal(at))
	}
	for _, e := range published {
		require.True(t, seen[e.ID], "a firing names the events that it published")
	}
	require.Greater(t, all[0].Place, all[1].Place)
	require.Equal(t, all[1:2], r.firings("t", all[0].Place, 1), "pages follow each other")
	require.Empty(t, r.firings("t", all[2].Place, 10))
	require.Empty(t, r.firings("t2", "", 10))
	other, err := r.Store.Firings(t.Context(), trigger.FiringQuery{Tenant: "43", Trigger: "t", Limit: 10})
	require.NoError(t, err)
	require.Empty(t, other)
}

func oneEventFiresAll(t *testing.T, r *triggerRig) {
	var list []trigger.Trigger
	for n := range trigger.MaxTriggers {
		list = append(list, trigger.Trigger{ID: fmt.Sprintf("t%03d", n), Tenant: "42", Name: "Watch",
			Template: trigger.UserAdded, Revision: 1, Epoch: 1, CreatedAt: at, UpdatedAt: at,
			Actions: []trigger.Action{{ID: trigger.Notify, Integrations: []string{"i"}}}})
	}
	require.NoError(t, r.Store.Seed(t.Context(), "42", list[:40], enginetest.Entry("42")))
	for _, one := range list[40:] {
		require.NoError(t, r.Store.Create(t.Context(), one, nil, enginetest.Record("42", event.TriggerCreate)))
	}
	r.left()
	f := r.fanout()
	published := r.process(f, r.entry("create_user", "u1", at,
		map[string]any{"user": map[string]any{"name": "Ada", "email": "ada@example.com", "role": "admin"}}))
	require.Len(t, published, trigger.MaxTriggers)
	for _, one := range list {
		found := r.firings(one.ID, "", 10)
		require.Len(t, found, 1, one.ID)
		require.Equal(t, "ada@example.com", found[0].List[0].Object)
		require.Equal(t, "u1", found[0].List[0].Event)
	}
}
