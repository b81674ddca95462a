package browser

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// fallenRow is a delivery that fell back, or came by fallback.
type fallenRow struct {
	ID, State string
	Fallback  struct {
		Delivery string `json:"delivery_id"`
	}
	From struct {
		Delivery string `json:"delivery_id"`
	}
}

func TestWhatDiesGoesToTheFallbackThatTheFormNames(t *testing.T) {
	t.Parallel()
	for name, l := range everyLook() {
		down, up := receive(t), receive(t)
		down.answers(http.StatusServiceUnavailable, "down")
		p := program(t, "-allow", down.Host+","+up.Host)
		on := slack(t, p, down, "On call")
		to := webhook(t, p, up.URL, "Archive")
		b := open(t, p, l, "/integrations/"+on)
		b.act("settled")
		b.fill(word(l, "Fallback: what can not be delivered goes to", "代替先：配信できなかったものの送り先"), to)
		b.judgeWhole("fallback-form-"+name, l)
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		var i struct{ Fallback string }
		require.NoError(t, p.Call("GET", "/v1/integrations/"+on, nil, &i))
		require.Equal(t, to, i.Fallback)
		var refused any
		require.ErrorContains(t, p.Call("PATCH", "/v1/integrations/"+to, map[string]any{"fallback": on}, &refused),
			"422", "it would go round")

		vulnerabilities(t, p, "dies-"+name, 1)
		var rows struct{ Items []fallenRow }
		state := func(id, want string) {
			t.Helper()
			eventually(t, "a delivery is "+want, func() (bool, error) {
				err := p.Call("GET", "/v1/integrations/"+id+"/deliveries", nil, &rows)
				return len(rows.Items) > 0 && rows.Items[0].State == want, err
			})
		}
		state(on, "retrying")
		require.NoError(t, p.Call("POST", "/v1/integrations/"+on+"/disable", nil, nil))
		state(on, "dead")
		dead := rows.Items[0]
		require.NotEmpty(t, dead.Fallback.Delivery)
		var made fallenRow
		eventually(t, "the fallback gets it", func() (bool, error) {
			err := p.Call("GET", "/v1/integrations/"+to+"/deliveries/"+dead.Fallback.Delivery, nil, &made)
			return made.State == "delivered", err
		})
		require.Equal(t, dead.ID, made.From.Delivery)
		bodies := up.got()
		require.Contains(t, bodies[len(bodies)-1], `"fallback":{"integration_id":"`+on+`","integration":"On call"`)

		seesTheFallback(b, l, name, on, to, dead.ID)
	}
}

// seesTheFallback looks at the pages of both deliveries and of both integrations.
func seesTheFallback(b *tab, l look, name, on, to, dead string) {
	b.follow("/integrations/" + on + "/deliveries/" + dead)
	b.sees(word(l, "Its events went to the fallback.", "イベントは代替先に送られました。"))
	b.judgeWhole("fallback-dead-"+name, l)
	b.click(word(l, "Open its delivery", "その配信を開く"))
	b.sees(word(l, "By fallback: it could not be delivered to On call.",
		"代替先として受信：On call に配信できませんでした。"))
	b.judgeWhole("fallback-made-"+name, l)
	b.follow("/log")
	b.sees(word(l, "Went to the fallback", "代替先に送信"))
	b.follow("/integrations/" + to)
	b.sees(word(l, "It is the fallback of:", "次の連携の代替先です："))
	b.click(word(l, "Delete", "削除"))
	b.sees(word(l, "It is the fallback of “On call”", "この連携は「On call」の代替先です"))
	b.judgeWhole("fallback-delete-"+name, l)
}
