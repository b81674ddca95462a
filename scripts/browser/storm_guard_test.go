package browser

import (
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
		b.follow("/integrations/" + id + "/deliveries/" + waiting)
		b.sees(word(l, "they came faster than the storm guard lets messages through",
			"大量送信防止の上限を超える速さで発生しました"))
		b.judgeWhole("storm-"+name, l)
	}
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
