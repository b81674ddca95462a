package browser

import (
	"fmt"
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

func TestSamplesFollowTheLanguageThatTheFormHas(t *testing.T) {
	t.Parallel()
	b := open(t, program(t), desk, "/add/slack")
	for _, l := range []struct{ code, says, not string }{
		{"ja", "新しいユーザーが追加されました", "New user was added"},
		{"en", "New user was added", "新しいユーザーが追加されました"},
		{"", "New user was added", "新しいユーザーが追加されました"},
	} {
		b.fill("Language of what is sent", l.code)
		b.press("What Slack is sent")
		b.sees(l.says)
		b.seesNot(l.not)
		b.press("Close")
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

// The private key of a pair is never in the browser, so that there is nothing to copy but the public one.
func TestAKeyPairIsMadeByTheInstallationAndReplaced(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	l := phone("en")
	b := open(t, p, l, "/add/web_hooks")
	b.fill("Webhook URL", at.URL+"/hook")
	b.click("Advanced settings")
	b.click("Make a key pair")
	b.sees("A key pair is made when you save.")
	b.click("Undo")
	b.click("Make a key pair")
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	public := func() (first, all string) {
		var list struct {
			Items []struct{ Parameters map[string]any }
		}
		require.NoError(t, p.Call("GET", "/v1/integrations", nil, &list))
		first, _ = list.Items[0].Parameters["public_key"].(string)
		return first, fmt.Sprint(list.Items[0].Parameters)
	}
	before, all := public()
	require.Regexp(t, `^whpk_[A-Za-z0-9+/]{43}=$`, before)
	require.NotContains(t, all, "whsk_")
	b.sees(before)
	b.judgeWhole("key-pair", l)
	b.click("Advanced settings")
	b.click("Make a new pair")
	b.sees("The present one signs beside it for 7 days.")
	b.judgeWhole("key-pair-new", l)
	b.act("clickIn", "form", "Save")
	b.sees("Previous key signs until")
	after, _ := public()
	require.NotEqual(t, before, after)
	b.sees(after)
	b.sees(before)
	b.judgeWhole("key-pair-replaced", l)
}

func TestADuplicateHasNoSecretsAndSaysSo(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/integrations", map[string]any{"system": "web_hooks", "name": "SOC",
		"events":  []any{map[string]any{"event": "vuln_high"}},
		"filters": []any{map[string]any{"id": "severity", "operator": "ne", "values": []string{"low"}}},
		"parameters": map[string]any{"url": at.URL + "/hook",
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
	b.sees("Severity is not Low (0 events)")
}
