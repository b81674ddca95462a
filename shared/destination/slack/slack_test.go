package slack_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/require"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/slack"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

var suite = destinationtest.Case{
	Destination: slack.New(),
	Parameters:  `{"webhook_url":"https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"}`,
	Check:       check,
	Secrets:     []string{"https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"},
}

func TestSlack(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzSlack(f *testing.F) { destinationtest.Fuzz(f, suite) }

// check decodes a message with a library that is not ours, and holds it against Slack's limits.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	var m slackgo.WebhookMessage
	require.NoError(t, json.Unmarshal(r.Body, &m))
	require.NotEmpty(t, m.Text)
	require.LessOrEqual(t, utf8.RuneCountInString(m.Text), 4000)
	require.NotContains(t, m.Text, "<")
	require.Equal(t, "none", m.Parse)
	require.Contains(t, string(r.Body), `"mrkdwn":false`)
	require.NotNil(t, m.Blocks)
	require.LessOrEqual(t, len(m.Blocks.BlockSet), 50)
	for _, b := range m.Blocks.BlockSet {
		switch b := b.(type) {
		case *slackgo.HeaderBlock:
			text(t, b.Text, 150)
		case *slackgo.SectionBlock:
			if b.Text != nil {
				text(t, b.Text, 3000)
			}
			require.LessOrEqual(t, len(b.Fields), 10)
			for _, f := range b.Fields {
				text(t, f, 2000)
			}
		case *slackgo.ActionBlock:
			require.NotEmpty(t, b.Elements.ElementSet)
			require.LessOrEqual(t, len(b.Elements.ElementSet), 25)
			for _, e := range b.Elements.ElementSet {
				button := e.(*slackgo.ButtonBlockElement)
				require.Equal(t, button.URL, destination.WebLink(button.URL, 3000))
				require.NotEmpty(t, button.URL)
				require.LessOrEqual(t, utf8.RuneCountInString(button.Text.Text), 75)
			}
		case *slackgo.ContextBlock:
			require.Len(t, b.ContextElements.Elements, 1)
			text(t, b.ContextElements.Elements[0].(*slackgo.TextBlockObject), 2000)
		default:
			t.Fatalf("Slack's library does not know block %T", b)
		}
	}
}

func text(t *testing.T, o *slackgo.TextBlockObject, limit int) {
	t.Helper()
	require.NotEmpty(t, o.Text)
	require.LessOrEqual(t, utf8.RuneCountInString(o.Text), limit)
	require.NotContains(t, o.Text, "\x00")
	if o.Type == slackgo.MarkdownType {
		require.Regexp(t, `^\*[\p{L}\p{N}' ]+\*$`, o.Text, "only our labels are markup")
		return
	}
	require.Equal(t, slackgo.PlainTextType, o.Type)
	require.NotNil(t, o.Emoji)
	require.False(t, *o.Emoji)
}

func of(kind event.Kind, data map[string]any) notification.Notification {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
		ID: "e", Tenant: "42", ClientName: "Acme", Kind: kind, Time: destinationtest.Now, Data: raw,
	}}
}

func TestH14ATitleIsShownAsSent(t *testing.T) {
	title := "1*2*3 `x` _i_ ~s~ :smile: <!channel> @here & http://evil.test"
	r := destinationtest.Encode(t, suite, of(event.Vuln,
		map[string]any{"vuln": map[string]any{"threat": "High", "title": title}}))[0]
	check(t, r)
	var m slackgo.WebhookMessage
	require.NoError(t, json.Unmarshal(r.Body, &m))
	var found bool
	for _, b := range m.Blocks.BlockSet {
		section, ok := b.(*slackgo.SectionBlock)
		if !ok {
			continue
		}
		for _, f := range section.Fields {
			found = found || f.Text == title && f.Type == slackgo.PlainTextType
		}
	}
	require.True(t, found, string(r.Body))
}

func TestH13AMessageWhoseLinkIsNoneGoesWithoutAButton(t *testing.T) {
	for link, button := range map[string]bool{
		"/api/1": false, "//evil.example/x": false, "javascript:alert(1)": false, " JAVASCRIPT:alert(1)": false,
		"http:evil": false, "data:text/html,x": false,
		"https://console.example.com/api/1": true, "https://console.example.com/" + strings.Repeat("x", 3000): false,
	} {
		r := destinationtest.Encode(t, suite, of(event.APIStructureChanged,
			map[string]any{"trigger_name": "t", "endpoint_path": "/a", "http_method": "GET", "link": link}))[0]
		check(t, r)
		require.Equal(t, button, strings.Contains(string(r.Body), `"type":"button"`), link)
		require.NotContains(t, strings.ToLower(string(r.Body)), "javascript:")
	}
}

func TestH31AllValuesTogetherKeepToABound(t *testing.T) {
	long := strings.Repeat("&", 5000)
	r := destinationtest.Encode(t, suite, of(event.Vuln,
		map[string]any{"vuln": map[string]any{"threat": "High", "title": long, "path": long, "domain": long,
			"parameter": long, "type": long, "id": long, "method": long}}))[0]
	check(t, r)
	require.Contains(t, string(r.Body), cut.Mark)
	require.Less(t, len(r.Body), 40_000)
}

func TestAnswers(t *testing.T) {
	require.True(t, slack.New().Judge(destination.Response{Status: 200, Body: []byte("ok")}).Delivered)
	for body, says := range map[string]string{
		"no_service": "Slack answered 404 Not Found no_service: the webhook was switched off or deleted at " +
			"Slack: make a new one and enter its URL",
		"channel_is_archived": "the channel is archived",
		"unheard_of":          "answered 404 Not Found: the webhook is gone",
	} {
		v := slack.New().Judge(destination.Response{Status: 404, Body: []byte(body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, says)
	}
	v := slack.New().Judge(destination.Response{Status: 429, Header: map[string][]string{"Retry-After": {"30"}}})
	require.Equal(t, "30s", v.RetryAfter.String())
}
