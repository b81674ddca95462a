package sqlite_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/bench/load"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

type one struct{}

func (one) Lookup(string) (destination.System, bool, bool) {
	return destination.System{Name: "one"}, true, true
}

func (one) Names() []string { return nil }

// BenchmarkHotPath is the engine's share of one delivery of one event: Put, Receive, Begin, Accept, Lease, Settle.
// Of it accept-µs is what decoding and fan-out of a batch take, and settle-µs the writing of outcomes.
func BenchmarkHotPath(b *testing.B) {
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(b, err)
	defer db.Close()
	i := integration.Integration{ID: "i", Tenant: "42", System: "one", Revision: 1,
		Subscriptions: []integration.Subscription{{Event: event.Hits}}}
	require.NoError(b, db.Integrations().Create(b.Context(), i,
		activity.Record{Entry: enginetest.Entry("42"), Event: event.Event{
			ID: "c", Tenant: "42", Kind: event.CreateIntegration, Time: time.Now(),
			Data: []byte(`{"integration":{"id":"i"}}`)}}))
	f := fanout.Fanout{Integrations: db.Integrations(), Systems: one{}, Store: db.Deliveries(),
		Logger: slog.New(slog.DiscardHandler)}
	lane := delivery.Lane{Tenant: "42", Integration: "i"}
	const batch = 100
	n := 0
	var accepting, settling time.Duration
	b.ResetTimer()
	for b.Loop() {
		for range batch / 10 {
			entries := make([]delivery.Entry, 10)
			for k := range entries {
				n++
				entries[k] = delivery.Entry{DetailType: "new_hits", At: time.Now(), Detail: fmt.Appendf(nil,
					`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z",`+
						`"data":{"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/1",`+
						`"remote_addr4":"203.0.113.7","seq":"%07d"}}}`, load.ID(n), n)}
			}
			require.NoError(b, db.Bus().Put(b.Context(), entries))
		}
		entries, err := db.Bus().Receive(b.Context(), 512)
		require.NoError(b, err)
		begin := time.Now()
		_, err = f.Process(b.Context(), entries)
		require.NoError(b, err)
		accepting += time.Since(begin)
		now := time.Now()
		leased, err := db.Deliveries().Lease(b.Context(), lane, 200, now, now, now.Add(time.Hour))
		require.NoError(b, err)
		for k := range leased {
			leased[k].State = delivery.Delivered
			leased[k].Attempts = []delivery.Attempt{{At: now, Took: time.Millisecond, Status: 200, Delivered: true}}
		}
		begin = time.Now()
		require.NoError(b, db.Deliveries().Settle(b.Context(), leased))
		settling += time.Since(begin)
	}
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N*batch) }
	b.ReportMetric(each(b.Elapsed()), "µs/delivery")
	b.ReportMetric(each(accepting), "accept-µs/delivery")
	b.ReportMetric(each(settling), "settle-µs/delivery")
}
