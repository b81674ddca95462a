package simulation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// channel is a Slack channel that notes when each word came.
type channel struct {
	words []string
	began time.Time
	mu    sync.Mutex
	at    map[string]string // the first and the last time by word
}

func (c *channel) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.words {
		if bytes.Contains(q.Body, []byte(w)) {
			c.at[w] += fmt.Sprint(time.Since(c.began).Round(time.Second))
		}
	}
	return destination.Response{Status: http.StatusOK, Body: []byte("ok")}, nil
}

// Nothing else happens in a quiet installation that would have the program look at what waits: the digest of a storm
// and what was grouped or held beside something that went at once came hours late, or after a restart.
func TestAQuietInstallationSendsInTimeWhatWaits(t *testing.T) {
	both := []string{"user-1", "vuln-1"}
	for name, c := range map[string]struct {
		of        integration.Draft
		published []string
		want      map[string]string // when each comes, after the beginning of a minute
	}{
		"a storm guard": {integration.Draft{StormGuard: "2/minute"}, []string{"vuln-1", "vuln-2", "vuln-3", "vuln-4"},
			map[string]string{"vuln-1": "5s", "vuln-2": "5s", "vuln-3": "1m0s", "vuln-4": "1m0s"}},
		"a grouping": {integration.Draft{Grouping: "50/10m", Hold: hold.Rules{Pass: []string{"vuln"}}}, both,
			map[string]string{"vuln-1": "5s", "user-1": "10m0s"}},
		"quiet hours, and each is sent": {integration.Draft{Hold: hold.Rules{Pass: []string{"vuln"},
			Quiet: []hold.Quiet{{From: "00:00", To: "00:30", Zone: "UTC"}}}}, both,
			map[string]string{"vuln-1": "5s", "user-1": "30m0s"}},
		"quiet hours, and a digest": {integration.Draft{Hold: hold.Rules{Pass: []string{"vuln"}, Then: hold.Digest,
			Quiet: []hold.Quiet{{From: "00:00", To: "00:30", Zone: "UTC"}}}}, both,
			map[string]string{"vuln-1": "5s", "user-1": "30m0s"}},
		"quiet hours, one after the other": {integration.Draft{Hold: hold.Rules{Pass: []string{"vuln"},
			Quiet: []hold.Quiet{{From: "00:00", To: "00:30", Zone: "UTC"}, {From: "00:30", To: "01:00", Zone: "UTC"}}}},
			both, map[string]string{"vuln-1": "5s", "user-1": "1h0m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &channel{words: c.published, began: time.Now(), at: map[string]string{}}
				p := start(t, w)
				c.of.System, c.of.Name = "slack", "Ops"
				c.of.Subscriptions = []integration.Subscription{{Event: event.System}, {Event: event.VulnHigh}}
				c.of.Parameters = json.RawMessage(`{"webhook_url":"https://hooks.slack.com/services/T0/B0/x"}`)
				_, err := p.service.Create(t.Context(), activity.Actor{Tenant: "42", ClientName: "Acme"}, c.of)
				require.NoError(t, err)
				time.Sleep(5 * time.Second)
				require.NoError(t, p.db.Bus().Put(t.Context(), entriesOf(c.published)))
				time.Sleep(3 * time.Hour)
				p.stop()
				require.Equal(t, c.want, w.at)
			})
		})
	}
}

// What is held longer by newer rules, when its time comes, is looked at again at the new end.
func TestAQuietInstallationSendsInTimeWhatIsHeldLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &channel{words: []string{"user-1"}, began: time.Now(), at: map[string]string{}}
		p := start(t, w)
		p.db.Deliveries().SetHolder(&fanout.Holder{Integrations: p.db.Integrations(), Systems: catalogue.Default(),
			Now: time.Now})
		quiet := func(to string) hold.Rules {
			return hold.Rules{Quiet: []hold.Quiet{{From: "00:00", To: to, Zone: "UTC"}}}
		}
		by := activity.Actor{Tenant: "42", ClientName: "Acme"}
		i, err := p.service.Create(t.Context(), by, integration.Draft{System: "slack", Name: "Ops",
			Hold: quiet("00:30"), Subscriptions: []integration.Subscription{{Event: event.System}},
			Parameters: json.RawMessage(`{"webhook_url":"https://hooks.slack.com/services/T0/B0/x"}`)})
		require.NoError(t, err)
		require.NoError(t, p.db.Bus().Put(t.Context(), entriesOf(w.words)))
		time.Sleep(10 * time.Minute)
		longer := quiet("02:00")
		_, err = p.service.Update(t.Context(), by, i.ID, 0, integration.Patch{Hold: &longer})
		require.NoError(t, err)
		time.Sleep(3 * time.Hour)
		p.stop()
		require.Equal(t, map[string]string{"user-1": "2h0m0s"}, w.at)
	})
}

// entriesOf are events that tell a person of such names: user-1 is of a user, vuln-1 of a vulnerability.
func entriesOf(names []string) (out []delivery.Entry) {
	for _, name := range names {
		kind, data := event.CreateUser, fmt.Sprintf(`{"user":{"name":%q}}`, name)
		if name[:4] == "vuln" {
			kind, data = event.Vuln, fmt.Sprintf(
				`{"vuln":{"id":"1","title":%q,"threat":"High","domain":"shop.example.com","path":"/"}}`, name)
		}
		out = append(out, delivery.Entry{DetailType: string(kind), At: time.Now(), Detail: fmt.Appendf(nil,
			`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":%q,"data":%s}`, name,
			time.Now().UTC().Format(time.RFC3339), data)})
	}
	return out
}
