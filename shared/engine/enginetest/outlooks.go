package enginetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/sending"
)

// Outlooks is the suite of sending.Outlooks.
func Outlooks(t *testing.T, open func(t *testing.T) sending.Outlooks) {
	s := open(t)
	get := func(but string, since time.Time) []sending.Outlook {
		t.Helper()
		out, err := s.Outlooks(t.Context(), but, since)
		require.NoError(t, err)
		return out
	}
	require.Empty(t, get("a", At))
	a := sending.Outlook{At: At, Answered: 3,
		Lost: []sending.Loss{{Tenant: "42", Integration: "i", Host: "example.com", At: At}}}
	b := sending.Outlook{At: At.Add(10 * time.Second), Answered: 1}
	require.NoError(t, s.Tell(t.Context(), "a", sending.Outlook{At: At.Add(-time.Second), Answered: 9}))
	require.NoError(t, s.Tell(t.Context(), "a", a))
	require.NoError(t, s.Tell(t.Context(), "b", b))
	require.Equal(t, []sending.Outlook{b}, get("a", At))
	require.Equal(t, []sending.Outlook{a}, get("b", At), "what it said last")
	require.ElementsMatch(t, []sending.Outlook{a, b}, get("c", At))
	require.Equal(t, []sending.Outlook{b}, get("c", At.Add(time.Second)), "who said nothing lately is left out")
}
