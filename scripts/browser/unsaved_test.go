package browser

import (
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const key = "0123456789abcdef0123456789abcdef"

func TestH30BackAndForwardAskBeforeWhatWasTypedIsLost(t *testing.T) {
	t.Parallel()
	b := open(t, program(t), desk, "/")
	b.click("Add integration")
	b.act("at", "/add")
	b.click("PagerDuty")
	b.act("at", "/add/pager_duty")
	b.act("back")
	b.act("at", "/add")
	b.act("asked", 0)
	b.act("forward")
	b.fill("Integration Key", key)
	b.act("leaves", false)
	for n := 1; n <= 2; n++ {
		b.act("back")
		b.act("wasAsked", n)
		b.act("at", "/add/pager_duty")
		b.act("holds", "Integration Key", key)
	}
	b.act("leaves", true)
	b.act("back")
	b.sees("Choose a system.")
	b.act("at", "/add")
	b.act("back")
	b.sees("Where your events go")
	b.act("forward")
	b.act("forward")
	b.act("at", "/add/pager_duty")
	b.act("asked", 3)
	b.act("holds", "Integration Key", "")
}

// TestH30EveryFormAsksBeforeItIsLeft walks the forms, and of each the ways out that belong to the Console.
func TestH30EveryFormAsksBeforeItIsLeft(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	hook := webhook(t, p, at.URL+"/hook", "SOC webhook")
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/triggers", trigger("SQLi burst", hook), &made))
	b := open(t, p, desk, "/")
	asked := 0
	for _, form := range []struct{ path, label, value string }{
		{"/add/slack", "Name", "Typed"},
		{"/integrations/" + hook, "Name", "Typed"},
		{"/triggers/add/hits_exceeded", "Description", "Typed"},
		{"/triggers/" + made.ID, "Description", "Typed"},
		{"/reports", "Mail it to", "ada@example.com"},
		{"/reports", "Time zone", "Asia/Tokyo"},
	} {
		b.follow(form.path)
		b.act("settled")
		b.fill(form.label, form.value)
		b.act("leaves", false)
		for _, out := range []func(){
			func() { b.click("Mail log") },
			func() { b.follow("/add/sentinel") },
			func() { b.click("Signed in as Local Administrator"); b.click("Sign out") },
			func() { b.act("back") },
		} {
			out()
			asked++
			b.act("wasAsked", asked)
			b.act("at", form.path)
			b.act("holds", form.label, form.value)
		}
		b.act("leaves", true)
		b.follow("/mail-log")
		asked++
		b.sees("Its mails are kept here")
	}
	// Copying a trigger asks before there is a copy; the person's own choices ask as well.
	b.follow("/triggers/" + made.ID)
	b.fill("Description", "Typed")
	b.act("leaves", false)
	b.click("Copy")
	b.act("holds", "Description", "Typed")
	require.Equal(t, 0, countOf(t, b, "Copy of SQLi burst"))
	b.act("leaves", true)
	b.follow("/profile")
	b.act("tick", "Scope changed", true)
	b.act("leaves", false)
	b.click("Reports")
	b.click("Cancel")
	b.act("ticked", "Scope changed", "yes")
	b.act("at", "/profile")
	b.act("leaves", true)
	b.click("Cancel")
	b.act("ticked", "Scope changed", "no")
}

func countOf(t *testing.T, b *tab, name string) (n int) {
	t.Helper()
	var list struct{ Items []struct{ Name string } }
	require.NoError(t, b.p.Call("GET", "/v1/triggers", nil, &list))
	for _, i := range list.Items {
		if i.Name == name {
			n++
		}
	}
	return n
}

func TestH30ClosingTheTabAsks(t *testing.T) {
	t.Parallel()
	b := open(t, program(t), desk, "/add/pager_duty")
	b.fill("Integration Key", key)
	var asked atomic.Int32
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*page.EventJavascriptDialogOpening); ok && e.Type == page.DialogTypeBeforeunload {
			asked.Add(1)
			go func() { _ = chromedp.Run(b.ctx, page.HandleJavaScriptDialog(false)) }()
		}
	})
	b.do(chromedp.KeyEvent("x")) // browsers ask only where somebody has done something
	require.NoError(t, chromedp.Run(b.ctx, chromedp.Evaluate("location.reload()", nil)))
	eventually(t, "the browser asks", func() (bool, error) { return asked.Load() > 0, nil })
	b.act("at", "/add/pager_duty")
	b.sees("there are 33")
}

func TestH30LanguageAndAppearanceKeepWhatWasTyped(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	hook := webhook(t, p, at.URL+"/hook", "SOC webhook")
	b := open(t, p, desk, "/add/pager_duty")
	b.fill("Integration Key", key)
	b.fill("Language", "ja")
	b.sees("PagerDuty 連携を追加")
	b.fill("外観", "dark")
	b.fill("言語", "en")
	b.sees("Add PagerDuty integration")
	b.act("holds", "Integration Key", key)
	b.act("asked", 0)
	b.act("leaves", true)
	b.follow("/integrations/" + hook)
	b.fill("Name", "Typed")
	b.fill("Language", "ja")
	b.sees("設定")
	b.fill("言語", "en")
	b.act("holds", "Name", "Typed")
	b.follow("/triggers/add/hits_exceeded")
	b.fill("Description", "Typed")
	b.fill("Language", "ja")
	b.fill("言語", "en")
	b.act("holds", "Description", "Typed")
}

func TestH30ASignInThatEndsKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	b := open(t, p, desk, "/add/slack")
	b.fill("Webhook URL", at.URL+"/services/T0/B0/x")
	require.NoError(t, p.EndSession())
	b.expect("401", "404")
	b.act("clickIn", "form", "Add integration")
	b.sees("Your session has ended. Sign in again.")
	b.sees("What you were doing stays as it is.")
	b.picture("signed-out-form")
	b.act("escape")
	b.act("beside")
	b.fill("Sign-in link", "no link at all")
	b.click("Sign in")
	b.sees("This is no sign-in link of this program.")
	b.fill("Sign-in link", link(t, p, ""))
	b.click("Sign in")
	b.seesNot("This is no sign-in link")
	b.act("holds", "Webhook URL", at.URL+"/services/T0/B0/x")
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
}

func TestH30AChangeBySomebodyElseAndAFailedSaveKeepWhatWasTyped(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	b := open(t, p, desk, "/integrations/"+id)
	b.fill("Name", "Mine")
	b.click("Replace")
	b.fill("Webhook URL", at.URL+"/mine")
	require.NoError(t, p.Call("PATCH", "/v1/integrations/"+id, map[string]any{"name": "Theirs"}, nil))
	b.expect("412", "500", "net::ERR")
	b.click("Save")
	b.sees("Somebody else has changed this integration meanwhile. What you typed is still here.")
	b.act("holds", "Name", "Mine")
	b.act("holds", "Webhook URL", at.URL+"/mine")
	held := b.hold()
	held.as(false, true)
	b.click("Save mine over it")
	b.sees("an accident of the test")
	b.act("holds", "Name", "Mine")
	held.as(false, false)
	b.click("Save")
	b.sees("Somebody else has changed this integration meanwhile.")
	b.click("Save mine over it")
	b.sees("Saved.")
	b.seesNot("Somebody else has changed")
	b.act("holds", "Name", "Mine")
	b.sees("kept secret")
	var now struct{ Name string }
	require.NoError(t, p.Call("GET", "/v1/integrations/"+id, nil, &now))
	require.Equal(t, "Mine", now.Name)
	b.act("leaves", false)
	b.click("Mail log")
	b.sees("Choose a mail to read it.") // nothing is unsaved: nothing is asked
	b.act("asked", 0)
}

func TestH30ADialogAsksBeforeItIsClosed(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	b := open(t, p, desk, "/")
	b.follow("/integrations/" + id + "/deliveries")
	b.click("Replay a range")
	b.sees("Replay deliveries") // the list behind the dialog has a field of that name too
	b.fill("From", "2023-03-05T10:00")
	b.act("leaves", false)
	for n, out := range []func(){func() { b.act("escape") }, func() { b.act("beside") }, func() { b.click("Cancel") },
		func() { b.act("back") }} {
		out()
		b.act("wasAsked", n+1)
		b.act("holds", "From", "2023-03-05T10:00")
	}
	b.act("leaves", true)
	b.click("Cancel")
	b.seesNot("Replay deliveries")
}
