//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"
)

// TestATriggerFires goes all the way: a trigger made by the API, hits on the bus, its notification at a receiver that
// is subscribed to nothing of the kind, its command on the bus.
func TestATriggerFires(t *testing.T) {
	to := receive(t, always(204))
	r := deploy(t, []*receiver{to}, nil)
	var receiver, made struct{ ID string }
	r.api("POST", "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "Receiver", "events": []any{},
		"parameters": map[string]any{"url": to.URL + "/hook"},
	}, &receiver)
	r.api("POST", "/v1/triggers", map[string]any{
		"name": "Burst", "template_id": "hits_exceeded", "threshold": map[string]any{"period": 86400, "count": 20},
		"actions": []any{map[string]any{"id": "send_notification",
			"params": map[string]any{"integration_ids": []string{receiver.ID}}}},
	}, &made)
	r.publish(20)
	r.eventually("every hit is counted", r.counted)
	require.Zero(t, to.events(), "20 are not more than 20")
	r.publish(15)
	r.eventually("it fires", func() bool { return to.events() > 0 })
	r.publish(15)
	var view struct {
		LastFired string `json:"last_fired_at"`
	}
	r.eventually("all are counted", func() bool {
		done := r.counted()
		r.api("GET", "/v1/triggers/"+made.ID, nil, &view)
		return done && view.LastFired != ""
	})
	require.Equal(t, 1, to.events(), "once for a window, whatever the workers did side by side")
	body := string(to.requests()[0].body)
	require.Contains(t, body, `"notification_type":"attacks_exceeded"`)
	require.Contains(t, body, "exceeded 20 in 1 day")
	require.False(t, strings.Contains(body, `"reaction"`), "what steers the fan-out is no affair of the receiver's")

	require.Equal(t, 201, r.api("POST", "/v1/triggers", map[string]any{
		"template_id": "user_created",
		"actions": []any{map[string]any{"id": "send_notification",
			"params": map[string]any{"integration_ids": []string{receiver.ID}}}},
	}, nil))
	require.Equal(t, 204, r.api("DELETE", "/v1/triggers/"+made.ID, nil, nil))
}

// TestP2ACommandIsCarriedOut goes all the way: a trigger that denylists, hits on the bus, its command in the list, at a
// webhook that subscribes to commands, and acknowledged by the id that the webhook got.
func TestP2ACommandIsCarriedOut(t *testing.T) {
	to := receive(t, always(204))
	r := deploy(t, []*receiver{to}, nil)
	r.api("POST", "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "Edge", "events": []map[string]any{{"event": "commands"}},
		"parameters": map[string]any{"url": to.URL + "/hook"},
	}, &struct{}{})
	var made struct{ ID string }
	r.api("POST", "/v1/triggers", map[string]any{
		"name": "Payloads", "template_id": "vector_attack", "threshold": map[string]any{"period": 86400, "count": 3},
		"actions": []any{map[string]any{"id": "block_ips", "params": map[string]any{"lock_time": 3600}}},
	}, &made)
	var entries []types.PutEventsRequestEntry
	for n := range 6 {
		entries = append(entries, r.entry("new_hits", fmt.Sprintf(
			`{"version":1,"id":"p%d","tenant":"42","time":"2026-03-01T12:00:0%dZ","data":{"hit":{"type":"sqli","remote_addr4":"203.0.113.7","payloads":["payload %d"]}}}`, n, n, n)))
	}
	r.put(entries)
	r.eventually("the webhook gets the command, and that of a trigger of a new account",
		func() bool { return to.events() == 2 })
	type notification struct {
		Details struct {
			Type    string `json:"notification_type"`
			Command string `json:"command_id"`
			IP      string
			Lock    int `json:"lock_time"`
		}
	}
	var sent []notification
	for _, q := range to.requests() {
		var some []notification
		require.NoError(t, json.Unmarshal(q.body, &some))
		sent = append(sent, some...)
	}
	sent = slices.DeleteFunc(sent, func(n notification) bool { return n.Details.Type != "ip_denylist_requested" })
	require.Len(t, sent, 1)
	require.Equal(t, "203.0.113.7", sent[0].Details.IP)
	require.Equal(t, 3600, sent[0].Details.Lock)
	var page struct {
		Items []struct {
			ID, State string
			By        string `json:"acknowledged_by"`
		}
	}
	r.api("GET", "/v1/commands?state=pending&trigger="+made.ID, nil, &page)
	require.Len(t, page.Items, 1)
	require.Equal(t, sent[0].Details.Command, page.Items[0].ID)
	for range 2 {
		require.Equal(t, 200, r.api("POST", "/v1/commands/"+page.Items[0].ID+"/ack", nil, nil))
	}
	r.api("GET", "/v1/commands?state=acknowledged", nil, &page)
	require.Len(t, page.Items, 1)
	require.Equal(t, "ada@example.com", page.Items[0].By)
	require.Equal(t, 404, r.as("43", "administrator", "POST", "/v1/commands/"+page.Items[0].ID+"/ack", nil, nil))
}
