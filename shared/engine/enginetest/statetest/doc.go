// Package statetest holds the suites of small stores: paces, reachability, references, keys, publishers and requests.
package statetest

import (
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
)

var lane = delivery.Lane{Tenant: "42", Integration: "i"}

func now() time.Time { return enginetest.At }
