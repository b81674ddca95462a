//go:build awslocal

package aws_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/integration"
	"tocsin/shared/worker"
)

func TestBatches(t *testing.T) {
	enginetest.Batches(t, func(t *testing.T) enginetest.BatchEngine {
		w := open(t)
		log := w.log()
		return enginetest.BatchEngine{
			Log: log, Batches: w.deliveries(),
			Queued: func(t *testing.T) []worker.MessageBatch {
				return slices.DeleteFunc(w.receive(t), func(b worker.MessageBatch) bool { return len(b.IDs) == 0 })
			},
		}
	})
}

func TestKeyRing(t *testing.T) {
	statetest.KeyRing(t, func(t *testing.T) integration.KeyRing {
		k, err := awslocal.NewKMS()
		require.NoError(t, err)
		r, _ := ring(t, k)
		return r
	})
}
