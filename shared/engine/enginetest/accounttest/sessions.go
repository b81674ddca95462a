package accounttest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/session"
)

// Store is what keeps sessions.
type Store interface {
	session.Store
	session.Once
}

// began is in the future of any test, so that no engine has forgotten a session of the suite.
var began = time.Date(2126, 3, 1, 12, 0, 0, 123456789, time.UTC)

func fixture(n int, tenant, email string) session.Session {
	return session.Session{
		Digest: session.Digest(fmt.Sprint("id", n)), Tenant: tenant, ClientName: "Acme", Role: access.Analyst,
		Email: email, Name: "Ada", Subject: "u1", Method: session.ByProvider, Began: began,
		IdleEnd: began.Add(time.Hour), End: began.Add(12 * time.Hour),
	}
}

// Sessions is what a store of sessions must do.
func Sessions(t *testing.T, open func(t *testing.T) Store) {
	t.Run("a session is read as it was kept", func(t *testing.T) {
		store, s := open(t), fixture(1, "42", "Ada@Example.com")
		require.NoError(t, store.Create(t.Context(), s))
		got, err := store.Get(t.Context(), s.Digest)
		require.NoError(t, err)
		require.Equal(t, s, got)
		_, err = store.Get(t.Context(), session.Digest("another"))
		require.ErrorIs(t, err, session.ErrNotFound)
		_, err = store.Get(t.Context(), "")
		require.ErrorIs(t, err, session.ErrNotFound)
	})
	t.Run("its idle end moves on and never back", func(t *testing.T) {
		store, s := open(t), fixture(1, "42", "ada@example.com")
		require.NoError(t, store.Create(t.Context(), s))
		later := s.IdleEnd.Add(time.Hour)
		require.NoError(t, store.Extend(t.Context(), s.Digest, later))
		require.NoError(t, store.Extend(t.Context(), s.Digest, s.IdleEnd))
		got, err := store.Get(t.Context(), s.Digest)
		require.NoError(t, err)
		s.IdleEnd = later
		require.Equal(t, s, got)
	})
	t.Run("one that has been ended stays away", func(t *testing.T) {
		store, s := open(t), fixture(1, "42", "ada@example.com")
		require.NoError(t, store.Create(t.Context(), s))
		require.NoError(t, store.Delete(t.Context(), s.Digest))
		require.NoError(t, store.Delete(t.Context(), s.Digest), "twice is no error")
		require.NoError(t, store.Extend(t.Context(), s.Digest, s.End))
		_, err := store.Get(t.Context(), s.Digest)
		require.ErrorIs(t, err, session.ErrNotFound)
	})
	t.Run("all of a person end, and no other's", func(t *testing.T) { allOfAPerson(t, open(t)) })
	t.Run("those that the provider names end, and no other", func(t *testing.T) { byTheProvider(t, open(t)) })
	t.Run("what is good once is used once, of many at a time too", func(t *testing.T) { once(t, open(t)) })
}

func allOfAPerson(t *testing.T, store Store) {
	var hers, others []session.Session
	for n := range 60 {
		hers = append(hers, fixture(n, "42", []string{"ada@example.com", "ADA@example.com"}[n%2]))
	}
	noAddress := fixture(100, "42", "")
	others = append(others, fixture(101, "43", "ada@example.com"), fixture(102, "42", "ada@example.co"),
		fixture(103, "42", "ada@example.com.invalid"), noAddress)
	for _, s := range append(hers, others...) {
		require.NoError(t, store.Create(t.Context(), s))
	}
	n, err := store.DeleteOf(t.Context(), "42", session.PersonOf("Ada@Example.com", ""))
	require.NoError(t, err)
	require.Equal(t, len(hers), n)
	for _, s := range hers {
		_, err := store.Get(t.Context(), s.Digest)
		require.ErrorIs(t, err, session.ErrNotFound)
	}
	for _, s := range others {
		_, err := store.Get(t.Context(), s.Digest)
		require.NoError(t, err, s.Email)
	}
	n, err = store.DeleteOf(t.Context(), "42", noAddress.Person())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = store.DeleteOf(t.Context(), "42", noAddress.Person())
	require.NoError(t, err)
	require.Zero(t, n)
}

func byTheProvider(t *testing.T, store Store) {
	of := func(n int, tenant, subject, sid string, by session.Method) session.Session {
		s := fixture(n, tenant, "ada@example.com")
		s.Subject, s.ProviderSession, s.Method = subject, sid, by
		return s
	}
	all := []session.Session{of(0, "42", "u1", "s1", session.ByProvider), of(1, "43", "u1", "s2", session.ByProvider),
		of(2, "42", "u1", "", session.ByProvider), of(3, "42", "u2", "s1", session.ByProvider),
		of(4, "42", "u1", "s1", session.ByLink), of(5, "42", "s1", "u1", session.ByProvider)}
	for _, s := range all {
		require.NoError(t, store.Create(t.Context(), s))
	}
	ends := func(logout string, want ...session.Session) {
		ended, err := store.DeleteBy(t.Context(), logout)
		require.NoError(t, err)
		require.ElementsMatch(t, want, ended)
		for _, s := range want {
			_, err := store.Get(t.Context(), s.Digest)
			require.ErrorIs(t, err, session.ErrNotFound)
		}
	}
	require.NoError(t, store.Delete(t.Context(), all[2].Digest))
	ends(session.ByProviderSession("s1"), all[0], all[3])
	ends(session.ByProviderSession("s1"))
	ends(session.BySubject("u1"), all[1])
	ends(session.BySubject(""))
	ends(session.ByProviderSession(""))
	for _, s := range all[4:] {
		_, err := store.Get(t.Context(), s.Digest)
		require.NoError(t, err, "one of a link is not the provider's")
	}
}

func once(t *testing.T, store Store) {
	var first atomic.Int64
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			if ok, err := store.Use(t.Context(), session.Digest("a"), began); err == nil && ok {
				first.Add(1)
			}
		})
	}
	work.Wait()
	require.EqualValues(t, 1, first.Load())
	ok, err := store.Use(t.Context(), session.Digest("a"), began)
	require.NoError(t, err)
	require.False(t, ok)
	ok, err = store.Use(t.Context(), session.Digest("b"), began)
	require.NoError(t, err)
	require.True(t, ok)
}
