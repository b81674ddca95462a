package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAGroupingIsSetAndItsEventsWaitForOneMessage(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		id := slack(t, p, at, "Ops channel")
		b := open(t, p, l, "/integrations/"+id)
		b.act("settled")
		b.act("tick", word(l, "One message for the events of several minutes",
			"数分間のイベントを 1 通のメッセージにまとめる"), true)
		minutes := word(l, "Minutes of one message", "1 通にまとめる分数")
		b.fill(minutes, "61")
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, "must be 2 to 1,000 events, and 1 to 60 minutes", "イベントは 2～1,000 件、時間は 1～60 分で指定してください"))
		b.fill(minutes, "10")
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		var i struct{ Grouping string }
		require.NoError(t, p.Call("GET", "/v1/integrations/"+id, nil, &i))
		require.Equal(t, "50/10m", i.Grouping)
		if left := time.Until(time.Now().Truncate(10 * time.Minute).Add(10 * time.Minute)); left < 20*time.Second {
			time.Sleep(left) // else what is published now may be sent before it is looked at
		}
		vulnerabilities(t, p, "grouped-"+name, 3)
		var waiting struct {
			Items []struct {
				ID, State, Due, Digest string
			}
		}
		eventually(t, "the events wait for the end of their minutes", func() (bool, error) {
			err := p.Call("GET", "/v1/integrations/"+id+"/deliveries", nil, &waiting)
			return len(waiting.Items) > 0, err
		})
		for _, d := range waiting.Items {
			require.Equal(t, "pending", d.State)
			require.NotEmpty(t, d.Due)
			require.Equal(t, "group", d.Digest)
		}
		b.follow("/integrations/" + id + "/deliveries/" + waiting.Items[0].ID)
		b.sees(word(l, "3 events are one message", "3 件のイベントが 1 通のメッセージです"))
		b.sees(word(l, "Gathers events for one message, as the integration groups them, until",
			"連携の設定に従って 1 通にまとめるため、イベントを集めています。終了："))
		b.judgeWhole("digest-"+name, l)
		b.follow("/")
		b.follow("/integrations/" + id)
		b.act("holds", minutes, "10")
		b.judgeWhole("grouping-"+name, l)
	}
}

func TestAGroupIsOneMessageWithTheCountOfItsEvents(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	b := open(t, p, desk, "/integrations/"+id)
	b.act("settled")
	b.act("tick", "One message for the events of several minutes", true)
	b.fill("Minutes of one message", "1")
	b.click("Save")
	b.sees("Saved.")
	group := ""
	for n := 0; group == ""; n++ { // those that came in two minutes are two messages: then come others
		before, name := len(at.got()), fmt.Sprint("counted-", n)
		vulnerabilities(t, p, name, 3)
		made := map[string]bool{}
		for event := range 3 {
			eventuallyIn(t, 2*patience, "the minute of a group ends", func() (bool, error) {
				items := found(t, p, fmt.Sprintf("event=%s-%d&state=delivered", name, event)).Items
				for _, d := range items {
					made[d.ID] = true
					group = d.ID
				}
				return len(items) > 0, nil
			})
		}
		require.Len(t, at.got(), before+len(made), "a message for each group")
		if len(made) > 1 {
			group = ""
		}
	}
	_, message := at.last()
	require.Contains(t, message, "3 events in one message")
	require.Contains(t, message, "New vulnerability detected (3)")
	for name, l := range everyLook() {
		b := open(t, p, l, "/integrations/"+id+"/deliveries/"+group)
		b.sees(word(l, "3 events are one message", "3 件のイベントが 1 通のメッセージです"))
		b.sees(word(l, "Arrived", "到着"))
		b.judgeWhole("group-sent-"+name, l)
	}
}
