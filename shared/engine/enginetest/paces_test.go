package enginetest_test

import (
	"testing"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
)

// The embedded engine is one process: its paces are in memory.
func TestLocalPaces(t *testing.T) {
	enginetest.Paces(
		t,
		func(_ *testing.T, now func() time.Time) delivery.Paces { return &delivery.LocalPaces{Now: now} },
	)
}

func TestLocalOutlooks(t *testing.T) {
	enginetest.Outlooks(t, func(*testing.T) delivery.Outlooks { return &delivery.LocalOutlooks{} })
}
