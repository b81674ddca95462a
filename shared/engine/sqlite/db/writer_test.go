package db

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/patience"
)

// group hands operations over while the writer is busy, so that they share one transaction.
func group(t *testing.T, file *File, each ...func() error) []error {
	begun, end := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = file.Write(t.Context(), func(*Writer) error {
			close(begun)
			<-end
			return nil
		})
	})
	<-begun
	out := make([]error, len(each))
	for n, one := range each {
		all.Go(func() { out[n] = one() })
	}
	require.Eventually(t, func() bool { return len(file.writer.ops) == len(each) }, patience.Long, time.Millisecond)
	close(end)
	all.Wait()
	return out
}

func TestAnOperationThatFailsIsUndoneAlone(t *testing.T) {
	for _, others := range []string{"repeatable", "once"} {
		t.Run(others, func(t *testing.T) {
			file, err := Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), Options{})
			require.NoError(t, err)
			defer file.Close()
			reloads := 0
			require.NoError(t, file.Begin(func(*Writer) error { return nil }, func(*Writer) error {
				reloads++
				return nil
			}))
			const count, bad = 5, 2
			runs := make([]int, count)
			insert := func(n int) func(w *Writer) error {
				return func(w *Writer) error {
					runs[n]++
					err := w.Do("INSERT INTO mails (seq, at, body) VALUES (?, 0, x'00')",
						func(s *driver.Stmt) { s.BindInt64(1, int64(n+1)) })
					if n == bad {
						return errors.Join(err, errors.New("refused"))
					}
					return err
				}
			}
			var each []func() error
			for n := range count {
				write := file.WriteRepeatable
				if others == "once" && n == 0 {
					write = file.Write
				}
				each = append(each, func() error { return write(t.Context(), insert(n)) })
			}
			before := reloads
			for n, err := range group(t, file, each...) {
				if n == bad {
					require.ErrorContains(t, err, "refused")
				} else {
					require.NoError(t, err)
				}
			}
			require.Greater(t, reloads, before, "what is remembered of the file is read anew")
			var kept []int64
			require.NoError(t, file.Query(t.Context(), "SELECT seq FROM mails ORDER BY seq", nil,
				func(s *driver.Stmt) error {
					kept = append(kept, s.ColumnInt64(0))
					return nil
				}))
			require.Equal(t, []int64{1, 2, 4, 5}, kept)
			for n, ran := range runs {
				if others == "once" {
					require.Equal(t, 1, ran, "operation %d", n)
				} else {
					require.LessOrEqual(t, ran, 2, "operation %d", n)
				}
			}
		})
	}
}

// gathered are how many of the writers' operations each transaction has, and the times between the transactions, by
// the clock of a bubble: nothing takes time in it but waiting.
func gathered(t *testing.T, writers []time.Duration) (groups []int, waits []time.Duration) {
	file, err := Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), Options{})
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, file.Begin(func(*Writer) error { return nil }, func(*Writer) error { return nil }))
	var all sync.WaitGroup
	const rounds = 6
	var transaction int64
	var at time.Time
	begun := make(chan struct{})
	all.Go(func() { // the writer is busy until they have come for the first time
		assert.NoError(t, file.WriteRepeatable(t.Context(), func(*Writer) error {
			close(begun)
			time.Sleep(time.Second)
			return nil
		}))
	})
	<-begun
	for _, after := range writers {
		all.Go(func() {
			for range rounds {
				assert.NoError(t, file.WriteRepeatable(t.Context(), func(w *Writer) error {
					if now := w.generation.Load(); now != transaction || len(groups) == 0 {
						if transaction = now; len(groups) > 0 {
							waits = append(waits, time.Since(at))
						}
						at, groups = time.Now(), append(groups, 0)
					}
					groups[len(groups)-1]++
					return nil
				}))
				time.Sleep(after) // what it does between two writes
			}
		})
	}
	all.Wait()
	return groups, waits
}

// A writer that several write with waits until as many have come again, and not longer: no longer than groupWait for
// one that does not come.
func TestAWriterWaitsForThoseWhoWroteLastTime(t *testing.T) {
	const work = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		groups, waits := gathered(t, []time.Duration{work, work, work, work, work, work})
		require.Equal(t, []int{6, 6, 6, 6, 6, 6}, groups)
		require.Equal(t, []time.Duration{work, work, work, work, work}, waits)
	})
	synctest.Test(t, func(t *testing.T) {
		groups, waits := gathered(t, []time.Duration{work, work, work, work + groupWait/2})
		require.Equal(t, []int{4, 4, 4, 4, 4, 4}, groups, "the slower one is waited for")
		require.Equal(t, slices.Repeat([]time.Duration{work + groupWait/2}, 5), waits)
	})
	synctest.Test(t, func(t *testing.T) {
		groups, waits := gathered(t, []time.Duration{work, work, work, work, time.Minute})
		require.Equal(t, []int{5, 4, 4, 4, 4, 4}, groups[:6])
		require.Equal(t, []time.Duration{work + groupWait, work, work, work, work}, waits[:5],
			"one that does not come is waited for once")
	})
	synctest.Test(t, func(t *testing.T) {
		groups, waits := gathered(t, []time.Duration{work})
		require.Equal(t, []int{1, 1, 1, 1, 1, 1}, groups)
		require.Equal(t, []time.Duration{work, work, work, work, work}, waits, "a lone one does not wait")
	})
}
