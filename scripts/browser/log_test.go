package browser

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
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

// logged are the deliveries that the API finds.
type logged struct {
	Items []struct {
		ID    string
		Kinds []string
	}
}

// found asks the API for the deliveries that a filter finds.
func found(t *testing.T, p *embedded.Process, filter string) (page logged) {
	t.Helper()
	require.NoError(t, p.Call("GET", "/v1/deliveries?limit=1000&"+filter, nil, &page))
	return page
}

// twoReceivers starts a program that delivered two events to one integration and not to another.
func twoReceivers(t *testing.T) (p *embedded.Process, gone string) {
	t.Helper()
	at, bad := receive(t), receive(t)
	bad.answers(http.StatusNotFound, "nothing is here")
	p = program(t, "-allow", at.Host+","+bad.Host, "-faster", "100000")
	webhook(t, p, at.URL+"/hook", "SOC webhook")
	gone = webhook(t, p, bad.URL+"/gone", "Archive")
	vulnerabilities(t, p, "filtered", 2)
	eventually(t, "two are delivered, and two dead", func() (bool, error) {
		return len(found(t, p, "state=delivered").Items) == 2 && len(found(t, p, "state=dead").Items) == 2, nil
	})
	return p, gone
}

// Each filter is in the address, finds what it should, and the CSV has just that.
func TestEachFilterOfTheLogFindsWhatItSaysAndSoDoesTheCSV(t *testing.T) {
	t.Parallel()
	p, gone := twoReceivers(t)
	one := found(t, p, "state=dead").Items[0]
	b := open(t, p, desk, "/log")
	for _, f := range []struct {
		field, value string
		name, asked  string // in the address
		rows         int
	}{
		{"Integration", gone, "integration", gone, 2},
		{"Kind of event", one.Kinds[0], "kind", one.Kinds[0], 4},
		{"Kind of event", "delete_user", "kind", "delete_user", 0},
		{"State", "dead", "state", "dead", 2},
		{"Status answered", "4xx", "status", "4xx", 2},
		{"Status answered", "none", "status", "none", 0},
		{"Text in the event", "REFLECTED xss", "text", "REFLECTED xss", 4},
		{"Text in the event", "no such words", "text", "no such words", 0},
		{"From", "2040-01-01T00:00", "from", "2040-01-01T00:00:00+00:00", 0},
		{"To", "2040-01-01T00:00", "to", "2040-01-01T00:00:00+00:00", 4},
		{"Event id or delivery id", one.ID, "delivery", one.ID, 1},
	} {
		b.follow("/log")
		b.act("rows", 4)
		b.act("there", "option[value='"+gone+"']")
		b.fill(f.field, f.value)
		b.act("at", "/log?"+url.Values{f.name: {f.asked}}.Encode())
		b.act("rows", f.rows)
		if f.rows == 0 {
			b.sees("No delivery matches.")
		}
	}
	b.follow("/log?state=dead&integration=" + gone)
	b.act("rows", 2)
	b.press("Save as CSV")
	var text string
	require.NoError(t, b.eval("saved", &text))
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 3)
	require.Equal(t, "delivery", lines[0][1])
	require.Equal(t, []string{"Archive", "dead", "404"}, []string{lines[1][3], lines[1][5], lines[1][10]})
}

// A range of one integration's list is in its address with its zone, so that it is the same for whoever opens it.
func TestTheRangeOfAListHasItsZoneInTheAddress(t *testing.T) {
	t.Parallel()
	p, gone := twoReceivers(t)
	at := "/integrations/" + gone + "/deliveries"
	b := open(t, p, desk, at)
	b.act("rows", 2)
	b.fill("To (", "2040-01-01T09:00")
	b.act("at", at+"?to="+url.QueryEscape("2040-01-01T09:00:00+00:00"))
	b.act("rows", 2)
	b.follow(at + "?from=" + url.QueryEscape("2040-01-01T09:00:00+09:00"))
	b.act("holds", "From (", "2040-01-01T00:00")
	b.sees("No delivery matches.")
	b.click("Show all")
	b.act("rows", 2)
}

// What has arrived is sent again only when the person says so.
func TestADeliveredOneIsSentAgainOnlyOnceItWasAsked(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	vulnerabilities(t, p, "twice", 1)
	eventually(t, "it has arrived", func() (bool, error) { return len(at.got()) == 1, nil })
	for name, l := range everyLook() {
		before := len(at.got())
		b := open(t, p, l, "/integrations/"+id+"/deliveries")
		b.act("rows", 1)
		b.act("leaves", false)
		pressing(t, l)(b, word(l, "Replay", "再送"))
		b.act("wasAsked", 1)
		require.Len(t, at.got(), before, "it was not sent")
		b.act("leaves", true)
		pressing(t, l)(b, word(l, "Replay", "再送"))
		b.act("wasAsked", 2)
		b.sees(word(l, "Sent again", "再送しました"))
		eventually(t, "it is sent again", func() (bool, error) { return len(at.got()) == before+1, nil })
		b.axe()
		b.judge("replayed-" + name)
	}
}
