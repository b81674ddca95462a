package browser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatASystemIsSentIsSeenBeforeItIsAdded(t *testing.T) {
	t.Parallel()
	p := program(t)
	for name, l := range everyLook() {
		b := open(t, p, l, "/add/slack")
		b.fill("Webhook URL", "https://hooks.slack.com/services/T0/B0/of-mine")
		title := word(l, "What Slack is sent", "Slack に送られる内容")
		if l.mobile {
			b.tap(title)
		} else {
			b.press(title)
		}
		b.sees("https://hooks.slack.com/********")
		b.sees("New user was added")
		b.fill(word(l, "Event", "イベント"), "vuln_high")
		b.sees("New vulnerability detected")
		require.NotContains(t, b.text(), "of-mine")
		b.judgeWhole("samples-"+name, l)
		b.press(word(l, "Close", "閉じる"))
		b.act("holds", "Webhook URL", "https://hooks.slack.com/services/T0/B0/of-mine")
		require.Contains(t, b.hasFocus(), title, "the focus comes back")
	}
}

func TestASigningSecretIsMadeAndShownOnce(t *testing.T) {
	t.Parallel()
	at := receive(t)
	b := open(t, program(t, "-allow", at.Host), desk, "/add/web_hooks")
	b.fill("Webhook URL", at.URL+"/hook")
	b.press("Advanced settings")
	b.press("Generate")
	b.sees("Copy it to your receiver now.")
	var secret string
	require.NoError(t, b.eval("value", &secret, "Signing secret"))
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, secret)
	b.judgeWhole("secret-made", desk)
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	b.click("Advanced settings")
	require.NotContains(t, b.text(), secret)
	b.seesNot("Copy it to your receiver now.")
}

func TestADuplicateHasNoSecretsAndSaysSo(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/integrations", map[string]any{"system": "web_hooks", "name": "SOC",
		"events": []any{map[string]any{"event": "vuln_high"}}, "parameters": map[string]any{"url": at.URL + "/hook",
			"headers": map[string]string{"Authorization": "Bearer x"}, "max_events": 7}}, &made))
	b := open(t, p, phone("en"), "/integrations/"+made.ID)
	b.tap("Duplicate")
	b.sees("This will be one more integration with the settings of “SOC”.")
	b.sees("Secrets are not copied. Enter them anew: Request headers.")
	b.act("holds", "Name", "Copy of SOC")
	b.act("holds", "Webhook URL", at.URL+"/hook")
	b.act("ticked", "System related", "no")
	b.judgeWhole("duplicate", phone("en"))
	b.click("Advanced settings")
	b.act("holds", "Events in one request", "7")
	b.fill("Header 1: value", "Bearer y")
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
}
