package db_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/sqlite/db"
)

const nobody = 65534

// ofNobody is the path of a state of a user who is not root: root may write whatever the mode is.
func ofNobody(t *testing.T) (path string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "rights")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	path = filepath.Join(folder, "tocsin.db")
	opened(t, path)
	if os.Geteuid() == 0 {
		for _, name := range []string{folder, path, path + ".lock"} {
			require.NoError(t, os.Chown(name, nobody, nobody))
		}
	}
	return path
}

// asNobody looks at files as that user from now on.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread() // of which alone these are the rights
	require.NoError(t, syscall.Setfsgid(nobody))
	require.NoError(t, syscall.Setfsuid(nobody))
	t.Cleanup(func() {
		require.NoError(t, syscall.Setfsuid(0))
		require.NoError(t, syscall.Setfsgid(0))
		runtime.UnlockOSThread()
	})
}

func opened(t *testing.T, path string) {
	t.Helper()
	f, err := db.Open(t.Context(), path, db.Options{})
	require.NoError(t, err)
	require.NoError(t, f.Begin(nothing, nothing))
	require.NoError(t, f.Close())
}

func nothing(*db.Writer) error { return nil }

func TestAStateThatCanNotBeWrittenSaysWhichFileAndLeavesNothingBehind(t *testing.T) {
	path := ofNobody(t)
	require.NoError(t, os.Chmod(path, 0o444))
	asNobody(t)
	for range 2 {
		_, err := db.Open(t.Context(), path, db.Options{})
		var rights *db.RightsError
		require.ErrorAs(t, err, &rights)
		require.ErrorContains(t, err, path+" can not be written by the user of this process (mode 0444): permission "+
			"denied; run this as its owner, or give it to the user that Tocsin runs as, with mode 0600")
		require.Equal(t, err.Error(), db.Writable(path).Error())
		require.NoFileExists(t, path+"-shm")
	}
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, db.Writable(path))
	opened(t, path)
}

func TestFilesBesideTheStateGetItsRights(t *testing.T) {
	path := ofNobody(t)
	asNobody(t)
	for _, end := range []string{"-shm", "-wal"} { // of an opening while the state could only be read
		require.NoError(t, os.WriteFile(path+end, nil, 0o444))
		require.ErrorContains(t, db.Writable(path), path+"-")
	}
	opened(t, path)
}
