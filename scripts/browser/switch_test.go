package browser

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

func TestEnablingOffersToSaveWhatWasTyped(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	path := "/v1/integrations/" + id
	var now struct {
		Name    string
		Enabled bool
	}
	require.NoError(t, p.Call("POST", path+"/disable", nil, nil))
	b := open(t, p, desk, "/integrations/"+id)
	b.fill("Name", "Mended")
	b.click("Enable")
	b.sees("The form has changes that are not saved.")
	b.click("Cancel")
	b.act("holds", "Name", "Mended")
	b.click("Enable")
	b.picture("enable-dirty")
	b.click("Enable without saving")
	b.seesNot("Disabled by")
	b.act("holds", "Name", "Mended")
	require.NoError(t, p.Call("GET", path, nil, &now))
	require.True(t, now.Enabled)
	require.Equal(t, "SOC webhook", now.Name)
	b.click("Disable")
	b.click("Disable integration")
	b.sees("Disabled by")
	b.act("holds", "Name", "Mended")
	b.seesNot("Somebody else has changed") // it was oneself, and nothing of the form
	b.click("Enable")
	b.click("Save and enable")
	b.seesNot("Disabled by")
	b.sees("Saved.")
	require.NoError(t, p.Call("GET", path, nil, &now))
	require.True(t, now.Enabled)
	require.Equal(t, "Mended", now.Name)

	// What can not be saved is not enabled: the form says why.
	b.click("Disable")
	b.click("Disable integration")
	b.sees("Disabled by")
	b.fill("Webhook URL", "no address")
	b.click("Enable")
	b.click("Save and enable")
	b.sees("Enter a full address")
	b.sees("Disabled by")
	b.act("holds", "Webhook URL", "no address")
}

func TestWhatWasMissedIsChosenOnEnablingAndRecovered(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusOK, "thanks")
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/disable", nil, nil))
	vulnerabilities(t, p, "missed", 5)
	b := open(t, p, desk, "/integrations/"+id)
	b.sees("what comes meanwhile can be recovered then")
	eventually(t, "they are counted", func() (bool, error) {
		var dry struct{ Missed int }
		err := p.Call("POST", "/v1/integrations/"+id+"/recover",
			map[string]any{"from": "2023-03-01T00:00:00Z", "dry_run": true}, &dry)
		return dry.Missed == 5, err
	})
	b.click("Enable")
	b.sees("5 events came while it was off.")
	b.act("pick", "Also what was missed")
	b.sees("Which of them")
	b.picture("enable-missed")
	b.act("tick", "Vulnerability", false)
	b.act("leaves", false)
	b.act("escape")
	b.act("wasAsked", 1)
	b.act("tick", "Vulnerability", true)
	b.act("clickIn", "dialog", "Enable")
	b.sees("5 missed events are on their way, in")
	b.picture("enable-done")
	b.click("Close")
	b.seesNot("Disabled by")
	eventually(t, "all five arrive", func() (bool, error) { return len(at.got()) >= 5, nil })

	// From now on only: what was missed can be had later.
	b.click("Disable")
	b.click("Disable integration")
	b.sees("Disabled by")
	vulnerabilities(t, p, "later", 2)
	eventually(t, "they are counted", func() (bool, error) {
		var dry struct{ Missed int }
		err := p.Call("POST", "/v1/integrations/"+id+"/recover",
			map[string]any{"from": "2023-03-01T00:00:00Z", "dry_run": true}, &dry)
		return dry.Missed == 2, err
	})
	b.click("Enable")
	b.sees("2 events came while it was off.")
	b.act("clickIn", "dialog", "Enable")
	b.seesNot("Disabled by")
	b.click("Deliveries")
	b.click("Recover what was missed")
	b.sees("2 events were missed.")
	b.picture("recover")
	b.click("Recover")
	b.sees("2 missed events are on their way, in")
	b.click("Close")
	b.click("Recover what was missed")
	b.sees("Nothing was missed.")
	b.click("Cancel")
	b.act("asked", 1)
}

func TestAnIncidentManagerIsPagedOnlyOnRequest(t *testing.T) {
	t.Parallel()
	p := program(t)
	id := add(t, p, map[string]any{"system": "pager_duty", "name": "On call",
		"events":     events("vuln_high", "vuln_medium", "vuln_low"),
		"parameters": map[string]any{"integration_key": strings.Repeat("a", 32)}, "enabled": false})
	vulnerabilities(t, p, "missed", 2)
	b := open(t, p, desk, "/integrations/"+id)
	b.sees("Disabled by")
	eventually(t, "they are counted", func() (bool, error) {
		var dry struct{ Missed int }
		err := p.Call("POST", "/v1/integrations/"+id+"/recover",
			map[string]any{"from": "2023-03-01T00:00:00Z", "dry_run": true}, &dry)
		return dry.Missed == 2, err
	})
	b.click("Enable")
	b.act("pick", "Also what was missed")
	b.act("ticked", "Also what is older than an hour: it can call somebody", "no")
	b.picture("enable-page")
}

func TestDisablingSaysWhatBecomesOfWhatWaits(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusInternalServerError, "out of order")
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	vulnerabilities(t, p, "waits", 2)
	b := open(t, p, desk, "/integrations/"+id+"/deliveries")
	b.act("rows", 2)
	b.click("Disable")
	b.sees("2 deliveries wait to be sent. They end as dead, and can be replayed")
	b.picture("disable-waiting")
	b.click("Disable integration")
	b.sees("Disabled by admin@example.com")
	eventually(t, "what it says comes true", func() (bool, error) {
		var page struct{ Items []struct{ State string } }
		err := p.Call("GET", "/v1/integrations/"+id+"/deliveries?state=dead", nil, &page)
		return len(page.Items) == 2, err
	})
}

// failing makes the API's answers those of an integration that fails: it takes ten minutes to become so by itself.
const failing = `(() => {
  const real = globalThis.fetch;
  const says = { since: new Date(Date.now() - 1500_000).toISOString(), attempts: 24, failures: 23, percent: 96,
    waiting: 200, waiting_more: true, next_attempt: new Date(Date.now() + 600_000).toISOString(),
    last_answer: { status: 404, words: "answered 404 Not Found: the webhook is gone: make a new one at Slack" } };
  const fails = (i) => Object.assign(i, { state: "failing", failing: says });
  globalThis.fetch = async (...of) => {
    const answer = await real(...of);
    const url = new URL(of[0], location.href);
    if (!/^\/v1\/integrations(\/[^/]+)?$/.test(url.pathname) || !answer.ok) return answer;
    const body = await answer.json();
    (body.items || [body]).forEach(fails);
    return new Response(JSON.stringify(body), { status: answer.status, headers: answer.headers });
  };
})()`

// TestAFailingIntegrationSaysSoOnEveryScreen: in the list and on its page, in both themes and languages, on a phone and
// a desk.
func TestAFailingIntegrationSaysSoOnEveryScreen(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel with a name that is rather long for a narrow card")
	for _, language := range []string{"en", "ja"} {
		l := desk
		l.language = language
		b := open(t, p, l, "/mail-log")
		b.act("settled")
		b.do(chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(failing).Do(ctx)
			return err
		}))
		for name, path := range map[string]string{"failing-list": "/", "failing-page": "/integrations/" + id} {
			b.do(chromedp.Navigate(p.URL + path))
			b.act("settled")
			b.sees(map[string]string{"en": "Failing since", "ja": "から失敗しています"}[language])
			b.sees("404 Not Found")
			b.axe()
			for _, width := range []int64{1280, 390} {
				for _, theme := range []string{"light", "dark"} {
					l.width, l.theme, l.mobile = width, theme, width == 390
					b.set(l)
					where := fmt.Sprintf("%s-%s-%s-%d", name, language, theme, width)
					b.judge(where)
					b.picture(where)
				}
			}
		}
	}
}

// TestTheDialogsOfSwitchingAreForEverybody has axe-core judge them, on a phone and a desk, in both themes.
func TestTheDialogsOfSwitchingAreForEverybody(t *testing.T) {
	t.Parallel()
	p := program(t)
	off := add(t, p, map[string]any{"system": "pager_duty", "name": "On call",
		"events":     events("vuln_high", "vuln_medium", "vuln_low"),
		"parameters": map[string]any{"integration_key": strings.Repeat("a", 32)}, "enabled": false})
	on := add(t, p, map[string]any{"system": "pager_duty", "name": "Second line", "events": events("scope"),
		"parameters": map[string]any{"integration_key": strings.Repeat("a", 32)}})
	vulnerabilities(t, p, "missed", 2)
	eventually(t, "they are counted", func() (bool, error) {
		var dry struct{ Missed int }
		err := p.Call("POST", "/v1/integrations/"+off+"/recover",
			map[string]any{"from": "2023-03-01T00:00:00Z", "dry_run": true}, &dry)
		return dry.Missed == 2, err
	})
	for _, language := range []string{"en", "ja"} {
		l := desk
		l.language = language
		words := map[string]map[string]string{
			"en": {"enable": "Enable", "missed": "Also what was missed", "disable": "Disable", "delete": "Delete",
				"recover": "Recover what was missed", "kinds": "Which of them", "unsaved": "The form has changes",
				"waits": "No delivery waits", "lost": "This can not be undone", "none": "Nothing was missed",
				"name": "Name"},
			"ja": {"enable": "有効にする", "missed": "送信されなかったものも", "disable": "無効にする", "delete": "削除",
				"recover": "送信されなかったものを回収", "kinds": "回収する種類", "unsaved": "フォームに保存していない変更があります",
				"waits": "送信を待っている配信はありません", "lost": "元に戻せません", "none": "送信されなかったものはありません", "name": "名前"},
		}[language]
		for _, d := range []struct {
			name, path string
			ask        func(b *tab)
		}{
			{"enable", "/integrations/" + off, func(b *tab) {
				b.fill(words["name"], "Typed")
				b.click(words["enable"])
				b.sees(words["unsaved"])
				b.act("pick", words["missed"])
				b.sees(words["kinds"])
			}},
			{"disable", "/integrations/" + on, func(b *tab) { b.click(words["disable"]); b.sees(words["waits"]) }},
			{"delete", "/integrations/" + on, func(b *tab) { b.click(words["delete"]); b.sees(words["lost"]) }},
			{"recover", "/integrations/" + on + "/deliveries",
				func(b *tab) { b.click(words["recover"]); b.sees(words["none"]) }},
		} {
			b := open(t, p, l, d.path)
			b.act("settled")
			b.axe()
			d.ask(b)
			for _, width := range []int64{1280, 390} {
				for _, theme := range []string{"light", "dark"} {
					l.width, l.theme, l.mobile = width, theme, width == 390
					b.set(l)
					where := fmt.Sprintf("dialog-%s-%s-%s-%d", d.name, language, theme, width)
					b.judge(where)
					b.picture(where)
				}
			}
		}
	}
}

// endless makes recovering take as long as somebody lets it.
const endless = `(() => {
  const real = globalThis.fetch;
  globalThis.fetch = async (...of) => {
    if (!String(of[0]).endsWith("/recover")) return real(...of);
    const asked = JSON.parse(of[1].body);
    if (!asked.dry_run) await new Promise((done) => setTimeout(done, 50));
    const step = { missed: 500, kinds: { vuln: 500 }, deliveries: asked.dry_run ? 0 : 5 };
    const reached = new Date(Date.now() - 43200_000).toISOString();
    if (!asked.dry_run) Object.assign(step, { next_cursor: "on", reached });
    return new Response(JSON.stringify(step), { headers: { "Content-Type": "application/json" } });
  };
})()`

func TestRecoveringSaysHowFarItHasGotAndCanBeStopped(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	b := open(t, p, desk, "/")
	b.act("settled")
	b.follow("/integrations/" + id + "/deliveries")
	b.do(chromedp.Evaluate(endless, nil))
	b.click("Recover what was missed")
	b.sees("500 events were missed.")
	b.click("Recover")
	b.sees("1,000 events so far, in 10 deliveries… Reached")
	b.act("leaves", false)
	b.act("back")
	b.act("wasAsked", 1)
	b.act("escape")
	b.click("Stop")
	b.sees("missed events are on their way, in")
	b.sees("Stopped at events of")
	b.picture("recover-stopped")
	b.click("Close")
	b.act("at", "/integrations/"+id+"/deliveries")
}
