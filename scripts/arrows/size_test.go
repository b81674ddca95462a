package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// most is how many lines a package has at most, without tests and what is generated: a room has one subject.
const most = 2500

func TestNoPackageIsTooLarge(t *testing.T) {
	lines := map[string]int{}
	for _, folder := range []string{"functions", "shared", "scripts", "infra"} {
		err := filepath.WalkDir(filepath.Join("../..", folder), func(at string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(at, ".go") || strings.HasSuffix(at, "_test.go") ||
				strings.HasSuffix(at, ".gen.go") {
				return err
			}
			raw, err := os.ReadFile(at)
			lines[filepath.Dir(at)] += bytes.Count(raw, []byte("\n"))
			return err
		})
		require.NoError(t, err)
	}
	require.Greater(t, len(lines), 100)
	for folder, n := range lines {
		require.LessOrEqual(t, n, most, folder)
	}
}
