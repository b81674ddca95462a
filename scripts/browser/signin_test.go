package browser

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// link is a fresh sign-in link of a person, "" for the one of the program's flags.
func link(t *testing.T, p *embedded.Process, email string) string {
	t.Helper()
	code, err := p.Link(email)
	require.NoError(t, err)
	return p.URL + "/sign-in#code=" + code
}

// beside opens an address in another tab of the same browser.
func (b *tab) beside(address string) *tab {
	b.t.Helper()
	ctx := wholly(b.ctx)
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(b.own).Do(ctx)
	require.NoError(b.t, err)
	return b.attach(id, address)
}

// attach watches a tab as the first one is, and opens an address in it.
func (b *tab) attach(id target.ID, address string) *tab {
	b.t.Helper()
	ctx, end := chromedp.NewContext(browser(b.t), chromedp.WithTargetID(id))
	b.t.Cleanup(end)
	other := &tab{t: b.t, ctx: ctx, p: b.p, own: b.own, expected: b.expected, origins: b.origins}
	require.NoError(b.t, chromedp.Run(ctx))
	chromedp.ListenTarget(ctx, other.watch)
	other.do(network.Enable(), log.Enable(), runtime.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(helpers).Do(ctx)
		return err
	}))
	other.set(desk)
	if address != "" {
		other.do(chromedp.Navigate(address))
	}
	return other
}

// stranger is a browser that nobody is signed in in, at an address; it may go to the origins too.
func stranger(t *testing.T, p *embedded.Process, address string, origins ...string) *tab {
	t.Helper()
	own, id := window(t)
	b := &tab{t: t, p: p, own: own, expected: []string{"401", "404", "409", "410"}, origins: origins}
	return b.attach(id, address)
}

func grace(t *testing.T, p *embedded.Process) {
	t.Helper()
	_, err := p.Run("user", "add", "grace@example.com", "-role", "analyst", "-name", "Grace")
	require.NoError(t, err)
}

func TestALinkSignsInOnceAndADeepLinkAndAnotherTabStaySignedIn(t *testing.T) {
	t.Parallel()
	p := program(t)
	b := stranger(t, p, p.URL+"/triggers")
	b.sees("this command makes a sign-in link")
	b.axe()
	b.judge("sign-in")
	b.picture("sign-in")
	used := link(t, p, "")
	other := b.beside(used)
	other.sees("Where your events go")
	other.act("at", "/")
	require.NotContains(t, other.address(), "code=")
	b.sees("2 triggers found") // the tab that waited at a deep link goes on there
	b.act("at", "/triggers")
	third := b.beside(p.URL + "/reports")
	third.sees("Reports")
	var cookies string
	require.NoError(t, chromedp.Run(b.ctx, chromedp.Evaluate("document.cookie + JSON.stringify(sessionStorage) + "+
		"JSON.stringify(localStorage)", &cookies)))
	require.Equal(t, "{}{}", cookies, "no script can read what signs in")

	late := stranger(t, p, used)
	late.sees("This sign-in link has been used. Each link is good for one sign-in: make a new one.")
	late.picture("sign-in-used")
	late.fill("Language", "ja")
	late.sees("このサインイン用リンクは使用済みです。")
	late.picture("sign-in-used-ja")
	wrong := stranger(t, p, p.URL+"/sign-in#code=wrong")
	wrong.sees("This is no sign-in link of this program.")
	again := b.beside(used)
	again.sees("You are still signed in as Local Administrator (admin@example.com) of Acme.")
	again.click("Go on here")
	again.sees("Where your events go")
}

func TestS13ALinkOverAnotherPersonsSessionAsks(t *testing.T) {
	t.Parallel()
	p := program(t)
	grace(t, p)
	b := open(t, p, desk, "/add/pager_duty")
	b.expect("409", "401", "403")
	b.fill("Integration Key", key)
	given := link(t, p, "grace@example.com")
	other := b.beside(given)
	other.sees("You are signed in as Local Administrator (admin@example.com) of Acme. This link is for Grace " +
		"(grace@example.com) of Acme.")
	other.picture("sign-in-another")
	other.click("Stay signed in as I am")
	other.sees("Where your events go")
	b.act("holds", "Integration Key", key)
	other = b.beside(given)
	other.sees("This link is for Grace")
	other.click("Sign in with the link")
	other.sees("Reports")
	other.sees("Grace")
	b.sees("Somebody else has signed in") // and nothing that the other one typed can be saved by her
	b.click("Give it up")
	b.sees("Grace")
	b.seesNot("Integration Key")
}

func TestSigningOutReachesEveryTabAndKeepsAForm(t *testing.T) {
	t.Parallel()
	p := program(t)
	b := open(t, p, desk, "/")
	b.expect("401")
	form := b.beside(p.URL + "/add/pager_duty")
	form.expect("401")
	form.fill("Integration Key", key)
	plain := b.beside(p.URL + "/triggers")
	plain.sees("2 triggers found")
	b.click("Signed in as Local Administrator")
	b.click("Sign out")
	b.sees("You have signed out.")
	b.act("at", "/sign-in")
	b.picture("signed-out")
	plain.sees("You signed out on another tab.")
	plain.seesNot("2 triggers found")
	form.sees("You signed out on another tab.")
	form.sees("What you were doing stays as it is.")
	form.picture("signed-out-elsewhere")
	b.fill("Sign-in link", link(t, p, ""))
	b.click("Sign in")
	b.sees("Where your events go")
	form.seesNot("You signed out on another tab.")
	form.act("holds", "Integration Key", key)
	plain.sees("2 triggers found")
}

func TestAFormSurvivesTheEndOfTheSessionWhateverTabSignsInAgain(t *testing.T) {
	t.Parallel()
	p := program(t)
	grace(t, p)
	b := open(t, p, desk, "/add/pager_duty")
	b.expect("401", "409")
	b.fill("Integration Key", key)
	require.NoError(t, p.EndSession())
	b.act("clickIn", "form", "Add integration")
	b.sees("Your session has ended. Sign in again.")
	// A link of somebody else is not taken over what was typed without a question.
	b.fill("Sign-in link", link(t, p, "grace@example.com"))
	b.click("Sign in")
	b.sees("Sign in as somebody else?")
	b.click("Stay signed in as I am")
	other := b.beside(link(t, p, ""))
	other.sees("Where your events go")
	b.seesNot("Your session has ended.")
	b.act("holds", "Integration Key", key)
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
}
