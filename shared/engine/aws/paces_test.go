//go:build awslocal

package aws_test

import (
	"testing"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws"
	"tocsin/shared/engine/enginetest"
)

func TestPaces(t *testing.T) {
	enginetest.Paces(t, func(t *testing.T, now func() time.Time) delivery.Paces {
		w := open(t)
		return &aws.Paces{DB: w.db, Table: w.prefix + "PacesTable", Now: now}
	})
}
