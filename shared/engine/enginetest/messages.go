package enginetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/fanout"
)

// Messages is what a counter of the storm guard must do. open opens it as one more process does: all count together.
func Messages(t *testing.T, open func() fanout.MessageCounter) {
	t.Run("each integration of each tenant has its own minutes", func(t *testing.T) {
		c := open()
		requireMinute(t, c, messages("a", "1", 0, 3), 0, 0)
		requireMinute(t, c, messages("a", "2", 0, 4), 3, 0)
		requireMinute(t, c, messages("b", "3", 0, 1), 0, 0)
		other := messages("a", "4", 0, 1)
		other.Tenant = "43"
		requireMinute(t, c, other, 0, 0)
		requireMinute(t, c, messages("a", "5", 1, 1), 0, 7)
		requireMinute(t, c, messages("a", "6", 1, 1), 1, 7)
		requireMinute(t, c, messages("a", "7", 3, 1), 0, 0)
	})
	t.Run("a batch that is counted again counts once", func(t *testing.T) {
		requireMinute(t, open(), messages("c", "1", 0, 3), 0, 0)
		requireMinute(t, open(), messages("c", "2", 0, 4), 3, 0)
		requireMinute(t, open(), messages("c", "2", 0, 4), 3, 0)
		requireMinute(t, open(), messages("c", "3", 0, 1), 7, 0)
	})
	t.Run("several are answered in their order", func(t *testing.T) { severalMinutes(t, open()) })
	t.Run("a minute that has enough is told to have more, to each process", func(t *testing.T) {
		c := open()
		requireMinute(t, c, messages("d", "1", 0, enough), 0, 0)
		requireMinute(t, c, messages("d", "2", 0, 50), enough, 0)
		for n, one := range []fanout.MessageCounter{c, open(), c} {
			got, err := one.CountMessages(t.Context(), []fanout.BatchMessages{messages("d", "3", 0, 1),
				messages("d", "4", 1, 1)})
			require.NoError(t, err)
			require.Greater(t, got[0].Before, enough, n)
			require.Greater(t, got[1].Last, enough, n)
		}
	})
	t.Run("of many at once each gets a place of its own", func(t *testing.T) { manyCountMessages(t, open) })
}

const enough = 100

// messages are those of a batch in a minute.
func messages(id, name string, minute, n int) fanout.BatchMessages {
	at := time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC)
	return fanout.BatchMessages{Tenant: "42", Integration: id, Minute: at, Batch: name, Messages: n, Enough: enough}
}

func requireMinute(t *testing.T, c fanout.MessageCounter, b fanout.BatchMessages, before, last int) {
	t.Helper()
	got, err := c.CountMessages(t.Context(), []fanout.BatchMessages{b})
	require.NoError(t, err)
	require.Equal(t, []fanout.MinuteMessages{{Before: before, Last: last}}, got)
}

func severalMinutes(t *testing.T, c fanout.MessageCounter) {
	var batches []fanout.BatchMessages
	want := make([]fanout.MinuteMessages, 40)
	for n := range want {
		requireMinute(t, c, messages(fmt.Sprint("n", n), "1", 0, n+1), 0, 0)
		batches = append(batches, messages(fmt.Sprint("n", n), "2", 0, 1))
		want[n].Before = n + 1
	}
	got, err := c.CountMessages(t.Context(), batches)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func manyCountMessages(t *testing.T, open func() fanout.MessageCounter) {
	seen := map[int]bool{}
	var mu sync.Mutex
	var work sync.WaitGroup
	for n := range 20 {
		one := open()
		work.Go(func() {
			got, err := one.CountMessages(t.Context(), []fanout.BatchMessages{messages("e", fmt.Sprint(n), 0, 3)})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				seen[got[0].Before] = true
			}
		})
	}
	work.Wait()
	require.Len(t, seen, 20)
	require.True(t, seen[57], "the last one sees all")
}
