package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// hand is a person who has a keyboard alone, or a finger alone.
type hand struct {
	*tab
	touch bool
}

// hands are one of each: one in each language.
func hands() map[string]look { return map[string]look{"keyboard": desk, "touch": phone("ja")} }

// press uses a control; a name that ends in "…" is the beginning of one.
func (h hand) press(name string) {
	h.t.Helper()
	if h.touch {
		h.tap(strings.TrimSuffix(name, "…"))
		return
	}
	h.tabTo(name)
	h.key(kb.Enter)
}

// write goes to a field, types, and ends with Enter.
func (h hand) write(field, value string) {
	h.t.Helper()
	if h.touch {
		h.tap(field)
	} else {
		h.tabTo(field)
	}
	h.do(chromedp.KeyEvent(value))
	h.key(kb.Enter)
}

// tabTo presses Tab until a control has the focus, which must be seen.
func (h hand) tabTo(name string) {
	h.t.Helper()
	var at string
	for range 150 {
		h.key(kb.Tab)
		require.NoError(h.t, h.eval("focused", &at))
		_, called, _ := strings.Cut(at, " ")
		begin, ok := strings.CutSuffix(name, "…")
		if called == name || ok && strings.HasPrefix(called, begin) {
			var seen bool
			require.NoError(h.t, h.eval("seesFocus", &seen))
			require.True(h.t, seen, "the focus is seen on %s", name)
			return
		}
	}
	h.picture("failed-" + h.t.Name())
	h.t.Fatalf("Tab never reaches %q; last it was at %q", name, at)
}

// gone starts a program that disabled a channel whose webhook is gone, and returns where a new one would be.
func gone(t *testing.T) (p *embedded.Process, broken string, mended *receiver) {
	t.Helper()
	bad, mended := receive(t), receive(t)
	bad.answers(http.StatusNotFound, "no_service")
	p = program(t, "-allow", bad.Host+","+mended.Host, "-faster", "100000", "-disable-minimum", "5",
		"-disable-spread", "1", "-disable-after", "0s")
	broken = slack(t, p, bad, "Channel that is gone")
	vulnerabilities(t, p, "night", 3)
	eventually(t, "the channel is off, and all is dead", func() (bool, error) {
		var i struct{ Enabled bool }
		err := p.Call("GET", "/v1/integrations/"+broken, nil, &i)
		return !i.Enabled && len(found(t, p, "state=dead").Items) == 3, err
	})
	return p, broken, mended
}

// Who is called at night goes from Home to the cause, mends it, and has sent what was not.
func TestWhatIsBrokenIsMendedByKeyboardAloneAndByTouch(t *testing.T) {
	t.Parallel()
	for name, l := range hands() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, broken, mended := gone(t)
			h := hand{open(t, p, l, "/"), l.mobile}
			h.act("settled")
			h.press(word(l, "Fix and enable Channel that is gone", "Channel that is gone を直して有効にする"))
			h.act("at", "/integrations/"+broken)
			h.act("settled")
			h.press(word(l, "Replace", "置き換える"))
			h.act("hasFocus", "input")
			h.do(chromedp.KeyEvent(mended.URL + "/services/T0/B0/new"))
			h.press(word(l, "Enable", "有効にする"))
			h.press(word(l, "Save and enable", "保存して有効にする"))
			eventually(t, "it is on", func() (bool, error) {
				var i struct{ Enabled bool }
				err := p.Call("GET", "/v1/integrations/"+broken, nil, &i)
				return i.Enabled, err
			})
			h.seesNot(word(l, "Disabled automatically", "自動的に停止されました"))
			h.act("settled")
			h.seesNot(word(l, "The receiver is gone.", "送信先がなくなっています")) // that was said of the old address
			h.press(word(l, "Deliveries", "配信"))
			h.act("rows", 3)
			h.press(word(l, "Replay a range", "範囲を再送"))
			h.sees(word(l, "Replay deliveries", "配信の再送")) // the rows have buttons of the same name
			h.press(word(l, "Replay", "再送"))
			h.sees(word(l, "3 deliveries are sent again.", "3 件を再送します。"))
			h.press(word(l, "Close", "閉じる"))
			eventually(t, "what was not sent has arrived", func() (bool, error) { return len(mended.got()) >= 3, nil })
			h.axe()
			h.judge("night-" + name)
		})
	}
}

func TestAnEventIsFoundByKeyboardAloneAndByTouch(t *testing.T) {
	t.Parallel()
	for name, l := range hands() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _, _ := gone(t)
			h := hand{open(t, p, l, "/"), l.mobile}
			h.act("settled")
			if l.mobile {
				h.tab.touch(".sections")
			}
			h.press(word(l, "Delivery log", "配信ログ"))
			h.act("at", "/log")
			h.act("rows", 3)
			h.write(word(l, "Event id or delivery id", "イベント ID または配信 ID"), "night-1")
			h.act("at", "/log?event=night-1")
			h.act("rows", 1)
			h.press(word(l, "The whole event", "イベントの全体を見る"))
			h.act("at", "/events/night-1")
			h.sees("night-1")
			h.press("Channel that is gone")
			h.sees("404 Not Found")
			h.axe()
			h.judge("found-" + name)
		})
	}
}

func TestATriggerIsAddedByKeyboardAloneAndByTouch(t *testing.T) {
	t.Parallel()
	for name, l := range hands() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := receive(t)
			p := program(t, "-allow", at.Host)
			id := slack(t, p, at, "Ops channel")
			h := hand{open(t, p, l, "/triggers"), l.mobile}
			h.act("settled")
			h.press(word(l, "Add trigger", "トリガーを追加"))
			h.act("at", "/triggers/add")
			h.press(word(l, "Number of hits…", "ヒットの数…"))
			h.act("at", "/triggers/add/hits_exceeded")
			h.act("settled")
			if h.touch {
				h.tap("Ops channel")
			} else {
				h.tabTo("Ops channel…")
				h.key(" ")
			}
			h.act("ticked", "Ops channel", "yes")
			h.press(word(l, "Preview", "プレビュー"))
			h.sees(word(l, "What it would send", "送信される内容"))
			h.press(word(l, "Add trigger", "トリガーを追加"))
			h.sees(word(l, "Added.", "監視を開始しました。"))
			var list struct{ Items []struct{ Actions []any } }
			require.NoError(t, p.Call("GET", "/v1/triggers?q="+url.QueryEscape(word(l, "New", "新しい")), nil, &list))
			require.Len(t, list.Items, 1)
			require.Contains(t, fmt.Sprint(list.Items[0].Actions), id)
			h.axe()
			h.judge("trigger-added-" + name)
		})
	}
}
