package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// held is an integration as the API shows when what is sent to it waits.
type held struct {
	Hold struct {
		Quiet []struct {
			Days           []string
			From, To, Zone string
		}
		Then string
		Pass []string
	}
	Muted *struct {
		Until  time.Time
		Reason string
	}
}

func heldOf(t *testing.T, p interface {
	Call(method, path string, body, into any) error
}, id string) (out held) {
	t.Helper()
	require.NoError(t, p.Call("GET", "/v1/integrations/"+id, nil, &out))
	return out
}

func TestQuietHoursAreSetAndAnIntegrationIsMutedForTwoHours(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		id := slack(t, p, at, "Ops channel")
		press := pressing(t, l)
		b := open(t, p, l, "/integrations/"+id)
		b.act("settled")
		press(b, word(l, "Add quiet hours", "送信を控える時間を追加"))
		b.act("tick", word(l, "Sat", "土"), false)
		b.act("tick", word(l, "Sun", "日"), false)
		b.fill(word(l, "To", "終了"), "")
		press(b, word(l, "Save", "保存"))
		b.sees(word(l, "Enter when they begin and when they end.", "始まりと終わりの時刻を入力してください。"))
		b.fill(word(l, "To", "終了"), "06:30")
		b.fill(word(l, "Time zone", "タイムゾーン"), "Mars")
		b.expect("422")
		press(b, word(l, "Save", "保存"))
		b.sees(word(l, "must be a time zone such as Europe/Berlin", "Europe/Berlin のようなタイムゾーン"))
		b.fill(word(l, "Time zone", "タイムゾーン"), "Europe/Berlin")
		b.sees(word(l, "They end on the day after.", "翌日に終わります。"))
		b.fill(word(l, "What comes meanwhile", "その間に届くもの"), "digest")
		press(b, word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		b.judgeWhole("hold-"+name, l)
		is := heldOf(t, p, id)
		require.Len(t, is.Hold.Quiet, 1)
		require.Equal(t, []string{"mon", "tue", "wed", "thu", "fri"}, is.Hold.Quiet[0].Days)
		require.Equal(t, "22:00-06:30 Europe/Berlin", is.Hold.Quiet[0].From+"-"+is.Hold.Quiet[0].To+" "+
			is.Hold.Quiet[0].Zone)
		require.Equal(t, "digest", is.Hold.Then)
		require.Nil(t, is.Hold.Pass)

		press(b, word(l, "Mute", "ミュートする"))
		b.sees(word(l, "Mute “Ops channel”?", "「Ops channel」をミュートしますか？"))
		press(b, word(l, "Mute", "ミュートする"))
		b.sees(word(l, "Fill this in.", "入力してください"))
		b.fill(word(l, "Hours from now on", "今からの時間数"), "2")
		b.fill(word(l, "Reason", "理由"), "database migration")
		b.judgeWhole("mute-"+name, l)
		press(b, word(l, "Mute", "ミュートする"))
		b.sees(word(l, "Muted until", "までミュート中"))
		b.sees("database migration")
		b.judgeWhole("muted-"+name, l)
		is = heldOf(t, p, id)
		require.Equal(t, "database migration", is.Muted.Reason)
		require.WithinDuration(t, time.Now().Add(2*time.Hour), is.Muted.Until, time.Minute)
		require.Len(t, is.Hold.Quiet, 1, "a mute leaves the quiet hours")
		b.follow("/")
		b.sees(word(l, "Muted until", "までミュート中")) // the badge of its card
		b.judgeWhole("muted-card-"+name, l)
		b.follow("/integrations/" + id)
		press(b, word(l, "Unmute", "ミュートを解除"))
		b.seesNot(word(l, "Muted until", "までミュート中"))
		require.Nil(t, heldOf(t, p, id).Muted)
	}
}

func TestSeveralIntegrationsAreMutedAtOnce(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		ids := []string{webhook(t, p, at.URL+"/first", "First hook"), webhook(t, p, at.URL+"/second", "Second hook")}
		press := pressing(t, l)
		b := open(t, p, l, "/")
		b.act("settled")
		press(b, word(l, "Several at once", "一括操作"))
		b.act("tick", word(l, "All 2 shown", "表示中の 2 件すべて"), true)
		b.act("pick", word(l, "Mute", "ミュートする"))
		press(b, word(l, "See what will be done", "実行内容を確認"))
		b.sees(word(l, "Fill this in.", "入力してください"))
		b.fill(word(l, "Reason", "理由"), "migration")
		b.judgeWhole("bulk-mute-"+name, l)
		press(b, word(l, "See what will be done", "実行内容を確認"))
		b.sees(word(l, "2 integrations will be muted.", "2 件の連携をミュートします。"))
		press(b, word(l, "Mute", "ミュートする"))
		b.sees(word(l, "Done: 2. Failed: 0.", "完了：2 件"))
		for _, id := range ids {
			require.Equal(t, "migration", heldOf(t, p, id).Muted.Reason)
		}
		press(b, word(l, "Close", "閉じる"))
		b.sees(word(l, "Muted until", "までミュート中"))
	}
}

func TestTheAccountHasQuietHours(t *testing.T) {
	t.Parallel()
	p := program(t)
	for name, l := range everyLook() {
		require.NoError(t, p.Call("PUT", "/v1/report-settings", map[string]any{"time_zone": "UTC",
			"hold": map[string]any{}}, nil))
		press := pressing(t, l)
		b := open(t, p, l, "/reports")
		b.act("settled")
		press(b, word(l, "Add quiet hours", "送信を控える時間を追加"))
		b.sees(word(l, "Quiet hours 1", "送信を控える時間 1"))
		b.judgeWhole("hold-account-"+name, l)
		b.act("clickIn", ".account-hold", word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		var is struct {
			Hold struct{ Quiet []struct{ From string } }
		}
		require.NoError(t, p.Call("GET", "/v1/report-settings", nil, &is))
		require.Equal(t, "22:00", is.Hold.Quiet[0].From)
	}
}

func TestAnAdministratorChoosesHowLongEventsAreKept(t *testing.T) {
	t.Parallel()
	p := program(t)
	for name, l := range everyLook() {
		require.NoError(t, p.Call("PUT", "/v1/report-settings", map[string]any{"time_zone": "UTC",
			"retention": map[string]any{"events": 0, "deliveries": 0}}, nil))
		b := open(t, p, l, "/reports")
		b.act("settled")
		b.act("fill", word(l, "Events, which hold all that is sent of them", "イベント（送信内容のすべてを含む）"), "14")
		b.act("fill", word(l, "Deliveries, with what systems answered", "配信（システムの応答を含む）"), "7")
		b.sees(word(l, "What is older goes for good", "これより古いものは完全に削除されます"))
		b.judgeWhole("retention-"+name, l)
		b.act("clickIn", ".account-retention", word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		var is struct {
			Retention struct{ Events, Deliveries int }
		}
		require.NoError(t, p.Call("GET", "/v1/report-settings", nil, &is))
		require.Equal(t, 14, is.Retention.Events)
		require.Equal(t, 7, is.Retention.Deliveries)
	}
}

func TestHomeTellsWhatIsHeldApartFromWhatWaits(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/mute",
		map[string]any{"hours": 2, "reason": "migration"}, nil))
	for n := range 3 {
		vulnerabilities(t, p, fmt.Sprintf("held-%d", n), 1)
	}
	eventually(t, "three are held", func() (bool, error) {
		var i struct {
			Held int
		}
		err := p.Call("GET", "/v1/integrations/"+id, nil, &i)
		return i.Held == 3, err
	})
	var o struct {
		Waiting, Held int
	}
	require.NoError(t, p.Call("GET", "/v1/overview", nil, &o))
	require.Zero(t, o.Waiting)
	require.Equal(t, 3, o.Held)
	for name, l := range everyLook() {
		b := open(t, p, l, "/")
		b.act("settled")
		b.sees(word(l, "3 held, the first until ", "保留中の配信 3 件（送信は "))
		b.sees(word(l, "Nothing needs you", "対応が必要なものはありません"))
		b.click(word(l, "The numbers, by integration and by hour", "連携別・時間別の数値"))
		b.judgeWhole("held-home-"+name, l)
		b.follow("/integrations/" + id)
		b.sees(word(l, "3 held, the first until ", "保留中の配信 3 件（送信は "))
		b.judgeWhole("held-"+name, l)
	}
}

// cameIn waits until the program has taken an event.
func cameIn(t *testing.T, p *embedded.Process) {
	t.Helper()
	eventually(t, "it came in", func() (bool, error) {
		var o struct{ Events int }
		err := p.Call("GET", "/v1/overview", nil, &o)
		return o.Events > 0, err
	})
}

func TestThePageOfAnEventSaysThatAMuteDroppedIt(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/mute",
		map[string]any{"hours": 2, "reason": "migration", "then": "drop"}, nil))
	vulnerabilities(t, p, "dropped", 1)
	cameIn(t, p)
	for name, l := range everyLook() {
		b := open(t, p, l, "/events/dropped-0")
		b.act("settled")
		b.sees(word(l, "it came while the integration was muted", "ミュート中に届きました"))
		b.judgeWhole("event-muted-"+name, l)
	}
}
