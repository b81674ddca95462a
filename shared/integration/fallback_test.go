package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/integration"
)

func TestFallbacksThatGoRoundAreFound(t *testing.T) {
	next := map[string]string{"b": "c", "c": "d", "x": "y", "y": "x"}
	of := func(id string) string { return next[id] }
	require.Nil(t, integration.LoopOf("a", "b", of), "a chain is no circle")
	require.Nil(t, integration.LoopOf("a", "x", of), "that is one of others")
	require.Nil(t, integration.LoopOf("a", "", of))
	require.Equal(t, []string{"d", "b", "c", "d"}, integration.LoopOf("d", "b", of))
	require.Equal(t, []string{"a", "a"}, integration.LoopOf("a", "a", of))
}
