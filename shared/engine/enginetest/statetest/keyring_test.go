package statetest_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
)

// The embedded engine's keys are in a file.
func TestTheKeyFileIsAKeyRing(t *testing.T) {
	statetest.KeyRing(t, func(t *testing.T) integration.KeyRing {
		ring, err := keyring.Open(filepath.Join(t.TempDir(), "tocsin.key"))
		require.NoError(t, err)
		return ring
	})
}
