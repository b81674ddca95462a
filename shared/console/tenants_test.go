package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console"
	"tocsin/shared/console/mails"
	"tocsin/shared/ratelimit"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/wording"
)

// theOperator links tenants.
var theOperator = activity.Actor{Email: "op@example.com", Source: access.FromPlatform}

// link links 43 to 42, or ends that.
func (r *rig) link(t *testing.T, on bool) {
	t.Helper()
	if on {
		_, err := r.config.Tenants.Link(t.Context(), theOperator, "42", "43", "Other")
		require.NoError(t, err)
		return
	}
	require.NoError(t, r.config.Tenants.Unlink(t.Context(), theOperator, "42", "43"))
}

// make makes an API token with what a JSON object says.
func (r *rig) make(t *testing.T, as access.Role, body string) (id, secret string) {
	t.Helper()
	r.token = r.issue("42", as)
	a := r.call("POST", "/v1/tokens", body)
	require.Equal(t, 201, a.status, a.raw)
	return a.body["id"].(string), a.body["secret"].(string)
}

// TestEveryOperationCrossesTenantsForAGlobalRoleOnly takes every operation to what a linked tenant has.
func TestEveryOperationCrossesTenantsForAGlobalRoleOnly(t *testing.T) {
	r := start(t)
	r.config.MailLog = func(_ context.Context, tenant, _ string, _ int) ([]mails.Mail, error) {
		return []mails.Mail{{ID: "1", Subject: map[string]string{"42": "mine", "43": marker}[tenant]}}, nil
	}
	r.handler = console.New(r.config)
	theirs := r.others(t)
	own := r.slack("Mine")
	r.link(t, true)
	claims := tokensOf(t)
	of := func(role string) string { return claims(map[string]any{"tenant": "42", "role": role}) }
	const global = `{"name":"x","kind":"shared","role":"global_administrator","tenants":`
	_, linked := r.make(t, access.GlobalAdministrator, global+`["43"]}`)
	_, every := r.make(t, access.GlobalAdministrator, global+`["*"]}`)
	_, home := r.make(t, access.GlobalAdministrator, global+`["42"]}`)
	r.link(t, false)
	paths := r.paths(t)
	refused := func(who, token, asked string) {
		for path, methods := range paths {
			for method, o := range methods {
				r.token = token
				a := r.theirs(method, path, operations[o.OperationID].body, theirs, own, asked)
				require.Equal(t, 403, a.status, "%s: %s %s %s", who, o.OperationID, asked, a.raw)
				require.NotContains(t, a.raw, marker)
				require.NotContains(t, a.raw, "43")
			}
		}
	}
	refused("global, unlinked", of("partner_admin"), "tenant=43")
	refused("a token whose link is gone", linked, "")
	refused("a token for every one, unlinked", every, "tenant=43")
	r.untouched(t, theirs)
	r.link(t, true)
	for _, role := range []string{"admin", "analytic", "auditor", "operator", "custom:integrations.view", "nonsense",
		""} {
		refused("plain "+role, of(role), "tenant=43")
	}
	refused("a token for home", home, "tenant=43")
	refused("another global role", claims(map[string]any{"tenant": "44", "role": "partner_admin"}), "tenant=43")
	refused("one that does not exist", of("partner_admin"), "tenant=no-such")
	r.untouched(t, theirs)
	r.link(t, true)
	r.acts(t, theirs, own, map[string]string{
		"partner_admin": of("partner_admin"), "partner_auditor": of("partner_auditor"), "linked": linked,
		"every": every,
	})
}

// acts: who may act for 43 reads what 43 has, as far as the role goes.
func (r *rig) acts(t *testing.T, theirs map[string]string, own string, tokens map[string]string) {
	t.Helper()
	saw := 0
	for path, methods := range r.paths(t) {
		o, ok := methods["get"]
		if !ok {
			continue
		}
		line := operations[o.OperationID]
		for who, token := range tokens {
			role := "partner_admin"
			if who == "partner_auditor" {
				role = who
			}
			allowed := contains(strings.Fields(line.roles), role)
			r.token = token
			a := r.theirs("get", path, line.body, theirs, own, "tenant=43")
			if strings.HasPrefix(path, "/v1/profile") {
				continue // stays at home
			}
			require.Equal(t, !allowed, a.status == 403, "%s as %s: %d %s", o.OperationID, who, a.status, a.raw)
			if allowed && strings.Contains(a.raw, marker) {
				saw++
			}
		}
	}
	require.Greater(t, saw, 30)
}

func TestAGlobalRoleActsForALinkedTenantAndKeepsItsProfile(t *testing.T) {
	r := start(t)
	r.link(t, true)
	r.token = r.issue("42", access.GlobalAdministrator)
	s := r.call("GET", "/v1/session?tenant=43", "").body
	require.Equal(t, "43", s["tenant"])
	require.Equal(t, "Other", s["client_name"])
	require.Equal(t, "42", s["home_tenant"])
	require.Equal(t, 200, r.call("PUT", "/v1/profile/notifications?tenant=43",
		`{"choices":{"report_daily":true,"report_weekly":false,"report_monthly":false,"system":false,"vuln":false,`+
			`"scope":false}}`).status)
	people, err := r.db.People.List(t.Context(), "43", "", 10)
	require.NoError(t, err)
	require.Empty(t, people)
	people, err = r.db.People.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, people, 1)
	require.Equal(t, "Acme", people[0].ClientName)
	require.Equal(t, []string{"42", "43"}, r.tenants())
	r.token = r.issue("42", access.Administrator)
	require.Equal(t, []string{"42"}, r.tenants())
	for _, query := range []string{"tenant=", "tenant=43&tenant=42", "tenant=42&tenant=42"} {
		require.Equal(t, 400, r.call("GET", "/v1/session?"+query, "").status, query)
	}
	require.Equal(t, 200, r.call("GET", "/v1/integrations?tenant=42&limit=1", "").status)
	require.Equal(t, 403, r.call("POST", "/v1/tokens?tenant=43", `{"name":"x","kind":"shared"}`).status)
}

// tenants are those that the caller may act for.
func (r *rig) tenants() (out []string) {
	for _, item := range r.call("GET", "/v1/tenants", "").body["items"].([]any) {
		out = append(out, item.(map[string]any)["tenant"].(string))
	}
	return out
}

func TestOperatorsLinkTenants(t *testing.T) {
	r := start(t)
	r.token = r.issue("1", access.Operator)
	a := r.call("PUT", "/v1/tenants/42/linked/7", `{"client_name":"Seven"}`)
	require.Equal(t, 200, a.status, a.raw)
	require.Contains(t, r.call("GET", "/v1/tenants/42/linked", "").raw, `"Seven"`)
	require.Equal(t, 422, r.call("PUT", "/v1/tenants/42/linked/42", `{}`).status)
	require.Equal(t, 422, r.call("PUT", "/v1/tenants/42/linked/*", `{}`).status)
	require.Equal(t, 204, r.call("DELETE", "/v1/tenants/42/linked/7", "").status)
	require.Equal(t, 404, r.call("DELETE", "/v1/tenants/42/linked/7", "").status)
}

func TestAnAPITokenEndsWithTheNextCall(t *testing.T) {
	r := start(t)
	id, secret := r.make(t, access.Administrator, `{"name":"ci","kind":"shared","expires_at":"`+
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
	admin := r.token
	list := r.call("GET", "/v1/tokens", "")
	require.NotContains(t, list.raw, secret)
	require.NotContains(t, list.raw, "digest")
	r.token = secret
	require.Equal(t, 200, r.call("GET", "/v1/integrations", "").status)
	require.Equal(t, "ci", r.call("GET", "/v1/session", "").body["token"])
	for _, path := range []string{"/v1/profile/notifications", "/v1/profile/mails"} {
		a := r.call("GET", path, "")
		require.Equal(t, 403, a.status, path)
		require.Contains(t, a.raw, "shared API token is nobody's")
	}
	require.Equal(t, 403, r.call("POST", "/v1/tokens", `{"name":"x","kind":"personal"}`).status)
	r.token = ""
	alone := func(header string) int {
		return r.call("GET", "/v1/integrations", "", "Authorization", "", header, secret).status
	}
	require.Equal(t, 200, alone("X-WallarmAPI-Token"))
	require.Equal(t, 401, alone("X-Api-Key"))
	r.token = admin
	require.Equal(t, 401, r.call("GET", "/v1/integrations", "", "X-WallarmAPI-Token", secret).status, "they differ")
	require.Equal(t, 204, r.call("DELETE", "/v1/tokens/"+id, "").status)
	r.token = secret
	a := r.call("GET", "/v1/integrations", "")
	require.Equal(t, 401, a.status)
	require.Contains(t, a.raw, "was revoked")
	require.Contains(t, a.header.Get("WWW-Authenticate"), "invalid_token")
}

// TestCredentialsBesideASession: a bearer token counts, good or bad, and the cookie beside it does not.
func TestCredentialsBesideASession(t *testing.T) {
	r := start(t)
	id, secret := r.make(t, access.Administrator, `{"name":"ci","kind":"shared","role":"analyst"}`)
	admin := r.token
	r.config.Authenticator = access.Chain{r.config.Authenticator.(access.Chain)[0], access.StrangeBearer{},
		r.config.Sessions}
	beside := console.New(r.config)
	cookie, err := r.config.Sessions.Begin(t.Context(), access.Principal{Tenant: "43", Role: access.Administrator,
		Email: "eve@example.com"}, session.Options{Method: session.ByLink})
	require.NoError(t, err)
	call := func(method string, headers ...string) answer {
		handler := r.handler
		r.handler, r.token = beside, ""
		defer func() { r.handler, r.token = handler, admin }()
		return r.call(method, "/v1/session"+map[string]string{"POST": "/end"}[method], "",
			append(headers, "Cookie", cookie.Name+"="+cookie.Value)...)
	}
	bearer := []string{"Authorization", "Bearer " + secret}
	mine := call("GET", "Authorization", "").body
	require.Equal(t, []any{"43", "administrator"}, []any{mine["tenant"], mine["role"]}, "the cookie alone")
	for _, headers := range [][]string{bearer, {"Authorization", "", "X-WallarmAPI-Token", secret}} {
		got := call("GET", headers...).body
		require.Equal(t, []any{"42", "analyst", "ci"}, []any{got["tenant"], got["role"], got["token"]}, headers[0])
	}
	require.Equal(t, 200, call("POST", append(bearer, "Sec-Fetch-Site", "cross-site")...).status,
		"no browser sends a token by itself")
	require.Equal(t, "43", call("GET", "Authorization", "").body["tenant"], "it has not ended the session")
	require.Equal(t, 403, call("POST", "Authorization", "", "Sec-Fetch-Site", "cross-site").status)
	for _, bad := range []string{"nonsense", "a.b", "a.b.c", secret[1:] + "A"} {
		require.Equal(t, 401, call("GET", "Authorization", "Bearer "+bad).status, bad)
	}
	require.Equal(t, 204, r.call("DELETE", "/v1/tokens/"+id, "").status)
	require.Equal(t, 401, call("GET", bearer...).status, "revoked")
	require.Equal(t, 200, call("GET", "Authorization", "").status)
}

func TestTheRoleOfATokenSaysNothingOfItsPerson(t *testing.T) {
	r := start(t)
	_, secret := r.make(t, access.Administrator, `{"name":"low","kind":"personal","role":"api_developer"}`)
	r.token = secret
	require.Equal(t, 200, r.call("GET", "/v1/profile/notifications", "").status)
	require.Equal(t, 403, r.call("GET", "/v1/integrations", "").status)
	people, err := r.db.People.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Equal(t, access.Administrator, people[0].Role)
}

func TestAPersonWhoNeverSignedInIsToldToAndNotOfTheirRole(t *testing.T) {
	r := start(t)
	administrator := r.token
	_, secret, err := r.config.Tokens.Make(t.Context(), access.Principal{Tenant: "42", Home: "42",
		Email: "tim@example.com", Role: access.Administrator}, token.Order{Name: "CI", Kind: token.Personal})
	require.NoError(t, err)
	r.token = secret
	const at, weekly = "/v1/profile/notifications", `{"choices":{"report_daily":false,"report_weekly":true,` +
		`"report_monthly":false,"system":false,"vuln":false,"scope":false}}`
	require.Equal(t, 200, r.call("GET", at, "").status)
	a := r.call("PUT", at, weekly)
	require.Equal(t, 409, a.status, a.raw)
	require.Contains(t, a.raw, "your role is not known here yet")
	require.Contains(t, a.raw, "sign in to the Console once")
	requireWorded(t, a.body)
	none := strings.Replace(weekly, "weekly\":true", "weekly\":false", 1)
	require.Equal(t, 200, r.call("PUT", at, none).status, "to choose nothing needs no role")
	r.email = "tim@example.com"
	r.token = r.issue("42", access.Analyst)
	require.Equal(t, 200, r.call("GET", "/v1/profile/notifications", "").status, "the person signs in")
	r.token = secret
	require.Equal(t, 200, r.call("PUT", at, weekly).status)
	r.token = administrator
}

func TestARoleThatIsNoneIsSaidSoWhereverARoleIsBlamed(t *testing.T) {
	for role, said := range map[access.Role]string{"": "not in your token", "emperor of all": "not known here",
		access.Analyst: "analyst"} {
		_, err := (*tenant.Service)(nil).Act(t.Context(), access.Principal{Tenant: "42", Role: role}, "43")
		require.EqualError(t, err, "only a global role acts for another tenant than its own; your role is "+said)
		require.NotEqual(t, err.Error(), wording.In(wording.Japanese, err.Error()))
	}
}

func TestCallsOfAnAPITokenAreBounded(t *testing.T) {
	r := start(t)
	now := time.Unix(1_700_000_000, 0).Truncate(time.Minute).Add(18 * time.Second)
	_, one := r.make(t, access.Administrator, `{"name":"one","kind":"shared"}`)
	_, two := r.make(t, access.Administrator, `{"name":"two","kind":"shared"}`)
	counter := &ratelimit.Memory{}
	clock := func() time.Time { return now }
	r.config.TokenRequests = &ratelimit.Limiter{Counter: counter, Limit: 3, Now: clock, Log: r.config.Log}
	r.config.Requests = &ratelimit.Limiter{Counter: counter, Limit: 5, Now: clock, Log: r.config.Log}
	r.handler = console.New(r.config)
	statuses := func(secret string, n int) (out []int) {
		r.token = secret
		for range n {
			a := r.call("GET", "/v1/integrations", "")
			if out = append(out, a.status); a.status == http.StatusTooManyRequests {
				require.Equal(t, "42", a.header.Get("Retry-After"))
			}
		}
		return out
	}
	require.Equal(t, []int{200, 200, 200, 429}, statuses(one, 4))
	require.Equal(t, []int{200, 200, 429}, statuses(two, 3), "the account's five are used up")
	require.Equal(t, []int{429}, statuses(r.issue("42", access.Administrator), 1))
	require.Equal(t, []int{200}, statuses(r.issue("43", access.Administrator), 1))
	now = now.Add(42 * time.Second)
	require.Equal(t, []int{200}, statuses(one, 1))
}

// TestACustomRoleSeesAndChangesWhatItsPermissionsName takes every operation by each permission alone, and by all.
func TestACustomRoleSeesAndChangesWhatItsPermissionsName(t *testing.T) {
	r := start(t)
	theirs := r.others(t)
	own := r.slack("Mine")
	claims := tokensOf(t)
	paths := r.paths(t)
	allowed := func(permissions ...string) (out []string) {
		r.token = claims(map[string]any{"tenant": "42", "role": "custom:" + strings.Join(permissions, ",")})
		for path, methods := range paths {
			for method, o := range methods {
				if a := r.theirs(method, path, operations[o.OperationID].body, theirs, own); a.status != 403 {
					out = append(out, method+" "+o.OperationID)
				}
			}
		}
		slices.Sort(out)
		return out
	}
	nothing := allowed()
	require.Equal(t, []string{"get get-session", "get get-version", "get list-tenants", "post end-session"}, nothing)
	for _, p := range access.CustomPermissions() {
		got := allowed(p)
		if strings.HasSuffix(p, ".manage") {
			require.Equal(t, nothing, got, "%s is nothing without the permission to see", p)
			continue
		}
		for _, o := range got {
			require.True(t, strings.HasPrefix(o, "get ") || slices.Contains(nothing, o) || p == "profile.view",
				"%s: %s", p, o)
		}
	}
	see, change := allowed("integrations.view"), allowed("integrations.view", "integrations.manage")
	require.Contains(t, see, "get list-integrations")
	require.NotContains(t, see, "post create-integration")
	require.Contains(t, change, "post create-integration")
	require.NotContains(t, change, "get list-triggers")
	all := allowed(access.CustomPermissions()...)
	for _, o := range []string{"post make-token", "put link-tenant", "get list-tokens"} {
		require.NotContains(t, all, o)
	}
	s := r.call("GET", "/v1/session", "").body
	require.Equal(t, "custom", s["role"])
	raw, err := json.Marshal(s["permissions"])
	require.NoError(t, err)
	require.Contains(t, string(raw), `"events.view"`)
}
