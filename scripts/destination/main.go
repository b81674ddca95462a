// Command destination makes the folder of a new system from a template: code, form, icon, the set-up text and all other
// texts in English and Japanese, and the test with the suite that every system passes. What is left to do is marked
// TODO. Usage:
//
//	go run ./scripts/destination -folder acmelogs -name acme_logs -title "Acme Logs"
package main

import (
	"embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed template
var templates embed.FS

// files are those of the folder, and the templates that they are made of.
var files = map[string]string{
	"{{.Folder}}.go":        "destination.go.txt",
	"{{.Folder}}_test.go":   "destination_test.go.txt",
	"setup.md":              "setup.md.txt",
	"setup.ja.md":           "setup.ja.md.txt",
	"icon.svg":              "icon.svg.txt",
	"ja.json":               "ja.json.txt",
	"testdata/example.json": "example.json.txt",
}

// system is what a template is filled with.
type system struct {
	Folder string // of the package, in lower case
	Name   string // in the API, such as acme_logs
	Title  string // in the Console
}

// Identifier is the folder's name as a part of a Go name.
func (s system) Identifier() string { return strings.ToUpper(s.Folder[:1]) + s.Folder[1:] }

func main() {
	var s system
	root := flag.String("root", ".", "the repository")
	flag.StringVar(&s.Folder, "folder", "", "name of the folder and package, such as acmelogs")
	flag.StringVar(&s.Name, "name", "", "name in the API, such as acme_logs")
	flag.StringVar(&s.Title, "title", "", "name in the Console, such as Acme Logs")
	flag.Parse()
	if err := write(*root, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("Next: 1. add %s.New() to shared/destination/catalogue/catalogue.go; 2. do what is marked TODO in "+
		"shared/destination/%s; "+
		"3. go test ./shared/destination/%s ./shared/destination/catalogue -update, and read the golden files.\n",
		s.Folder, s.Folder, s.Folder)
}

var (
	folderRule = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)
	nameRule   = regexp.MustCompile(`^[a-z][a-z0-9_]{1,30}$`)
	titleRule  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 .&+-]{0,40}$`)
)

func write(root string, s system) error {
	switch {
	case !folderRule.MatchString(s.Folder):
		return fmt.Errorf("-folder %q: a package's name has lower-case letters and digits, such as acmelogs", s.Folder)
	case !nameRule.MatchString(s.Name):
		return fmt.Errorf("-name %q: a system's name has lower-case letters, digits and _, such as acme_logs", s.Name)
	case !titleRule.MatchString(s.Title):
		return fmt.Errorf("-title %q: a title has letters, digits and spaces, such as Acme Logs", s.Title)
	}
	folder := filepath.Join(root, "shared", "destination", s.Folder)
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is there already", folder)
	}
	if err := os.MkdirAll(filepath.Join(folder, "testdata"), 0o755); err != nil {
		return err
	}
	for name, from := range files {
		target, err := fill(name, s)
		if err != nil {
			return err
		}
		raw, err := templates.ReadFile("template/" + from)
		if err != nil {
			return err
		}
		text, err := fill(string(raw), s)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if err := os.WriteFile(filepath.Join(folder, target), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fill(text string, s system) (string, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, s)
	return out.String(), err
}
