package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/provider"
)

// withPeople is a program whose people sign in at a provider: an administrator, and somebody who only sees.
func withPeople(t *testing.T) (p *tab, with string) {
	t.Helper()
	console := free(t)
	person := func(name, role string) map[string]any {
		return map[string]any{"name": name, "email": strings.ToLower(strings.Fields(name)[0]) + "@example.com",
			"email_verified": true, "tenant": "42", "role": role, "client_name": "Acme"}
	}
	at, err := provider.Start(t.Context(), provider.Options{
		Clients: []provider.Client{provider.At("http://"+console, "tocsin", "a-secret-of-a-test", "client_secret_basic")},
		Accounts: map[string]map[string]any{"ada": person("Ada Lovelace", "admin"),
			"vera": person("Vera Viewer", "custom:integrations.view,triggers.view")},
	})
	require.NoError(t, err)
	t.Cleanup(at.Stop)
	run := program(t, "-listen", console, "-oidc-issuer", at.Issuer, "-oidc-client", "tocsin", "-oidc-secret",
		"a-secret-of-a-test")
	return stranger(t, run, run.URL+"/", at.Issuer), "Sign in with " + strings.TrimPrefix(at.Issuer, "http://")
}

func TestWhoOnlySeesIsShownNoButtonThatDoesNothing(t *testing.T) {
	t.Parallel()
	b, with := withPeople(t)
	b.click(with)
	b.logIn("ada")
	b.sees("Ada Lovelace")
	b.follow("/add/pager_duty")
	b.fill("Name", "On call")
	b.fill("Integration Key", key)
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	b.click("Signed in as Ada Lovelace")
	b.click("Sign out")
	b.do(chromedp.Click("#sign-out", chromedp.ByQuery)) // at the provider
	b.sees(with)
	b.click(with)
	b.logIn("vera")
	b.sees("Vera Viewer")
	b.follow("/")
	b.sees("On call")
	b.act("settled")
	for _, gone := range []string{"Several at once", "Add integration"} {
		require.NotContains(t, b.text(), gone)
	}
	b.axe()
	b.judge("view-only-home")
	b.picture("view-only-home")
	b.click("On call")
	b.sees("Integration Key")
	b.act("settled")
	for _, gone := range []string{"Disable", "Duplicate", "Delete", "Save"} {
		require.NotContains(t, b.text(), gone)
	}
	b.judge("view-only-integration")
	b.picture("view-only-integration")
	b.follow("/triggers")
	b.act("settled")
	require.NotContains(t, b.text(), "Add trigger")
}

func TestWhatOnePersonTypedIsAskedForWhenAnotherSignsInAtTheProvider(t *testing.T) {
	t.Parallel()
	b, with := withPeople(t)
	b.click(with)
	b.logIn("ada")
	b.sees("Ada Lovelace")
	form := b.beside(b.p.URL + "/add/pager_duty")
	form.fill("Integration Key", key)
	b.click("Signed in as Ada Lovelace")
	b.click("Sign out")
	b.do(chromedp.Click("#sign-out", chromedp.ByQuery)) // at the provider
	form.sees("You signed out on another tab.")
	b.sees(with)
	b.click(with)
	b.logIn("vera")
	b.sees("Vera Viewer")
	form.sees("Somebody else has signed in")
	form.sees("typed here is not saved")
	var kept bool // behind the dialog
	form.do(chromedp.Evaluate(`[...document.querySelectorAll("input")].some((e) => e.value === "`+key+`")`, &kept))
	require.True(t, kept)
	form.axe()
	form.judge("other-person")
	form.picture("other-person")
	form.press("Give it up")
	form.seesNot("Somebody else has signed in")
	form.sees("Vera Viewer")
}
