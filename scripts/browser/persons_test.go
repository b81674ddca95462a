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

// A person reads the times of the Console in a zone of their own, in every browser.
func TestAPersonReadsTimesInAZoneOfTheirOwn(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		id := slack(t, p, at, "Ops channel")
		require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/mute",
			map[string]any{"hours": 24, "reason": "migration"}, nil))
		vulnerabilities(t, p, "zone", 1)
		press := pressing(t, l)
		b := open(t, p, l, "/profile")
		b.act("settled")
		b.fill(word(l, "Time zone", "タイムゾーン"), "Mars")
		b.expect("422")
		press(b, word(l, "Save", "保存"))
		b.sees(word(l, "must be a time zone such as Europe/Berlin", "Europe/Berlin のようなタイムゾーン"))
		b.fill(word(l, "Time zone", "タイムゾーン"), "Asia/Kathmandu")
		press(b, word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		b.judgeWhole("profile-zone-"+name, l)
		b.follow("/") // the zone that was chosen holds at once
		b.sees("Asia/Kathmandu")
		again := open(t, p, l, "/log?from=2026-03-01T00:00:00Z")
		again.sees("GMT+5:45")
		var from string
		again.do(chromedp.Value("input[name=from]", &from, chromedp.ByQuery))
		require.Equal(t, "2026-03-01T05:45", from)
	}
}
