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

// TestTimesAreInTheZoneOfTheReader: of the facts, of the origin, and of what says that it is late.
func TestTimesAreInTheZoneOfTheReader(t *testing.T) {
	n := notification.Notification{Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"}, Late: true,
		Event: event.Event{ID: "e1", Tenant: "42", ClientName: "Acme", Kind: event.IntegrationFailing,
			Time: time.Date(2026, 11, 27, 23, 30, 5, 0, time.UTC),
			Data: json.RawMessage(`{"integration":{"id":"i1","name":"Ops","system":"slack"},` +
				`"failing_since":"2026-11-27T09:05:00Z"}`)}}
	machine := n.Envelope()
	for zone, want := range map[string][4]string{
		"Europe/Berlin": {"27 November 2026, 10:05 CET", "28 November 2026, 00:30 CET",
			"2026年11月27日 10:05 CET", "2026年11月28日 0:30 CET"},
		"America/Sao_Paulo": {"27 November 2026, 06:05 UTC-03:00", "27 November 2026, 20:30 UTC-03:00",
			"2026年11月27日 6:05 UTC-03:00", "2026年11月27日 20:30 UTC-03:00"},
		"UTC": {"27 November 2026, 09:05 UTC", "27 November 2026, 23:30 UTC",
			"2026年11月27日 9:05 UTC", "2026年11月27日 23:30 UTC"},
	} {
		var err error
		n.Zone, err = time.LoadLocation(zone)
		require.NoError(t, err)
		n.Language = wording.English
		require.Contains(t, n.PlainText(), "Failing since: "+want[0]+"\n")
		require.Contains(t, n.PlainText(), "Happened: "+want[1]+"; sent late\n")
		require.Equal(t, "Happened on "+want[1]+"; sent late.", n.LateNote())
		require.Equal(t, "Acme · EU · integration_failing · "+want[1], n.Origin())
		require.Equal(t, string(machine), string(n.Envelope()), "machines get the same")
		require.Contains(t, notification.Together("quiet", "d", "/log", []notification.Notification{n, n}).PlainText(),
			"From: "+want[1]+"\n")
		n.Language = wording.Japanese
		require.Contains(t, n.PlainText(), want[2])
		require.Contains(t, n.LateNote(), want[3])
		require.Equal(t, "Acme · EU · integration_failing · "+want[3], n.Origin())
	}
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
				for _, n.Zone = range []*time.Location{nil, time.UTC} {
					text := strings.Join([]string{n.Summary(), n.Subject(), n.Description(), n.PlainText(),
						n.LateNote()}, "\n")
					for _, time := range clock.FindAllString(text, -1) {
						found++
						require.Regexp(t, zoned, time, "%s in %s: %s", n.Event.Kind, n.Language, text)
					}
				}
			}
		}
	}
	require.Greater(t, found, 10, "it looked at some")
}
