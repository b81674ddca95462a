// Command notices writes THIRD_PARTY_NOTICES: the licences of all that is in the binaries of ./functions/... and is not
// ours, which is modules of Go, Go itself, and the fonts and scripts that are embedded. It fails when one of them has a
// licence that is not among those allowed. With -check it compares the file only; `make lint` does that.
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"

	"tocsin/scripts/tool"
)

const notices = "THIRD_PARTY_NOTICES"

// allowed are the licences that may be in a binary, by their SPDX identifiers: those that ask for no more than their
// text beside it, and MPL-2.0, which asks for the source of its own files alone. None under which the rest would have
// to be given away or relinked (LGPL and stronger).
var allowed = map[string]bool{
	"0BSD": true, "Apache-2.0": true, "blessing": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "CC0-1.0": true,
	"ISC": true, "MIT": true, "MIT-0": true, "MPL-2.0": true, "OFL-1.1": true, "Unlicense": true,
}

// read are texts that the scanner does not know, by their SHA-256, with what a person found them to be.
var read = map[string]string{
	"14088888f59c8feb910cb6cad319c6f5cddc751201662f3c09ac7b3d4ae04bfa": "blessing", // modernc.org/sqlite/SQLITE-LICENSE
}

// licence is how files with licences are called, in modules and beside what is embedded.
var licence = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|sqlite-licen[cs]e|ofl)|^[^.].*\.LICENSE$`)

// notLinked are licences of what is in a module and in no binary.
var notLinked = regexp.MustCompile(`(?i)^licen[cs]e-logo|\.(sum|mod)\.license$`)

// alsoTold is how files are called that are no licences and are to be passed on with them (Apache License 2.0, 4 d).
var alsoTold = regexp.MustCompile(`(?i)^(notice|patents|licen[cs]e-summary)(\.(txt|md))?$`)

func main() { tool.Main("notices", run) }

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("notices", flag.ContinueOnError)
	check := f.Bool("check", false, "compare "+notices+" with what it should be, and write nothing")
	if err := f.Parse(args); err != nil {
		return err
	}
	found := texts{}
	if err := errors.Join(found.ofModules(ctx), found.ofFolder("shared", "shared")); err != nil {
		return err
	}
	if err := found.judge(); err != nil {
		return err
	}
	want := found.write()
	if !*check {
		return os.WriteFile(notices, want, 0o644) //nolint:gosec // a file of the repository
	}
	is, err := os.ReadFile(notices)
	if err != nil || !bytes.Equal(is, want) {
		return errors.Join(errors.New(notices+" is not current: run make notices, and read what changed"), err)
	}
	return nil
}

// texts are who has a text, by the text: many modules have the same.
type texts map[string][]string

// ofModules adds Go's licence and those of the modules that are linked on any system that Tocsin runs on.
func (t texts) ofModules(ctx context.Context) error {
	folders := map[string]string{} // of packages, with the module's
	paths := map[string]string{}   // of modules, by their folder
	for _, system := range []string{"linux", "darwin", "windows"} {
		c := exec.CommandContext(ctx, "go", "list", "-deps", "-tags=lambda.norpc", "-f",
			"{{with .Module}}{{if not .Main}}{{$.Dir}}\t{{.Dir}}\t{{.Path}}{{end}}{{end}}", "./functions/...")
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS="+system)
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			return fmt.Errorf("list the packages on %s: %w", system, err)
		}
		for line := range strings.Lines(string(out)) {
			if part := strings.Split(strings.TrimSpace(line), "\t"); len(part) == 3 {
				folders[part[0]], paths[part[1]] = part[1], part[2]
			}
		}
	}
	for folder, module := range folders {
		for at := folder; ; at = filepath.Dir(at) { // a package may have a licence of its own
			if err := t.ofFiles(at, strings.Replace(at, module, paths[module], 1)); err != nil {
				return err
			}
			if at == module {
				break
			}
		}
	}
	for _, path := range paths {
		if !t.has(path) {
			return fmt.Errorf("%s has no licence", path)
		}
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	return t.ofFiles(strings.TrimSpace(string(root)), "Go")
}

// has says whether a module has a licence.
func (t texts) has(module string) bool {
	for _, files := range t {
		for _, file := range files {
			if filepath.ToSlash(filepath.Dir(file)) == module && !alsoTold.MatchString(filepath.Base(file)) {
				return true
			}
		}
	}
	return false
}

// ofFolder adds the licences of a folder and of those below it.
func (t texts) ofFolder(folder, name string) error {
	return filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return t.ofFiles(path, strings.Replace(path, folder, name, 1))
	})
}

// ofFiles adds the files of one folder.
func (t texts) ofFiles(folder, name string) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range files {
		if e.IsDir() || strings.HasSuffix(e.Name(), ".go") || notLinked.MatchString(e.Name()) ||
			!licence.MatchString(e.Name()) && !alsoTold.MatchString(e.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n"))
		if file := filepath.ToSlash(filepath.Join(name, e.Name())); !slices.Contains(t[text], file) {
			t[text] = append(t[text], file)
		}
	}
	return nil
}

// judge is an error for each text that is no allowed licence.
func (t texts) judge() error {
	var wrong []error
	licensed := 0
	for text, files := range t {
		slices.Sort(files)
		if alsoTold.MatchString(filepath.Base(files[0])) {
			continue
		}
		licensed++
		if allowed[read[fmt.Sprintf("%x", sha256.Sum256([]byte(text)))]] {
			continue
		}
		c := licensecheck.Scan([]byte(text))
		if c.Percent < 75 {
			wrong = append(wrong, fmt.Errorf("%s: no licence that is known (%.0f %% of it is)", files[0], c.Percent))
		}
		for _, m := range c.Match {
			if !allowed[m.ID] {
				wrong = append(wrong, fmt.Errorf("%s: %s is not among the licences that are allowed", files[0], m.ID))
			}
		}
	}
	if licensed == 0 {
		wrong = append(wrong, errors.New("no licence was found"))
	}
	slices.SortFunc(wrong, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

// write is the file: each text once, under the files that have it.
func (t texts) write() []byte {
	var b bytes.Buffer
	b.WriteString(
		"Tocsin's binaries have parts that others made, under the licences below. `make notices` writes this file.\n")
	for _, text := range slices.SortedFunc(maps.Keys(t),
		func(a, b string) int { return cmp.Compare(t[a][0], t[b][0]) }) {
		b.WriteString("\n" + strings.Repeat("=", 80) + "\n")
		for _, file := range t[text] {
			b.WriteString(file + "\n")
		}
		b.WriteString(strings.Repeat("-", 80) + "\n\n" + text + "\n")
	}
	return b.Bytes()
}
