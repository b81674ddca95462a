//go:build awslocal

package aws_test

import (
	"testing"
	"time"

	"tocsin/shared/engine/aws/paces"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/sending/reachability"
	"tocsin/shared/sending/reference"
	"tocsin/shared/worker/pace"
)

func TestPaces(t *testing.T) {
	statetest.Paces(t, func(t *testing.T, now func() time.Time) pace.Store {
		w := open(t)
		return &paces.Store{DB: w.db, Table: w.prefix + "PacesTable", Now: now}
	})
}

func TestReachability(t *testing.T) {
	statetest.Reachability(t, func(t *testing.T) reachability.Store {
		w := open(t)
		return &paces.Reachability{DB: w.db, Table: w.prefix + "PacesTable"}
	})
}

func TestReferences(t *testing.T) {
	statetest.References(t, func(t *testing.T, now func() time.Time) reference.Store {
		w := open(t)
		return &paces.References{DB: w.db, Table: w.prefix + "PacesTable", Now: now}
	})
}
