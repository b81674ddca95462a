package browser

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/scripts/provider"
)

// free is an address of loopback that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// provided is a program whose people sign in at a real OpenID Connect provider.
func provided(t *testing.T) (p *embedded.Process, issuer string) {
	t.Helper()
	console := free(t)
	at, err := provider.Start(t.Context(), provider.Options{
		Clients: []provider.Client{provider.At("http://"+console, "tocsin", "a-secret-of-a-test", "client_secret_basic")},
		Accounts: map[string]map[string]any{
			"ada": {"name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true, "tenant": "42",
				"role": "admin", "client_name": "Acme"},
			"grace": {"name": "Grace Hopper", "email": "grace@example.com", "email_verified": true, "tenant": "42",
				"role": "auditor", "client_name": "Acme"},
			"joan": {"name": "Joan Clarke", "email": "joan@example.com", "email_verified": true, "tenant": "1",
				"role": "operator", "client_name": "The platform"},
		},
	})
	require.NoError(t, err)
	t.Cleanup(at.Stop)
	return program(t, "-listen", console, "-oidc-issuer", at.Issuer, "-oidc-client", "tocsin", "-oidc-secret",
		"a-secret-of-a-test"), at.Issuer
}

// opened is the tab that something opens from this one, once it has come to a path.
func (b *tab) opened(path string, open func()) *tab {
	b.t.Helper()
	fresh := chromedp.WaitNewTarget(b.ctx, func(i *target.Info) bool { return i.Type == "page" })
	open()
	select {
	case id := <-fresh:
		other := b.attach(id, "")
		eventually(b.t, "the new tab comes to "+path, func() (bool, error) {
			var at string
			err := chromedp.Run(other.ctx, chromedp.Location(&at))
			return at == b.p.URL+path, err
		})
		other.do(chromedp.Evaluate(helpers+"; true", nil)) // the page may have been there before the helpers
		return other
	case <-time.After(patience):
		b.t.Fatal("no tab was opened")
		return nil
	}
}

func TestPeopleSignInAtAProviderInTwoTabsAndAFormOutlivesTheSession(t *testing.T) {
	t.Parallel()
	p, issuer := provided(t)
	with := "Sign in with " + strings.TrimPrefix(issuer, "http://")
	b := stranger(t, p, p.URL+"/triggers?tab=enabled", issuer)
	b.sees(with)
	b.axe()
	b.judge("sign-in-provider")
	b.picture("sign-in-provider")
	b.click(with)
	b.logIn("mallory")
	b.sees("The identity provider did not sign you in.")
	b.picture("sign-in-refused")
	b.click(with)
	b.logIn("ada")
	b.sees("triggers found")
	b.act("at", "/triggers?tab=enabled") // the deep link
	b.sees("Ada Lovelace")

	form := b.beside(p.URL + "/add/pager_duty")
	form.fill("Integration Key", key)
	endBehindTheirBack(t, b)
	form.act("clickIn", "form", "Add integration")
	form.sees("Your session has ended. Sign in again.")
	form.picture("signed-out-form-provider")
	again := form.opened("/signed-in", func() { form.click(with) }) // the provider knows her still
	again.sees("You are signed in as Ada Lovelace (ada@example.com) of Acme.")
	again.axe()
	again.judge("signed-in")
	again.picture("signed-in")
	form.seesNot("Your session has ended.")
	form.act("holds", "Integration Key", key)
	form.act("clickIn", "form", "Add integration")
	form.sees("Added.")

	b.click("Signed in as Ada Lovelace")
	b.click("Sign out")
	b.do(chromedp.Click("#sign-out", chromedp.ByQuery)) // at the provider
	b.sees(with)
	b.act("at", "/sign-in")
	form.sees("You signed out on another tab.")
	b.click(with)
	b.logIn("grace") // the provider has forgotten her
	b.sees("Grace Hopper")

	_, err := p.Run("user", "add", "grace@example.com", "-role", "read_only")
	require.NoError(t, err)
	_, err = p.Run("user", "disable", "grace@example.com")
	require.NoError(t, err)
	b.do(chromedp.Navigate(p.URL + "/sign-in"))
	b.click(with)
	b.sees("You may not sign in here any more.")
	b.axe()
	b.picture("sign-in-disabled")
}

// logIn says at the provider who one is.
func (b *tab) logIn(person string) {
	b.t.Helper()
	b.do(chromedp.SendKeys("#login", person, chromedp.ByQuery), chromedp.Click("#sign-in", chromedp.ByQuery))
}

// endBehindTheirBack ends the session as its idle end does: no tab is told.
func endBehindTheirBack(t *testing.T, b *tab) {
	t.Helper()
	var status int
	require.NoError(t, chromedp.Run(b.ctx, chromedp.Evaluate(`fetch("/v1/session/end", {method: "POST", body: "{}",
		headers: {"Content-Type": "application/json"}}).then((r) => r.status)`, &status,
		func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) })))
	require.Equal(t, http.StatusOK, status)
}
