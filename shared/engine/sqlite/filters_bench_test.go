package sqlite_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

type hundred []integration.Integration

func (h hundred) Get(_ context.Context, _, id string) (integration.Integration, error) {
	return integration.Integration{}, fmt.Errorf("nobody asks for %s", id)
}

func (h hundred) Enabled(context.Context, string) ([]integration.Integration, error) { return h, nil }

type batching struct{}

func (batching) Lookup(string) (destination.System, bool, bool) {
	return destination.System{Name: "many", Batch: destination.Batch{Count: 100}}, true, true
}

func (batching) Names() []string { return nil }

// BenchmarkFilters is an event's way to 100 integrations, up to 100 events in a delivery: decoding, fan-out, the
// writing of its deliveries, and of what became of them. Requests are not in it.
func BenchmarkFilters(b *testing.B) {
	pass := []filter.Filter{
		{ID: filter.ByType, Operator: filter.Equal, Values: []filter.Value{"sqli", "xss", "rce"}},
		{ID: filter.ByURL, Operator: filter.NotEqual, Values: []filter.Value{"*/health/**", "*/admin/*"}},
	}
	stop := []filter.Filter{pass[1], {ID: filter.ByCountry, Operator: filter.Equal, Values: []filter.Value{"NL"}}}
	// Quiet hours that hold nothing now, of the integration and of the account, and a storm guard that counts.
	at := time.Now().Add(12 * time.Hour).UTC()
	quiet := rules{Quiet: []hold.Quiet{{Days: []hold.Day{"mon", "tue", "wed", "thu", "fri"},
		From: at.Format("15:00"), To: at.Add(2 * time.Hour).Format("15:00"), Zone: "UTC"},
		{First: "2020-12-24", Last: "2020-12-26", Zone: "Europe/Berlin"}}}
	for _, c := range []struct {
		name    string
		filters []filter.Filter
		quiet   rules
		guard   fanout.MessageCounter
	}{{name: "none"}, {name: "two-that-pass", filters: pass}, {name: "one-stops-all", filters: stop},
		{name: "quiet-hours", quiet: quiet}, {name: "storm-guard", guard: &fanout.MessageCounts{}},
		{"all", pass, quiet, &fanout.MessageCounts{}}} {
		b.Run(c.name, func(b *testing.B) { benchmarkFilters(b, c.filters, c.quiet, c.guard) })
	}
}

// rules are those of each tenant.
type rules hold.Rules

func (r rules) Hold(context.Context, string) hold.Rules { return hold.Rules(r) }

func (r rules) Fresh(context.Context, string) (hold.Rules, error) { return hold.Rules(r), nil }

func benchmarkFilters(b *testing.B, filters []filter.Filter, quiet rules, guard fanout.MessageCounter) {
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(b, err)
	defer db.Close()
	to := make(hundred, 100)
	for n := range to {
		to[n] = integration.Integration{ID: fmt.Sprintf("i%d", n), Tenant: "42", System: "many", Revision: 1,
			Window: 1, Filters: filters, Hold: hold.Rules(quiet), StormGuard: "1000/minute",
			Subscriptions: []integration.Subscription{{Event: event.Hits}}}
	}
	f := fanout.Fanout{Integrations: to, Systems: batching{}, Store: db.Deliveries(),
		Logger: slog.New(slog.DiscardHandler), Holds: quiet, Messages: guard}
	const batch = 100
	n := 0
	began := cpu(b)
	b.ResetTimer()
	for b.Loop() {
		entries := make([]delivery.Entry, batch)
		for k := range entries {
			n++
			entries[k] = delivery.Entry{DetailType: "new_hits", At: time.Now(), Detail: fmt.Appendf(nil,
				`{"version":1,"id":"bench-%07d","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z",`+
					`"data":{"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/1",`+
					`"remote_country":"PL","remote_addr4":"203.0.113.7","seq":"%07d"}}}`, n, n)}
		}
		require.NoError(b, db.Bus().Put(b.Context(), entries))
		entries, err := db.Bus().Receive(b.Context(), batch)
		require.NoError(b, err)
		_, err = f.Process(b.Context(), entries)
		require.NoError(b, err)
		now := time.Now()
		for _, i := range to {
			leased, err := db.Deliveries().Lease(b.Context(), delivery.Lane{Tenant: "42", Integration: i.ID}, 200, now,
				now, now.Add(time.Hour))
			require.NoError(b, err)
			for k := range leased {
				leased[k].State = delivery.Delivered
				leased[k].Attempts = []delivery.Attempt{{At: now, Took: time.Millisecond, Status: 200, Delivered: true}}
			}
			require.NoError(b, db.Deliveries().Settle(b.Context(), leased))
		}
	}
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N*batch), "cpu-µs/event")
}

// cpu is what the process has taken of all cores.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
