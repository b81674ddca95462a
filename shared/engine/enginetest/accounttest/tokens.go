package accounttest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/token"
)

// OpenTokens opens an engine.
type OpenTokens func(t *testing.T) token.Store

// Tokens is the suite of token.Store.
func Tokens(t *testing.T, open OpenTokens) {
	run := enginetest.Parallel(t, open)
	run("what was made is read back whole, and by its digest", tokenIsReadWhole)
	run("a change needs the revision before it", tokenNeedsTheRevisionBefore)
	run("of two revocations at once one wins", oneOfTwoRevocationsWins)
	run("a use moves on, changes no revision, and outlives a change", useIsNoted)
	run("the list has pages, the newest first, of one tenant", tokensAreListed)
	run("those that expire are found until their people are told", expiringAreFound)
}

// tokenOf is a token of a tenant that expires some hours after enginetest.At.
func tokenOf(tenant, id string, hours int) token.Token {
	v := token.Token{
		ID: id, Tenant: tenant, ClientName: "Acme", Name: "ci " + id, Kind: token.Personal,
		Role: access.Custom("events.view"), Tenants: []string{tenant, "7"}, Digest: token.Digest(tenant + id),
		CreatedAt: enginetest.At, CreatedBy: "ada@example.com", Email: "ada@example.com", PersonName: "Ada",
		Revision: 1,
	}
	if hours > 0 {
		v.ExpiresAt = enginetest.At.Add(time.Duration(hours) * time.Hour)
	}
	return v
}

func tokenIsReadWhole(t *testing.T, open OpenTokens) {
	s := open(t)
	for _, want := range []token.Token{tokenOf("42", "a", 5), tokenOf("42", "b", 0)} {
		require.NoError(t, s.Create(t.Context(), want))
		got, err := s.Get(t.Context(), "42", want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = s.ByDigest(t.Context(), want.Digest)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := s.Get(t.Context(), "43", "a")
	require.ErrorIs(t, err, token.ErrNotFound)
	_, err = s.Get(t.Context(), "42", "c")
	require.ErrorIs(t, err, token.ErrNotFound)
	_, err = s.ByDigest(t.Context(), token.Digest("another"))
	require.ErrorIs(t, err, token.ErrNotFound)
}

// revoked is the token after a revocation.
func revoked(v token.Token) token.Token {
	v.RevokedAt, v.RevokedBy, v.Ended = enginetest.At, "bob@example.com", token.ByHand
	v.Revision++
	return v
}

func tokenNeedsTheRevisionBefore(t *testing.T, open OpenTokens) {
	s := open(t)
	v := tokenOf("42", "a", 0)
	require.ErrorIs(t, s.Save(t.Context(), revoked(v)), token.ErrConflict, "there is none")
	require.NoError(t, s.Create(t.Context(), v))
	require.ErrorIs(t, s.Save(t.Context(), v), token.ErrConflict)
	require.NoError(t, s.Save(t.Context(), revoked(v)))
	got, err := s.ByDigest(t.Context(), v.Digest)
	require.NoError(t, err)
	require.Equal(t, revoked(v), got, "it is seen at once")
	require.ErrorIs(t, s.Save(t.Context(), revoked(v)), token.ErrConflict)
}

func oneOfTwoRevocationsWins(t *testing.T, open OpenTokens) {
	s := open(t)
	v := tokenOf("42", "a", 9)
	require.NoError(t, s.Create(t.Context(), v))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = s.Save(t.Context(), revoked(v)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, token.ErrConflict)
		}
	}
	require.Equal(t, 1, won)
}

func useIsNoted(t *testing.T, open OpenTokens) {
	s := open(t)
	v := tokenOf("42", "a", 9)
	require.NoError(t, s.Used(t.Context(), v, enginetest.At), "it is no error when there is none")
	_, err := s.Get(t.Context(), "42", "a")
	require.ErrorIs(t, err, token.ErrNotFound, "a use makes no token")
	require.NoError(t, s.Create(t.Context(), v))
	later := enginetest.At.Add(time.Hour)
	require.NoError(t, s.Used(t.Context(), v, later))
	require.NoError(t, s.Used(t.Context(), v, enginetest.At), "a clock that is behind")
	got, err := s.ByDigest(t.Context(), v.Digest)
	require.NoError(t, err)
	require.Equal(t, later, got.LastUsedAt)
	require.NoError(t, s.Save(t.Context(), revoked(v)), "read before the use")
	list, err := s.List(t.Context(), "42", "", 5)
	require.NoError(t, err)
	want := revoked(v)
	want.LastUsedAt = later
	require.Equal(t, []token.Token{want}, list)
}

func tokensAreListed(t *testing.T, open OpenTokens) {
	s := open(t)
	for n := range 7 {
		require.NoError(t, s.Create(t.Context(), tokenOf("42", fmt.Sprint(n), n)))
	}
	require.NoError(t, s.Create(t.Context(), tokenOf("43", "3", 0)))
	var seen []string
	for before := ""; ; {
		page, err := s.List(t.Context(), "42", before, 3)
		require.NoError(t, err)
		for _, v := range page {
			require.Equal(t, "42", v.Tenant)
			seen, before = append(seen, v.ID), v.ID
		}
		if len(page) < 3 {
			break
		}
	}
	require.Equal(t, []string{"6", "5", "4", "3", "2", "1", "0"}, seen)
}

func expiringAreFound(t *testing.T, open OpenTokens) {
	s := open(t)
	for id, hours := range map[string]int{"late": 90, "soon": 2, "next": 5, "never": 0, "revoked": 3} {
		require.NoError(t, s.Create(t.Context(), tokenOf("42", id, hours)))
	}
	require.NoError(t, s.Create(t.Context(), tokenOf("43", "theirs", 4)))
	require.NoError(t, s.Save(t.Context(), revoked(tokenOf("42", "revoked", 3))))
	until := enginetest.At.Add(72 * time.Hour)
	ids := func(limit int) (out []string) {
		found, err := s.Expiring(t.Context(), until, limit)
		require.NoError(t, err)
		for _, v := range found {
			out = append(out, v.ID)
		}
		return out
	}
	require.Equal(t, []string{"soon", "theirs", "next"}, ids(10))
	require.Equal(t, []string{"soon", "theirs"}, ids(2))
	told := tokenOf("42", "soon", 2)
	told.Warned, told.Revision = true, 2
	require.NoError(t, s.Save(t.Context(), told))
	require.Equal(t, []string{"theirs", "next"}, ids(10))
}
