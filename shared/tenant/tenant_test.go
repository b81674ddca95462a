package tenant_test

import (
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/engine/memory"
	"tocsin/shared/tenant"
)

var op = activity.Actor{Email: "op@example.com", Source: access.FromPlatform}

func service(t *testing.T) *tenant.Service {
	t.Helper()
	s := &tenant.Service{Store: memory.New(nil).Tenants(), Log: slog.New(slog.DiscardHandler),
		NewID: rand.Text, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	_, err := s.Link(t.Context(), op, "1", "7", "Seven")
	require.NoError(t, err)
	_, err = s.Link(t.Context(), op, "7", "70", "Seventy")
	require.NoError(t, err)
	return s
}

// whoActs are calls with a role, the tenants of a token, and the tenant that is asked for.
var whoActs = map[string]struct {
	role     access.Role
	reach    []string
	asked    string
	acts     string // "" = refused
	says     string
	anyOther bool // the same is said of a tenant that nobody knows
}{
	"nobody named":             {role: access.GlobalAdministrator, acts: "1"},
	"home":                     {role: access.Administrator, asked: "1", acts: "1"},
	"a global role, linked":    {role: access.GlobalAdministrator, asked: "7", acts: "7"},
	"a global analyst, linked": {role: access.GlobalAnalyst, asked: "7", acts: "7"},
	"a global role, unlinked": {role: access.GlobalAdministrator, asked: "8",
		says: "not linked to yours", anyOther: true},
	"links do not chain": {role: access.GlobalAdministrator, asked: "70",
		says: "not linked to yours"},
	"a plain role, linked": {role: access.Administrator, asked: "7",
		says: "only a global role", anyOther: true},
	"an operator": {role: access.Operator, asked: "7",
		says: "only a global role"},
	"a custom role": {role: access.Custom("integrations.view"), asked: "7",
		says: "only a global role"},
	"an unknown role": {role: "nonsense", asked: "7",
		says: "only a global role"},
	"all tenants": {role: access.GlobalAdministrator, asked: "*",
		says: "not linked to yours"},
	"spaces": {role: access.GlobalAdministrator, asked: " 7",
		says: "not linked to yours"},
	"a token for home": {role: access.GlobalAdministrator, reach: []string{"1"}, acts: "1"},
	"a token for home, linked": {role: access.GlobalAdministrator, reach: []string{"1"}, asked: "7",
		says: "not for that tenant", anyOther: true},
	"a token for one linked":        {role: access.GlobalAdministrator, reach: []string{"7"}, acts: "7"},
	"a token for one linked, named": {role: access.GlobalAdministrator, reach: []string{"7"}, asked: "7", acts: "7"},
	"a token for one linked, home": {role: access.GlobalAdministrator, reach: []string{"7"}, asked: "1",
		says: "not for that tenant"},
	"a token for several": {role: access.GlobalAdministrator, reach: []string{"7", "9"},
		says: "several tenants"},
	"a token for all":               {role: access.GlobalAdministrator, reach: []string{"*"}, asked: "7", acts: "7"},
	"a token for all, nobody named": {role: access.GlobalAdministrator, reach: []string{"*"}, acts: "1"},
	"a token for all, unlinked": {role: access.GlobalAdministrator, reach: []string{"*"}, asked: "8",
		says: "not linked to yours", anyOther: true},
	"a token whose link is gone": {role: access.GlobalAdministrator, reach: []string{"9"},
		says: "not linked to yours"},
	"a token of a plain role for a linked": {role: access.Administrator, reach: []string{"7"},
		says: "only a global role"},
	"a token of a plain role for all": {role: access.Administrator, reach: []string{"*"}, asked: "7",
		says: "only a global role"},
}

func TestWhoActsForWhom(t *testing.T) {
	for name, c := range whoActs {
		t.Run(name, func(t *testing.T) {
			p := access.Principal{Tenant: "1", Home: "1", ClientName: "One", Role: c.role, Reach: c.reach}
			got, err := service(t).Act(t.Context(), p, c.asked)
			if c.acts != "" {
				require.NoError(t, err)
				require.Equal(t, c.acts, got.Tenant)
				require.Equal(t, map[string]string{"1": "One", "7": "Seven"}[c.acts], got.ClientName)
				require.Equal(t, p, func() access.Principal { h := got.AtHome(); h.HomeName = ""; return h }())
				return
			}
			var refused *tenant.NotForYouError
			require.ErrorAs(t, err, &refused)
			require.ErrorContains(t, err, c.says)
			if c.anyOther {
				_, other := service(t).Act(t.Context(), p, "no-such-tenant")
				require.EqualError(t, other, err.Error(), "what is said tells nothing of tenants that exist")
			}
		})
	}
}

func TestAnUnlinkedTenantIsOutOfReachAtOnce(t *testing.T) {
	s := service(t)
	p := access.Principal{Tenant: "1", Home: "1", Role: access.GlobalAdministrator}
	_, err := s.Act(t.Context(), p, "7")
	require.NoError(t, err)
	require.NoError(t, s.Unlink(t.Context(), op, "1", "7"))
	_, err = s.Act(t.Context(), p, "7")
	require.ErrorContains(t, err, "not linked")
	require.ErrorIs(t, s.Unlink(t.Context(), op, "1", "7"), tenant.ErrNotFound)
	var none *tenant.Service
	_, err = none.Act(t.Context(), p, "7")
	require.ErrorContains(t, err, "not linked", "a deployment without links")
}

func TestWhatCanBeLinked(t *testing.T) {
	s := service(t)
	for _, pair := range [][2]string{{"", "7"}, {"1", ""}, {"*", "7"}, {"1", "*"},
		{" 1", "7"}, {"1", "7 "}, {"1", "é"}} {
		_, err := s.Link(t.Context(), op, pair[0], pair[1], "")
		require.ErrorIs(t, err, tenant.ErrName, pair)
	}
	_, err := s.Link(t.Context(), op, "1", "1", "")
	require.ErrorIs(t, err, tenant.ErrSelf)
}
