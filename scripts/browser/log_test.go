package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestAnEventIsFoundInOneLog finds an event, goes to every delivery of it and back, and finds the rows and the place
// again.
func TestAnEventIsFoundInOneLog(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	webhook(t, p, at.URL+"/first", "SOC webhook")
	webhook(t, p, at.URL+"/second", "Archive")
	for n := range 8 {
		vulnerabilities(t, p, fmt.Sprintf("found-%d", n), 8)
	}
	eventually(t, "all is delivered", func() (bool, error) {
		var page struct{ Items []struct{ State string } }
		err := p.Call("GET", "/v1/deliveries?state=delivered&limit=1000", nil, &page)
		return len(page.Items) == 128, err
	})
	for _, l := range []look{desk, {language: "ja", theme: "dark", width: 390, height: 844, mobile: true}} {
		b := open(t, p, l, "/log")
		b.act("settled")
		b.axe()
		b.judge("log-" + l.language)
		b.picture("log-" + l.language)
		b.do(chromedp.Navigate(p.URL + "/events/found-7-1"))
		b.sees("found-7-1")
		b.sees("Archive")
		b.axe()
		b.judge("event-" + l.language)
		b.picture("event-" + l.language)
	}
	b := open(t, p, desk, "/log")
	b.sees("SOC webhook")
	rows := func(n int) { t.Helper(); b.act("rows", n) }
	rows(50)
	b.click("Show more")
	rows(100)
	b.do(chromedp.Evaluate(`scrollTo(0, 900)`, nil), chromedp.Sleep(200*time.Millisecond))
	b.do(chromedp.Evaluate(`document.querySelectorAll("table.log tbody tr td a")[40].click()`, nil))
	b.sees("Attempts")
	b.do(chromedp.NavigateBack())
	rows(100)
	eventually(t, "the place is found again", func() (bool, error) {
		var y float64
		b.do(chromedp.Evaluate(`scrollY`, &y))
		return y > 800, nil
	})
	b.do(chromedp.Evaluate(`scrollTo(0, 0)`, nil))
	vulnerabilities(t, p, "late", 2)
	b.sees("4 new: show them")
	rows(100)
	b.click("4 new: show them")
	b.fill("Event id or delivery id", "found-7-1")
	b.act("at", "/log?event=found-7-1")
	rows(2)
	b.click("The whole event")
	b.sees("Every delivery of it")
	b.do(chromedp.NavigateBack())
	rows(2)
	require.Contains(t, b.address(), "event=found-7-1")
}
