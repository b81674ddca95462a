package independent_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
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
	system := c.Destination.System()
	for _, n := range append(destinationtest.Notifications(system), destinationtest.Findings(system)...) {
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
		require.NotEmpty(t, e.DedupKey)
		if e.Action == "resolve" { // PagerDuty asks for no payload then
			require.Nil(t, e.Payload)
			return
		}
		require.Equal(t, "trigger", e.Action)
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
		if strings.HasSuffix(strings.SplitN(r.URL, "?", 2)[0], "/close") {
			closing(t, r)
			return
		}
		var a alert.CreateAlertRequest
		strict(t, r, &a)
		require.NoError(t, a.Validate())
		require.NotEmpty(t, a.Alias)
		require.Contains(t, []alert.Priority{alert.P1, alert.P2, alert.P3, alert.P4, alert.P5}, a.Priority)
		require.NotEmpty(t, a.Details["notification_type"])
	},
}

// closing holds a request that closes an alert against that of Opsgenie's library for the same alias.
func closing(t *testing.T, r destination.Request) {
	t.Helper()
	u, err := url.Parse(r.URL)
	require.NoError(t, err)
	alias := strings.TrimSuffix(strings.TrimPrefix(u.Path, "/v2/alerts/"), "/close")
	c := alert.CloseAlertRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias}
	strict(t, r, &c)
	require.NoError(t, c.Validate())
	require.NotEmpty(t, c.Note)
	require.Equal(t, c.Method(), r.Method)
	require.Equal(t, c.ResourcePath(), u.Path)
	for name, value := range c.RequestParams() {
		require.Equal(t, value, u.Query().Get(name))
	}
	require.Len(t, u.Query(), len(c.RequestParams()))
}

func TestOpsgenie(t *testing.T) { every(t, opsGenie) }

func FuzzOpsgenie(f *testing.F) { destinationtest.Fuzz(f, opsGenie) }
