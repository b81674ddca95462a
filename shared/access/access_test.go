package access_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
)

var ada = access.Principal{Tenant: "42", ClientName: "Acme", Role: access.Administrator, Email: "ada@example.com",
	Name: "Ada"}

func keys(t *testing.T, issuer string, now time.Time, seeds ...byte) *access.Keys {
	t.Helper()
	var raw [][]byte
	for _, s := range seeds {
		raw = append(raw, bytes.Repeat([]byte{s}, 32))
	}
	k, err := access.NewKeys(issuer, raw, func() time.Time { return now })
	require.NoError(t, err)
	return k
}

func TestTokens(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	mine := keys(t, "tocsin", now, 1)
	token, err := mine.Issue(ada, time.Hour)
	require.NoError(t, err)
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone,
		jwt.MapClaims{"iss": "tocsin", "aud": "tocsin", "tenant": "42", "exp": now.Add(time.Hour).Unix()}).
		SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	nobody, err := mine.Issue(access.Principal{Role: access.Administrator}, time.Hour)
	require.NoError(t, err)

	for name, c := range map[string]struct {
		keys   *access.Keys
		header string
		says   string // "" = accepted
	}{
		"a good token":                      {mine, "Bearer " + token, ""},
		"the scheme in small letters":       {mine, "bearer " + token, ""},
		"S8: of a key that was rotated out": {keys(t, "tocsin", now, 2, 1), "Bearer " + token, "rotated out"},
		"within the leeway": {keys(t, "tocsin", now.Add(time.Hour+59*time.Second), 1), "Bearer " +
			token, ""},
		"expired": {keys(t, "tocsin", now.Add(time.Hour+61*time.Second), 1), "Bearer " +
			token, "has expired"},
		"of another issuer": {keys(t, "other", now, 1), "Bearer " + token, "another service"},
		"of another key": {keys(t, "tocsin", now, 2), "Bearer " + token,
			"not signed by this service"},
		"without a signature": {mine, "Bearer " + none, "not signed by this service"},
		"without a tenant":    {mine, "Bearer " + nobody, "names no tenant"},
		"garbled":             {mine, "Bearer x.y.z", "can not be read"},
		"cut off":             {mine, "Bearer " + token[:len(token)-4], "not signed by this service"},
		"no header":           {mine, "", "a token is needed"},
		"another scheme":      {mine, "Basic " + token, "must be Bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodGet, "/", nil)
			require.NoError(t, err)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			p, err := c.keys.Authenticate(r)
			if c.says == "" {
				require.NoError(t, err)
				want := ada
				want.Subject, want.Issued, want.Home = ada.Email, p.Issued, ada.Tenant
				require.Equal(t, want, p)
				require.True(t, p.Issued.Equal(now))
				return
			}
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), strings.Split(token, ".")[1])
		})
	}
}

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
