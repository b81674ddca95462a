package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// in runs a command of the copy.
func in(t *testing.T, root, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// copied is a copy of the code, and of what its tests read.
func copied(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "template.yaml"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(root, name), raw, 0o600))
	}
	for _, folder := range []string{"shared", "scripts", "functions", "events"} {
		require.NoError(t, os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join("..", "..", folder))))
	}
	return root
}

// TestANewSystemIsAFolderAndALineOfTheCatalogue goes the steps of the README, "Add a destination".
func TestANewSystemIsAFolderAndALineOfTheCatalogue(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a copy of the repository")
	}
	root := copied(t)
	in(t, root, "go", "run", "./scripts/destination", "-folder", "acmelogs", "-name", "acme_logs", "-title",
		"Acme Logs")
	name := filepath.Join(root, "shared", "destination", "catalogue", "catalogue.go")
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	text := strings.Replace(string(raw), "\t\tsplunk.New(),\n", "\t\tsplunk.New(),\n\t\tacmelogs.New(),\n", 1)
	// gopls and goimports add it
	text = strings.Replace(text, "import (\n", "import (\n\t\"tocsin/shared/destination/acmelogs\"\n", 1)
	require.NotEqual(t, string(raw), text)
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	require.Empty(t, in(t, root, "gofmt", "-l", "shared/destination/acmelogs"))
	in(t, root, "go", "test", "./shared/destination/acmelogs", "./shared/destination/catalogue", "-update")
	in(t, root, "go", "vet", "./shared/destination/acmelogs")
	in(t, root, "go", "test", "./shared/destination/acmelogs", "./shared/destination/catalogue",
		"./shared/console/pages")

	// The catalogue, its form and its texts know it.
	require.NoError(t, os.WriteFile(filepath.Join(root, "shared", "destination", "catalogue", "seen_test.go"),
		[]byte(seen), 0o600))
	in(t, root, "go", "test", "./shared/destination/catalogue", "-run", "TestItIsThere", "-count=1")
}

const seen = `package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/catalogue"
)

func TestItIsThere(t *testing.T) {
	s, available, ok := catalogue.Default().Lookup("acme_logs")
	require.True(t, ok && available)
	require.Contains(t, string(s.Parameters.Schema()), "Address of the API of Acme Logs.")
	require.NotEmpty(t, s.Icon)
	require.Contains(t, s.Steps("42", "en"), "Test integration")
	require.Contains(t, s.Steps("42", "ja"), "連携をテスト")
	require.Contains(t, s.Texts["ja"], "Acme Logs")
}
`

func TestBadNamesAreRefused(t *testing.T) {
	root := t.TempDir()
	for _, s := range []system{{"Acme", "acme", "Acme"}, {"acme", "acme-logs", "Acme"}, {"acme", "acme", "<b>"},
		{"", "acme", "Acme"}, {"../x", "acme", "Acme"}} {
		require.Error(t, write(root, s))
	}
	require.NoError(t, write(root, system{"acme", "acme", "Acme"}))
	require.ErrorContains(t, write(root, system{"acme", "acme", "Acme"}), "is there already")
}
