package pace_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/worker/pace"
)

func TestASystemIsHeldWhereAPersonFeelsIt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	lane := delivery.Lane{Tenant: "42", Integration: "i"}
	for name, of := range map[string]struct {
		pace pace.Pace
		want time.Time
	}{
		"one that asked for nothing":        {pace.Pace{}, time.Time{}},
		"a Retry-After of ten minutes":      {pace.Pace{Quiet: in(10 * time.Minute)}, in(10 * time.Minute)},
		"a Retry-After that is nearly over": {pace.Pace{Quiet: in(time.Second)}, time.Time{}},
		"one message a second":              {pace.Pace{Interval: time.Second, Next: in(time.Minute)}, time.Time{}},
		"one message in twenty seconds": {pace.Pace{Interval: 20 * time.Second, Next: in(9 * time.Second)},
			in(9 * time.Second)},
		"an interval that is long forgotten": {pace.Pace{Interval: 20 * time.Second, Next: in(-time.Hour)},
			time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			paces := &pace.Memory{Now: func() time.Time { return now }}
			_, err := paces.Swap(t.Context(), lane, 0, of.pace)
			require.NoError(t, err)
			got, err := pace.Holds{Store: paces, Now: func() time.Time { return now }}.HeldUntil(t.Context(), "42",
				[]string{"another", "i"})
			require.NoError(t, err)
			require.Equal(t, []time.Time{{}, of.want}, got)
		})
	}
}
