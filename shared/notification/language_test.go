package notification_test

import (
	"encoding/json"
	"regexp"
	"strings"
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

var (
	clock = regexp.MustCompile(`\d{1,2}:\d{2}(:\d{2})?\S*( \S+)?`)
	zoned = regexp.MustCompile(`:\d{2}(\.\d+)?(Z| ?UTC| ?[+-]\d{2}:?\d{2})`)
)

// TestEveryTimeThatAPersonReadsNamesItsZone looks at the texts of each event in each language: on time, late, and sent
// again.
func TestEveryTimeThatAPersonReadsNamesItsZone(t *testing.T) {
	at, found := time.Unix(1677628800, 0), 0
	platform := notification.Platform{Name: "Tocsin", Cloud: "EU"}
	var all []notification.Notification
	for _, class := range []notification.Class{notification.Basic, notification.Mail, notification.Tickets,
		notification.Issues} {
		all = append(all, notification.Samples(class, platform, "42", "Acme", "id", at)...)
	}
	for _, e := range append(event.Machine(), event.Mailed()...) {
		if n, ok := notification.Example(e, platform, "42", "Acme", "id", at); ok {
			all = append(all, n)
		}
	}
	for _, n := range all {
		for _, n.Language = range wording.Languages() {
			for _, n.Again = range []bool{false, true} {
				text := strings.Join([]string{n.Summary(), n.Subject(), n.Description(), n.PlainText(), n.LateNote()},
					"\n")
				for _, time := range clock.FindAllString(text, -1) {
					found++
					require.Regexp(t, zoned, time, "%s in %s: %s", n.Event.Kind, n.Language, text)
				}
			}
		}
	}
	require.Greater(t, found, 10, "it looked at some")
}
