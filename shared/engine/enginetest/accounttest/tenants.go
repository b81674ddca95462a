package accounttest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/tenant"
)

// OpenTenants opens an engine.
type OpenTenants func(t *testing.T) tenant.Store

// Tenants is the suite of tenant.Store.
func Tenants(t *testing.T, open OpenTenants) {
	run := enginetest.Parallel(t, open)
	run("links are of two tenants in one direction", linksHaveADirection)
	run("the list has pages, of one technical tenant", linksAreListed)
}

func link(technical, linked, name string) tenant.Link {
	return tenant.Link{Technical: technical, Tenant: linked, ClientName: name, LinkedAt: enginetest.At,
		LinkedBy: "op@example.com"}
}

func linksHaveADirection(t *testing.T, open OpenTenants) {
	s := open(t)
	require.NoError(t, s.Link(t.Context(), link("42", "7", "Seven")))
	got, err := s.Get(t.Context(), "42", "7")
	require.NoError(t, err)
	require.Equal(t, link("42", "7", "Seven"), got)
	for _, pair := range [][2]string{{"7", "42"}, {"42", "8"}, {"4", "27"}, {"42", ""}} {
		_, err := s.Get(t.Context(), pair[0], pair[1])
		require.ErrorIs(t, err, tenant.ErrNotFound, pair)
		require.ErrorIs(t, s.Unlink(t.Context(), pair[0], pair[1]), tenant.ErrNotFound, pair)
	}
	require.NoError(t, s.Link(t.Context(), link("42", "7", "Renamed")))
	got, err = s.Get(t.Context(), "42", "7")
	require.NoError(t, err)
	require.Equal(t, "Renamed", got.ClientName)
	require.NoError(t, s.Unlink(t.Context(), "42", "7"))
	_, err = s.Get(t.Context(), "42", "7")
	require.ErrorIs(t, err, tenant.ErrNotFound)
}

func linksAreListed(t *testing.T, open OpenTenants) {
	s := open(t)
	for _, linked := range []string{"b", "a", "c"} {
		require.NoError(t, s.Link(t.Context(), link("42", linked, "")))
	}
	require.NoError(t, s.Link(t.Context(), link("43", "z", "")))
	page, err := s.List(t.Context(), "42", "", 2)
	require.NoError(t, err)
	require.Equal(t, []tenant.Link{link("42", "a", ""), link("42", "b", "")}, page)
	page, err = s.List(t.Context(), "42", "b", 2)
	require.NoError(t, err)
	require.Equal(t, []tenant.Link{link("42", "c", "")}, page)
}
