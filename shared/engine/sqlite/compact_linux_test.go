package sqlite_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kib is a line of the kernel's account of this process's memory.
func kib(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, line, found := strings.Cut(string(status), name+":")
	require.True(t, found, name)
	n, err := strconv.Atoi(strings.Fields(line)[0])
	require.NoError(t, err)
	return n
}

// TestCompactingNeedsNoMemoryOfTheFilesSize: the new file was in memory until it was written, twice of it in all.
func TestCompactingNeedsNoMemoryOfTheFilesSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it's the state.db")
	require.NoError(t, reopen(t, path).Close())
	script(t, path, "CREATE TABLE filler (id INTEGER PRIMARY KEY, name BLOB, body BLOB)")
	script(t, path, "CREATE INDEX filler_name ON filler (name)")
	script(t, path, "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k+1 FROM n WHERE k < 20000) "+
		"INSERT INTO filler SELECT k, randomblob(100), randomblob(4000) FROM n")
	db := reopen(t, path)
	require.Greater(t, bytesOf(t, path), int64(80_000_000))
	require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // the peak counts from now on
	before := kib(t, "VmHWM")
	require.NoError(t, db.Compact(t.Context()))
	more := kib(t, "VmHWM") - before
	t.Logf("%d KiB more", more)
	require.Less(t, more, 48<<10)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, f := range left {
		require.Contains(t, f.Name(), "it's the state.db", "nothing is left of it")
	}
}
