package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
)

// TestSection7OfTheFacts is the table of the facts once more, by the codes that tokens carry.
func TestSection7OfTheFacts(t *testing.T) {
	everything := []access.Right{
		access.OwnProfile, access.Administer, access.Triggers, access.ReportSettings, access.ViewEvents,
		access.ManageEvents, access.ViewUsers, access.ViewApplications, access.Addresses, access.Unowned,
	}
	administrator := everything[:9]
	analyst := []access.Right{access.OwnProfile, access.Addresses, access.ViewEvents, access.ManageEvents,
		access.ViewApplications}
	auditor := []access.Right{access.OwnProfile, access.Addresses, access.ViewEvents, access.ViewUsers,
		access.ViewApplications}
	for claim, want := range map[string][]access.Right{
		"admin": administrator, "admin_ext": administrator, "partner_admin": administrator,
		"partner_admin_ext": administrator,
		"administrator":     administrator, "global_administrator": administrator,
		"analytic": analyst, "partner_analytic": analyst, "analyst": analyst, "global_analyst": analyst,
		"auditor": auditor, "partner_auditor": auditor, "read_only": auditor, "global_read_only": auditor,
		"api_developer": {access.OwnProfile, access.Addresses}, "deploy": nil, "operator": everything,
		"": nil, "nonsense": nil, "Admin": nil, "admin ": nil, "[admin]": nil, "admin,deploy": nil,
		"partner_deploy": nil, "*": nil,
	} {
		role := access.ParseRole(claim)
		for _, right := range everything {
			require.Equal(t, contains(want, right), role.May(right), "%q: %s", claim, right)
		}
		require.True(t, role.May(access.SignIn))
		require.Equal(t, want != nil || claim == "deploy", role.Known(), claim)
	}
	for title, want := range map[string]access.Role{
		"Administrator": access.Administrator, "Read Only": access.ReadOnly, "read-only": access.ReadOnly,
		"Global Analyst": access.GlobalAnalyst, "API Developer": access.APIDeveloper,
		"Deploy": access.Deploy, " analytic ": access.Analyst, "ADMIN": access.Administrator, "": "",
		"Wizard": "wizard",
	} {
		require.Equal(t, want, access.RoleOfTitle(title), title)
	}
	require.Equal(t, "administrators", access.Administer.Holders())
	require.Equal(t, "administrators and analysts", access.ManageEvents.Holders())
	require.Equal(t, "administrators, analysts and read-only users", access.ViewEvents.Holders())
	require.Equal(t, "operators", access.Unowned.Holders())
}

func contains(rights []access.Right, right access.Right) bool {
	for _, r := range rights {
		if r == right {
			return true
		}
	}
	return false
}
