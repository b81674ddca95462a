package accounttest

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/account"
)

func person(tenant, email string) account.Person {
	return account.Person{Tenant: tenant, ClientName: "Acme", Email: email, Name: "Ada", Role: access.Administrator,
		CreatedAt: began, UpdatedAt: began, Revision: 1}
}

// People is what an account.Store must do.
func People(t *testing.T, open func(*testing.T) account.Store) {
	t.Run("a person is read as they were saved, in their tenant, however the address is written", func(t *testing.T) {
		s := open(t)
		p := person("42", "Ada@Example.com")
		require.NoError(t, s.Save(t.Context(), p))
		got, err := s.Get(t.Context(), "42", "ada@example.com")
		require.NoError(t, err)
		require.Equal(t, p, got)
		_, err = s.Get(t.Context(), "43", "ada@example.com")
		require.ErrorIs(t, err, account.ErrUnknown)
		require.ErrorIs(t, s.Save(t.Context(), person("42", "ada@example.com")), account.ErrExists)
	})
	t.Run("of two changes at once one is told that it came too late", func(t *testing.T) {
		s := open(t)
		p := person("42", "ada@example.com")
		require.NoError(t, s.Save(t.Context(), p))
		p.Revision, p.Role = 2, access.Analyst
		require.NoError(t, s.Save(t.Context(), p))
		p.Role = access.ReadOnly
		require.ErrorIs(t, s.Save(t.Context(), p), account.ErrChanged)
		got, err := s.Get(t.Context(), "42", "ada@example.com")
		require.NoError(t, err)
		require.Equal(t, access.Analyst, got.Role)
		strange := person("42", "nobody@example.com")
		strange.Revision = 2
		require.ErrorIs(t, s.Save(t.Context(), strange), account.ErrChanged)
	})
	t.Run("people are listed by tenant and address, and found in each tenant", func(t *testing.T) {
		s := open(t)
		for _, p := range []account.Person{person("43", "ada@example.com"), person("42", "zoe@example.com"),
			person("42", "ada@example.com")} {
			require.NoError(t, s.Save(t.Context(), p))
		}
		all, err := s.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []account.Person{person("42", "ada@example.com"), person("42", "zoe@example.com"),
			person("43", "ada@example.com")}, all)
		found, err := s.Find(t.Context(), "ada@example.com")
		require.NoError(t, err)
		require.Equal(t, []account.Person{person("42", "ada@example.com"), person("43", "ada@example.com")}, found)
	})
}

// Links is what an account.LinkStore must do.
func Links(t *testing.T, open func(*testing.T) account.LinkStore) {
	made := func(code, address string) account.Link {
		return account.Link{Digest: sha256.Sum256([]byte(code)), Tenant: "42", Address: address,
			Expires: began.Add(account.LinkGood)}
	}
	t.Run("of many who use a link at once one finds it unused", func(t *testing.T) {
		s := open(t)
		l := made("a", "ada@example.com")
		require.NoError(t, s.Keep(t.Context(), l, began))
		got, err := s.Get(t.Context(), l.Digest)
		require.NoError(t, err)
		require.Equal(t, l, got)
		var all sync.WaitGroup
		var first atomic.Int32
		for range 8 {
			all.Go(func() {
				if was, err := s.Use(t.Context(), l.Digest, began.Add(time.Minute)); err == nil && was.Used.IsZero() {
					first.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, first.Load())
		got, err = s.Get(t.Context(), l.Digest)
		require.NoError(t, err)
		require.Equal(t, began.Add(time.Minute), got.Used, "the first use is noted")
	})
	t.Run("a person's links are dropped, and no one else's; old ones are forgotten", func(t *testing.T) {
		s := open(t)
		a, b := made("a", "ada@example.com"), made("b", "bob@example.com")
		require.NoError(t, s.Keep(t.Context(), a, began))
		require.NoError(t, s.Keep(t.Context(), b, began))
		require.NoError(t, s.Drop(t.Context(), "42", "ada@example.com"))
		_, err := s.Use(t.Context(), a.Digest, began)
		require.ErrorIs(t, err, account.ErrNoLink)
		_, err = s.Get(t.Context(), b.Digest)
		require.NoError(t, err)
		require.NoError(t, s.Keep(t.Context(), a, b.Expires.Add(time.Second)))
		_, err = s.Get(t.Context(), b.Digest)
		require.ErrorIs(t, err, account.ErrNoLink)
	})
}
