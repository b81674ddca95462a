package statetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/sending/reachability"
)

// Reachability is the suite of reachability.Store.
func Reachability(t *testing.T, open func(t *testing.T) reachability.Store) {
	s := open(t)
	get := func(but string, since time.Time) []reachability.Report {
		t.Helper()
		out, err := s.Others(t.Context(), but, since)
		require.NoError(t, err)
		return out
	}
	require.Empty(t, get("a", enginetest.At))
	a := reachability.Report{At: enginetest.At, Answered: 3,
		Lost: []reachability.Unreached{{Tenant: "42", Integration: "i", Host: "example.com", At: enginetest.At}}}
	b := reachability.Report{At: enginetest.At.Add(10 * time.Second), Answered: 1}
	require.NoError(t, s.Tell(t.Context(), "a", reachability.Report{At: enginetest.At.Add(-time.Second), Answered: 9}))
	require.NoError(t, s.Tell(t.Context(), "a", a))
	require.NoError(t, s.Tell(t.Context(), "b", b))
	require.Equal(t, []reachability.Report{b}, get("a", enginetest.At))
	require.Equal(t, []reachability.Report{a}, get("b", enginetest.At), "what it said last")
	require.ElementsMatch(t, []reachability.Report{a, b}, get("c", enginetest.At))
	require.Equal(t, []reachability.Report{b}, get("c", enginetest.At.Add(time.Second)),
		"who said nothing lately is left out")
}
