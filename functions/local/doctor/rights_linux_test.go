package doctor

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAFileThatThisUserCanNotUseIsTold: root can use every file, so it looks as somebody else.
func TestAFileThatThisUserCanNotUseIsTold(t *testing.T) {
	d := healthy(t)
	if os.Geteuid() != 0 {
		require.NoError(t, os.Chmod(d.State, 0o400))
		wants(t, d, "state", Fault, d.State+" can not be written by the user of this process (mode 0400)")
		return
	}
	require.NoError(t, os.Chmod(d.State, 0o644))
	for folder := filepath.Dir(d.State); folder != filepath.Clean(os.TempDir()); folder = filepath.Dir(folder) {
		require.NoError(t, os.Chmod(folder, 0o755))
	}
	runtime.LockOSThread() // of which alone these are the rights
	require.NoError(t, syscall.Setfsuid(65534))
	rights := d.state(t.Context())
	d.State += ".none"
	sealed := d.key(t.Context())
	require.NoError(t, syscall.Setfsuid(0))
	runtime.UnlockOSThread()
	require.Len(t, rights, 3)
	require.Contains(t, rights[1].Says, "tocsin.db can not be written by the user of this process (mode 0644)")
	require.Equal(t, Fault, rights[1].Verdict)
	require.Contains(t, sealed[0].Says, "run this as its owner")
}
