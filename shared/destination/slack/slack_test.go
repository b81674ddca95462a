package slack_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/slack"
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
			require.Len(t, b.Elements.ElementSet, 1)
		case *slackgo.ContextBlock:
			require.Len(t, b.ContextElements.Elements, 1)
		default:
			t.Fatalf("Slack's library does not know block %T", b)
		}
	}
}

func text(t *testing.T, o *slackgo.TextBlockObject, limit int) {
	t.Helper()
	require.NotEmpty(t, o.Text)
	require.LessOrEqual(t, utf8.RuneCountInString(o.Text), limit)
	require.NotContains(t, o.Text, "<!")
	require.NotContains(t, o.Text, "\x00")
}

func TestAnswers(t *testing.T) {
	require.True(t, slack.New().Judge(destination.Response{Status: 200, Body: []byte("ok")}).Delivered)
	for body, says := range map[string]string{
		"no_service":          "Slack answered 404 Not Found no_service: the webhook was switched off or deleted at Slack: make a new one and enter its URL",
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
