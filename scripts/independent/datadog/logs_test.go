package datadog_test

import (
	"encoding/json"
	"testing"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/datadog"
	"tocsin/shared/destination/destinationtest"
)

// beside are the attributes that are ours, or that Datadog's intake reads and its library has no member for.
var beside = []string{"status", "timestamp", "event_time", "summary", "description", "details"}

var suite = destinationtest.Case{
	Destination: datadog.New(), Parameters: `{"token":"0123456789abcdef0123456789abcdef"}`,
	Check: func(t *testing.T, r destination.Request) {
		var items []datadogV2.HTTPLogItem
		require.NoError(t, json.Unmarshal(destinationtest.Plain(r), &items))
		require.NotEmpty(t, items)
		for _, item := range items {
			require.Nil(t, item.UnparsedObject, "Datadog's library could not read the log")
			require.NotEmpty(t, item.GetMessage())
			require.Equal(t, "platform_cloud", item.GetDdsource())
			require.Equal(t, "Platform", item.GetHostname())
			require.Equal(t, "Platform API Security", item.GetService())
			require.NotEmpty(t, item.GetDdtags())
			for name := range item.AdditionalProperties {
				require.Contains(t, beside, name)
			}
			require.NotEmpty(t, item.AdditionalProperties["details"])
		}
	},
}

func TestDatadog(t *testing.T) {
	for _, n := range destinationtest.Notifications(suite.Destination.System()) {
		t.Run(string(n.Event.Kind), func(t *testing.T) {
			for _, r := range destinationtest.Encode(t, suite, n) {
				suite.Check(t, r)
			}
		})
	}
}

func FuzzDatadog(f *testing.F) { destinationtest.Fuzz(f, suite) }
