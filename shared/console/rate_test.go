package console_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

func TestARateIsCheckedKeptAndTakenAway(t *testing.T) {
	r := start(t)
	body := func(rate string) string {
		return `{"system":"slack","name":"Ops","rate":"` + rate + `","parameters":{"webhook_url":"` + slackURL + `"}}`
	}
	for _, bad := range []string{"10", "0/minute", "1001/second", "1/hour", "x", "10/minute "} {
		a := r.call("POST", "/v1/integrations", body(bad))
		require.Equal(t, 422, a.status, bad)
		requireWorded(t, a.body)
		require.Contains(t, a.raw, `"field":"rate"`, bad)
	}
	made := r.create(body("10/minute"))
	require.Equal(t, "10/minute", made.body["rate"])
	at := "/v1/integrations/" + made.body["id"].(string)
	require.Equal(t, "10/minute", r.call("PATCH", at, `{"name":"Other"}`).body["rate"], "as it was")
	require.Equal(t, 422, r.call("PATCH", at, `{"rate":"fast"}`).status)
	require.Equal(t, "5/second", r.call("PATCH", at, `{"rate":"5/second"}`).body["rate"])
	require.NotContains(t, r.call("PATCH", at, `{"rate":""}`).body, "rate")
	require.NotContains(t, r.call("GET", at, "").body, "rate")
}

// counted is what an engine says that waits.
type counted integration.Waiting

func (c counted) CountWaiting(context.Context, string, string, int) (integration.Waiting, error) {
	return integration.Waiting(c), nil
}

func (c counted) CountWaitingOf(_ context.Context, _ string, ids []string, _ int) ([]integration.Waiting, error) {
	return slices.Repeat([]integration.Waiting{integration.Waiting(c)}, len(ids)), nil
}

func (c counted) CountDead(context.Context, string, string, time.Time, int) (int, error) {
	return 0, nil
}

func TestTheBacklogOfARateSaysWhenItIsSent(t *testing.T) {
	r := start(t)
	r.config.Integrations.Backlog = r.db.Deliveries
	id := r.slack("Ops")
	at := "/v1/integrations/" + id
	var waiting []delivery.Delivery
	for _, name := range []string{"a", "b", "c"} {
		e := event.Event{ID: name, Tenant: "42", Kind: event.CreateUser, Data: []byte(`{}`), Time: r.config.Now()}
		waiting = append(waiting, delivery.Delivery{ID: delivery.DerivedID(r.config.Now(), []byte(name)), Tenant: "42",
			Integration: id, State: delivery.Pending, CreatedAt: r.config.Now(), Count: 1, Events: []event.Event{e}})
	}
	require.NoError(t, r.db.Deliveries.Accept(t.Context(), fanout.Intake{Deliveries: waiting}))
	require.NotContains(t, r.call("GET", at, "").body, "backlog", "without a rate")
	require.Equal(t, 200, r.call("PATCH", at, `{"rate":"10/minute"}`).status)
	backlog := r.call("GET", at, "").body["backlog"].(map[string]any)
	require.EqualValues(t, 3, backlog["waiting"])
	require.NotContains(t, backlog, "waiting_more")
	done, err := time.Parse(time.RFC3339, backlog["done_at"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, r.config.Now().Add(18*time.Second), done, time.Second)
	gathers := waiting[0]
	gathers.ID, gathers.Due = delivery.DerivedID(r.config.Now(), []byte("d")), r.config.Now().Add(time.Hour)
	require.NoError(t, r.db.Deliveries.Accept(t.Context(), fanout.Intake{Deliveries: []delivery.Delivery{gathers}}))
	require.EqualValues(t, 3, r.call("GET", at, "").body["backlog"].(map[string]any)["waiting"],
		"what gathers does not wait for its turn")

	late := waiting[0]
	late.State, late.Failures, late.Due = delivery.Retrying, 1, r.config.Now().Add(time.Hour)
	late.Attempts = []delivery.Attempt{{At: r.config.Now(), Status: 503}}
	require.NoError(t, r.db.Deliveries.Settle(t.Context(), []delivery.Delivery{late}))
	require.NotContains(t, r.call("GET", at, "").body, "backlog", "a retry waits for its cycle, not for the rate")
	late.State, late.Due = delivery.Delivered, time.Time{}
	require.NoError(t, r.db.Deliveries.Settle(t.Context(), []delivery.Delivery{late}))
	require.EqualValues(t, 2, r.call("GET", at, "").body["backlog"].(map[string]any)["waiting"])

	r.config.Integrations.Backlog = counted{Count: 3, Floor: true}
	require.NotContains(t, r.call("GET", at, "").body, "backlog", "what waits for its first request is not counted")
	r.config.Integrations.Backlog = r.db.Deliveries
	require.Equal(t, 200, r.call("POST", at+"/disable", "").status)
	require.NotContains(t, r.call("GET", at, "").body, "backlog", "nothing is sent")
}
