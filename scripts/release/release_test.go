package main

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var made = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tar and sha256sum are not ours; an archive is read by them as who downloads it does.
func TestAnArchiveIsReadByTar(t *testing.T) {
	folder := t.TempDir()
	files := []file{{"tocsin", []byte("the program"), 0o755}, {"README.md", []byte("read me"), 0o644}}
	packed, err := pack(platform{"linux", "amd64"}, files, "tocsin_1", made)
	require.NoError(t, err)
	again, err := pack(platform{"linux", "amd64"}, files, "tocsin_1", made.In(time.FixedZone("", 3600)))
	require.NoError(t, err)
	require.Equal(t, packed, again, "whose clock says what does not matter")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a.tar.gz"), packed, 0o644))
	require.NoError(t, sums(folder))
	for _, command := range []string{"tar xzf a.tar.gz", "sha256sum --check --strict SHA256SUMS"} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	info, err := os.Stat(filepath.Join(folder, "tocsin_1", "tocsin"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	require.True(t, info.ModTime().Equal(made))
	raw, err := os.ReadFile(filepath.Join(folder, "tocsin_1", "README.md"))
	require.NoError(t, err)
	require.Equal(t, "read me", string(raw))
}

func TestAnArchiveForWindowsIsReadByPython(t *testing.T) {
	folder := t.TempDir()
	files := []file{{"tocsin.exe", []byte("the program"), 0o755}}
	packed, err := pack(platform{"windows", "arm64"}, files, "tocsin_1", made)
	require.NoError(t, err)
	name := filepath.Join(folder, "a.zip")
	require.NoError(t, os.WriteFile(name, packed, 0o644))
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	out, err := exec.CommandContext(t.Context(), python, "-c",
		"import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); "+
			"print(z.testzip(), z.namelist(), z.infolist()[0].date_time)", name).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "None ['tocsin_1/tocsin.exe'] (2026, 3, 1, 12, 0, 0)", strings.TrimSpace(string(out)))
}

// Who has the archive has nothing else: the README of the repository began with a target of make, and its pages were
// not there.
func TestWhatThePapersOfAnArchiveLinkToIsInIt(t *testing.T) {
	for _, p := range platforms {
		papers, err := builder{root: "../.."}.papers(p)
		require.NoError(t, err)
		there, links := map[string]string{}, 0
		for _, f := range papers {
			there[f.name] = string(f.body)
			there[path.Dir(f.name)] = ""
		}
		for name, text := range there {
			if !strings.HasSuffix(name, ".md") {
				continue
			}
			for _, m := range regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
				links++
				_, ok := there[path.Join(path.Dir(name), m[1])]
				require.True(t, ok, "%s for %s links to %s", name, p, m[1])
			}
		}
		require.Greater(t, links, 200)
		require.NotContains(t, there["README.md"], "make run")
		for _, named := range []string{"docs/install.md", "docs/first-message.md", "events/README.md",
			"events/vulnerability.json", "docs/images/console.png"} {
			require.NotEmpty(t, there[named], named)
		}
	}
}

func TestTwoBuildsThatDifferAreTold(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	write := func(folder, name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	write(one, "a", "1")
	require.ErrorContains(t, same(one, other), "different files")
	write(other, "a", "2")
	require.ErrorContains(t, same(one, other), "differ in a")
	write(other, "a", "1")
	require.NoError(t, same(one, other))
}

func TestAPlatformThatThereIsNotIsNamed(t *testing.T) {
	_, err := choose("linux/amd64,plan9/mips")
	require.ErrorContains(t, err, `"plan9/mips" is none of`)
}
