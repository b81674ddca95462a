package fanout_test

import (
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// BenchmarkHolds is the fan-out of 100 events to 100 integrations, without an engine: by day, when quiet hours hold
// nothing, and by night. Each event arrives in a second of its own, which is the dearest.
func BenchmarkHolds(b *testing.B) {
	night := hold.Rules{Quiet: []hold.Quiet{{Days: []hold.Day{"mon", "tue", "wed", "thu", "fri"}, From: "22:00",
		To: "07:00", Zone: "Europe/Berlin"}, {Days: []hold.Day{"sat", "sun"}, Zone: "Europe/Berlin"}}}
	noon, midnight := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 3, 23, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		own, tenant hold.Rules
		at          time.Time
	}{{"none", hold.Rules{}, hold.Rules{}, noon}, {"tenant-by-day", hold.Rules{}, night, noon},
		{"each-by-day", night, hold.Rules{}, noon}, {"each-by-night", night, hold.Rules{}, midnight}} {
		b.Run(c.name, func(b *testing.B) {
			var to subscribers
			for n := range 100 {
				to = append(to, integration.Integration{ID: fmt.Sprintf("i%d", n), Tenant: "42", System: "messenger",
					Revision: 1, Hold: c.own, Subscriptions: []integration.Subscription{{Event: event.Hits}}})
			}
			f := &fanout.Fanout{Integrations: to, Systems: readAndNot{}, Holds: tenants(c.tenant),
				Logger: slog.New(slog.DiscardHandler)}
			var entries []delivery.Entry
			for n := range 100 {
				e := hit(n, "sqli")
				e.At = c.at.Add(time.Duration(n) * time.Second)
				entries = append(entries, e)
			}
			b.ReportAllocs()
			began := cpu(b)
			b.ResetTimer()
			for b.Loop() {
				f.Store = &intakes{known: map[string]bool{}}
				_, err := f.Process(b.Context(), entries)
				require.NoError(b, err)
			}
			b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N*len(entries)), "cpu-µs/event")
		})
	}
}

// cpu is what the process has taken of all cores.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
