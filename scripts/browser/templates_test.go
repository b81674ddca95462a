package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTitleAndTextOfMessagesAreWrittenPreviewedSentAndAFallbackIsTold(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		id := slack(t, p, at, "Ops channel")
		b := open(t, p, l, "/integrations/"+id)
		b.expect("status of 422") // what is refused
		b.act("settled")
		b.click(word(l, "Title and text of messages", "メッセージのタイトルと本文"))
		title := word(l, "Title of messages", "メッセージのタイトル")
		text := word(l, "Text of messages", "メッセージの本文")
		save, saved := word(l, "Save", "保存"), word(l, "Saved.", "保存しました")
		b.fill(title, "{{.Nothing}}")
		b.sees(word(l, "line 1: there is no field .Nothing", "1 行目：.Nothing というフィールドはありません"))
		b.fill(title, "{{.Title}}")
		b.click(save)
		b.sees(word(l, "makes no title of an event of the kind", "のイベントでは、タイトルが空になります"))
		b.fill(title, "{{upper .Severity}} · {{or .Title .Headline}} "+name)
		b.fill(text, "{{.Details}}\n\n{{.Client}} calls you")
		b.sees("INFO · ") // the preview, of a user
		b.sees("calls you")
		b.click(word(l, "Fields and functions", "フィールドと関数"))
		b.sees(word(l, "the host or domain", "ホストまたはドメイン"))
		b.click(save)
		b.sees(saved)
		b.judgeWhole("template-"+name, l)
		var i struct {
			Template struct{ Title, Text string } `json:"message_template"`
		}
		require.NoError(t, p.Call("GET", "/v1/integrations/"+id, nil, &i))
		require.Equal(t, "{{.Details}}\n\n{{.Client}} calls you", i.Template.Text)
		vulnerabilities(t, p, "worded-"+name, 1)
		eventually(t, "the message has its words", func() (bool, error) {
			got := strings.Join(at.got(), "\n")
			return strings.Contains(got, "HIGH · ") && strings.Contains(got, name) &&
				strings.Contains(got, "calls you"), nil
		})
		// it makes nothing of what a published event does not say
		empty := map[string]any{"message_template": map[string]any{
			"title": `{{if ne .Kind "vuln"}}x{{else}}{{if eq .ID "evt-vuln"}}x{{end}}{{end}}`}}
		require.NoError(t, p.Call("PATCH", "/v1/integrations/"+id, empty, nil))
		before := len(at.got())
		vulnerabilities(t, p, "standard-"+name, 1)
		eventually(t, "the event is sent", func() (bool, error) { return len(at.got()) > before, nil })
		require.Contains(t, at.got()[len(at.got())-1], "New vulnerability detected", fmt.Sprint(name))
		b.follow("/")
		b.follow("/integrations/" + id)
		b.sees(word(l, "Some messages had the standard title or text.", "一部のメッセージで標準のタイトルまたは本文を使いました。"))
		b.sees(word(l, "the message template made no title of vuln: the standard title was sent",
			"メッセージテンプレートでは vuln のタイトルが空になるため、標準のタイトルを送信しました"))
		b.picture("template-fallback-" + name)
	}
}

func TestATriggerWhoseMessagesATemplateCanNotSayTellsSoAtBothPages(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		id := slack(t, p, at, "Ops channel")
		worded := func(title string) map[string]any {
			return map[string]any{"events": []map[string]any{{"event": "vuln_high"}},
				"message_template": map[string]any{"title": title}}
		}
		require.NoError(t, p.Call("PATCH", "/v1/integrations/"+id, worded("{{.Title}}"), nil))
		var made struct{ ID string }
		require.NoError(t, p.Call("POST", "/v1/triggers", trigger("SQLi burst", id), &made))
		b := open(t, p, l, "/triggers/"+made.ID)
		b.expect("status of 422") // what is refused
		warned := word(l, `the message template of "Ops channel" makes no title of what this trigger sends`,
			"「Ops channel」のメッセージテンプレートでは、このトリガーから送られるもののタイトルが空になります")
		b.sees(warned)
		b.judgeWhole("template-trigger-"+name, l)
		b.follow("/triggers")
		b.sees(warned)
		b.follow("/integrations/" + id)
		b.act("settled") // with the template, which there is, unfolded
		b.fill(word(l, "Title of messages", "メッセージのタイトル"), "{{.Title}} {{.Host}}")
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, `which the trigger "SQLi burst" sends to it`, "トリガー「SQLi burst」から送られる種類"))
		b.fill(word(l, "Title of messages", "メッセージのタイトル"), "{{or .Title .Headline}}")
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		b.follow("/triggers")
		b.seesNot(warned)
	}
}
