package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
)

func TestTriggers(t *testing.T) {
	enginetest.Triggers(t, func(t *testing.T) enginetest.TriggerEngine {
		db := open(t)
		return enginetest.TriggerEngine{
			Log: enginetest.Polled(db.Deliveries(), db.Bus()), Store: db.Triggers(), Integrations: db.Integrations(), Systems: catalogue.Default(), Workers: 1,
			Left: func(t *testing.T) []delivery.Entry {
				entries, err := db.Bus().Receive(t.Context(), 1000)
				require.NoError(t, err)
				return entries
			},
		}
	})
}
