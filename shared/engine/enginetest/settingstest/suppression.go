package settingstest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/mail"
)

// OpenSuppressionList opens an engine.
type OpenSuppressionList func(t *testing.T) mail.SuppressionList

// SuppressionList is the suite of mail.SuppressionList.
func SuppressionList(t *testing.T, open OpenSuppressionList) {
	run := enginetest.Parallel(t, open)
	run("a suppression of the tenant holds for every integration", tenantsSuppressionHoldsForAll)
	run("a suppression of an integration holds for that one", integrationsSuppressionHoldsForIt)
	run("allowing removes all of an address", allowingRemovesAllOfAnAddress)
}

func tenantsSuppressionHoldsForAll(t *testing.T, open OpenSuppressionList) {
	s := open(t)
	b := suppression("ada@example.com", "", mail.Bounced)
	added, err := s.Suppress(t.Context(), b)
	require.NoError(t, err)
	require.True(t, added)
	added, err = s.Suppress(t.Context(), suppression("ada@example.com", "", mail.Complained))
	require.NoError(t, err)
	require.False(t, added)
	got, ok, err := s.Blocked(t.Context(), "42", "any", "ada@example.com")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, b, got, "the first one stays")
	_, ok, err = s.Blocked(t.Context(), "43", "any", "ada@example.com")
	require.NoError(t, err)
	require.False(t, ok)
}

func integrationsSuppressionHoldsForIt(t *testing.T, open OpenSuppressionList) {
	s := open(t)
	_, err := s.Suppress(t.Context(), suppression("ada@example.com", "i", mail.Unsubscribed))
	require.NoError(t, err)
	for integration, want := range map[string]bool{"i": true, "j": false, "": false} {
		_, ok, err := s.Blocked(t.Context(), "42", integration, "ada@example.com")
		require.NoError(t, err)
		require.Equal(t, want, ok, integration)
	}
}

func allowingRemovesAllOfAnAddress(t *testing.T, open OpenSuppressionList) {
	s := open(t)
	for _, b := range []mail.Suppression{suppression("b@x.org", "", mail.Bounced),
		suppression("a@x.org", "i", mail.Unsubscribed),
		suppression("a@x.org", "", mail.Bounced), suppression("c@x.org", "", mail.Bounced)} {
		_, err := s.Suppress(t.Context(), b)
		require.NoError(t, err)
	}
	page, err := s.List(t.Context(), "42", "", 2)
	require.NoError(t, err)
	require.Equal(t, []mail.Suppression{suppression("a@x.org", "", mail.Bounced),
		suppression("a@x.org", "i", mail.Unsubscribed),
		suppression("b@x.org", "", mail.Bounced)}, page)
	page, err = s.List(t.Context(), "42", "b@x.org", 2)
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.NoError(t, s.Allow(t.Context(), "42", "a@x.org", enginetest.Entry("42")))
	require.NoError(t, s.Allow(t.Context(), "42", "a@x.org", enginetest.Entry("42")))
	_, ok, err := s.Blocked(t.Context(), "42", "i", "a@x.org")
	require.NoError(t, err)
	require.False(t, ok)
}

func suppression(address, integration string, why mail.Why) mail.Suppression {
	return mail.Suppression{Tenant: "42", Address: address, Integration: integration, Why: why,
		Reason: "550 no such user", At: at}
}
