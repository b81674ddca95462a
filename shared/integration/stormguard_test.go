package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/integration"
)

func TestAStormGuard(t *testing.T) {
	for text, want := range map[integration.StormGuard]int{
		"": 60, "60/minute": 60, "1/minute": 1, "1000/minute": 1000, "none": 0, "0/minute": 0, "1001/minute": 0,
		"060/minute": 0, "60": 0, "60/second": 0, "60/minute ": 0, "-1/minute": 0, "+1/minute": 0, "off": 0,
	} {
		require.Equal(t, want, text.Limit(), text)
	}
}
