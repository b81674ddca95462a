package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheGeneratedClientIsCurrent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.gen.go")
	err := generate(t.Context(), "../..", file)
	if err != nil && os.Getenv("CI") == "" && strings.Contains(err.Error(), "dial tcp") {
		t.Skip("the generator can not be downloaded here: ", err)
	}
	require.NoError(t, err)
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	got, err := os.ReadFile("../../shared/client/client.gen.go")
	require.NoError(t, err)
	if string(want) != string(got) { // a difference is too long to be read
		t.Fatal("shared/client is not that of the API's document: go run ./scripts/client")
	}
}
