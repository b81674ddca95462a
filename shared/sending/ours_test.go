package sending_test

import (
	"encoding/json"
	"log/slog"
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
	c := &sending.Sender{Destinations: catalogue.Default(), Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)}
	i := integration.Integration{ID: "i", Tenant: "42", System: "telegram", Revision: 1}
	target, err := c.Open(t.Context(), fixed{known, opened}, i)
	require.NoError(t, err)
	for kind, says := range map[event.Kind]string{
		event.NewHits: "this deployment has no Telegram bot",
		event.Report:  "this deployment makes no reports",
	} {
		sent, err := c.Send(t.Context(), target, delivery.Delivery{ID: "01GTD8R4000000000000000001", Tenant: "42",
			Integration: "i", State: delivery.Pending, Events: []event.Event{{ID: "e", Tenant: "42", Kind: kind,
				Time: now, Data: json.RawMessage(`{}`)}}})
		require.NoError(t, err)
		require.Contains(t, sent.Reason, says)
		require.Equal(t, sending.Silent, sent.Mark, says)
	}
}
