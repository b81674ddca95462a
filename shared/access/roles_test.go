package access_test

import (
	"slices"
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
	everything = append(everything[:9:9], access.ViewIntegrations, access.ViewTriggers, access.ViewReportSettings,
		access.ManageUsers, access.ViewActivity, access.PersonalTokens, access.SharedTokens, access.LinkTenants,
		access.Leaving, access.Unowned)
	administrator := everything[:16]
	analyst := []access.Right{access.OwnProfile, access.Addresses, access.ViewEvents, access.ManageEvents,
		access.ViewApplications, access.PersonalTokens}
	auditor := []access.Right{access.OwnProfile, access.Addresses, access.ViewEvents, access.ViewUsers,
		access.ViewApplications, access.ViewActivity}
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

func TestTheOrderOfRoles(t *testing.T) {
	for role, within := range map[access.Role][]access.Role{
		access.GlobalAdministrator: access.Roles(),
		access.Administrator: {access.Administrator, access.Analyst, access.ReadOnly, access.APIDeveloper,
			access.Deploy},
		access.GlobalAnalyst: {access.GlobalAnalyst, access.Analyst, access.APIDeveloper, access.Deploy},
		access.Analyst:       {access.Analyst, access.APIDeveloper, access.Deploy},
		access.GlobalReadOnly: {access.GlobalReadOnly, access.ReadOnly, access.APIDeveloper,
			access.Deploy},
		access.ReadOnly: {access.ReadOnly, access.APIDeveloper, access.Deploy},
		access.Deploy:   {access.Deploy},
		access.Operator: {access.Operator, access.Administrator, access.Analyst, access.ReadOnly,
			access.APIDeveloper, access.Deploy},
		"": nil, "nonsense": nil, "ADMINISTRATOR": nil,
	} {
		for _, of := range append(access.Roles(), access.Operator, "", "nonsense") {
			require.Equal(t, slices.Contains(within, of), of.Within(role), "%q within %q", of, role)
		}
	}
	require.True(t, access.Custom("integrations.view").Within(access.Administrator))
	require.False(t, access.Custom("integrations.view").Within(access.Analyst))
	require.False(t, access.Analyst.Within(access.Custom(access.CustomPermissions()...)), "no tokens")
}

func TestACustomRoleMayNothingButWhatIsNamed(t *testing.T) {
	for permissions, want := range map[string][]access.Right{
		"": nil, "nonsense": nil, "*": nil, "integrations": nil, "integrations.manage": nil, "events.manage": nil,
		"integrations.view":                     {access.ViewIntegrations, access.Addresses},
		"integrations.manage,integrations.view": {access.ViewIntegrations, access.Administer, access.Addresses},
		" events.view, nonsense":                {access.ViewEvents, access.ViewReportSettings},
		"users.view,triggers.manage":            {access.ViewUsers},
		"profile.view,activity_log.view":        {access.OwnProfile, access.ViewActivity},
	} {
		role := access.ParseRole("custom:" + permissions)
		require.True(t, role.Known(), permissions)
		require.Equal(t, "custom", role.Name())
		require.Equal(t, role, access.ParseRole(string(role)), "it is read back as it was written")
		for _, right := range []access.Right{access.OwnProfile, access.Administer, access.ViewIntegrations,
			access.Triggers, access.ViewTriggers, access.ReportSettings, access.ViewReportSettings, access.ViewEvents,
			access.ManageEvents, access.ViewUsers, access.ManageUsers, access.ViewApplications, access.ViewActivity,
			access.PersonalTokens, access.SharedTokens, access.LinkTenants, access.Leaving,
			access.Unowned, access.Addresses} {
			require.Equal(t, slices.Contains(want, right), role.May(right), "%q: %s", permissions, right)
		}
		require.False(t, role.Global())
	}
	require.Equal(t, access.Role("custom"), access.ParseRole("custom"))
	require.Equal(t, []string{"events.view", "users.view"}, access.Custom("users.view", "x", "events.view",
		"users.view").Permissions())
}

func TestPermissionsComeFromTheConfiguredClaimOnly(t *testing.T) {
	claims := map[string]string{"tenant": "42", "role": "custom", "permissions": "users.view  events.view,nonsense",
		"scope": "integrations.view"}
	claim := func(name string) string { return claims[name] }
	p, err := access.FromClaims(access.ClaimNames{}, claim)
	require.NoError(t, err)
	require.Nil(t, p.Role.Permissions(), "no claim is configured")
	p, err = access.FromClaims(access.ClaimNames{Permissions: "permissions"}, claim)
	require.NoError(t, err)
	require.Equal(t, []string{"events.view", "users.view"}, p.Role.Permissions())
	claims["role"] = "auditor"
	p, err = access.FromClaims(access.ClaimNames{Permissions: "permissions"}, claim)
	require.NoError(t, err)
	require.Equal(t, access.ReadOnly, p.Role, "they are of a custom role only")
}
