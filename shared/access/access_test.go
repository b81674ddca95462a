package access_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
)

var ada = access.Principal{Tenant: "42", ClientName: "Acme", Role: access.Administrator, Email: "ada@example.com",
	Name: "Ada"}

func TestOnlyAdministratorsManageIntegrations(t *testing.T) {
	for role, may := range map[access.Role]bool{
		access.Administrator: true, access.GlobalAdministrator: true, access.Operator: true,
		access.Analyst: false, access.ReadOnly: false, access.APIDeveloper: false, access.Deploy: false, "": false,
		"ADMINISTRATOR": false,
	} {
		require.Equal(t, may, access.Principal{Role: role}.Administers(), role)
	}
}

type fixed struct {
	principal access.Principal
	err       error
}

func (f fixed) Authenticate(*http.Request) (access.Principal, error) { return f.principal, f.err }

func TestAChainStopsAtTheFirstCredentials(t *testing.T) {
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	require.NoError(t, err)
	none := fixed{err: &access.UnauthorizedError{Reason: "none here", None: true}}
	bad := fixed{err: &access.UnauthorizedError{Reason: "revoked"}}
	p, err := access.Chain{none, fixed{principal: ada}, bad}.Authenticate(r)
	require.NoError(t, err)
	require.Equal(t, ada, p)
	_, err = access.Chain{none, bad, fixed{principal: ada}}.Authenticate(r)
	require.EqualError(t, err, "revoked", "bad credentials are not made good by others beside them")
	_, err = access.Chain{none, none}.Authenticate(r)
	var unauthorized *access.UnauthorizedError
	require.ErrorAs(t, err, &unauthorized)
	require.True(t, unauthorized.None)
	require.Equal(t, "none here", unauthorized.Reason)
	_, err = access.Chain{}.Authenticate(r)
	require.ErrorContains(t, err, "sign in")
}

func TestAStrangeBearerTokenIsNotMadeGoodByACookie(t *testing.T) {
	chain := access.Chain{fixed{err: &access.UnauthorizedError{None: true}}, access.StrangeBearer{},
		fixed{principal: ada}}
	for header, signedIn := range map[string]bool{"": true, "Basic YTpi": true, "Bearer a.b.c": false,
		"bearer": false, "BEARER  x.y": false} {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", header)
		p, err := chain.Authenticate(r)
		require.Equal(t, signedIn, err == nil, header)
		require.Equal(t, signedIn, p.Email == ada.Email, header)
		if !signedIn {
			require.ErrorContains(t, err, "is no API token", header)
		}
	}
}

// The token of a program has no address: its name says who called, and a line of the log has never nobody.
func TestACallerWithoutAnAddressHasANameInTheLog(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]access.Principal{
		"ada@example.com": {Email: "ada@example.com", Name: "Ada", Subject: "1234", Token: "ci"},
		"1234":            {Subject: "1234", Name: "Ada"},
		"Ada":             {Name: "Ada", Token: "ci"},
		"ci":              {Token: "ci", Source: access.FromAPIToken},
	} {
		require.Equal(t, want, p.Who())
	}
}
