package browser

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeveralIntegrationsAreTestedDisabledAndEnabledAtOnce(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		webhook(t, p, at.URL+"/first", "First hook")
		webhook(t, p, at.URL+"/second", "Second hook")
		slack := struct{ ID string }{}
		require.NoError(t, p.Call("POST", "/v1/integrations", map[string]any{"system": "slack", "name": "Channel",
			"parameters": map[string]any{"webhook_url": at.URL + "/services/T/B/x"}}, &slack))
		require.NoError(t, p.Call("POST", "/v1/integrations/"+slack.ID+"/disable", nil, nil))
		press := pressing(t, l)
		b := open(t, p, l, "/")
		b.act("settled")
		press(b, word(l, "Several at once", "一括操作"))
		b.fill(word(l, "Search by name or system", "名前またはシステムで検索"), "hook")
		b.act("tick", word(l, "All 2 shown", "表示中の 2 件すべて"), true)
		b.fill(word(l, "Search by name or system", "名前またはシステムで検索"), "")
		b.act("tick", "Channel", true)
		b.sees(word(l, "3 chosen", "3 件を選択中"))
		b.act("pick", word(l, "Disable", "無効にする"))
		b.judgeWhole("bulk-"+name, l)
		press(b, word(l, "See what will be done", "実行内容を確認"))
		b.sees(word(l, "2 integrations will be disabled.", "2 件の連携を無効にします。"))
		b.sees(word(l, "is disabled already", "すでに無効です"))
		b.judgeWhole("bulk-plan-"+name, l)
		press(b, word(l, "Disable", "無効にする"))
		b.sees(word(l, "Done: 2. Failed: 0.", "完了：2 件"))
		b.judgeWhole("bulk-done-"+name, l)
		press(b, word(l, "Close", "閉じる"))
		require.Equal(t, 2, disableEntries(t, b), "one entry in the activity log for each")
	}
}

// What was not sent to several is sent again, after they were enabled.
func TestSeveralIntegrationsAreEnabledAndTheirDeadDeliveriesReplayedAtOnce(t *testing.T) {
	t.Parallel()
	for name, l := range everyLook() {
		at := receive(t)
		at.answers(http.StatusNotFound, "nothing is here")
		p := program(t, "-allow", at.Host, "-faster", "100000")
		ids := []string{webhook(t, p, at.URL+"/first", "First hook"), webhook(t, p, at.URL+"/second", "Second hook")}
		vulnerabilities(t, p, "dead", 2)
		eventually(t, "all are dead", func() (bool, error) { return len(found(t, p, "state=dead").Items) == 4, nil })
		for _, id := range ids {
			require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/disable", nil, nil))
		}
		at.answers(http.StatusOK, "thanks")
		press := pressing(t, l)
		b := open(t, p, l, "/")
		run := func(action, sure, done string) {
			t.Helper()
			b.act("settled")
			press(b, word(l, "Several at once", "一括操作"))
			b.act("tick", word(l, "All 2 shown", "表示中の 2 件すべて"), true)
			b.act("pick", action)
			press(b, word(l, "See what will be done", "実行内容を確認"))
			b.sees(sure)
			press(b, action)
			b.sees(word(l, "Done: 2. Failed: 0.", "完了：2 件"))
			b.sees(done)
			b.judgeWhole("bulk-"+name+"-done", l)
			press(b, word(l, "Close", "閉じる"))
		}
		run(word(l, "Enable", "有効にする"),
			word(l, "2 integrations will be enabled.", "2 件の連携を有効にします。"),
			word(l, "enabled", "有効にしました"))
		run(word(l, "Replay dead deliveries", "送信できなかった配信を再送"),
			word(l, "The dead deliveries of 2 integrations will be sent again.",
				"2 件の連携で、送信できなかった配信を再送します。"),
			word(l, "2 deliveries are sent again", "2 件の配信を再送します"))
		eventually(t, "all arrived", func() (bool, error) {
			return len(found(t, p, "state=delivered").Items) == 4, nil
		})
	}
}

// pressing is how the person of a look presses: by touch or by keyboard.
func pressing(t *testing.T, l look) func(*tab, string) {
	t.Helper()
	if l.mobile {
		return (*tab).tap
	}
	return (*tab).press
}

func disableEntries(t *testing.T, b *tab) (n int) {
	t.Helper()
	var log struct{ Items []struct{ Action string } }
	require.NoError(t, b.p.Call("GET", "/v1/activity?limit=100", nil, &log))
	for _, i := range log.Items {
		if i.Action == "disable" {
			n++
		}
	}
	return n - 1 // that of the test itself
}

func TestATestOfSeveralSaysOfEachWhatCameOfIt(t *testing.T) {
	t.Parallel()
	at, bad := receive(t), receive(t)
	bad.answers(http.StatusNotFound, "no_service")
	p := program(t, "-allow", at.Host+","+bad.Host)
	webhook(t, p, at.URL+"/first", "Works")
	webhook(t, p, bad.URL+"/second", "Broken")
	b := open(t, p, desk, "/")
	b.act("settled")
	b.press("Several at once")
	b.act("tick", "All 2 shown", true)
	b.press("See what will be done")
	b.sees("2 integrations will be tested.")
	b.press("Test")
	b.sees("Done: 1. Failed: 1. Not done: 0.")
	b.sees("answered 404 Not Found")
	b.sees("All 5 test messages arrived.")
	b.picture("bulk-test")
}
