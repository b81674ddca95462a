// Command release builds what a release is made of, below bin/release: for each platform an archive with the program
// and its papers, and a bill of materials (CycloneDX) of what is linked into it; and SHA256SUMS of all of them. The
// same commit gives the same bytes, on any machine with the Go that go.mod names.
//
// With -check it builds each platform a second time, in a fresh clone and with an empty build cache, and fails where
// one byte differs. `make release` runs it.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"tocsin/scripts/tool"
	"tocsin/shared/version"
)

// maxBinary is the most that a binary may have, in bytes.
const maxBinary = 40_000_000

// small are the packages that are built without inlining: none of them works once an event or a delivery, and each has
// much code, so that the program is 2.0 MB smaller and no slower at its work.
var small = []string{"github.com/danielgtaylor/huma/v2/...", "github.com/aws/...", "github.com/santhosh-tekuri/...",
	"github.com/invopop/...", "github.com/pb33f/...", "github.com/go-jose/...", "github.com/coreos/...",
	"go.yaml.in/...", "golang.org/x/oauth2/...", "encoding/xml", "tocsin/shared/console/...",
	"tocsin/shared/configuration/...", "tocsin/functions/local/...", "tocsin/shared/client",
	"github.com/oapi-codegen/...", "tocsin/shared/report/...", "tocsin/shared/session/...", "tocsin/shared/account",
	"tocsin/shared/profile", "tocsin/shared/activity", "tocsin/shared/token", "tocsin/shared/tenant",
	"tocsin/shared/erasure", "tocsin/shared/telegrambot", "tocsin/shared/keyring", "github.com/wneessen/...",
	"github.com/go-text/...", "golang.org/x/image/...", "filippo.io/...", "maragu.dev/...", "github.com/buger/...",
	"crypto/x509", "encoding/asn1", "archive/zip"}

type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

func (p platform) binary() string {
	if p.os == "windows" {
		return "tocsin.exe"
	}
	return "tocsin"
}

// platforms are those that a release is built for.
var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"},
	{"windows", "arm64"},
}

func main() { tool.Main("release", run) }

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	out := f.String("out", "bin/release", "the folder to write to; what is in it is removed")
	only := f.String("only", "", "platforms, with commas, such as linux/amd64 (all)")
	check := f.Bool("check", false, "build all of it again in a clone with an empty cache, and compare")
	dirty := f.Bool("dirty", false, "build although files are not committed; what is built says so")
	sbom := f.String("sbom", "", "the package of cyclonedx-gomod, with its version")
	if err := f.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	root, err := output(ctx, ".", nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	changes, err := output(ctx, root, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changes != "" && (!*dirty || *check) {
		return fmt.Errorf("files are not committed, so that nobody could build the same again:\n%s", changes)
	}
	folder, err := filepath.Abs(*out)
	if err != nil {
		return err
	}
	b := builder{root: root, out: folder, sbom: *sbom, platforms: chosen}
	if err := b.build(ctx); err != nil || !*check {
		return err
	}
	return b.again(ctx)
}

func choose(only string) ([]platform, error) {
	if only == "" {
		return platforms, nil
	}
	var out []platform
	for name := range strings.SplitSeq(only, ",") {
		n := slices.IndexFunc(platforms, func(p platform) bool { return p.String() == name })
		if n < 0 {
			return nil, fmt.Errorf("-only: %q is none of %v", name, platforms)
		}
		out = append(out, platforms[n])
	}
	return out, nil
}

// builder builds the releases of the clone at root.
type builder struct {
	root, out string
	sbom      string
	env       []string // beside the environment
	platforms []platform
}

func (b builder) build(ctx context.Context) error {
	at, err := output(ctx, b.root, nil, "git", "show", "-s", "--format=%cI")
	if err != nil {
		return err
	}
	made, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return fmt.Errorf("the time of the commit: %w", err)
	}
	if err := os.RemoveAll(b.out); err != nil {
		return err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	for _, p := range b.platforms {
		if err := b.one(ctx, p, made.UTC()); err != nil {
			return fmt.Errorf("build for %s: %w", p, err)
		}
	}
	return sums(b.out)
}

// papers are what lies beside the program in the archive of a platform.
func (b builder) papers(p platform) ([]file, error) {
	names := []string{"scripts/release/README.md", "CHANGELOG.md", "SECURITY.md", "THIRD_PARTY_NOTICES"}
	if p.os == "linux" {
		names = append(names, "infra/systemd/tocsin.service", "infra/systemd/tocsin-backup.service",
			"infra/systemd/tocsin-backup.timer", "infra/systemd/tocsin-copies.service")
	}
	var out []file
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(b.root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		out = append(out, file{path.Base(name), raw, 0o644})
	}
	for _, folder := range []string{"docs", "events"} {
		err := fs.WalkDir(os.DirFS(b.root), folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(filepath.Join(b.root, filepath.FromSlash(name)))
			out = append(out, file{name, raw, 0o644})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return within(out), nil
}

// link is a link of Markdown to a file.
var link = regexp.MustCompile(`(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)`)

// within takes the links from the documents that lead out of the archive; their words stay.
func within(files []file) []file {
	there := map[string]bool{}
	for _, f := range files {
		for at := f.name; at != "."; at = path.Dir(at) {
			there[at] = true // its folder too
		}
	}
	for n, f := range files {
		if path.Ext(f.name) != ".md" {
			continue
		}
		files[n].body = link.ReplaceAllFunc(f.body, func(whole []byte) []byte {
			m := link.FindSubmatch(whole)
			if there[path.Join(path.Dir(f.name), string(m[3]))] {
				return whole
			}
			return m[2]
		})
	}
	return files
}

func (b builder) one(ctx context.Context, p platform, made time.Time) error {
	papers, err := b.papers(p)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "tocsin-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, p.binary())
	env := append(slices.Clone(b.env), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=", "GOAMD64=v1",
		"GOARM64=v8.0")
	build := []string{"build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w -buildid="}
	for _, pattern := range small {
		build = append(build, "-gcflags="+pattern+"=-l")
	}
	_, err = output(ctx, b.root, env, "go", append(build, "-o", binary, "./functions/local")...)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	if len(raw) > maxBinary {
		return fmt.Errorf("the program has %d bytes, and may have %d", len(raw), maxBinary)
	}
	name := "tocsin_" + version.Number + "_" + p.os + "_" + p.arch
	packed, err := pack(p, append([]file{{p.binary(), raw, 0o755}}, papers...), name, made)
	if err != nil {
		return err
	}
	archive := name + extension(p)
	if err := os.WriteFile(filepath.Join(b.out, archive), packed, 0o644); err != nil {
		return err
	}
	if b.sbom != "" {
		env := append(slices.Clone(b.env), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
		bill, err := output(ctx, b.root, env, "go", "run", b.sbom, "bin", "-json", "-noserial",
			"-notimestamp", "-std", "-version", "v"+version.Number, binary)
		if err != nil {
			return fmt.Errorf("list what is in it: %w", err)
		}
		if err := os.WriteFile(filepath.Join(b.out, name+".cdx.json"), []byte(bill+"\n"), 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%-48s %10d bytes, the program %10d\n", archive, len(packed), len(raw))
	return nil
}

// sums writes SHA256SUMS, as sha256sum -c reads it.
func sums(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(raw), e.Name())
	}
	return os.WriteFile(filepath.Join(folder, "SHA256SUMS"), out.Bytes(), 0o644)
}

// again builds the commit in a clone elsewhere, with a cache of its own, and compares.
func (b builder) again(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "tocsin-release-again-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	clone := filepath.Join(folder, "elsewhere", "clone")
	if _, err := output(ctx, b.root, nil, "git", "clone", "--quiet", b.root, clone); err != nil {
		return err
	}
	second := builder{root: clone, out: filepath.Join(folder, "release"), sbom: b.sbom, platforms: b.platforms,
		env: []string{"GOCACHE=" + filepath.Join(folder, "cache")}}
	if err := second.build(ctx); err != nil {
		return fmt.Errorf("build again: %w", err)
	}
	return same(b.out, second.out)
}

// same fails where two folders differ in a name or a byte.
func same(one, other string) error {
	var listed [2][]string
	for n, folder := range []string{one, other} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, e := range entries {
			listed[n] = append(listed[n], e.Name())
		}
	}
	if !slices.Equal(listed[0], listed[1]) {
		return fmt.Errorf("two builds of one commit made different files: %v and %v", listed[0], listed[1])
	}
	for _, name := range listed[0] {
		a, err := os.ReadFile(filepath.Join(one, name))
		if err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			return fmt.Errorf("two builds of one commit differ in %s (%d and %d bytes)", name, len(a), len(b))
		}
	}
	fmt.Printf("built twice, in two folders, the second with an empty cache: %d files are the same, byte for byte "+
		"(%s)\n", len(listed[0]), runtime.Version())
	return nil
}

// output runs a command and returns what it printed, without the last line's end.
func output(ctx context.Context, folder string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimRight(out.String(), "\n"), nil
}
