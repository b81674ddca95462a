package commandline_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/functions/local/commandline"
)

// A file that somebody may not look at is there: to start Tocsin once would be wrong advice.
func TestWhoMayNotReachAFileIsToldWhoMay(t *testing.T) {
	for _, flag := range []string{"state", "key"} {
		err := commandline.Unreached(flag, fmt.Errorf("look at it: %w", fs.ErrPermission))
		require.ErrorIs(t, err, fs.ErrPermission)
		require.EqualError(t, err,
			"look at it: permission denied: run the command as root, or as the user that Tocsin runs as")
	}
	other := errors.New("the disk is broken")
	require.Equal(t, other, commandline.Unreached("state", other))
}
