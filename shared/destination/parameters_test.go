package destination_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
)

// A schema has a name of its own. By a relative one the compiler looks for the working directory, and a program
// panicked whose directory was deleted before its start.
func TestParametersAreDescribedWhereTheWorkingDirectoryIsGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows deletes no working directory")
	}
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.Remove(dir))
	type parameters struct {
		Address string `json:"address" jsonschema:"required,format=uri"`
	}
	require.NotPanics(t, func() { destination.ParametersOf[parameters]() })
}
