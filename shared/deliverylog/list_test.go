package deliverylog_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
)

// filtering is a store that looks at so many rows as it is asked for and keeps those of a state, as DynamoDB does: of
// its rows only the oldest is pending.
type filtering struct {
	deliverylog.Store

	ids []string // the newest first
}

func (f filtering) Newest(_ context.Context, queries []delivery.Query) ([]deliverylog.Chunk, error) {
	out := make([]deliverylog.Chunk, len(queries))
	for n, q := range queries {
		looked := 0
		for k, id := range f.ids {
			if q.Before != "" && id >= q.Before {
				continue
			}
			if looked++; looked > q.Limit {
				break
			}
			out[n].Reached = id
			if k == len(f.ids)-1 {
				out[n].Reached = ""
				out[n].Rows = []delivery.Delivery{{ID: id, State: delivery.Pending}}
			}
		}
	}
	return out, nil
}

// A list that finds nothing for long says how far it looked and goes on from there: it does not end.
func TestAListGoesOnBehindWhatItDoesNotSelect(t *testing.T) {
	f := filtering{}
	newest := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for n := range 2*deliverylog.Scanned + 10 {
		f.ids = append(f.ids, delivery.FirstID(newest.Add(-time.Duration(n)*time.Millisecond)))
	}
	log := &deliverylog.Log{Store: f}
	q := delivery.Query{Tenant: "42", Integration: "i", States: []delivery.State{delivery.Pending}, Limit: 50}
	calls := 0
	for {
		page, err := log.List(t.Context(), q)
		require.NoError(t, err)
		if calls++; page.Next == "" {
			require.Len(t, page.Found, 1)
			require.Equal(t, f.ids[len(f.ids)-1], page.Found[0].ID)
			break
		}
		require.Empty(t, page.Found)
		reached, err := delivery.MadeAt(page.Next)
		require.NoError(t, err)
		require.Equal(t, reached, page.Reached)
		require.Less(t, page.Next, max(q.Before, "~"))
		q.Before = page.Next
	}
	require.Greater(t, calls, 1, "none looks at all of it")
}
