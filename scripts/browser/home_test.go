package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// troubled starts a program with one integration that was switched off for its failures, one that works, and one with a
// name from right to left.
func troubled(t *testing.T) (p *embedded.Process, broken string) {
	t.Helper()
	at, gone := receive(t), receive(t)
	gone.answers(http.StatusNotFound, "no_service")
	p = program(t, "-allow", at.Host+","+gone.Host, "-faster", "100000", "-disable-minimum", "5", "-disable-spread",
		"1", "-disable-after", "0s")
	webhook(t, p, at.URL+"/hook", "SOC webhook")
	slack(t, p, at, "قناة العمليات الأمنية")
	broken = slack(t, p, gone, "Channel that is gone, with a name "+strings.Repeat("that goes on ", 5))
	vulnerabilities(t, p, "home", 4)
	eventually(t, "the channel is off", func() (bool, error) {
		var i struct{ Enabled bool }
		err := p.Call("GET", "/v1/integrations/"+broken, nil, &i)
		return !i.Enabled, err
	})
	return p, broken
}

// Home answers within one screen: what is broken, why, since when, what to do.
func TestHomeOpensWithWhatNeedsAPerson(t *testing.T) {
	t.Parallel()
	p, broken := troubled(t)
	for name, l := range everyLook() {
		b := open(t, p, l, "/")
		b.act("settled")
		b.sees(word(l, "1 integration needs you", "対応が必要な連携 1 件"))
		b.sees("404 Not Found")
		b.sees(word(l, "Fix and enable", "直して有効にする"))
		b.sees(word(l, "were not sent", "未送信の配信"))
		b.sees(word(l, "The last 24 hours", "直近 24 時間"))
		var within bool
		require.NoError(t, b.eval("within", &within, ".attention-item .button"))
		require.True(t, within, "%s: the first screen holds what to do", name)
		b.axe()
		b.judge("home-" + name)
		b.picture("home-" + name)
	}
	b := open(t, p, desk, "/")
	b.act("settled")
	b.click("The numbers, by integration and by hour")
	b.sees("By hour")
	b.axe()
	b.judge("home-numbers")
	b.picture("home-numbers")
	b.click("Fix and enable Channel that is gone")
	b.act("at", "/integrations/"+broken)
}

func TestHomeSaysThatNothingNeedsAPerson(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	empty := open(t, p, desk, "/")
	empty.act("settled")
	empty.seesNot("The last 24 hours")
	empty.sees("Add Slack integration")
	empty.sees("First steps")
	empty.picture("home-empty")
	slack(t, p, at, "Ops channel")
	vulnerabilities(t, p, "fine", 3)
	eventually(t, "they arrived", func() (bool, error) { return len(at.got()) >= 1, nil })
	b := open(t, p, desk, "/")
	b.act("settled")
	b.sees("Nothing needs you.")
	b.seesNot("First steps")
	b.picture("home-healthy")
}

// What is spared because it asked for it is told before anybody wonders where their events are.
func TestHomeTellsOfASystemThatAskedToBeSentLess(t *testing.T) {
	t.Parallel()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(busy.Close)
	p := program(t, "-allow", strings.TrimPrefix(busy.URL, "http://"))
	webhook(t, p, busy.URL+"/hook", "SOC webhook")
	vulnerabilities(t, p, "spared", 3)
	eventually(t, "it is held", func() (bool, error) {
		var o struct{ Attention []struct{ Cause string } }
		err := p.Call("GET", "/v1/overview", nil, &o)
		return len(o.Attention) == 1 && o.Attention[0].Cause == "held", err
	})
	for name, l := range everyLook() {
		b := open(t, p, l, "/")
		b.act("settled")
		b.sees(word(l, "Slowed down", "送信を抑制中"))
		require.Regexp(t, word(l, `in ([89]|10) minutes`, `([89]|10) 分後`), b.text())
		b.axe()
		b.judge("held-" + name)
		b.picture("held-" + name)
	}
}

// The state of the list is in the address, and a list that is read again leaves the reader where they are.
func TestTheStateOfHomeIsInItsAddress(t *testing.T) {
	t.Parallel()
	p, _ := troubled(t)
	b := open(t, p, desk, "/?tab=disabled&order=state")
	b.act("settled")
	b.sees("Channel that is gone")
	b.seesNot("SOC webhook")
	b.fill("Order", "name")
	b.act("at", "/?tab=disabled&order=name")
	b.click("All 3")
	b.act("at", "/?order=name")
	b.fill("Search by system or name", "SOC")
	b.act("at", "/?order=name&q=SOC")
	b.click("Failing 0")
	b.sees("Nothing matches.")
}

// crowd adds so many integrations, one in ten of them disabled.
func crowd(t *testing.T, p *embedded.Process, at *receiver, n int) {
	t.Helper()
	for k := range n {
		require.NoError(t, p.Call("POST", "/v1/integrations", map[string]any{
			"system": "slack", "name": fmt.Sprintf("Channel %03d", k), "enabled": k%10 != 0,
			"events":     events("vuln_high", "system"),
			"parameters": map[string]any{"webhook_url": at.URL + "/services/T0/B0/x"},
		}, nil))
	}
}

// TestHomeHoldsFourHundredIntegrations: the first view is bound by its bytes; the times depend on the machine, and are
// reported.
func TestHomeHoldsFourHundredIntegrations(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	crowd(t, p, at, 400)
	b := open(t, p, desk, "/rejected")
	b.act("settled")
	weight := b.weigh()
	b.do(network.ClearBrowserCache(), line(40*time.Millisecond, 1.5e6/8))
	began := time.Now()
	b.do(chromedp.Navigate(p.URL + "/"))
	b.act("settled")
	took := time.Since(began)
	require.Greater(t, weight(), 20_000.0, "it was measured")
	require.Less(t, weight(), float64(weightOfFirstView))
	t.Logf("with 400 integrations: %.0f bytes, shown after %s at 1.5 Mbit/s and a round trip of 40 ms", weight(), took)
	b.do(line(0, -1))
	b.sees("Show 376 more")
	for _, change := range []string{"tab=disabled", "order=name", "q=channel+399", "order=traffic&tab=enabled"} {
		var ms float64
		require.NoError(t, b.eval("paints", &ms, "/?"+change))
		t.Logf("%s is drawn after %.0f ms", change, ms)
	}
	b.act("at", "/?order=traffic&tab=enabled")
	b.axe()
	b.judge("home-400")
	b.picture("home-400")
}

// Of many that need a person Home shows a few, and leads to the list of all.
func TestHomeIsBoundedWhereManyIntegrationsFail(t *testing.T) {
	t.Parallel()
	gone := receive(t)
	gone.answers(http.StatusNotFound, "no_service")
	p := program(t, "-allow", gone.Host, "-faster", "100000", "-disable-minimum", "5", "-disable-spread", "1",
		"-disable-after", "0s")
	const failing = 30
	for n := range failing {
		slack(t, p, gone, fmt.Sprintf("Channel %03d", n))
	}
	vulnerabilities(t, p, "many", 1)
	eventually(t, "all are off", func() (bool, error) {
		var o struct {
			Count int `json:"attention_count"`
		}
		err := p.Call("GET", "/v1/overview", nil, &o)
		return o.Count == failing, err
	})
	for name, l := range everyLook() {
		b := open(t, p, l, "/")
		b.act("settled")
		b.sees(word(l, "30 integrations need you", "対応が必要な連携 30 件"))
		b.sees(word(l, "and 26 more", "ほか 26 件"))
		b.click(word(l, "Show the first 20", "最初の 20 件を表示"))
		b.sees(word(l, "and 10 more", "ほか 10 件"))
		b.judgeWhole("home-many-"+name, l)
		b.click(word(l, "and 10 more", "ほか 10 件"))
		b.act("at", "/?tab=attention")
		b.sees(word(l, "Need you 30", "要対応 30"))
		b.sees(word(l, "Show 6 more", "さらに 6 件"))
	}
}

// line makes the network one of that latency and of so many bytes a second; -1 = as it is.
func line(latency time.Duration, bytes float64) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		return cdp.Execute(ctx, "Network.emulateNetworkConditions", map[string]any{"offline": false,
			"latency": latency.Milliseconds(), "downloadThroughput": bytes, "uploadThroughput": bytes}, nil)
	})
}

// weigh adds up what comes over the wire from now on, in bytes.
func (b *tab) weigh() func() float64 {
	var mu sync.Mutex
	sum := 0.0
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*network.EventLoadingFinished); ok {
			mu.Lock()
			defer mu.Unlock()
			sum += e.EncodedDataLength
		}
	})
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return sum
	}
}
