package independent_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/PagerDuty/go-pagerduty"
	"github.com/opsgenie/opsgenie-go-sdk-v2/alert"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/opsgenie"
	ourpagerduty "tocsin/shared/destination/pagerduty"
)

// strict decodes a body into the vendor's own type and refuses what that does not know.
func strict(t *testing.T, r destination.Request, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(destinationtest.Plain(r)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(into))
	require.False(t, dec.More())
}

// every encodes a notification of each kind, and the test set.
func every(t *testing.T, c destinationtest.Case) {
	for _, n := range destinationtest.Notifications(c.Destination.System()) {
		name := string(n.Event.Kind)
		if n.Test {
			name = "test " + name
		}
		t.Run(name, func(t *testing.T) {
			for _, r := range destinationtest.Encode(t, c, n) {
				c.Check(t, r)
			}
		})
	}
}

const routingKey = "0123456789abcdef0123456789abcdef"

var pagerDuty = destinationtest.Case{
	Destination: ourpagerduty.New(), Parameters: `{"integration_key":"` + routingKey + `"}`,
	Check: func(t *testing.T, r destination.Request) {
		var e pagerduty.V2Event
		strict(t, r, &e)
		require.Equal(t, routingKey, e.RoutingKey)
		require.Equal(t, "trigger", e.Action)
		require.NotEmpty(t, e.DedupKey)
		require.NotNil(t, e.Payload)
		require.NotEmpty(t, e.Payload.Summary)
		require.NotEmpty(t, e.Payload.Source)
		require.Contains(t, []string{"critical", "error", "warning", "info"}, e.Payload.Severity)
		require.NotEmpty(t, e.Payload.Timestamp)
		require.IsType(t, map[string]any{}, e.Payload.Details)
	},
}

func TestPagerDuty(t *testing.T) { every(t, pagerDuty) }

func FuzzPagerDuty(f *testing.F) { destinationtest.Fuzz(f, pagerDuty) }

var opsGenie = destinationtest.Case{
	Destination: opsgenie.New(), Parameters: `{"token":"eb243592-faa2-4ba2-a551-1afdf565c889"}`,
	Check: func(t *testing.T, r destination.Request) {
		var a alert.CreateAlertRequest
		strict(t, r, &a)
		require.NoError(t, a.Validate())
		require.NotEmpty(t, a.Alias)
		require.Contains(t, []alert.Priority{alert.P1, alert.P2, alert.P3, alert.P4, alert.P5}, a.Priority)
		require.NotEmpty(t, a.Details["notification_type"])
	},
}

func TestOpsgenie(t *testing.T) { every(t, opsGenie) }

func FuzzOpsgenie(f *testing.F) { destinationtest.Fuzz(f, opsGenie) }
