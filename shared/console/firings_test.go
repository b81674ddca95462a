package console_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/trigger"
)

// hits has so many hits of an address counted, as events of the bus.
func (r *rig) hits(t *testing.T, ip string, from, n int) {
	t.Helper()
	now := r.config.Now().UTC()
	f := fanout.Fanout{Integrations: r.db.Integrations, Systems: r.config.Systems, Store: r.db.Deliveries,
		Logger: r.config.Log, Triggers: &trigger.Evaluator{Store: r.db.Triggers, Now: r.config.Now,
			Log: slog.New(slog.DiscardHandler)}}
	for k := range n {
		detail, err := json.Marshal(map[string]any{"version": 1, "id": fmt.Sprint("hit-", ip, from+k), "tenant": "42",
			"client_name": "Acme", "time": now.Format(time.RFC3339), "data": map[string]any{"hit": map[string]any{
				"type": "sqli", "host": "shop.example.com", "path": "/a", "remote_addr4": ip,
				"payloads": []string{fmt.Sprint("payload ", from+k)}}}})
		require.NoError(t, err)
		_, err = f.Process(t.Context(), []delivery.Entry{{Receipt: fmt.Sprint(time.Now().UnixNano()),
			DetailType: "new_hits", Detail: detail, At: now}})
		require.NoError(t, err)
	}
}

func TestATriggerTellsWhatItCountsAndWhenItFired(t *testing.T) {
	r := start(t)
	self := r.call("POST", "/v1/triggers", `{"name":"Many","template_id":"vector_attack",`+
		`"threshold":{"period":3600,"count":3},"actions":[{"id":"add_to_graylist","params":{"lock_time":3600}}]}`).
		header.Get("Location")
	r.hits(t, "203.0.113.5", 0, 3)
	r.hits(t, "203.0.113.6", 0, 2)
	a := r.call("GET", self+"/count", "")
	require.Equal(t, 200, a.status, a.raw)
	require.EqualValues(t, 2, a.body["total"])
	require.Equal(t, true, a.body["per_source"])
	groups := a.body["groups"].([]any)
	require.Equal(t, "203.0.113.5", groups[0].(map[string]any)["ip"])
	require.EqualValues(t, 3, groups[0].(map[string]any)["count"])
	require.Equal(t, "203.0.113.6", groups[1].(map[string]any)["ip"])
	require.JSONEq(t, `[]`, member(t, r.call("GET", self+"/firings", ""), "items"))

	r.hits(t, "203.0.113.5", 3, 2)
	a = r.call("GET", self+"/firings", "")
	require.Equal(t, 200, a.status, a.raw)
	items := a.body["items"].([]any)
	require.Len(t, items, 1)
	one := items[0].(map[string]any)
	require.Equal(t, "203.0.113.5", one["ip"])
	require.EqualValues(t, 4, one["count"])
	require.Equal(t, "hit-203.0.113.53", one["event_id"])
	reaction := one["reactions"].([]any)[0].(map[string]any)
	require.Equal(t, "add_to_graylist", reaction["action"])
	require.Contains(t, reaction["event_id"], ":add_to_graylist")
	require.Contains(t, member(t, r.call("GET", self+"/count", ""), "groups"), "quiet_until")

	require.Equal(t, 404, r.call("GET", "/v1/triggers/none/firings", "").status)
	require.Equal(t, 404, r.call("GET", "/v1/triggers/none/count", "").status)
	require.Equal(t, 400, r.call("GET", self+"/firings?cursor=eHh4", "").status)
	without := r.call("POST", "/v1/triggers", `{"name":"User","template_id":"user_created","actions":[{"id":`+
		`"send_notification","params":{"integration_ids":["`+r.slack("Ops")+`"]}}]}`).header.Get("Location")
	require.JSONEq(t, `[]`, member(t, r.call("GET", without+"/count", ""), "groups"))
}
