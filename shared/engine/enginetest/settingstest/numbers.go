package settingstest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// numberRuns are the suite of the numbers of integrations.
func numberRuns(run func(name string, test func(*testing.T, OpenIntegrations))) {
	run("no number comes twice, whoever asks at once", noNumberComesTwice)
	run("an integration is found by its number, which no change takes away", integrationIsFoundByItsNumber)
	run("one without a number gets one, once, and its revision stays", integrationGetsANumberOnce)
}

func noNumberComesTwice(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	numbers := make([]int64, 12)
	var wg sync.WaitGroup
	for n := range numbers {
		wg.Go(func() {
			var err error
			numbers[n], err = s.NextNumber(t.Context())
			require.NoError(t, err)
		})
	}
	wg.Wait()
	seen := map[int64]bool{}
	for _, n := range numbers {
		require.Positive(t, n)
		require.False(t, seen[n], "%d came twice", n)
		seen[n] = true
	}
	last, err := s.NextNumber(t.Context())
	require.NoError(t, err)
	for n := range seen {
		require.Greater(t, last, n)
	}
}

func integrationIsFoundByItsNumber(t *testing.T, open OpenIntegrations) {
	s, _ := open(t)
	i := enginetest.Sample("42", "a")
	number, err := s.NextNumber(t.Context())
	require.NoError(t, err)
	i.Number = number
	require.NoError(t, s.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	found, err := s.ByNumber(t.Context(), number)
	require.NoError(t, err)
	require.Equal(t, integration.Key{Tenant: "42", ID: "a"}, found)
	_, err = s.ByNumber(t.Context(), number+1000)
	require.ErrorIs(t, err, integration.ErrNotFound)
	_, err = s.ByNumber(t.Context(), 0)
	require.ErrorIs(t, err, integration.ErrNotFound)

	i.Revision, i.Name, i.Number = 2, "renamed by somebody who knew no number", 0
	require.NoError(t, s.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)))
	got, err := s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, number, got.Number)
	listed, err := s.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Equal(t, []integration.Integration{got}, listed)

	require.NoError(t, s.Delete(t.Context(), "42", "a", 2, enginetest.Record("42", event.DeleteIntegration)))
	_, err = s.ByNumber(t.Context(), number)
	require.ErrorIs(t, err, integration.ErrNotFound)
	next, err := s.NextNumber(t.Context())
	require.NoError(t, err)
	require.Greater(t, next, number, "it goes to no other")
}

func integrationGetsANumberOnce(t *testing.T, open OpenIntegrations) {
	s, published := open(t)
	i := enginetest.Sample("42", "a") // as an earlier release made it
	require.NoError(t, s.Create(t.Context(), i, enginetest.Record("42", event.CreateIntegration)))
	given := make([]int64, 4)
	var wg sync.WaitGroup
	for n := range given {
		wg.Go(func() {
			number, err := s.NextNumber(t.Context())
			require.NoError(t, err)
			given[n], err = s.GiveNumber(t.Context(), "42", "a", number)
			require.NoError(t, err)
		})
	}
	wg.Wait()
	for _, n := range given {
		require.Equal(t, given[0], n)
	}
	found, err := s.ByNumber(t.Context(), given[0])
	require.NoError(t, err)
	require.Equal(t, "a", found.ID)
	i.Number = given[0]
	got, err := s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, i, got)
	i.Revision, i.Number = 2, 0
	require.NoError(t, s.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)),
		"nobody's edit is in the way of it")
	got, err = s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, given[0], got.Number)
	for _, of := range []integration.Key{{Tenant: "42", ID: "b"}, {Tenant: "43", ID: "a"}} {
		_, err = s.GiveNumber(t.Context(), of.Tenant, of.ID, 1_000_000)
		require.ErrorIs(t, err, integration.ErrNotFound)
	}
	_, err = s.ByNumber(t.Context(), 1_000_000)
	require.ErrorIs(t, err, integration.ErrNotFound, "nothing is left of a number that was not given")
	require.Len(t, published(), 2)
}

func triggerHasANumberThatStays(t *testing.T, r *triggerRig) {
	number, err := r.Store.NextNumber(t.Context())
	require.NoError(t, err)
	made := kept
	made.Number = number
	require.NoError(t, r.Store.Create(t.Context(), made, nil, enginetest.Record("42", event.TriggerCreate)))
	tenant, id, err := r.Store.ByNumber(t.Context(), number)
	require.NoError(t, err)
	require.Equal(t, []string{"42", made.ID}, []string{tenant, id})

	made.Revision, made.Name, made.Number = 2, "renamed by somebody who knew no number", 0
	require.NoError(t, r.Store.Update(t.Context(), made, nil, enginetest.Record("42", event.TriggerUpdate)))
	got, err := r.Store.Get(t.Context(), "42", made.ID)
	require.NoError(t, err)
	made.Number = number
	require.Equal(t, made, got)
	again, err := r.Store.GiveNumber(t.Context(), "42", made.ID, number+1)
	require.NoError(t, err)
	require.Equal(t, number, again)

	first := kept
	first.Tenant, first.Number = "43", 0
	require.NoError(t, r.Store.Seed(t.Context(), "43", []trigger.Trigger{first}, enginetest.Entry("43")))
	next, err := r.Store.NextNumber(t.Context())
	require.NoError(t, err)
	require.Greater(t, next, number)
	for range 2 {
		given, err := r.Store.GiveNumber(t.Context(), "43", first.ID, next)
		require.NoError(t, err)
		require.Equal(t, next, given)
	}
	list, _, err := r.Store.List(t.Context(), "43")
	require.NoError(t, err)
	require.Equal(t, next, list[0].Number)
	require.Equal(t, int64(1), list[0].Revision)
	_, err = r.Store.GiveNumber(t.Context(), "43", "none", next)
	require.ErrorIs(t, err, trigger.ErrNotFound)

	require.NoError(t, r.Store.Delete(t.Context(), "42", made.ID, 2, enginetest.Record("42", event.TriggerDelete)))
	_, _, err = r.Store.ByNumber(t.Context(), number)
	require.ErrorIs(t, err, trigger.ErrNotFound)
}
