package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePageOfTheTablesIsCurrent(t *testing.T) {
	want, err := generate("../..")
	require.NoError(t, err)
	got, err := os.ReadFile("../../docs/tables.md")
	require.NoError(t, err)
	require.Equal(t, want, string(got), "write it anew: go run ./scripts/tables")
}
