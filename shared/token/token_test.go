package token_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/profile"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
)

var now = time.Unix(1_700_000_000, 0).UTC()

// rig is the service and the authenticator on one engine, with a clock that tests move.
type rig struct {
	*token.Service
	*token.Authenticator
	engine *memory.Engine
	now    time.Time
	lines  bytes.Buffer
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{engine: memory.New(nil), now: now}
	clock, ids := func() time.Time { return r.now }, 0
	logger := slog.New(slog.NewTextHandler(&r.lines, nil))
	var seed [32]byte
	r.Service = &token.Service{
		Store: r.engine.Tokens(), Links: r.engine.Tenants(), Random: rand.NewChaCha8(seed),
		Now: clock, Log: logger,
		NewID: func() string { ids++; return fmt.Sprintf("%026d", ids) },
	}
	r.Authenticator = &token.Authenticator{Store: r.engine.Tokens(), Now: clock, Log: logger}
	require.NoError(t, r.engine.Tenants().Link(t.Context(), tenant.Link{Technical: "42", Tenant: "7"}))
	return r
}

func person(role access.Role) access.Principal {
	return access.Principal{Tenant: "42", Home: "42", ClientName: "Acme", Role: role, Email: "ada@example.com",
		Name: "Ada"}
}

// call authenticates a request with headers, given in pairs.
func (r *rig) call(t *testing.T, headers ...string) (access.Principal, error) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	require.NoError(t, err)
	for n := 0; n < len(headers); n += 2 {
		q.Header.Add(headers[n], headers[n+1])
	}
	return r.Authenticate(q)
}

func (r *rig) made(t *testing.T, p access.Principal, o token.Order) (token.Token, string) {
	t.Helper()
	if o.Name == "" {
		o.Name = "ci"
	}
	v, secret, err := r.Make(t.Context(), p, o)
	require.NoError(t, err)
	return v, secret
}

func TestASecretIsShownOnceAndKeptNowhere(t *testing.T) {
	r := start(t)
	v, secret := r.made(t, person(access.Administrator), token.Order{Kind: token.Personal})
	require.Len(t, secret, 64)
	raw, err := base64.StdEncoding.DecodeString(secret)
	require.NoError(t, err)
	require.Len(t, raw, 48)
	kept, err := r.engine.Tokens().Get(t.Context(), "42", v.ID)
	require.NoError(t, err)
	p, err := r.call(t, "Authorization", "Bearer "+secret)
	require.NoError(t, err)
	require.Equal(t, access.Principal{Tenant: "42", Home: "42", ClientName: "Acme", Role: access.Administrator,
		Email: "ada@example.com", Name: "Ada", Source: access.FromAPIToken, Token: "ci", TokenID: v.ID,
		Reach: []string{"42"}}, p)
	logged, err := r.engine.ActivityLog().List(t.Context(), activity.Query{Tenant: "42", Limit: 10})
	require.NoError(t, err)
	all := fmt.Sprintf("%+v %+v %s", kept, logged.Entries, r.lines.String())
	for _, s := range []string{secret, fmt.Sprintf("%x", raw), fmt.Sprintf("%v", raw), secret[:20],
		base64.URLEncoding.EncodeToString(raw)[:20], fmt.Sprintf("%q", raw)} {
		require.NotContains(t, all, s)
	}
	require.Len(t, logged.Entries, 1)
	require.Equal(t, activity.Create, logged.Entries[0].Action)
	_, other := r.made(t, person(access.Administrator), token.Order{Kind: token.Personal})
	require.NotEqual(t, secret, other)
}

type order = token.Order

// orders are who asks for which token.
var orders = map[string]struct {
	role access.Role // of person
	o    token.Order
	says string // "" = it is made
}{
	"an administrator's own": {access.Administrator, order{Kind: "personal"},
		""},
	"an administrator's shared": {access.Administrator, order{Kind: "shared"},
		""},
	"of a lower role, by code": {access.Administrator, order{Kind: "shared", Role: "auditor"},
		""},
	"an analyst's own": {access.Analyst, order{Kind: "personal"},
		""},
	"a read-only user's": {access.ReadOnly, order{Kind: "personal"},
		"for administrators and analysts only"},
	"an API developer's": {access.APIDeveloper, order{Kind: "personal"},
		"only; your role is"},
	"a custom role's": {access.Custom("integrations.view"), order{Kind: "personal"},
		"your role is custom"},
	"of a role that is not known": {"nonsense", order{Kind: "personal"},
		"only"},
	"an analyst's shared": {access.Analyst, order{Kind: "shared"},
		"shared API tokens are for administrators only"},
	"above the maker": {access.Analyst, order{Kind: "personal", Role: "admin"},
		"above yours"},
	"global by a plain role": {access.Administrator, order{Kind: "shared", Role: "partner_admin"},
		"above yours"},
	"beside the maker": {access.Analyst, order{Kind: "personal", Role: "auditor"},
		"above yours"},
	"operator by an administrator": {access.GlobalAdministrator, order{Kind: "personal", Role: "operator"},
		"above yours"},
	"operator, shared, by one": {access.Operator, order{Kind: "shared", Role: "operator"},
		"can not be operator"},
	"shared by an operator, no role": {access.Operator, order{Kind: "shared"},
		"can not be operator"},
	"an operator's own": {access.Operator, order{Kind: "personal"},
		""},
	"an unknown role": {access.Administrator, order{Kind: "shared", Role: "Admin"},
		"is not known"},
	"a custom role": {access.Administrator, order{Kind: "shared", Role: "custom:events.view"},
		""},
	"no kind": {access.Administrator, order{},
		"personal or shared"},
	"no name": {access.Administrator, order{Name: " ", Kind: "shared"},
		"1 to 100"},
	"two lines": {access.Administrator, order{Name: "a\nb", Kind: "shared"},
		"one line"},
	"a long name": {access.Administrator, order{Name: strings.Repeat("x", 101), Kind: "shared"},
		"1 to 100"},
	"expired": {access.Administrator, order{Kind: "shared", ExpiresAt: now},
		"in the future"},
	"personal by a shared token": {"shared", order{Kind: "personal"},
		"is nobody's"},
	"shared by a shared token": {"shared", order{Kind: "shared"},
		""},
	"while acting for another": {"acting", order{Kind: "shared"},
		"in your own tenant"},
	"for a linked tenant": {access.GlobalAdministrator, order{Kind: "shared", Tenants: []string{"7"}},
		""},
	"for all of them": {access.GlobalAnalyst, order{Kind: "personal", Tenants: []string{"*"}},
		""},
	"for one that is not linked": {access.GlobalAdministrator, order{Kind: "shared", Tenants: []string{"7", "8"}},
		"not linked"},
	"for no tenant's name": {access.GlobalAdministrator, order{Kind: "shared", Tenants: []string{" "}},
		"not linked"},
	"for a linked one by a plain role": {access.Administrator, order{Kind: "shared", Tenants: []string{"7"}},
		"global role only"},
	"all of them by a plain role": {access.Administrator, order{Kind: "shared", Tenants: []string{"*"}},
		"global role only"},
	"a plain role for a linked one": {access.GlobalAdministrator,
		order{Kind: "shared", Role: "admin", Tenants: []string{"7"}}, "global role only"},
}

func TestWhoMayMakeWhichToken(t *testing.T) {
	shared := access.Principal{Tenant: "42", Home: "42", Role: access.Administrator, Source: access.FromAPIToken,
		Token: "ci"}
	acting := person(access.GlobalAdministrator)
	acting.Tenant = "7"
	for name, c := range orders {
		t.Run(name, func(t *testing.T) {
			if c.o.Name == "" {
				c.o.Name = "ci"
			}
			p := person(c.role)
			switch c.role {
			case "shared":
				p = shared
			case "acting":
				p = acting
			}
			v, secret, err := start(t).Make(t.Context(), p, c.o)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				require.Empty(t, secret)
				return
			}
			require.NoError(t, err)
			require.True(t, v.Role.Within(p.Role))
			require.Equal(t, c.o.Kind == token.Personal, v.Email != "")
		})
	}
}

func TestATokenMakesNoneAboveItself(t *testing.T) {
	r := start(t)
	own, secret := r.made(t, person(access.GlobalAdministrator), token.Order{Kind: token.Shared, Role: "partner_admin",
		Tenants: []string{"7"}, ExpiresAt: now.Add(time.Hour)})
	p, err := r.call(t, "X-WallarmAPI-Token", secret)
	require.NoError(t, err)
	for says, o := range map[string]token.Order{
		"outlives it":     {Kind: token.Shared, Tenants: []string{"7"}},
		"not for all":     {Kind: token.Shared, ExpiresAt: own.ExpiresAt},
		"is nobody's":     {Kind: token.Personal, ExpiresAt: own.ExpiresAt},
		"can not be oper": {Kind: token.Shared, Role: "operator", ExpiresAt: own.ExpiresAt},
	} {
		o.Name = "child"
		_, _, err := r.Make(t.Context(), p, o)
		require.ErrorContains(t, err, says)
	}
	child, _ := r.made(t, p, token.Order{Kind: token.Shared, Tenants: []string{"7"}, ExpiresAt: own.ExpiresAt})
	require.Equal(t, "ci", child.CreatedBy)
}

func bearer(secret string) []string { return []string{"Authorization", "Bearer " + secret} }
func own(secret string) []string    { return []string{"X-WallarmAPI-Token", secret} }

func both(header, authorization string) []string {
	return append(own(header), bearer(authorization)...)
}

// refusal is why credentials are refused: "" = they are not, "none" = there are none of this kind.
func refusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var unauthorized *access.UnauthorizedError
	require.ErrorAs(t, err, &unauthorized)
	if unauthorized.None {
		return "none"
	}
	return err.Error()
}

// credential is what a request bears; says is why it is refused: see refusal.
type credential struct {
	headers []string
	says    string // "" = accepted, none = no credential of this kind
}

func credentials(secret, other string) map[string]credential {
	safe := strings.NewReplacer("+", "-", "/", "_").Replace(secret)
	const jwt = "eyJhbGciOiJFZERTQSJ9.eyJ0ZW5hbnQiOiI0MiJ9.c2lnbmF0dXJl"
	return map[string]credential{
		"a bearer token":              {bearer(secret), ""},
		"the scheme in small letters": {[]string{"Authorization", "bearer " + secret}, ""},
		"the platform's header":       {own(secret), ""},
		"the header in small letters": {[]string{"x-wallarmapi-token", secret}, ""},
		"both, the same":              {both(secret, secret), ""},
		"spaces around it":            {[]string{"Authorization", "Bearer   " + secret + "  "}, ""},
		"beside a proxy's Basic": {[]string{"X-WallarmAPI-Token", secret, "Authorization", "Basic YTpi"},
			""},
		"both, different": {both(secret, other), "two credentials that differ"},
		"beside a JWT":    {both(secret, jwt), "two credentials that differ"},
		"the header twice": {[]string{"X-WallarmAPI-Token", secret, "X-WallarmAPI-Token", other},
			"two credentials that differ"},
		"Authorization twice": {[]string{"Authorization", "Bearer " + jwt, "Authorization", "Bearer " + secret},
			"two credentials that differ"},
		"url-safe":      {bearer(safe), "URL-safe"},
		"63 characters": {bearer(secret[:63]), "64 characters"},
		"65 characters": {bearer(secret + "A"), "64 characters"},
		"64 that are no base64": {[]string{"Authorization", "Bearer " + strings.Repeat("!", 64)},
			"as it was shown"},
		"with padding": {bearer(secret[:62] + "=="), "as it was shown"},
		"a space within": {bearer(secret[:30] + " " + secret[30:63]),
			"as it was shown"},
		"quoted":                          {own(`"` + secret + `"`), "64 characters"},
		"an empty header":                 {own(""), "64 characters"},
		"Bearer alone":                    {[]string{"Authorization", "Bearer"}, "64 characters"},
		"Bearer in the platform's header": {own("Bearer " + secret), "64 characters"},
		"two in one header": {[]string{"Authorization", "Bearer " + secret + ", Bearer " + other},
			"64 characters"},
		"never made": {[]string{"Authorization", "Bearer " + strings.Repeat("A", 64)},
			"not known here"},
		"other case": {bearer(strings.ToLower(secret)), "not known here"},
		"its digest": {[]string{"Authorization", "Bearer " + fmt.Sprintf("%x", token.Digest(secret))},
			"not known here"},
		"none":           {nil, "none"},
		"a JWT":          {bearer(jwt), "none"},
		"Basic":          {[]string{"Authorization", "Basic " + secret}, "none"},
		"a wrong header": {[]string{"X-Api-Token", secret}, "none"},
		"the bare token": {[]string{"Authorization", secret}, "none"},
	}
}

func TestEveryFormOfCredentials(t *testing.T) {
	r := start(t)
	_, secret := r.made(t, person(access.Administrator), token.Order{Kind: token.Shared})
	_, other := r.made(t, person(access.Administrator), token.Order{Kind: token.Shared})
	for !strings.ContainsAny(secret, "+/") {
		_, secret = r.made(t, person(access.Administrator), token.Order{Kind: token.Shared})
	}
	for name, c := range credentials(secret, other) {
		t.Run(name, func(t *testing.T) {
			_, err := r.call(t, c.headers...)
			said := refusal(t, err)
			require.Equal(t, c.says == "", said == "")
			require.Contains(t, said, c.says)
			require.NotContains(t, said, secret[:16])
		})
	}
	r.Header = "X-Acme-Token"
	_, err := r.call(t, "X-Acme-Token", secret)
	require.NoError(t, err)
	_, err = r.call(t, "X-WallarmAPI-Token", secret)
	require.ErrorContains(t, err, "no API token", "the header is another one here")
}

func TestATokenEndsBetweenTwoCalls(t *testing.T) {
	r := start(t)
	admin := person(access.Administrator)
	v, secret := r.made(t, admin, token.Order{Kind: token.Shared, ExpiresAt: now.Add(time.Hour)})
	refused := func(says string) {
		t.Helper()
		_, err := r.call(t, "Authorization", "Bearer "+secret)
		var unauthorized *access.UnauthorizedError
		require.ErrorAs(t, err, &unauthorized)
		require.False(t, unauthorized.None)
		require.ErrorContains(t, err, says)
	}
	accepted := func() {
		t.Helper()
		_, err := r.call(t, "Authorization", "Bearer "+secret)
		require.NoError(t, err)
	}
	r.now = now.Add(-time.Minute) // a node whose clock is behind
	accepted()
	r.now = now.Add(time.Hour - time.Nanosecond)
	accepted()
	r.now = now.Add(time.Hour)
	refused("expired at 2023-11-14T23:13:20Z")
	r.now = now
	accepted()
	_, err := r.Revoke(t.Context(), admin, v.ID)
	require.NoError(t, err)
	refused("was revoked at")
	r.now = now.Add(2 * time.Hour)
	refused("was revoked at")
	again, err := r.Revoke(t.Context(), admin, v.ID)
	require.NoError(t, err, "a second time changes nothing")
	require.Equal(t, now, again.RevokedAt)
}

func TestTheLastUseIsWrittenOnceAMinute(t *testing.T) {
	r := start(t)
	v, secret := r.made(t, person(access.Administrator), token.Order{Kind: token.Shared})
	used := func() time.Time {
		t.Helper()
		_, err := r.call(t, "Authorization", "Bearer "+secret)
		require.NoError(t, err)
		kept, err := r.engine.Tokens().Get(t.Context(), "42", v.ID)
		require.NoError(t, err)
		return kept.LastUsedAt
	}
	require.Equal(t, now, used())
	r.now = now.Add(59 * time.Second)
	require.Equal(t, now, used())
	r.now = now.Add(time.Minute)
	require.Equal(t, r.now, used())
	r.now = now
	require.Equal(t, now.Add(time.Minute), used(), "it does not go back")
}

func TestEachSeesAndRevokesWhatIsTheirs(t *testing.T) {
	r := start(t)
	admin, analyst := person(access.Administrator), person(access.Analyst)
	analyst.Email = "Grace@Example.com"
	shared, _ := r.made(t, admin, token.Order{Kind: token.Shared})
	own, _ := r.made(t, analyst, token.Order{Kind: token.Personal})
	names := func(p access.Principal) (out []string) {
		found, err := r.List(t.Context(), p, "", 10)
		require.NoError(t, err)
		for _, v := range found {
			out = append(out, v.ID)
		}
		return out
	}
	analyst.Email = "grace@example.com"
	require.Equal(t, []string{own.ID, shared.ID}, names(admin))
	require.Equal(t, []string{own.ID}, names(analyst))
	_, err := r.Revoke(t.Context(), analyst, shared.ID)
	require.ErrorIs(t, err, token.ErrNotFound)
	other := admin
	other.Tenant, other.Home = "43", "43"
	_, err = r.Revoke(t.Context(), other, shared.ID)
	require.ErrorIs(t, err, token.ErrNotFound)
	require.Empty(t, names(other))
	_, err = r.Revoke(t.Context(), analyst, own.ID)
	require.NoError(t, err)
}

func TestAPersonalTokenEndsWithItsMakersRole(t *testing.T) {
	for name, c := range map[string]struct {
		token, now access.Role
		says       string
	}{
		"the same role":            {access.Administrator, access.Administrator, ""},
		"a higher one":             {access.Analyst, access.GlobalAdministrator, ""},
		"demoted":                  {access.Administrator, access.Analyst, "role was changed"},
		"demoted, a lower token":   {access.Analyst, access.Analyst, ""},
		"no tokens any more":       {access.Analyst, access.ReadOnly, "role was changed"},
		"an unknown role":          {access.Analyst, "nonsense", "role was changed"},
		"not global any more":      {access.GlobalAdministrator, access.Administrator, "role was changed"},
		"disabled, deleted, or so": {access.Administrator, "", "disabled or removed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			maker := person(access.GlobalAdministrator)
			_, secret := r.made(t, maker, token.Order{Kind: token.Personal, Role: string(c.token)})
			_, shared := r.made(t, maker, token.Order{Kind: token.Shared, Role: string(c.token)})
			other := maker
			other.Email = "other@example.com"
			_, others := r.made(t, other, token.Order{Kind: token.Personal, Role: string(c.token)})
			require.NoError(t, r.PersonChanged(t.Context(), "42", "ADA@example.com", c.now))
			require.NoError(t, r.PersonChanged(t.Context(), "43", "other@example.com", ""))
			_, err := r.call(t, "Authorization", "Bearer "+secret)
			if c.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.says)
			}
			for _, s := range []string{shared, others} {
				_, err = r.call(t, "Authorization", "Bearer "+s)
				require.NoError(t, err, "what is not this person's stays")
			}
		})
	}
}

type bus struct{ events map[string]event.Event }

func (b *bus) Publish(_ context.Context, events ...event.Event) error {
	for _, e := range events {
		if err := e.Validate(); err != nil {
			return err
		}
		b.events[e.ID] = e
	}
	return nil
}

func TestPeopleAreToldThreeDaysBeforeATokenExpires(t *testing.T) {
	r := start(t)
	day := 24 * time.Hour
	for email, role := range map[string]access.Role{"ada@example.com": access.Administrator,
		"bob@example.com": access.Administrator, "grace@example.com": access.Analyst} {
		require.NoError(t, r.engine.People().Save(t.Context(), profile.Profile{ID: profile.ID(email), Tenant: "42",
			Email: email, Role: role, Revision: 1})) // all notifications are off
	}
	expires := map[string]time.Duration{"long": 10 * day, "three": 3 * day, "short": 3*day - time.Second, "never": 0,
		"revoked": 10 * day, "shared": 10 * day}
	ids := map[string]string{}
	for name, in := range expires {
		o := token.Order{Name: name, Kind: token.Personal}
		if name == "shared" {
			o.Kind = token.Shared
		}
		if in > 0 {
			o.ExpiresAt = now.Add(in)
		}
		v, _ := r.made(t, person(access.Administrator), o)
		ids[name] = v.ID
	}
	_, err := r.Revoke(t.Context(), person(access.Administrator), ids["revoked"])
	require.NoError(t, err)
	published := &bus{map[string]event.Event{}}
	notices := &token.Notices{Store: r.engine.Tokens(), People: r.engine.People(), Bus: published,
		Now: func() time.Time { return r.now }, Log: slog.New(slog.DiscardHandler)}
	at := func(when time.Duration) (told []string) {
		r.now = now.Add(when)
		before := len(published.events)
		sent, err := notices.Send(t.Context())
		require.NoError(t, err)
		require.Equal(t, len(published.events)-before, sent)
		for _, e := range published.events {
			d := event.Data[event.TokenData](e)
			told = append(told, d.Token.Name+" "+d.Receiver)
		}
		published.events = map[string]event.Event{}
		return told
	}
	ada, bob := profile.ID("ada@example.com"), profile.ID("bob@example.com")
	require.ElementsMatch(t, []string{"three " + ada}, at(0))
	require.Empty(t, at(7*day-time.Second))
	require.ElementsMatch(t, []string{"long " + ada, "shared " + ada, "shared " + bob}, at(7*day))
	require.Empty(t, at(8*day), "once")
	late, _ := r.made(t, person(access.Administrator), token.Order{Kind: token.Personal, ExpiresAt: now.Add(20 * day)})
	require.NotEmpty(t, late.ID)
	require.Empty(t, at(21*day), "what has expired does not expire any more")
}

func TestUpstreamSaysThatAMakerHasGone(t *testing.T) {
	r := start(t)
	people := &profile.Service{Store: r.engine.People(), Holdings: r.Service, Now: func() time.Time { return r.now },
		NewID: func() string { return "id" },
		Log:   slog.New(slog.DiscardHandler)}
	tell := func(kind event.Kind, data string) {
		t.Helper()
		r.now = r.now.Add(time.Second)
		require.NoError(t, people.Observe(t.Context(),
			event.Event{ID: "e", Tenant: "42", Kind: kind, Time: r.now, Data: []byte(data)}))
	}
	tell(event.CreateUser, `{"user":{"email":"ada@example.com","role":"Administrator"}}`)
	_, high := r.made(t, person(access.Administrator), order{Kind: token.Personal})
	_, low := r.made(t, person(access.Administrator), order{Kind: token.Personal, Role: "analytic"})
	call := func(secret string) string {
		_, err := r.call(t, bearer(secret)...)
		return refusal(t, err)
	}
	tell(event.UpdateUser, `{"user":{"email":"Ada@example.com","role":"Analyst"}}`)
	require.Contains(t, call(high), "role was changed")
	require.Empty(t, call(low))
	tell(event.DeleteUser, `{"user":{"email":"ADA@example.com"}}`)
	require.Contains(t, call(low), "disabled or removed")
}

func TestATokenMayNotComeInAHeaderOfAnotherUse(t *testing.T) {
	for _, name := range []string{"", "Authorization", "cookie", "a b", "x:", "é", strings.Repeat("x", 65)} {
		require.Error(t, token.CheckHeader(name), name)
	}
	require.NoError(t, token.CheckHeader(token.DefaultHeader))
}
