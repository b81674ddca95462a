package settings

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

// What the domain bounds for reasons of its own must fit into one transaction here.
func TestAllStatesOfATenantsTriggersFitIntoATransaction(t *testing.T) {
	const markEntryAndNotices = 3 // of one event at least: its mark, the entry of the day, a row of the outbox
	require.LessOrEqual(t, trigger.MaxThresholds+markEntryAndNotices, table.TransactLimit)
	require.LessOrEqual(t, trigger.MaxThresholds*trigger.MaxState, table.TransactBytes)
}

func TestARowOfTheOutboxHoldsSoManyEventsAndBytes(t *testing.T) {
	var events []event.Event
	for range 100 {
		events = append(events, event.Event{Data: make(json.RawMessage, 20<<10)})
	}
	total := 0
	for row := range outboxChunks(events) {
		require.LessOrEqual(t, len(row)*(21<<10), rowBytes)
		total += len(row)
	}
	require.Equal(t, 100, total)
	require.Equal(t, 8, OutboxRows(events))
}
