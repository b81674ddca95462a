package sending_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

func TestADeploymentThatLacksItsPartCountsAgainstNobody(t *testing.T) {
	now := time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)
	known, _, ok := catalogue.Default().Lookup("telegram") // without a bot
	require.True(t, ok)
	full, err := known.Parameters.Complete(json.RawMessage(`{}`))
	require.NoError(t, err)
	opened, err := known.Parameters.Open(full)
	require.NoError(t, err)
	var log bytes.Buffer
	c := &sending.Sender{Destinations: catalogue.Default(), Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(&log, nil))}
	i := integration.Integration{ID: "i", Tenant: "42", System: "telegram", Revision: 1}
	target, err := c.Open(t.Context(), fixed{known, opened}, i)
	require.NoError(t, err)
	for kind, says := range map[event.Kind]string{
		event.NewHits: "this deployment has no Telegram bot",
		event.Report:  "this deployment makes no reports",
	} {
		failing := delivery.Delivery{ID: "01GTD8R4000000000000000001", Tenant: "42",
			Integration: "i", State: delivery.Pending, Events: []event.Event{{ID: "e", Tenant: "42", Kind: kind,
				Time: now, Data: json.RawMessage(`{}`)}}}
		sent, err := c.Send(t.Context(), target, failing)
		require.NoError(t, err)
		_, err = c.Send(t.Context(), target, failing)
		require.NoError(t, err)
		require.Contains(t, sent.Reason, says)
		require.Equal(t, sending.Silent, sent.Mark, says)
		require.True(t, sent.Fault, says)
		require.Contains(t, log.String(), `level=ERROR msg="deliveries fail by this deployment's own fault" `+
			`alarm=own_fault tenant=42 integration=i delivery=01GTD8R4000000000000000001 reason="`+says, "its "+
			"operator hears of it: whoever reads the attempt can do nothing")
	}
	require.Len(t, strings.Split(strings.TrimSpace(log.String()), "\n"), 2, "a line for each reason in a minute")
}
