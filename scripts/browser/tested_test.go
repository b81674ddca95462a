package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// slow is a receiver that answers when it is told to.
func slow(t *testing.T) (host string, answer func()) {
	t.Helper()
	goOn := make(chan struct{}, 100)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that the caller has gone
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return strings.TrimPrefix(s.URL, "http://"), func() { goOn <- struct{}{} }
}

func TestR4EachStepOfATestIsSeenWhileItRunsAndTheResultStandsBesideTheButtons(t *testing.T) {
	t.Parallel()
	host, answer := slow(t)
	for name, l := range everyLook() {
		b := open(t, program(t, "-allow", host), l, "/add/web_hooks")
		b.fill(word(l, "Webhook URL", "Webhook URL"), "http://"+host+"/hook")
		b.act("focusOn", word(l, "Test integration", "連携をテスト"))
		b.do(chromedp.KeyEvent(kb.Enter))
		b.sees(word(l, "Connected", "接続しました"))
		b.sees(word(l, "Sent", "送信しました"))
		b.seesNot(word(l, "Answered", "応答がありました"))
		b.act("inSight", ".tested")
		require.Contains(t, b.hasFocus(), word(l, "Test integration", "連携をテスト"), "the focus stays")
		b.picture("test-steps-running-" + name)
		for range 5 { // the messages of a test
			answer()
		}
		b.sees(word(l, "test messages arrived.", "件が届きました"))
		b.act("inSight", ".tested")
		require.Regexp(t, word(l, `account answered 200`, `account \d+`), squeezed(b.text()))
		b.judgeWhole("test-steps-"+name, l)
		b.fill(word(l, "Webhook URL", "Webhook URL"), "http://"+host+"/other")
		b.seesNot(word(l, "test messages arrived.", "件が届きました"))
	}
}

func TestR4ATestThatIsUnderWayEndsWhenWhatItTestsIsChanged(t *testing.T) {
	t.Parallel()
	host, _ := slow(t)
	b := open(t, program(t, "-allow", host), desk, "/add/web_hooks")
	b.fill("Webhook URL", "http://"+host+"/hook")
	b.click("Test integration")
	b.sees("Sending test messages")
	b.fill("Webhook URL", "http://"+host+"/other")
	b.seesNot("Sending test messages")
	b.seesNot("Something went wrong")
}
