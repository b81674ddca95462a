package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

func TestWhatIsBeyondTheStormGuardIsOneMessage(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		id := slack(t, p, at, "Ops channel")
		b := open(t, p, l, "/integrations/"+id)
		b.act("settled")
		on := word(l, "Storm guard: one message in place of very many", "大量送信防止：大量のメッセージを 1 通にまとめる")
		count := word(l, "Messages in a minute at most", "1 分あたりのメッセージ数の上限")
		b.act("holds", count, "60")
		guard := func() string {
			var i struct {
				StormGuard string `json:"storm_guard"`
			}
			require.NoError(t, p.Call("GET", "/v1/integrations/"+id, nil, &i))
			return i.StormGuard
		}
		save := func(want string) {
			t.Helper()
			b.click(word(l, "Save", "保存"))
			eventually(t, "it is saved", func() (bool, error) { return guard() == want, nil })
			b.act("settled")
		}
		b.act("tick", on, false)
		save("none")
		b.act("tick", on, true)
		b.fill(count, "1001")
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, "must be a whole number from 1 to 1,000", "1～1,000 の整数で指定してください"))
		b.fill(count, "2")
		save("2/minute")
		b.judgeWhole("storm-guard-"+name, l)
		if left := time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)); left < 25*time.Second {
			time.Sleep(left) // else what is published now may be sent before it is looked at
		}
		vulnerabilities(t, p, "stormy-"+name, 7)
		waiting := twoSentTheOthersWait(t, p, id)
		saysUntilWhen(t, b, l, p, id, waiting)
		b.judgeWhole("storm-"+name, l)
	}
}

// saysUntilWhen looks for why a delivery waits, and until when: the end of a minute. One that was sent while it was
// looked at says neither: then the next storm is looked at.
func saysUntilWhen(t *testing.T, b *tab, l look, p *embedded.Process, id, waiting string) {
	t.Helper()
	pending := func() (due string) {
		for _, d := range stormOf(t, p, id) {
			if d.ID == waiting && d.State == "pending" {
				due = d.Due
			}
		}
		return due
	}
	for n := 0; ; n++ {
		due := pending()
		b.follow("/integrations/" + id + "/deliveries/" + waiting)
		b.sees(word(l, "they came faster than the storm guard lets messages through",
			"大量送信防止の上限を超える速さで発生しました"))
		var shown struct{ Text, At string }
		require.NoError(t, b.eval("waits", &shown))
		if due != "" && pending() == due {
			require.Contains(t, shown.Text, word(l, "Gathers what comes faster than the storm guard lets through until",
				"大量送信防止の上限を超えた分を集めています。終了："))
			require.Equal(t, due, shown.At)
			at, err := time.Parse(time.RFC3339, due)
			require.NoError(t, err)
			require.Equal(t, at.Truncate(time.Minute), at, "the end of a minute")
			return
		}
		vulnerabilities(t, p, fmt.Sprint("again-", l.language, n), 7)
		before := waiting
		eventually(t, "another waits", func() (bool, error) {
			for _, d := range stormOf(t, p, id) {
				if d.ID != before && d.State == "pending" {
					waiting = d.ID
				}
			}
			return waiting != before, nil
		})
	}
}

type stormy struct{ ID, State, Due, Digest string }

// stormOf are the deliveries of the integration that gather what is beyond its storm guard.
func stormOf(t *testing.T, p *embedded.Process, id string) []stormy {
	t.Helper()
	var log struct{ Items []stormy }
	require.NoError(t, p.Call("GET", "/v1/integrations/"+id+"/deliveries", nil, &log))
	return slices.DeleteFunc(log.Items, func(d stormy) bool { return d.Digest != "storm" })
}

// twoSentTheOthersWait is the delivery of the integration that waits for the end of the minute.
func twoSentTheOthersWait(t *testing.T, p *embedded.Process, id string) (waiting string) {
	t.Helper()
	var log struct {
		Items []struct {
			ID, State, Due, Digest string
			Count                  int
		}
	}
	eventually(t, "two are sent, and the others wait for the end of the minute", func() (bool, error) {
		if err := p.Call("GET", "/v1/integrations/"+id+"/deliveries", nil, &log); err != nil {
			return false, err
		}
		sent := 0
		for _, d := range log.Items {
			if d.Digest == "" && d.State == "delivered" {
				sent++
			}
			if d.Digest == "storm" {
				waiting = d.ID
			}
		}
		return sent == 2 && waiting != "", nil
	})
	return waiting
}

// TestTheDigestOfAStormSaysWhyItIsOne: what is beyond the guard is sent at the minute's end, and each event is in one
// message.
func TestTheDigestOfAStormSaysWhyItIsOne(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	require.NoError(t, p.Call("PATCH", "/v1/integrations/"+id, map[string]any{"storm_guard": "2/minute"}, nil))
	vulnerabilities(t, p, "stormy", 9)
	in := map[string]map[string]bool{} // events by delivery
	for n := range 9 {
		name := fmt.Sprint("stormy-", n)
		eventuallyIn(t, 3*patience, "it is delivered", func() (bool, error) {
			items := found(t, p, "event="+name+"&state=delivered").Items
			for _, d := range items {
				if in[d.ID] == nil {
					in[d.ID] = map[string]bool{}
				}
				in[d.ID][name] = true
			}
			return len(items) == 1, nil
		})
	}
	require.Len(t, at.got(), len(in), "a message for each delivery")
	most, events := "", 0
	for d, has := range in {
		if len(has) > events {
			most, events = d, len(has)
		}
	}
	require.Greater(t, events, 2, "a storm")
	says := fmt.Sprintf("%d events of a storm in one message", events)
	storms := slices.DeleteFunc(at.got(), func(m string) bool { return !strings.Contains(m, says) })
	require.Len(t, storms, 1)
	require.Contains(t, storms[0], "Events came faster than the storm guard lets messages through")
	require.Contains(t, storms[0], "/integrations/"+id+"/deliveries/"+most)
	for name, l := range everyLook() {
		b := open(t, p, l, "/integrations/"+id+"/deliveries/"+most)
		b.sees(word(l, fmt.Sprint(events, " events are one message"),
			fmt.Sprint(events, " 件のイベントが 1 通のメッセージです")))
		b.sees(word(l, "they came faster than the storm guard lets messages through",
			"大量送信防止の上限を超える速さで発生しました"))
		b.sees(word(l, "Arrived", "到着"))
		b.judgeWhole("storm-sent-"+name, l)
	}
}
