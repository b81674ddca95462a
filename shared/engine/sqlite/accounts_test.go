package sqlite_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/account"
	"tocsin/shared/engine/enginetest/accounttest"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
)

func TestSessions(t *testing.T) {
	accounttest.Sessions(t, func(t *testing.T) accounttest.Store { return open(t).Sessions() })
}

func TestTokens(t *testing.T) {
	accounttest.Tokens(t, func(t *testing.T) token.Store { return open(t).Tokens() })
}

func TestTokensThatEndedArePruned(t *testing.T) {
	store, now := open(t).Tokens(), time.Unix(1_700_000_000, 0).UTC()
	month := 30 * 24 * time.Hour
	for id, v := range map[string]token.Token{
		"expired": {ExpiresAt: now.Add(-month)}, "revoked": {RevokedAt: now.Add(-month)}, "never": {},
		"late": {ExpiresAt: now.Add(-month + time.Second)}, "to come": {ExpiresAt: now.Add(time.Hour)},
	} {
		v.Tenant, v.ID, v.Digest, v.Revision = "42", id, token.Digest(id), 1
		require.NoError(t, store.Create(t.Context(), v))
	}
	n, err := store.Prune(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	left, err := store.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, left, 3)
}

func TestTenants(t *testing.T) {
	accounttest.Tenants(t, func(t *testing.T) tenant.Store { return open(t).Tenants() })
}

func TestSessionsThatHaveEndedArePruned(t *testing.T) {
	store, now := open(t).Sessions(), time.Unix(1_700_000_000, 0)
	for id, s := range map[string]session.Session{
		"idle":  {IdleEnd: now, End: now.Add(time.Hour)},
		"ended": {IdleEnd: now.Add(time.Hour), End: now},
		"good":  {IdleEnd: now.Add(time.Second), End: now.Add(time.Second)},
	} {
		s.Digest = id
		require.NoError(t, store.Create(t.Context(), s))
	}
	for id, until := range map[string]time.Time{"old": now, "new": now.Add(time.Second)} {
		_, err := store.Use(t.Context(), id, until)
		require.NoError(t, err)
	}
	n, err := store.Prune(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	_, err = store.Get(t.Context(), "good")
	require.NoError(t, err)
	first, err := store.Use(t.Context(), "new", now)
	require.NoError(t, err)
	require.False(t, first)
}

func TestAccounts(t *testing.T) {
	accounttest.People(t, func(t *testing.T) account.Store { return open(t).Accounts() })
}

func TestSignInLinks(t *testing.T) {
	accounttest.Links(t, func(t *testing.T) account.LinkStore { return open(t).SignInLinks() })
}
