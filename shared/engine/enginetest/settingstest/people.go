package settingstest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/profile"
)

// OpenPeople opens an engine.
type OpenPeople func(t *testing.T) profile.Store

// People is the suite of profile.Store.
func People(t *testing.T, open OpenPeople) {
	run := enginetest.Parallel(t, open)
	run("what was saved is read back whole", personIsReadWhole)
	run("a change needs the revision before it", personNeedsTheRevisionBefore)
	run("of two writers at once one wins", oneOfTwoSavesWins)
	run("the list has pages, and forgets", peopleAreListedAndForgotten)
}

func personIsReadWhole(t *testing.T, open OpenPeople) {
	s := open(t)
	want := enginetest.Person("42", "a", 1)
	require.NoError(t, s.Save(t.Context(), want))
	got, err := s.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	several, err := s.Several(t.Context(), []profile.Key{{Tenant: "43", ID: "a"}, {Tenant: "42", ID: "a"}})
	require.NoError(t, err)
	require.Equal(t, []profile.Profile{got}, several)
	_, err = s.Get(t.Context(), "43", "a")
	require.ErrorIs(t, err, profile.ErrNotFound)
}

func personNeedsTheRevisionBefore(t *testing.T, open OpenPeople) {
	s := open(t)
	require.ErrorIs(t, s.Save(t.Context(), enginetest.Person("42", "a", 2)), profile.ErrConflict)
	require.NoError(t, s.Save(t.Context(), enginetest.Person("42", "a", 1)))
	require.ErrorIs(t, s.Save(t.Context(), enginetest.Person("42", "a", 1)), profile.ErrConflict)
	require.NoError(t, s.Save(t.Context(), enginetest.Person("42", "a", 2)))
	require.ErrorIs(t, s.Save(t.Context(), enginetest.Person("42", "a", 2)), profile.ErrConflict)
}

func oneOfTwoSavesWins(t *testing.T, open OpenPeople) {
	s := open(t)
	require.NoError(t, s.Save(t.Context(), enginetest.Person("42", "a", 1)))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = s.Save(t.Context(), enginetest.Person("42", "a", 2)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, profile.ErrConflict)
		}
	}
	require.Equal(t, 1, won)
}

func peopleAreListedAndForgotten(t *testing.T, open OpenPeople) {
	s := open(t)
	for _, id := range []string{"c", "a", "b"} {
		require.NoError(t, s.Save(t.Context(), enginetest.Person("42", id, 1)))
	}
	require.NoError(t, s.Save(t.Context(), enginetest.Person("43", "z", 1)))
	page, err := s.List(t.Context(), "42", "a", 1)
	require.NoError(t, err)
	require.Equal(t, []profile.Profile{enginetest.Person("42", "b", 1)}, page)
	require.NoError(t, s.Delete(t.Context(), "42", "b"))
	require.NoError(t, s.Delete(t.Context(), "42", "b"), "it is no error when there is none")
	page, err = s.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, page, 2)
	require.NoError(t, s.Save(t.Context(), enginetest.Person("42", "b", 1)), "one who comes back begins anew")
}
