package integration_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/integration"
)

func TestS12AnInstanceThatLeadsInsideIsNotSaved(t *testing.T) {
	s, _ := service(t)
	draft := func(instance string) integration.Draft {
		raw, err := json.Marshal(map[string]string{
			"instance": instance, "username": "tocsin", "password": "s3cr3t", "client_id": "c0ffee",
			"client_secret": "s3cr3t-of-client",
		})
		require.NoError(t, err)
		return integration.Draft{
			System: "servicenow", Name: "Incidents", Subscriptions: []integration.Subscription{{Event: event.System}},
			Parameters: raw,
		}
	}
	for _, instance := range []string{
		"http://169.254.169.254", "https://169.254.169.254", "https://127.1", "http://support.example.com",
		"https://localhost", "https://metadata.google.internal",
		"https://support.example.com?", "https://support.example.com#", "https://support.example.com/path",
		"https://a@support.example.com", "acme.service-now.com/..",
	} {
		_, err := s.Create(t.Context(), ada, draft(instance))
		var invalid integration.InvalidError
		require.ErrorAs(t, err, &invalid, instance)
		require.Len(t, invalid, 1)
		require.Equal(t, "parameters.instance", invalid[0].Field, instance)
	}
	for _, instance := range []string{"acme", "https://support.example.com", "https://support.example.com:8443/"} {
		_, err := s.Create(t.Context(), ada, draft(instance))
		require.NoError(t, err, instance)
	}
}
