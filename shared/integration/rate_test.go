package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/integration"
)

func TestARateIsTheTimeBetweenTwoMessages(t *testing.T) {
	t.Parallel()
	for rate, want := range map[integration.Rate]time.Duration{
		"1/minute": time.Minute, "10/minute": 6 * time.Second, "1000/minute": 60 * time.Millisecond,
		"1/second": time.Second, "1000/second": time.Millisecond, "": 0,
		"0/minute": 0, "1001/second": 0, "-1/second": 0, "+1/second": 0, "01/second": 0, "1/hour": 0, "1": 0,
		"/second": 0, "1/second/minute": 0, " 1/second": 0, "1.5/second": 0, "99999999999999999999/second": 0,
	} {
		require.Equal(t, want, rate.Every(), "%q", rate)
	}
}
