package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// mutedChannel is a channel that a trigger tells of incidents, muted on its page with what becomes of what comes.
func mutedChannel(t *testing.T, l look, then string) (b *tab, at *receiver, id string) {
	t.Helper()
	at = receive(t)
	p := program(t, "-allow", at.Host)
	id = slack(t, p, at, "Ops channel")
	require.NoError(t, p.Call("POST", "/v1/triggers", map[string]any{"name": "Incidents",
		"template_id": "incidents_exceeded", "threshold": map[string]any{"period": 60, "operator": "gt", "count": 0},
		"actions": []map[string]any{{"id": "send_notification",
			"params": map[string]any{"integration_ids": []string{id}}}}}, nil))
	b = open(t, p, l, "/integrations/"+id)
	b.act("settled")
	press := pressing(t, l)
	press(b, word(l, "Mute", "ミュートする"))
	b.fill(word(l, "Hours from now on", "今からの時間数"), "2")
	b.fill(word(l, "Reason", "理由"), "database migration")
	b.fill(word(l, "What comes meanwhile", "その間に届くもの"), then)
	press(b, word(l, "Mute", "ミュートする"))
	b.sees(word(l, "Muted until", "までミュート中"))
	return b, at, id
}

// incident publishes one.
func incident(t *testing.T, p *embedded.Process, id string) {
	t.Helper()
	require.NoError(t, p.Publish(entry("new_incident", "evt-"+id, time.Now(), fmt.Sprintf(`{"incident":{"id":%q,`+
		`"type":"sqli","host":"shop.example.com","path":"/","hits":3,"sources":["203.0.113.7"]}}`, id))))
}

// TestWhatAMuteHeldIsSentWhenItEndsAndIncidentsAreSentAtOnce: each event, or one message of all; and the delivery's
// page says what holds it, and what held it.
func TestWhatAMuteHeldIsSentWhenItEndsAndIncidentsAreSentAtOnce(t *testing.T) {
	t.Parallel()
	for then, messages := range map[string]int{"send": 3, "digest": 1} {
		for name, l := range map[string]look{"en": desk, "ja": phone("ja")} {
			t.Run(then+"-"+name, func(t *testing.T) {
				t.Parallel()
				b, at, id := mutedChannel(t, l, then)
				vulnerabilities(t, b.p, "muted", 3)
				incident(t, b.p, "while-muted")
				eventually(t, "the incident is told", func() (bool, error) { return len(at.got()) > 0, nil })
				of := map[string]bool{}
				eventually(t, "the others are held", func() (bool, error) {
					for n := range 3 {
						for _, d := range found(t, b.p, fmt.Sprintf("event=muted-%d&state=pending", n)).Items {
							of[fmt.Sprint(n)] = d.ID != ""
						}
					}
					return len(of) == 3, nil
				})
				require.Len(t, at.got(), 1, "nothing but the incident")
				require.Contains(t, at.got()[0], "incidents")
				held := found(t, b.p, "event=muted-0").Items[0].ID
				b.follow("/integrations/" + id + "/deliveries/" + held)
				b.sees(word(l, "Held by a mute until", "ミュートにより保留中。送信予定："))
				b.judgeWhole("mute-holds-"+then+"-"+name, l)

				b.follow("/integrations/" + id)
				pressing(t, l)(b, word(l, "Unmute", "ミュートを解除"))
				b.seesNot(word(l, "Muted until", "までミュート中"))
				made := map[string]bool{}
				for n := range 3 {
					eventually(t, "it is delivered", func() (bool, error) {
						items := found(t, b.p, fmt.Sprintf("event=muted-%d&state=delivered", n)).Items
						for _, d := range items {
							made[d.ID] = true
						}
						return len(items) > 0, nil
					})
				}
				require.Len(t, made, messages)
				got := at.got()[1:]
				require.Len(t, got, messages)
				for _, m := range got {
					for _, says := range []string{"3 events while messages were muted",
						"were held back"} {
						require.Equal(t, then == "digest", strings.Contains(m, says), m)
					}
				}
				b.follow("/integrations/" + id + "/deliveries/" + held)
				b.sees(word(l, "It was held, at the latest until", "遅くとも次の時刻まで保留されていました："))
				b.judgeWhole("mute-held-"+then+"-"+name, l)
			})
		}
	}
}

// TestThePageOfAnEventSaysThatQuietHoursDroppedIt: an incident that a trigger tells of passes them.
func TestThePageOfAnEventSaysThatQuietHoursDroppedIt(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	now := time.Now().UTC()
	require.NoError(t, p.Call("PATCH", "/v1/integrations/"+id, map[string]any{"hold": map[string]any{"then": "drop",
		"quiet": []map[string]any{{"zone": "UTC", "from": now.Add(-time.Hour).Format("15:04"),
			"to": now.Add(2 * time.Hour).Format("15:04")}}}}, nil))
	vulnerabilities(t, p, "dropped", 1)
	cameIn(t, p)
	for name, l := range everyLook() {
		b := open(t, p, l, "/events/dropped-0")
		b.act("settled")
		b.sees(word(l, "it came in quiet hours, and what comes in them is not sent.", "送信を控える時間に届きました。"))
		b.judgeWhole("event-quiet-"+name, l)
		b.follow("/integrations/" + id)
		b.sees(word(l, "Quiet hours", "送信を控える時間"))
	}
	require.Empty(t, at.got())
}
