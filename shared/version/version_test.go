package version_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/version"
)

// The changelog and the binary agree: a release has its entry, and what is not released ends in -dev.
func TestTheChangelogKnowsTheVersion(t *testing.T) {
	raw, err := os.ReadFile("../../CHANGELOG.md")
	require.NoError(t, err)
	releases := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$`).
		FindAllStringSubmatch(string(raw), -1)
	require.NotEmpty(t, releases)
	number, open := strings.CutSuffix(version.Number, "-dev")
	require.Regexp(t, `^\d+\.\d+\.\d+$`, number)
	if open {
		require.NotEqual(t, releases[0][1], number, "it has an entry already: take -dev away")
		require.Contains(t, string(raw), "## [Unreleased]")
	} else {
		require.Equal(t, releases[0][1], number, "a release has an entry in CHANGELOG.md")
	}
}

func TestItIsToldInALine(t *testing.T) {
	for want, in := range map[string]version.Info{
		"1.2.3":           {Number: "1.2.3"},
		"1.2.3, go1.26.0": {Number: "1.2.3", Go: "go1.26.0"},
		"1.2.3, commit 0123456789ab of 2026-11-26, go1.26.0": {
			Number: "1.2.3", Commit: "0123456789abcdef", At: "2026-11-26T10:00:00Z", Go: "go1.26.0",
		},
		"1.2.3, commit 01 with changes": {Number: "1.2.3", Commit: "01", Changed: true},
	} {
		require.Equal(t, want, in.String())
	}
	require.Contains(t, version.Read().String(), version.Number)
}
