package awslocal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestATriggerFires goes all the way: a trigger made by the API, hits on the bus, its notification at a receiver that is
// subscribed to nothing of the kind, its command on the bus.
func TestATriggerFires(t *testing.T) {
	to := receive(t, always(204))
	r := deploy(t, []*receiver{to}, nil)
	var receiver, made struct{ ID string }
	r.api("POST", "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "Receiver", "events": []any{}, "parameters": map[string]any{"url": to.URL + "/hook"},
	}, &receiver)
	r.api("POST", "/v1/triggers", map[string]any{
		"name": "Burst", "template_id": "hits_exceeded", "threshold": map[string]any{"period": 86400, "count": 20},
		"actions": []any{map[string]any{"id": "send_notification", "params": map[string]any{"integration_ids": []string{receiver.ID}}}},
	}, &made)
	r.publish(20)
	r.eventually("every hit is counted", func() bool {
		depth, err := r.Depth(t.Context(), "EventsQueue")
		require.NoError(t, err)
		return depth == 0
	})
	require.Zero(t, to.events(), "20 are not more than 20")
	r.publish(15)
	r.eventually("it fires", func() bool { return to.events() > 0 })
	r.publish(15)
	var view struct {
		LastFired string `json:"last_fired_at"`
	}
	r.eventually("all are counted", func() bool {
		depth, err := r.Depth(t.Context(), "EventsQueue")
		require.NoError(t, err)
		r.api("GET", "/v1/triggers/"+made.ID, nil, &view)
		return depth == 0 && view.LastFired != ""
	})
	require.Equal(t, 1, to.events(), "once for a window, whatever the workers did side by side")
	body := string(to.requests()[0].body)
	require.Contains(t, body, `"notification_type":"attacks_exceeded"`)
	require.Contains(t, body, "exceeded 20 in 1 day")
	require.False(t, strings.Contains(body, `"reaction"`), "what steers the fan-out is no affair of the receiver's")

	require.Equal(t, 201, r.api("POST", "/v1/triggers", map[string]any{
		"template_id": "user_created", "actions": []any{map[string]any{"id": "send_notification", "params": map[string]any{"integration_ids": []string{receiver.ID}}}},
	}, nil))
	require.Equal(t, 204, r.api("DELETE", "/v1/triggers/"+made.ID, nil, nil))
}
