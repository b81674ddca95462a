package enginetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/sending"
)

// Reachability is the suite of sending.ReachabilityStore.
func Reachability(t *testing.T, open func(t *testing.T) sending.ReachabilityStore) {
	s := open(t)
	get := func(but string, since time.Time) []sending.Reachability {
		t.Helper()
		out, err := s.Others(t.Context(), but, since)
		require.NoError(t, err)
		return out
	}
	require.Empty(t, get("a", At))
	a := sending.Reachability{At: At, Answered: 3,
		Lost: []sending.Unreached{{Tenant: "42", Integration: "i", Host: "example.com", At: At}}}
	b := sending.Reachability{At: At.Add(10 * time.Second), Answered: 1}
	require.NoError(t, s.Tell(t.Context(), "a", sending.Reachability{At: At.Add(-time.Second), Answered: 9}))
	require.NoError(t, s.Tell(t.Context(), "a", a))
	require.NoError(t, s.Tell(t.Context(), "b", b))
	require.Equal(t, []sending.Reachability{b}, get("a", At))
	require.Equal(t, []sending.Reachability{a}, get("b", At), "what it said last")
	require.ElementsMatch(t, []sending.Reachability{a, b}, get("c", At))
	require.Equal(t, []sending.Reachability{b}, get("c", At.Add(time.Second)), "who said nothing lately is left out")
}
