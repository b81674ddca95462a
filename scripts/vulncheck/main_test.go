package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modules = `{"SBOM": {"modules": [{"path": "tocsin"}, {"path": "example.com/a"}]}}`

func TestWhatIsReachedAndMendedFails(t *testing.T) {
	reached := func(module, fixed string) string {
		return `{"osv": {"id": "GO-1", "summary": "Panic"}}
			{"finding": {"osv": "GO-1", "fixed_version": "` + fixed + `", "trace": [
				{"module": "` + module + `", "version": "v1.0.0", "package": "` + module + `/p", "function": "F"},
				{"module": "tocsin", "package": "tocsin/shared/x", "function": "G"}]}}`
	}
	for name, c := range map[string]struct{ said, out, wrong string }{
		"a dependency with a newer version":    {reached("example.com/a", "v1.0.1"), "mended in v1.0.1", "1 known"},
		"a dependency without a newer version": {reached("example.com/a", ""), "warning: no version mends it yet", ""},
		"the standard library": {reached("stdlib", "v1.26.9"),
			"warning: this machine's Go has 1 known vulnerabilities", ""},
		"what is imported and not called": {`{"finding": {"osv": "GO-1", "fixed_version": "v1.0.1",
			"trace": [{"module": "example.com/a", "package": "example.com/a/p"}]}}`,
			"no dependency has to be updated", ""},
		"nothing": {"", "2 modules: no dependency has to be updated", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := read(strings.NewReader(modules + c.said))
			require.NoError(t, err)
			var out bytes.Buffer
			err = found.tell(&out)
			require.Contains(t, out.String(), c.out)
			if c.wrong == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.wrong)
			}
		})
	}
}

func TestGovulncheckThatLookedAtNothingFails(t *testing.T) {
	for _, said := range []string{"", `{"config": {}}`, modules + "{"} {
		_, err := read(strings.NewReader(said))
		require.Error(t, err, said)
	}
}

// TestNothingCheckedDoesNotPassSilently has no database and no module proxy.
func TestNothingCheckedDoesNotPassSilently(t *testing.T) {
	t.Setenv("GOVULNDB", "http://127.0.0.1:1")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", t.TempDir())
	require.ErrorContains(t, run(t.Context(), []string{"-cache", t.TempDir()}), "not checked: ")
	require.NoError(t, run(t.Context(), []string{"-cache", t.TempDir(), "-unchecked=pass"}))
}
