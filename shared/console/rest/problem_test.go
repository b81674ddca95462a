package rest_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/console/rest"
	"tocsin/shared/ready"
)

// TestAFullDiskIsToldToWhoCallsTheAPI: "try again" alone helps nobody then.
func TestAFullDiskIsToldToWhoCallsTheAPI(t *testing.T) {
	kit := rest.Kit{Log: slog.New(slog.DiscardHandler)}
	err := kit.Answer(t.Context(), fmt.Errorf("save a person: %w (/var/lib/tocsin/tocsin.db): sqlite", ready.ErrNoRoom))
	require.ErrorContains(t, err, "the disk may be full")
	require.NotContains(t, err.Error(), "/var/lib")
	require.NotContains(t, rest.ProblemOf(kit.Answer(t.Context(), fmt.Errorf("other"))).Error(), "disk")
}
