package db

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/patience"
	"tocsin/shared/ready"
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

// TestAnOpeningThatFindsNoRoomDoesNotAskForABackup: SQLite makes a file beside the log, and calls it an I/O error.
func TestAnOpeningThatFindsNoRoomDoesNotAskForABackup(t *testing.T) {
	f := &File{path: "state.db"}
	for _, code := range []driver.ResultCode{driver.ResultFull, driver.ResultIOErrSHMSize} {
		err := f.told(f.damaged(fmt.Errorf("open: %w", code.ToError())))
		require.ErrorIs(t, err, ready.ErrNoRoom)
		require.NotContains(t, err.Error(), "backup")
	}
	require.ErrorContains(t, f.told(f.damaged(driver.ResultIOErr.ToError())), "backup")
}
