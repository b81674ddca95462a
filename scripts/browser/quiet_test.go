package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhatCameInQuietHoursArrivesAsOneDigestWhenTheyEnd: the hours are set in the form and end by the clock; then the
// channel gets one message, which says why it came late and of what it tells.
func TestWhatCameInQuietHoursArrivesAsOneDigestWhenTheyEnd(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	b := open(t, p, desk, "/integrations/"+id)
	b.act("settled")
	b.click("Add quiet hours")
	b.fill("Time zone", "UTC")
	b.fill("What comes meanwhile", "digest")
	digest := ""
	for n := 0; digest == ""; n++ { // what comes when they are over already is sent at once: then they end later
		end := time.Now().UTC().Truncate(time.Minute).Add(2 * time.Minute)
		b.fill("From", end.Add(-3*time.Hour).Format("15:04"))
		b.fill("To", end.Format("15:04"))
		b.click("Save")
		eventually(t, "the hours are saved", func() (bool, error) {
			quiet := heldOf(t, p, id).Hold.Quiet
			return len(quiet) == 1 && quiet[0].To == end.Format("15:04"), nil
		})
		b.act("settled")
		before, name := len(at.got()), fmt.Sprint("quiet-", n)
		vulnerabilities(t, p, name, 3)
		made := map[string]bool{}
		for event := range 3 {
			eventuallyIn(t, 4*patience, "the quiet hours end, and it is delivered", func() (bool, error) {
				items := found(t, p, fmt.Sprintf("event=%s-%d&state=delivered", name, event)).Items
				for _, d := range items {
					made[d.ID] = true
				}
				return len(items) > 0, nil
			})
		}
		if _, message := at.last(); len(made) == 1 && strings.Contains(message, "of the quiet hours") {
			require.False(t, at.arrivals(before)[0].Before(end), "nothing came while they lasted")
			require.Len(t, at.got(), before+1)
			for one := range made {
				digest = one
			}
		}
	}
	_, message := at.last()
	var read struct{ Text string }
	require.NoError(t, json.Unmarshal([]byte(message), &read))
	for _, says := range []string{"3 events of the quiet hours",
		"They came during quiet hours, and were held back.", "Kinds: New vulnerability detected (3)",
		"Hosts: shop.example.com (3)", "/integrations/" + id + "/deliveries/" + digest} {
		require.Equal(t, 1, strings.Count(read.Text, says), "%s: %s", says, read.Text)
	}
	for name, l := range everyLook() {
		b := open(t, p, l, "/integrations/"+id+"/deliveries/"+digest)
		b.sees(word(l, "3 events are one message", "3 件のイベントが 1 通のメッセージです"))
		b.sees(word(l, "Arrived", "到着"))
		b.judgeWhole("quiet-sent-"+name, l)
	}
}
