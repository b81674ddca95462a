package browser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const slackToken = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy"

// The form asks for what the chosen way needs, and names the field that is wrong.
func TestSlackIsSetUpWithABotTokenAndBackWithAWebhook(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]look{"en": desk, "ja": phone("ja")} {
		at := receive(t)
		at.answers(200, "ok")
		p := program(t, "-allow", at.Host)
		b := open(t, p, l, "/add/slack")
		b.expect("422")
		way, token := word(l, "Authorization", "認証方法"), word(l, "Bot token", "ボットトークン")
		channel, add := word(l, "Channel", "チャンネル"), word(l, "Add integration", "連携を追加")
		b.sees("Webhook URL")
		b.act("clickIn", "form", add)
		b.sees(word(l, "Fill this in.", "入力してください。"))
		b.fill(way, "token")
		b.sees(channel)
		b.fill(token, "xoxp-1-2-of-a-person")
		b.fill(channel, "#general")
		b.act("clickIn", "form", add)
		b.sees(word(l, "must be a bot token, which begins with xoxb-",
			"xoxb- で始まるボットトークンでなければなりません"))
		b.sees(word(l, "and not its name", "チャンネル名ではなく"))
		b.judgeWhole("slack-token-"+name, l)
		b.fill(token, slackToken)
		b.fill(channel, "C0123456789")
		b.act("clickIn", "form", add)
		b.sees(word(l, "Added.", "追加しました。"))
		require.NotContains(t, b.text(), slackToken)

		var list struct {
			Items []struct {
				ID         string
				Parameters map[string]string
			}
		}
		require.NoError(t, p.Call("GET", "/v1/integrations", nil, &list))
		require.Len(t, list.Items, 1)
		require.Equal(t, map[string]string{"authorization": "token", "token": "********", "channel": "C0123456789"},
			list.Items[0].Parameters)
		b.follow("/integrations/" + list.Items[0].ID)
		b.fill(way, "webhook")
		b.seesNot(word(l, "ID of the channel, such as", "チャンネルの ID です（例"))
		b.fill("Webhook URL", at.URL+"/services/T0/B0/x")
		b.act("clickIn", "form", word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました。"))
		list.Items = nil
		require.NoError(t, p.Call("GET", "/v1/integrations", nil, &list))
		require.Equal(t, map[string]string{"authorization": "webhook", "webhook_url": "********"},
			list.Items[0].Parameters)
	}
}
