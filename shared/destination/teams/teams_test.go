package teams_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/atc0005/go-teams-notify/v2/adaptivecard"
	"github.com/stretchr/testify/require"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/teams"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const webhookURL = "https://prod-00.westeurope.logic.azure.com/workflows/0123/triggers/manual/paths/invoke?api-version=2016-06-01&sig=XXXXXXXX"

var suite = destinationtest.Case{
	Destination: teams.New(), Parameters: `{"webhook_url":"` + webhookURL + `"}`, Check: check,
	Secrets: []string{webhookURL},
}

func TestTeams(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzTeams(f *testing.F) { destinationtest.Fuzz(f, suite) }

// check reads a message with a library that is not ours. It does not know the inlines of a RichTextBlock: those are
// read here, and by Microsoft's own library in scripts/independent/messengers.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, "application/json; charset=utf-8", r.Header.Get("Content-Type"))
	require.LessOrEqual(t, len(r.Body), 20<<10)
	require.True(t, utf8.Valid(r.Body))
	require.LessOrEqual(t, forwarded(t, r.Body), 28<<10)
	var m adaptivecard.Message
	require.NoError(t, json.Unmarshal(r.Body, &m))
	require.NoError(t, m.Validate())
	require.Equal(t, "message", m.Type)
	require.Len(t, m.Attachments, 1)
	require.Equal(t, adaptivecard.AttachmentContentType, m.Attachments[0].ContentType)
	c := m.Attachments[0].Content
	require.Equal(t, "AdaptiveCard", c.Type)
	require.NotEmpty(t, c.FallbackText)
	for _, a := range c.Actions {
		require.Equal(t, "Action.OpenUrl", a.Type)
		require.NotEmpty(t, a.URL)
		require.Equal(t, a.URL, destination.WebLink(a.URL, 2048))
	}
	text := inlines(t, r.Body)
	require.NotEmpty(t, text)
	for _, s := range text {
		require.NotEmpty(t, strings.TrimSpace(s))
		require.NotContains(t, s, "\x00")
	}
	require.NotContains(t, string(r.Body), `"TextBlock"`, "it would read Markdown in what an attacker wrote")
}

// forwarded is the length of a workflow's own message: the card as a text in JSON, what is not ASCII escaped.
func forwarded(t *testing.T, body []byte) int {
	t.Helper()
	var m struct {
		Attachments []struct{ Content json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(body, &m))
	raw, err := json.Marshal(map[string]any{
		"recipient": map[string]string{"groupId": "11111111-2222-4333-8444-555555555555",
			"channelId": "19:0123456789abcdef@thread.tacv2"}, "messageBody": string(m.Attachments[0].Content)})
	require.NoError(t, err)
	size := 0
	for _, r := range string(raw) {
		if size++; r > '~' {
			size += 6*utf16.RuneLen(r) - 1
		}
	}
	return size
}

func TestH31NestedEscapingKeepsToTheLimit(t *testing.T) {
	for _, c := range []string{`"`, `\`, "\\\"", "<", "é", "🚨", "'", "日", "\u0001\"", "&"} {
		n := vulnerability(strings.Repeat(c, 9000))
		data, err := json.Marshal(map[string]any{"object_id": 1,
			"vuln": map[string]any{"threat": "High", "title": strings.Repeat(c, 9000), "path": "/" +
				strings.Repeat(c, 9000), "parameter": strings.Repeat(c, 9000)}})
		require.NoError(t, err)
		n.Event.Data = data
		r := destinationtest.Encode(t, suite, n)[0]
		check(t, r)
		require.Contains(t, string(r.Body), cut.Mark, c)
		require.Greater(t, forwarded(t, r.Body), 4<<10, "no shorter than it must be: %s", c)
	}
}

func TestTheFallbackIsNoMarkdown(t *testing.T) {
	n := vulnerability("x")
	n.Test, n.Event.ClientName = true, "**Acme** [Open](https://evil.example) <at>all</at> `x`"
	var m adaptivecard.Message
	require.NoError(t, json.Unmarshal(destinationtest.Encode(t, suite, n)[0].Body, &m))
	require.NotRegexp(t, "[*_`<>~#]|\\]\\(|://", m.Attachments[0].Content.FallbackText)
}

func inlines(t *testing.T, body []byte) []string {
	t.Helper()
	type element struct {
		Type    string
		Items   []element
		Inlines []struct{ Type, Text string }
	}
	var m struct {
		Attachments []struct{ Content struct{ Body []element } }
	}
	require.NoError(t, json.Unmarshal(body, &m))
	var out []string
	var visit func([]element)
	visit = func(es []element) {
		for _, e := range es {
			if e.Type == "Container" {
				visit(e.Items)
				continue
			}
			require.Equal(t, "RichTextBlock", e.Type)
			require.NotEmpty(t, e.Inlines)
			for _, r := range e.Inlines {
				require.Equal(t, "TextRun", r.Type)
				out = append(out, r.Text)
			}
		}
	}
	visit(m.Attachments[0].Content.Body)
	return out
}

func vulnerability(title string) notification.Notification {
	data, err := json.Marshal(map[string]any{"object_id": 1,
		"vuln": map[string]any{"threat": "High", "title": title, "path": "/search"}})
	if err != nil {
		panic(err)
	}
	return notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
		ID: "e", Tenant: "42", ClientName: "Acme", Kind: event.Vuln, Time: destinationtest.Now, Data: data,
	}}
}

func TestALongTextIsCutAndSaysSo(t *testing.T) {
	for _, s := range []string{strings.Repeat("x", 100<<10), strings.Repeat("🚨", 30<<10),
		strings.Repeat(`"\`, 30<<10)} {
		r := destinationtest.Encode(t, suite, vulnerability(s))[0]
		check(t, r)
		require.Contains(t, string(r.Body), cut.Mark)
		require.Greater(t, len(r.Body), 3<<10, "no shorter than it must be")
		require.Contains(t, string(r.Body), "/search", "the other facts stay")
	}
}

func TestMarkdownStaysText(t *testing.T) {
	hostile := "[Open in the Console](https://evil.example) **bold** <at>all</at>"
	require.Contains(t, inlines(t, destinationtest.Encode(t, suite, vulnerability(hostile))[0].Body), hostile)
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		body      string
		delivered bool
		says      string
	}{
		"a workflow took it":  {202, "", true, ""},
		"a connector took it": {200, "1", true, ""},
		"too large, told inside a 200": {200, "Webhook message delivery failed with error: Microsoft Teams " +
			"endpoint returned HTTP error 413 with ContextId " +
			"tcid=622824298674363899,server=DB5PEPF00003FC8,cv=AszFFaeXdEGdFrJhai0eUw.1.0..", false,
			"answered 413 Request Entity Too Large: Teams found the message too large (told in the text of a 200)"},
		"too many, told inside a 200": {200, "Webhook message delivery failed with error: Microsoft Teams " +
			"endpoint returned HTTP error 429 with ContextId MS-CV=a.0..", false,
			"answered 429 Too Many Requests: Teams takes four messages a second"},
		"an error without a status": {200,
			"Webhook message delivery failed with error: Error contacting Microsoft Teams endpoint", false,
			"answered 200 OK with an error in its text (it says: Webhook message delivery failed"},
		"a workflow that is gone": {404, `{"error":{"code":"WorkflowNotFound"}}`, false,
			"answered 404 Not Found: the workflow or webhook is gone"},
		"a URL without its signature": {401, `{"error":{"code":"DirectApiAuthorizationRequired"}}`, false,
			"with the part after sig="},
		"too many, told as it is written": {429, "", false, "four messages a second"},
	} {
		t.Run(name, func(t *testing.T) {
			v := teams.New().Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
			require.Equal(t, c.delivered, v.Delivered)
			require.Contains(t, v.Reason, c.says)
		})
	}
	v := teams.New().Judge(destination.Response{Status: 429, Header: map[string][]string{"Retry-After": {"7"}}})
	require.Equal(t, "7s", v.RetryAfter.String())
}
