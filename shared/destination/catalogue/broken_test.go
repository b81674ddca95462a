package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/notification"
)

// refusals are words with which one system or another refuses a message under the status of a success.
var refusals = []string{
	"", "invalid_payload", `{}`, `{"ok":false,"error_code":400,"description":"Bad Request"}`,
	`{"text":"Invalid token","code":4}`,
	"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x",
	`{"error":{"message":"no"}}`, `{"errors":["no"]}`, `{"result":"no"}`, `{"status":"invalid"}`,
	`<Error><Code>InternalError</Code></Error>`,
}

// A system whose Judge can refuse under a 2xx can not know what a broken answer says; for any other the status decides.
func TestH9ASuccessWhoseBodyBreaksOff(t *testing.T) {
	judged := 0
	for _, e := range catalogue.Default().All() {
		if e.System.Class == notification.Mail {
			continue // its answers are replies of a mail server, which are whole or none
		}
		t.Run(e.System.Name, func(t *testing.T) {
			d, _ := catalogue.Default().Destination(e.System.Name)
			reads := false
			for _, words := range refusals {
				reads = reads || !d.Judge(destination.Response{Status: 200, Body: []byte(words)}).Delivered
			}
			v := d.Judge(destination.Response{Status: 200, Body: []byte(`{"`), Broken: true})
			if !reads {
				require.True(t, v.Delivered, v.Reason)
				return
			}
			judged++
			require.False(t, v.Delivered)
			require.Contains(t, v.Reason,
				"the answer broke off before its end: the message may have arrived all the same")
			v = d.Judge(destination.Response{Status: 503, Body: []byte(`{"`), Broken: true})
			require.NotContains(t, v.Reason, "broke off", "a failure is told by its status")
		})
	}
	require.GreaterOrEqual(t, judged, 4, "Splunk, Teams, ServiceNow and Telegram")
}
