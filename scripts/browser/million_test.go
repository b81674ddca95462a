//go:build million

package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// Of the log that TestTheLogOfAMillion makes.
const (
	millionReceivers = 8
	millionEvents    = 125_000 // to each receiver, one delivery an event
)

// TestTheLogOfAMillion reports how long a person waits for the log of a million deliveries. It is behind a build tag
// because it takes some minutes; its times depend on the machine, and are in docs/delivery-log.md.
func TestTheLogOfAMillion(t *testing.T) {
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(at.Close)
	p := program(t, "-allow", strings.TrimPrefix(at.URL, "http://"))
	var hook string
	for n := range millionReceivers {
		hook = webhook(t, p, fmt.Sprintf("%s/%d", at.URL, n), fmt.Sprintf("Receiver %d", n))
	}
	millionDeliveries(t, p)
	b := open(t, p, desk, "/rejected")
	b.act("settled")
	var first float64
	require.NoError(t, b.eval("shows", &first, "/log", "tbody tr", 50)) // what comes after the load itself
	for _, v := range []struct {
		what, path, of string
		count          int
	}{
		{"the newest 50", "/log", "tbody tr", 50},
		{"50 of one integration", "/log?integration=" + hook, "tbody tr", 50},
		{"50 delivered ones", "/log?state=delivered", "tbody tr", 50},
		{"those of an event", "/log?event=million-700-5", "tbody tr", millionReceivers},
		{"50 on the page of an integration", "/integrations/" + hook + "/deliveries", "tbody tr", 50},
		{"an event with its deliveries", "/events/million-700-5", "a[href*='/deliveries/']", millionReceivers},
		{"Home", "/", ".card", millionReceivers + 1}, // and that of one's own notifications
	} {
		var away, shown float64
		times := make([]float64, 5)
		for n := range times {
			require.NoError(t, b.eval("paints", &away, "/rejected"))
			b.act("settled")
			require.NoError(t, b.eval("shows", &shown, v.path, v.of, v.count), v.what)
			times[n] = shown
		}
		slices.Sort(times)
		require.NoError(t, b.eval("paints", &away, "/rejected"))
		b.act("settled")
		var answers float64
		require.NoError(t, b.eval("paints", &answers, v.path))
		t.Logf("%-35s answers after %3.0f ms, shown after %4.0f ms (%.0f to %.0f)", v.what, answers,
			times[len(times)/2], times[0], times[len(times)-1])
	}
}

// millionDeliveries publishes the events, and waits until all are delivered.
func millionDeliveries(t *testing.T, p *embedded.Process) {
	t.Helper()
	began := time.Now()
	const batch = 10
	for n := 0; n < millionEvents; n += batch {
		vulnerabilities(t, p, fmt.Sprintf("million-%d", n/batch), batch)
		if n%10_000 == 0 {
			t.Logf("%d of %d deliveries published after %s", n*millionReceivers, millionEvents*millionReceivers,
				time.Since(began).Round(time.Second))
		}
	}
	require.Eventually(t, func() bool {
		var o struct{ Delivered int }
		require.NoError(t, p.Call("GET", "/v1/overview", nil, &o))
		return o.Delivered >= millionReceivers*millionEvents
	}, 10*time.Minute, time.Second, "all are delivered")
	t.Logf("a million deliveries after %s", time.Since(began).Round(time.Second))
}
