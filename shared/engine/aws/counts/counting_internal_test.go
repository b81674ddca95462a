package counts

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/counting"
	"tocsin/shared/engine/aws/dailytotals"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

// TestWhatTriggersPublishIsBoundedByBytesAsWellAsByItems: DynamoDB takes 4 MB and 100 items in a transaction (API
// reference, "TransactWriteItems"). What is more is refused before any call is made, and counted in parts.
func TestWhatTriggersPublishIsBoundedByBytesAsWellAsByItems(t *testing.T) {
	clock := func() time.Time { return time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC) }
	s := &Store{Totals: &dailytotals.Store{Now: clock},
		Triggers: &settings.Triggers{Now: clock, Outbox: settings.EventOutbox{Now: clock}}}
	publish := func(count, size int) (list []event.Event) {
		for n := range count {
			data := append(append([]byte(`{"x":"`), bytes.Repeat([]byte("y"), size)...), `"}`...)
			list = append(list, event.Event{ID: fmt.Sprint("e", n), Tenant: "42", Kind: event.AttacksExceeded,
				Time: clock(), Data: data})
		}
		return list
	}
	for name, o := range map[string]trigger.Outcome{
		"few rows, many bytes":  {Publish: publish(400, 16<<10)},
		"many rows, few bytes":  {Publish: publish(4000, 10)},
		"states and what fired": {States: make([]trigger.State, 60), Publish: publish(1600, 10)},
		"a few that are large":  {Publish: publish(13, 290<<10)},
	} {
		err := s.Write(t.Context(), counting.Outcome{Tenant: "42", Marks: []counting.Mark{{Intake: "i", To: 400}},
			Triggers: o})
		require.ErrorIs(t, err, counting.ErrTooLarge, name)
	}
}
