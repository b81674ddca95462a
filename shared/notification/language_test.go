package notification_test

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

func TestPeopleReadTheirLanguageAndMachinesTheSame(t *testing.T) {
	n := notification.Notification{Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"},
		Event: event.Event{ID: "e1", Tenant: "42", ClientName: "Acme", Kind: event.IntegrationFailing,
			Data: json.RawMessage(`{"integration":{"id":"i1","name":"Ops","system":"slack"},` +
				`"last_answer":"answered 404 Not Found: nothing is at this address: check the URL",` +
				`"failing_since":"2026-11-27T09:05:00Z"}`)}}
	english := n.Envelope()
	n.Language = wording.Japanese
	require.Equal(t, string(english), string(n.Envelope()), "machines get the same")
	require.Equal(t, "[Tocsin] 連携が失敗しています", n.Summary())
	require.Equal(t, "[Tocsin] 連携が失敗しています：Ops", n.Subject())
	facts := map[string]string{}
	for _, f := range n.Facts() {
		facts[f.Label] = f.Value
	}
	require.Equal(t, "Ops", facts["連携"], "what a person named stays")
	require.Equal(t, "404 Not Found の応答がありました。このアドレスには何もありません。URL を確認してください", facts["最後の応答"])
	require.Equal(t, "2026年11月27日 9:05 UTC", facts["失敗し始めた日時"])
}

// TestEverySampleIsWhollyInJapanese finds no English words of ours left.
func TestEverySampleIsWhollyInJapanese(t *testing.T) {
	for _, class := range []notification.Class{notification.Basic, notification.Mail, notification.Tickets,
		notification.Issues} {
		for _, n := range notification.Samples(class, notification.Platform{Name: "Tocsin", Cloud: "EU"}, "42", "Acme",
			"id", time.Unix(1677628800, 0)) {
			n.Language = wording.Japanese
			require.Regexp(t, regexp.MustCompile(`\p{Hiragana}|\p{Han}`), n.Headline(), n.Event.Kind)
			require.Regexp(t, regexp.MustCompile(`\p{Hiragana}|\p{Han}`), n.Sentence(), n.Event.Kind)
			for _, f := range n.Facts() {
				require.NotRegexp(t, `[a-z]{3}`, f.Label, n.Event.Kind)
			}
		}
	}
}
