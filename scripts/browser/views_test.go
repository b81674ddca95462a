package browser

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// weightOfFirstView is the most that the Console's first view may load, as it comes over the wire, in bytes.
const weightOfFirstView = 150 << 10

// shiftLimit is Google's bound for a good cumulative layout shift.
const shiftLimit = 0.1

// admitted are the addresses that the program of these tests says its requests come from.
const admitted = "198.51.100.7@eu-west-1,198.51.100.8@eu-west-1,203.0.113.9@eu-central-1/spare"

// furnished starts a program with something in every view, and returns the paths of the views.
func furnished(t *testing.T) (*embedded.Process, map[string]string) {
	t.Helper()
	at, broken := receive(t), receive(t)
	broken.answers(http.StatusNotFound, "no_service")
	p := program(t, "-allow", at.Host+","+broken.Host, "-faster", "100000", "-disable-minimum", "5", "-disable-spread",
		"1", "-disable-after", "0s", "-client-name", "Acme", "-egress-addresses", admitted)
	ops := slack(t, p, at, "Ops channel")
	hook := webhook(t, p, at.URL+"/hook", "SOC webhook with a name that is rather long for a narrow card")
	night := slack(t, p, at, "Night channel")
	failing := slack(t, p, broken, "Channel that is gone")
	mails := add(t, p, map[string]any{"system": "email", "name": "Weekly mail",
		"events":     events("system", "report_weekly"),
		"parameters": map[string]any{"addresses": []string{"first@example.com"}}})
	require.NoError(t, p.Call("POST", "/v1/integrations/"+night+"/disable", nil, nil))
	require.NoError(t, p.Call("POST", "/v1/integrations/"+mails+"/test", nil, nil))
	vulnerabilities(t, p, "shown", 4)
	require.NoError(t, p.Call("POST", "/v1/tokens", map[string]any{"name": "Terraform", "kind": "shared",
		"role": "administrator"}, nil))
	bad, err := embedded.EventFile("../../events/unknown_kind.json")
	require.NoError(t, err)
	require.NoError(t, p.Publish(bad...))
	require.NoError(t, p.Call("POST", "/v1/reports",
		map[string]any{"period": map[string]any{"frequency": "monthly", "from": time.Now().Format(time.DateOnly)},
			"recipients": []string{"ada@example.com"}}, nil))
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/triggers", trigger("SQLi burst", ops), &made))
	var dead struct{ Items []struct{ ID string } }
	eventually(t, "the failing channel is off and its deliveries are dead", func() (bool, error) {
		err := p.Call("GET", "/v1/integrations/"+failing+"/deliveries?state=dead", nil, &dead)
		return len(dead.Items) > 0, err
	})
	eventually(t, "the report is ready", func() (bool, error) {
		var list struct{ Items []struct{ State string } }
		err := p.Call("GET", "/v1/reports", nil, &list)
		return len(list.Items) == 1 && list.Items[0].State == "ready", err
	})
	var sent struct{ Events []struct{ ID string } }
	require.NoError(t, p.Call("GET", "/v1/integrations/"+failing+"/deliveries/"+dead.Items[0].ID, nil, &sent))
	event := sent.Events[0].ID
	return p, map[string]string{
		"integrations": "/", "add": "/add", "form-slack": "/add/slack", "form-webhook": "/add/web_hooks",
		"form-s3":     "/add/s3",
		"integration": "/integrations/" + ops, "integration-off": "/integrations/" + failing,
		"deliveries": "/integrations/" + hook + "/deliveries", "deliveries-off": "/integrations/" + failing +
			"/deliveries",
		"delivery-dead": "/integrations/" + failing + "/deliveries/" + dead.Items[0].ID,
		"log":           "/log", "event": "/events/" + event,
		"triggers": "/triggers", "trigger": "/triggers/" + made.ID, "trigger-add": "/triggers/add",
		"trigger-form": "/triggers/add/hits_exceeded",
		"reports":      "/reports", "profile": "/profile", "mail-log": "/mail-log", "rejected": "/rejected",
		"addresses": "/addresses", "gone": "/integrations/01X", "tokens": "/tokens", "activity": "/activity",
	}
}

// judge runs axe-core on what is shown.
func (b *tab) judge(where string) {
	b.t.Helper()
	var wrong []string
	if err := b.eval("judged", &wrong); err != nil {
		b.t.Fatalf("%s: %v", where, err)
	}
	if len(wrong) > 0 {
		b.picture("failed-" + where)
		b.t.Errorf("%s: axe-core finds:\n%s", where, strings.Join(wrong, "\n\n"))
	}
	var over []string
	if err := b.eval("overflow", &over); err != nil {
		b.t.Fatalf("%s: %v", where, err)
	}
	if len(over) > 0 {
		b.picture("failed-" + where)
		b.t.Errorf("%s: wider than the screen:\n%s", where, strings.Join(over, "\n"))
	}
}

// axe puts axe-core into the page; the page's own policy would refuse a script element.
func (b *tab) axe() {
	b.t.Helper()
	source, err := os.ReadFile(axeFile)
	require.NoError(b.t, err)
	b.do(chromedp.Evaluate(string(source)+"; true", nil))
}

func TestEveryViewIsForEverybody(t *testing.T) {
	t.Parallel()
	p, views := furnished(t)
	for _, language := range []string{"en", "ja"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			l := look{language: language, theme: "light", width: 1920, height: 1080}
			b := open(t, p, l, "/")
			b.expect("404") // the views of what is not there
			b.act("settled")
			for name, path := range views {
				l.width, l.height, l.theme, l.mobile = 1920, 1080, "light", false
				b.set(l)
				b.do(chromedp.Navigate(p.URL + path))
				b.act("settled")
				var shift float64
				require.NoError(t, b.eval("shift", &shift))
				require.Less(t, shift, shiftLimit, "the layout of %s jumps", name)
				b.axe()
				for _, width := range []int64{1920, 640, 360} { // 640 is 1280 at 200 %
					for _, theme := range []string{"light", "dark"} {
						l.width, l.theme, l.mobile = width, theme, width == 360
						b.set(l)
						where := fmt.Sprintf("%s-%s-%s-%d", name, language, theme, width)
						b.judge(where)
						if (language == "ja") == (theme == "dark") {
							b.picture(where)
						}
					}
				}
			}
		})
	}
}

// TestEveryViewSaysWhenItIsEmptyReadOrBroken holds the API's answers back, then lets them fail, then lets the view try
// again.
func TestEveryViewSaysWhenItIsEmptyReadOrBroken(t *testing.T) {
	t.Parallel()
	p := program(t)
	b := open(t, p, desk, "/")
	b.act("settled")
	b.expect("500")
	held := b.hold()
	for path, empty := range map[string]string{
		"/": "Add Slack integration", "/add": "Webhook", "/add/slack": "Webhook URL",
		"/integrations/01X": "does not exist",
		"/triggers":         "Graylist", "/triggers/add": "Number of hits", "/triggers/add/hits_exceeded": "Threshold",
		"/reports": "No report yet.", "/profile": "admin@example.com", "/mail-log": "No mail yet.",
		"/rejected": "Every event could be processed.", "/addresses": "No addresses are listed",
		"/tokens": "No API tokens", "/activity?action=delete": "No entry matches.",
	} {
		b.expect("404")
		held.as(true, false)
		b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(p.URL+path))
		b.act("there", ".skeletons[role=status]")
		b.axe()
		b.judge("loading " + path)
		held.as(false, true)
		b.act("there", ".notice.bad[role=alert]")
		b.sees("an accident of the test (request 01REQUEST)")
		b.judge("broken " + path)
		held.as(false, false)
		b.act("pressAll", "Try again")
		b.sees(empty)
		b.seesNot("an accident of the test")
		b.judge("empty " + path)
	}
}

// M3: who has to admit our addresses finds them on the form, and from every page.
func TestM3TheAddressesToAdmitAreWhereTheyAreNeeded(t *testing.T) {
	t.Parallel()
	p := program(t, "-egress-addresses", admitted)
	b := open(t, p, desk, "/")
	b.act("settled")
	b.act("click", "Addresses to admit")
	b.sees("203.0.113.9")
	b.sees("eu-central-1")
	b.sees("Admit it before that.")
	for system, there := range map[string]bool{"splunk": true, "web_hooks": true, "s3": true, "slack": false,
		"email": false} {
		b.do(chromedp.Navigate(p.URL + "/add/" + system))
		b.act("settled")
		if there {
			b.sees("198.51.100.8")
			b.sees("203.0.113.9")
		} else {
			b.seesNot("198.51.100.8")
		}
	}
	none := open(t, program(t), desk, "/add/splunk")
	none.act("settled")
	none.sees("This installation lists no addresses that its requests come from.")
}

// holding keeps requests to the API back, or fails them.
type holding struct {
	b *tab

	mu         sync.Mutex
	hold, fail bool
	waiting    []fetch.RequestID
}

func (b *tab) hold() *holding {
	b.t.Helper()
	h := &holding{b: b}
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*fetch.EventRequestPaused); ok {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.hold {
				h.waiting = append(h.waiting, e.RequestID)
			} else {
				go h.answer(e.RequestID, h.fail)
			}
		}
	})
	b.do(fetch.Enable().WithPatterns([]*fetch.RequestPattern{{URLPattern: b.p.URL + "/v1/*"}}))
	return h
}

func (h *holding) as(hold, fail bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold, h.fail = hold, fail
	if !hold {
		for _, id := range h.waiting {
			go h.answer(id, fail)
		}
		h.waiting = nil
	}
}

// answer fails only with the page that asked: it may have gone.
func (h *holding) answer(id fetch.RequestID, fail bool) {
	ctx, cancel := context.WithTimeout(h.b.ctx, time.Minute)
	defer cancel()
	if !fail {
		_ = chromedp.Run(ctx, fetch.ContinueRequest(id))
		return
	}
	body := base64.StdEncoding.EncodeToString(
		[]byte(`{"status":500,"detail":"an accident of the test","request_id":"01REQUEST"}`))
	_ = chromedp.Run(ctx, fetch.FulfillRequest(id,
		500).WithBody(body).WithResponseHeaders(
		[]*fetch.HeaderEntry{{Name: "Content-Type", Value: "application/problem+json"}}))
}

func TestH15WhatTurnsAReadersEyeIsNotShown(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	require.NoError(t, p.Call("POST", "/v1/triggers", trigger("burst\u202egnp.exe", id), nil))
	b := open(t, p, desk, "/triggers")
	b.sees("burstgnp.exe")
	require.NotRegexp(t, "[\u200e\u200f\u202a-\u202e\u2066-\u2069]", b.text())
}

func TestTheFirstViewIsLight(t *testing.T) {
	t.Parallel()
	p := program(t)
	l := desk
	l.language = "ja"
	b := open(t, p, l, "/rejected")
	b.act("settled")
	weight := b.weigh()
	b.do(network.ClearBrowserCache(), chromedp.Navigate(p.URL+"/"))
	b.act("settled")
	sum := weight()
	require.Greater(t, sum, 20_000.0, "it was measured")
	require.Less(t, sum, float64(weightOfFirstView))
	t.Logf("the first view weighs %.0f bytes over the wire, headers and the API's answers included", sum)
}
