package console_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// arrive puts events on the bus and fans them out.
func (r *rig) arrive(from, count int, at time.Time) {
	r.t.Helper()
	var entries []delivery.Entry
	for n := range count {
		kind, data := "create_user", `{"user":{"name":"Grace","email":"grace@example.com","role":"Analyst"}}`
		if n%2 == 1 {
			kind, data = "vuln",
				`{"object_id":555,"vuln":{"domain":"shop.example.com","id":"V","path":"/","title":"XSS","threat":"High","type":"XSS"}}`
		}
		entries = append(entries, delivery.Entry{DetailType: kind, At: at.Add(time.Duration(n) * time.Second),
			Detail: fmt.Appendf(nil,
				`{"version":1,"id":"arrived-%d","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":%s}`, from+n, data)})
	}
	require.NoError(r.t, r.db.Bus.Put(r.t.Context(), entries))
	fanout := fanout.Fanout{Integrations: r.db.Integrations, Systems: r.config.Systems, Store: r.db.Deliveries,
		Logger: r.config.Log}
	for {
		received, err := r.db.Bus.Receive(r.t.Context(), 100)
		require.NoError(r.t, err)
		if len(received) == 0 {
			return
		}
		_, err = fanout.Process(r.t.Context(), received)
		require.NoError(r.t, err)
	}
}

// countedFrom counts from a time: the events of the test came before the integration was disabled by our clock.
type countedFrom struct {
	*fanout.Recovery
	from time.Time
}

func (c countedFrom) CountMissed(ctx context.Context, i integration.Integration, _ time.Time) (int, bool, error) {
	return c.Recovery.CountMissed(ctx, i, c.from)
}

// lastEvent is what was put on the bus last.
func (r *rig) lastEvent() event.Event {
	r.t.Helper()
	entries, err := r.db.Bus.Receive(r.t.Context(), 100)
	require.NoError(r.t, err)
	last := entries[len(entries)-1]
	e, err := event.Parse(last.DetailType, last.Detail)
	require.NoError(r.t, err)
	return e
}

// TestWhatCameWhileAnIntegrationWasOffIsRecovered is the promise of "what was not delivered can be replayed".
func TestWhatCameWhileAnIntegrationWasOffIsRecovered(t *testing.T) {
	r := start(t)
	events := `"events":[{"event":"system"},{"event":"vuln_high"}]`
	id := r.create(`{"system":"web_hooks","name":"SIEM",` + events +
		`,"parameters":{"url":"https://siem.example.com/"}}`).body["id"].(string)
	began := time.Now().Add(-3 * time.Hour)
	r.arrive(0, 4, began)
	require.Equal(t, 200, r.call("POST", "/v1/integrations/"+id+"/disable", "").status)
	off := began.Add(time.Hour)
	r.arrive(4, 6, off)

	path := "/v1/integrations/" + id + "/recover"
	all := fmt.Sprintf(`{"from":%q`, began.Add(-time.Hour).Format(time.RFC3339))
	dry := r.call("POST", path, all+`,"dry_run":true}`)
	require.Equal(t, 200, dry.status, dry.raw)
	require.EqualValues(t, 6, dry.body["missed"], dry.raw)
	require.EqualValues(t, 0, dry.body["deliveries"])
	require.Equal(t, 3.0, dry.body["kinds"].(map[string]any)["vuln"])
	require.NotContains(t, dry.body, "next_cursor")
	require.Equal(t, 409, r.call("POST", path, all+`}`).status, "not while it is disabled")

	r.config.Integrations.Missed = &countedFrom{r.config.Recovery, began}
	require.Equal(t, 200, r.call("POST", "/v1/integrations/"+id+"/enable", "").status)
	notice := event.Data[event.IntegrationData](r.lastEvent())
	require.Equal(t, 6, *notice.Missed, "the notice of enabling says what was missed")
	require.False(t, notice.MissedMore)
	require.EqualValues(t, 3, r.call("POST", path, all+`,"kinds":["vuln"]}`).body["missed"])
	require.Contains(t, r.woken, delivery.Lane{Tenant: "42", Integration: id})
	made := r.call("POST", path, all+`}`)
	require.EqualValues(t, 3, made.body["missed"], "the others are carried now: %s", made.raw)
	require.EqualValues(t, 1, made.body["deliveries"], "they travel together")
	require.EqualValues(t, 0, r.call("POST", path, all+`}`).body["missed"], "nothing is sent twice")

	sent := map[string]int{}
	deliveries, err := r.db.Deliveries.List(t.Context(), delivery.Query{Tenant: "42", Integration: id, Limit: 100})
	require.NoError(t, err)
	for _, d := range deliveries {
		full, err := r.db.Deliveries.Get(t.Context(), "42", id, d.ID)
		require.NoError(t, err)
		for _, e := range full.Events {
			if e.Kind == "create_user" || e.Kind == "vuln" {
				sent[e.ID]++
			}
		}
	}
	require.Len(t, sent, 10)
	for event, n := range sent {
		require.Equal(t, 1, n, event)
	}
}

func TestANewIntegrationCanHaveThePast(t *testing.T) {
	r := start(t)
	began := time.Now().Add(-3 * time.Hour)
	r.arrive(0, 10, began)
	recover := func(id, more string) map[string]any {
		a := r.call("POST", "/v1/integrations/"+id+"/recover",
			fmt.Sprintf(`{"from":%q%s}`, began.Format(time.RFC3339Nano), more))
		require.Equal(t, 200, a.status, a.raw)
		return a.body
	}
	slack := r.create(`{"system":"slack","events":[{"event":"vuln_high"}],"parameters":{"webhook_url":"` + slackURL +
		`"}}`).body["id"].(string)
	require.EqualValues(t, 5, recover(slack, "")["deliveries"])
	pager := r.create(
		`{"system":"pager_duty","events":[{"event":"vuln_high"}],"parameters":{"integration_key":"0123456789abcdef0123456789abcdef"}}`)
	require.Equal(t, 201, pager.status, pager.raw)
	id := pager.body["id"].(string)
	quiet := recover(id, "")
	require.Equal(t, []any{5.0, 5.0, 0.0}, []any{quiet["missed"], quiet["left_out"], quiet["deliveries"]},
		"nobody is called for what is hours old")
	require.EqualValues(t, 5, recover(id, `,"page":true`)["deliveries"], "unless it is asked for")
}

func TestARangeToRecoverIsChecked(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	for body, field := range map[string]string{
		`{"from":"2999-01-01T00:00:00Z"}`:                             "from",
		`{"from":"2023-01-02T00:00:00Z","to":"2023-01-01T00:00:00Z"}`: "from",
		`{"from":"2023-01-01T00:00:00Z","kinds":["no_such_kind"]}`:    "kinds",
		`{"to":"2023-01-01T00:00:00Z"}`:                               "from",
	} {
		a := r.call("POST", "/v1/integrations/"+id+"/recover", body)
		require.Equal(t, 422, a.status, a.raw)
		require.Contains(t, a.raw, field)
	}
	require.Equal(t, 404, r.call("POST", "/v1/integrations/nobody/recover", `{"from":"2023-01-01T00:00:00Z"}`).status)
	require.Equal(t, 400, r.call("POST", "/v1/integrations/"+id+"/recover",
		`{"from":"2023-01-01T00:00:00Z","cursor":"x"}`).status)
}

func TestWhatWasRecoveredIsFoundFromALaterTimeToo(t *testing.T) {
	r := start(t)
	began := time.Now().Add(-10 * time.Hour)
	r.arrive(0, 2, began)
	r.arrive(2, 2, began.Add(5*time.Hour)) // a quiet tenant: one page of recovery holds hours
	id := r.create(
		`{"system":"web_hooks","events":[{"event":"system"},{"event":"vuln_high"}],"parameters":{"url":"https://siem.example.com/"}}`).body["id"].(string)
	recover := func(from time.Time) map[string]any {
		a := r.call("POST", "/v1/integrations/"+id+"/recover",
			fmt.Sprintf(`{"from":%q}`, from.Format(time.RFC3339Nano)))
		require.Equal(t, 200, a.status, a.raw)
		return a.body
	}
	all := recover(began)
	require.Equal(t, []any{4.0, 2.0}, []any{all["missed"], all["deliveries"]},
		"what came hours apart does not travel together: each delivery has the time of its oldest event")
	require.EqualValues(t, 0, recover(began.Add(4 * time.Hour))["missed"], "nothing is sent twice")
}
