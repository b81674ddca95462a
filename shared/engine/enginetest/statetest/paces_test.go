package statetest_test

import (
	"testing"
	"time"

	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/sending/reachability"
	"tocsin/shared/worker/pace"
)

// The embedded engine is one process: its paces are in memory.
func TestLocalPaces(t *testing.T) {
	statetest.Paces(
		t,
		func(_ *testing.T, now func() time.Time) pace.Store { return &pace.Memory{Now: now} },
	)
}

func TestLocalReachability(t *testing.T) {
	statetest.Reachability(t, func(*testing.T) reachability.Store { return &reachability.Memory{} })
}
