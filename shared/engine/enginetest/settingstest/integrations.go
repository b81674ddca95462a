package settingstest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/patience"
)

// OpenIntegrations opens an engine. published lists the kinds of the events that the store had published on the
// engine's bus so far, in their order.
type OpenIntegrations func(t *testing.T) (s integration.Store, published func() []event.Kind)

// Integrations is the suite of integration.Store.
func Integrations(t *testing.T, open OpenIntegrations) {
	run := enginetest.Parallel(t, open)
	run("what was created is read back whole", createdIntegrationIsReadWhole)
	run("another tenant finds nothing", anotherTenantFindsNoIntegration)
	run("an update needs the revision before it", integrationUpdateNeedsItsRevision)
	run("a failing one is marked once, and the mark survives a change of its settings", failingIntegrationIsMarkedOnce)
	run("a mark goes with the window and when the integration is disabled, and none comes then", markGoesWithTheWindow)
	run("of two writers at once one wins", oneOfTwoUpdatesWins)
	run("the list has pages in the order of ids", integrationsAreListedInPages)
	run("those that match are found, in pages, and all are counted", integrationsAreFoundAndCounted)
	run("a count follows every change", countFollowsEveryChange)
	run("the enabled ones follow a change within a second", enabledFollowsAChange)
	run("what is bound is found by its binding, whoever its tenant is", boundIsFoundByItsBinding)
	run("a webhook keeps what secures it", webhookKeepsWhatSecuresIt)
	numberRuns(run)
}

func createdIntegrationIsReadWhole(t *testing.T, open OpenIntegrations) {
	s, published := open(t)
	want := enginetest.Sample("42", "a")
	want.Off = &integration.Off{By: integration.ByPlatform, Reason: "too many failures", At: at}
	require.NoError(t, s.Create(t.Context(), want, enginetest.Record("42", event.CreateIntegration)))
	got, err := s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []event.Kind{event.CreateIntegration}, published())
}

func anotherTenantFindsNoIntegration(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	require.NoError(t, s.Create(t.Context(), enginetest.Sample("42", "a"),
		enginetest.Record("42", event.CreateIntegration)))
	several, err := s.Several(t.Context(), []integration.Key{{Tenant: "43", ID: "a"}, {Tenant: "42", ID: "a"},
		{Tenant: "42", ID: "gone"}})
	require.NoError(t, err)
	require.Len(t, several, 1)
	require.Equal(t, "42", several[0].Tenant)
	_, err = s.Get(t.Context(), "43", "a")
	require.ErrorIs(t, err, integration.ErrNotFound)
	page, err := s.List(t.Context(), "43", "", 10)
	require.NoError(t, err)
	require.Empty(t, page)
	other := enginetest.Sample("43", "a")
	other.Revision = 2
	require.ErrorIs(t, s.Update(t.Context(), other, enginetest.Record("43", event.UpdateIntegration)),
		integration.ErrNotFound)
	require.ErrorIs(t, s.Delete(t.Context(), "43", "a", 1, enginetest.Record("43", event.DeleteIntegration)),
		integration.ErrNotFound)
}

func integrationUpdateNeedsItsRevision(t *testing.T, open OpenIntegrations) {
	s, published := open(t)
	i := enginetest.Sample("42", "a")
	require.NoError(t, s.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	i.Revision, i.Name = 2, "second"
	require.NoError(t, s.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)))
	i.Name = "also second"
	require.ErrorIs(t, s.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)),
		integration.ErrConflict)
	require.ErrorIs(t, s.Delete(t.Context(), "42", "a", 1, enginetest.Record("42", event.DeleteIntegration)),
		integration.ErrConflict)
	got, err := s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, "second", got.Name)
	require.Equal(t, []event.Kind{event.CreateIntegration, event.UpdateIntegration}, published(),
		"what was not done is not published")
	require.NoError(t, s.Delete(t.Context(), "42", "a", 2, enginetest.Record("42", event.DeleteIntegration)))
	_, err = s.Get(t.Context(), "42", "a")
	require.ErrorIs(t, err, integration.ErrNotFound)
	require.ErrorIs(t, s.Delete(t.Context(), "42", "a", 2, enginetest.Record("42", event.DeleteIntegration)),
		integration.ErrNotFound)
}

func failingIntegrationIsMarkedOnce(t *testing.T, open OpenIntegrations) {
	s, published := open(t)
	i := enginetest.Sample("42", "a")
	require.NoError(t, s.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	failing := &integration.Failing{Since: at, At: at.Add(time.Minute),
		Answer: health.Answer{Status: 503, Words: "busy"}}
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() {
			errs[n] = s.Mark(t.Context(), "42", "a", 1, failing, enginetest.Record("42", event.IntegrationFailing))
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, integration.ErrConflict)
		}
	}
	require.Equal(t, 1, won)
	i.Name, i.Revision = "renamed by somebody who read it before", 2
	require.NoError(t, s.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)))
	i.Failing = failing
	got, err := s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, i, got)
	page, err := s.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Equal(t, []integration.Integration{i}, page)

	other := enginetest.Sample("43", "b")
	require.NoError(t, s.Create(t.Context(), other, enginetest.Record("43", event.CreateIntegration)))
	require.NoError(t, s.Mark(t.Context(), "43", "b", 1, failing, enginetest.Record("43", event.IntegrationFailing)))
	marked, err := s.Marked(t.Context())
	require.NoError(t, err)
	other.Failing = failing
	require.Equal(t, []integration.Integration{i, other}, marked, "of all tenants")
	other.Revision, other.Off, other.Failing = 2, &integration.Off{By: integration.ByPerson, At: at}, nil
	require.NoError(t, s.Update(t.Context(), other, enginetest.Record("43", event.DisableIntegration)))
	for range 2 {
		marked, err = s.Marked(t.Context())
		require.NoError(t, err)
		require.Equal(t, []integration.Integration{i}, marked, "one that is disabled fails no more")
	}

	require.NoError(t, s.Mark(t.Context(), "42", "a", 1, nil, enginetest.Record("42", event.IntegrationWorking)))
	require.ErrorIs(t, s.Mark(t.Context(), "42", "a", 1, nil, enginetest.Record("42", event.IntegrationWorking)),
		integration.ErrConflict)
	got, err = s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Nil(t, got.Failing)
	require.Equal(t, int64(2), got.Revision, "nobody's edit is in the way")
	require.Equal(t, []event.Kind{
		event.CreateIntegration, event.IntegrationFailing, event.UpdateIntegration, event.CreateIntegration,
		event.IntegrationFailing,
		event.DisableIntegration, event.IntegrationWorking,
	}, published())
}

func markGoesWithTheWindow(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	failing := &integration.Failing{Since: at, At: at}
	mark := func(tenant, id string, window int64) error {
		return s.Mark(t.Context(), tenant, id, window, failing, enginetest.Record(tenant, event.IntegrationFailing))
	}
	i := enginetest.Sample("42", "a")
	require.NoError(t, s.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	require.ErrorIs(t, mark("42", "a", 2), integration.ErrConflict, "another window")
	require.ErrorIs(t, mark("43", "a", 1), integration.ErrConflict, "another tenant")
	require.ErrorIs(t, mark("42", "b", 1), integration.ErrConflict, "no integration")
	require.NoError(t, mark("42", "a", 1))
	change := func(kind event.Kind) {
		i.Revision++
		require.NoError(t, s.Update(t.Context(), i, enginetest.Record("42", kind)))
		got, err := s.Get(t.Context(), "42", "a")
		require.NoError(t, err)
		require.Equal(t, i, got)
	}
	i.Window = 2
	change(event.UpdateIntegration)
	require.NoError(t, mark("42", "a", 2))
	i.Off = &integration.Off{By: integration.ByPlatform, At: at, Answer: &health.Answer{Status: 503, Words: "busy"}}
	change(event.IntegrationBroken)
	require.ErrorIs(t, mark("42", "a", 2), integration.ErrConflict, "it is disabled")
}

func oneOfTwoUpdatesWins(t *testing.T, open OpenIntegrations) {
	s, published := open(t)
	i := enginetest.Sample("42", "a")
	require.NoError(t, s.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	i.Revision = 2
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = s.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, integration.ErrConflict)
		}
	}
	require.Equal(t, 1, won)
	require.Len(t, published(), 2)
}

func integrationsAreListedInPages(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	for _, id := range []string{"d", "b", "a", "c", "e"} {
		require.NoError(t, s.Create(t.Context(), enginetest.Sample("42", id),
			enginetest.Record("42", event.CreateIntegration)))
	}
	var got []string
	for after := ""; ; {
		page, err := s.List(t.Context(), "42", after, 2)
		require.NoError(t, err)
		for _, i := range page {
			got = append(got, i.ID)
			after = i.ID
		}
		if len(page) < 2 {
			break
		}
	}
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, got)
}

// ids of integrations, in their order.
func idsOf(all []integration.Integration) (out []string) {
	for _, i := range all {
		out = append(out, i.ID)
	}
	return out
}

func integrationsAreFoundAndCounted(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	for n, id := range []string{"d", "b", "a", "c", "e"} {
		i := enginetest.Sample("42", id)
		i.Name = []string{"Über", "ops", "Ops of München", "opsgenie", "night's \"ops\""}[n]
		if i.System = "slack"; n > 2 {
			i.System = "jira"
		}
		if id == "c" {
			i.Off = &integration.Off{By: integration.ByPerson, At: at}
		}
		require.NoError(t, s.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	}
	require.NoError(t, s.Create(t.Context(), enginetest.Sample("421", "z"),
		enginetest.Record("421", event.CreateIntegration)))
	b, err := s.Get(t.Context(), "42", "b")
	require.NoError(t, err)
	require.NoError(t, s.Mark(t.Context(), "42", "b", b.Window, &integration.Failing{Since: at, At: at},
		enginetest.Record("42", event.IntegrationFailing)))
	var seen []integration.Outline
	_, err = s.Find(t.Context(), "42", "", 10, func(o integration.Outline) bool {
		seen = append(seen, o)
		return false
	})
	require.NoError(t, err)
	require.Equal(t, []integration.Outline{
		{ID: "a", System: "slack", Name: "Ops of München", State: integration.StateOK},
		{ID: "b", System: "slack", Name: "ops", State: integration.StateFailing},
		{ID: "c", System: "jira", Name: "opsgenie", State: integration.StateDisabled},
		{ID: "d", System: "slack", Name: "Über", State: integration.StateOK},
		{ID: "e", System: "jira", Name: "night's \"ops\"", State: integration.StateOK},
	}, seen)
	ops := func(o integration.Outline) bool { return strings.Contains(strings.ToLower(o.Name), "ops") }
	page, err := s.Find(t.Context(), "42", "", 2, ops)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, idsOf(page))
	require.NotNil(t, page[1].Failing, "it is read whole")
	page, err = s.Find(t.Context(), "42", "b", 10, ops)
	require.NoError(t, err)
	require.Equal(t, []string{"c", "e"}, idsOf(page))
	got, err := s.Count(t.Context(), "42")
	require.NoError(t, err)
	require.Equal(t, integration.Counts{Enabled: map[string]int{"slack": 3, "jira": 1},
		Disabled: map[string]int{"jira": 1}, Failing: 1}, got)
	got, err = s.Count(t.Context(), "43")
	require.NoError(t, err)
	require.Equal(t, integration.Counts{}, got)
}

// countFollowsEveryChange asks after each change, so that an engine that keeps a count has one to keep.
func countFollowsEveryChange(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	ctx := t.Context()
	count := func(enabled, disabled, failing int) {
		t.Helper()
		all, err := s.List(ctx, "42", "", 100)
		require.NoError(t, err)
		got, err := s.Count(ctx, "42")
		require.NoError(t, err)
		require.Equal(t, integration.CountAll(all), got)
		on, off := got.All()
		require.Equal(t, []int{enabled, disabled, failing}, []int{on, off, got.Failing})
		_, err = s.Enabled(ctx, "42")
		require.NoError(t, err)
		known, err := s.List(ctx, "42", "", 100)
		require.NoError(t, err)
		require.Equal(t, all, known, "what an engine keeps in memory for fan-out changes no list")
		for n, i := range all {
			page, err := s.List(ctx, "42", i.ID, 1)
			require.NoError(t, err)
			require.Equal(t, all[n+1:min(n+2, len(all))], append([]integration.Integration{}, page...))
		}
	}
	record := func(k event.Kind) activity.Record { return enginetest.Record("42", k) }
	count(0, 0, 0)
	a, b := enginetest.Sample("42", "a"), enginetest.Sample("42", "b")
	a.Off, b.Off = nil, nil
	require.NoError(t, s.Create(ctx, a, record(event.CreateIntegration)))
	count(1, 0, 0)
	require.NoError(t, s.Create(ctx, b, record(event.CreateIntegration)))
	require.Error(t, s.Create(ctx, b, record(event.CreateIntegration)))
	count(2, 0, 0)
	require.NoError(t, s.Mark(ctx, "42", "a", a.Window, &integration.Failing{Since: at, At: at},
		record(event.IntegrationFailing)))
	require.Error(t, s.Mark(ctx, "42", "a", a.Window, &integration.Failing{Since: at, At: at},
		record(event.IntegrationFailing)))
	count(2, 0, 1)
	a.Revision, a.Name = a.Revision+1, "another name"
	require.NoError(t, s.Update(ctx, a, record(event.UpdateIntegration)))
	require.Error(t, s.Update(ctx, a, record(event.UpdateIntegration)))
	count(2, 0, 1)
	require.NoError(t, s.Mark(ctx, "42", "a", a.Window, nil, record(event.IntegrationWorking)))
	count(2, 0, 0)
	require.NoError(t, s.Mark(ctx, "42", "b", b.Window, &integration.Failing{Since: at, At: at},
		record(event.IntegrationFailing)))
	b.Revision, b.Off = b.Revision+1, &integration.Off{By: integration.ByPlatform, At: at}
	require.NoError(t, s.Update(ctx, b, record(event.DisableIntegration)))
	count(1, 1, 0)
	b.Revision, b.Off, b.Window = b.Revision+1, nil, b.Window+1
	require.NoError(t, s.Update(ctx, b, record(event.EnableIntegration)))
	count(2, 0, 0)
	require.NoError(t, s.Mark(ctx, "42", "b", b.Window, &integration.Failing{Since: at, At: at},
		record(event.IntegrationFailing)))
	require.Error(t, s.Delete(ctx, "42", "b", b.Revision+1, record(event.DeleteIntegration)))
	count(2, 0, 1)
	require.NoError(t, s.Delete(ctx, "42", "b", b.Revision, record(event.DeleteIntegration)))
	count(1, 0, 0)
	require.NoError(t, s.DeleteUnused(ctx, "42", "a", a.Revision, record(event.DeleteIntegration)))
	count(0, 0, 0)
}

func enabledFollowsAChange(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	a, b := enginetest.Sample("42", "a"), enginetest.Sample("42", "b")
	b.Off, b.Fallback = &integration.Off{By: integration.ByPerson, At: at}, ""
	require.NoError(t, s.Create(t.Context(), a, enginetest.Record("42", event.CreateIntegration)))
	require.NoError(t, s.Create(t.Context(), b, enginetest.Record("42", event.CreateIntegration)))
	enabled := func(want ...string) {
		t.Helper()
		require.Eventually(t, func() bool {
			all, err := s.Enabled(t.Context(), "42")
			require.NoError(t, err)
			var ids []string
			for _, i := range all {
				ids = append(ids, i.ID)
			}
			slices.Sort(ids)
			return slices.Equal(want, ids)
		}, patience.Long, 5*time.Millisecond)
	}
	enabled("a")
	b.Fallback, b.Revision = "a", 2
	require.NoError(t, s.Update(t.Context(), b, enginetest.Record("42", event.UpdateIntegration)))
	enabled("a", "b") // what comes for it goes to its fallback
	b.Fallback, b.Revision = "", 3
	require.NoError(t, s.Update(t.Context(), b, enginetest.Record("42", event.UpdateIntegration)))
	enabled("a")
	b.Off, b.Revision = nil, 4
	require.NoError(t, s.Update(t.Context(), b, enginetest.Record("42", event.EnableIntegration)))
	enabled("a", "b")
	require.NoError(t, s.Delete(t.Context(), "42", "a", 1, enginetest.Record("42", event.DeleteIntegration)))
	enabled("b")
}

func boundIsFoundByItsBinding(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	a, b, c := enginetest.Sample("42", "a"), enginetest.Sample("43", "b"), enginetest.Sample("42", "c")
	a.System, a.Bindings = "telegram", []string{"id/a", "at/-1001"}
	b.System, b.Bindings = "telegram", []string{"id/b", "at/-1001"}
	c.Bindings = []string{"at/-1001"} // of another system
	for _, i := range []integration.Integration{a, b, c, enginetest.Sample("42", "d")} {
		require.NoError(t, s.Create(t.Context(), i, enginetest.Record(i.Tenant, event.CreateIntegration)))
	}
	bound := func(binding string, want ...integration.Integration) {
		t.Helper()
		got, err := s.Bound(t.Context(), "telegram", binding)
		require.NoError(t, err)
		require.ElementsMatch(t, want, got)
	}
	bound("at/-1001", a, b)
	bound("id/a", a)
	bound("at/-100")
	a.Revision, a.Bindings = 2, []string{"id/a", "at/-2"}
	require.NoError(t, s.Update(t.Context(), a, enginetest.Record("42", event.UpdateIntegration)))
	bound("at/-1001", b)
	bound("at/-2", a)
	require.NoError(t, s.Delete(t.Context(), "43", "b", 1, enginetest.Record("43", event.DeleteIntegration)))
	bound("at/-1001")
	bound("id/b")
}
