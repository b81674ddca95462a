//go:build unix

package atomicfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/atomicfile"
)

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	for _, content := range []string{"one", "two", ""} {
		require.NoError(t, atomicfile.Write(path, []byte(content)))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		left, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
	require.Error(t, atomicfile.Write(filepath.Join(folder, "none", "file"), nil))
}

// An administrator's command must leave nothing that the program's user can not read.
func TestWhatRootWritesBelongsToWhomItBelonged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const somebody = 65532
	folder := t.TempDir()
	require.NoError(t, os.Chown(folder, somebody, somebody))
	path := filepath.Join(folder, "file")
	owner := func() int {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	require.NoError(t, atomicfile.Write(path, nil))
	require.Equal(t, somebody, owner(), "a new file is its folder's owner's")
	require.NoError(t, os.Chown(path, somebody+1, somebody))
	require.NoError(t, atomicfile.Write(path, nil))
	require.Equal(t, somebody+1, owner(), "another keeps its own")
}
