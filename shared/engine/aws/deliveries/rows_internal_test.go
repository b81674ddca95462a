package deliveries

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
)

// The rows of deliveries are written by hand: as attributevalue writes their struct, in every state.
func TestARowOfADeliveryIsThatOfItsStruct(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := &Store{Set: table.Set{Now: func() time.Time { return at }}}
	for _, state := range delivery.States() {
		for _, due := range []time.Time{{}, at.Add(time.Minute)} {
			v := delivery.Delivery{ID: "01HZ", Tenant: "42", Integration: "i", State: state, Count: 1, Due: due,
				Kinds: []event.Kind{event.NewHits}, Events: []event.Event{{ID: "e", Data: []byte("{}")}}, Failures: 2,
				Reason: "no answer", Batch: "b", Digest: delivery.DigestStorm,
				Attempts: []delivery.Attempt{{Status: 503, At: at}}}
			written, err := d.write(v, []string{"intake"}, d.Expires())
			require.NoError(t, err)
			row, err := table.Unmarshal[deliveryRow](written)
			require.NoError(t, err)
			again, err := table.Marshal(row)
			require.NoError(t, err)
			require.Equal(t, written, again, state)
			require.NotEmpty(t, row.Attempts)
		}
	}
}
