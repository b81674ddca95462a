package sqlite_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

// fill puts events of 4 KiB through fan-out, so that nothing waits for them.
func fill(t *testing.T, db *sqlite.DB, n int) {
	t.Helper()
	for at := 0; at < n; at += 500 {
		var entries []delivery.Entry
		for k := range 500 {
			e := entry(at + k)
			e.Detail = bytes.Replace(e.Detail, []byte(`"data":{`),
				[]byte(`"data":{"more":"`+strings.Repeat("x", 4000)+`",`), 1)
			entries = append(entries, e)
		}
		require.NoError(t, db.Bus().Put(t.Context(), entries))
		got, err := db.Bus().Receive(t.Context(), 500)
		require.NoError(t, err)
		var in fanout.Intake
		for _, e := range got {
			parsed, err := event.Parse(e.DetailType, e.Detail)
			require.NoError(t, err)
			in.Accepted = append(in.Accepted, fanout.Accepted{Entry: e, Event: parsed})
		}
		require.NoError(t, db.Deliveries().Accept(t.Context(), in))
	}
}

func bytesOf(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

func TestH24TheFileShrinksWhenOldRecordsAreRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	fill(t, db, 7000)
	removed, err := db.Prune(t.Context(), time.Now(), 24*time.Hour)
	require.NoError(t, err)
	require.GreaterOrEqual(t, removed, 7000)
	require.Less(t, bytesOf(t, path), int64(3<<20))
	fill(t, db, 500)
	require.NoError(t, db.Close())
	db = reopen(t, path)
	got, err := db.Bus().Receive(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestH24AFileOfAnOlderReleaseIsRewrittenOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	fill(t, db, 1000)
	require.NoError(t, db.Close())
	script(t, path, "PRAGMA journal_mode = DELETE")
	conn, err := driver.OpenConn(path)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, "PRAGMA auto_vacuum = NONE", nil))
	require.NoError(t, sqlitex.ExecuteTransient(conn, "VACUUM", nil))
	require.NoError(t, conn.Close())
	var log bytes.Buffer
	for range 2 {
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	require.Equal(t, 1, strings.Count(log.String(), "is rewritten once"))
	db = reopen(t, path)
	_, err = db.Prune(t.Context(), time.Now(), 24*time.Hour)
	require.NoError(t, err)
	require.Less(t, bytesOf(t, path), int64(2<<20))
	require.NoError(t, db.Compact(t.Context()))
}

func TestCompactingSaysWhoKeepsTheFileFromShrinking(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	fill(t, db, 1000)
	reader, err := sqlite.Look(path)
	require.NoError(t, err)
	require.ErrorContains(t, db.Compact(t.Context()), "`tocsin backup`")
	require.NoError(t, reader.Close())
	require.NoError(t, db.Compact(t.Context()))
}

func TestCompactingIsRefusedWhereItWouldFillTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	left := uint64(1 << 20)
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{
		DiskFree: func(folder string) (uint64, bool) { return left, folder == filepath.Dir(path) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	fill(t, db, 1000)
	require.ErrorContains(t, db.Compact(t.Context()), "MB more on its disk for a while, and 1 MB are free there")
	left = 1 << 30
	require.NoError(t, db.Compact(t.Context()))
}

func TestCompactingEndsWithItsContextAndLeavesTheFileAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	fill(t, db, 1000)
	before := bytesOf(t, path)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	require.ErrorIs(t, db.Compact(ctx), context.Canceled)
	require.Equal(t, before, bytesOf(t, path))
	require.NoError(t, db.Compact(t.Context()), "what it was told is undone")
}
