// Command vulncheck says which known vulnerabilities the code of this repository reaches (govulncheck), and fails when
// a newer version of a dependency mends one. `make vulncheck` runs it.
//
// The data is that of vuln.go.dev, or of the database that GOVULNDB names. Where it can not be reached it is the module
// golang.org/x/vulndb, from which vuln.go.dev is made, as the Go module proxy has it. Where neither can be reached
// nothing was checked: the command says so and fails, or only says so with -unchecked=pass.
//
// Vulnerabilities of Go's standard library are told and do not fail: their remedy is a newer Go on the machine that
// builds, which no change of this repository brings.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tocsin/scripts/tool"
)

func main() { tool.Main("vulncheck", run) }

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("vulncheck", flag.ContinueOnError)
	govulncheck := f.String("govulncheck", "", "the package of govulncheck with its version")
	unchecked := f.String("unchecked", "fail", "fail or pass, when no database can be reached")
	cache := f.String("cache", "var/vulndb", "folder of the databases that are made of golang.org/x/vulndb")
	if err := f.Parse(args); err != nil {
		return err
	}
	database, err := reach(ctx, *cache)
	if err != nil {
		err = fmt.Errorf("not checked: no database of vulnerabilities can be reached: %w", err)
		if *unchecked != "pass" {
			return err
		}
		fmt.Println(err)
		return nil
	}
	out, err := command(ctx, "go", "run", *govulncheck, "-format", "json", "-db", database, "./...")
	if err != nil {
		return err
	}
	found, err := read(bytes.NewReader(out))
	if err != nil {
		return err
	}
	return found.tell(os.Stdout)
}

// reach is the address of a database that answers.
func reach(ctx context.Context, cache string) (string, error) {
	database := os.Getenv("GOVULNDB")
	if database == "" {
		database = "https://vuln.go.dev"
	}
	if strings.HasPrefix(database, "file://") {
		return database, nil
	}
	unreached := answers(ctx, database)
	if unreached == nil {
		fmt.Println("checked against", database)
		return database, nil
	}
	made, version, err := fromModule(ctx, cache)
	if err != nil {
		return "", errors.Join(unreached, err)
	}
	fmt.Printf("%s can not be reached (%v): checked against golang.org/x/vulndb %s\n", database, unreached, version)
	return made, nil
}

// answers says whether a database has an index. Go, "Go Vulnerability Database", API.
func answers(ctx context.Context, database string) error {
	ctx, stop := context.WithTimeout(ctx, 15*time.Second)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, database+"/index/db.json", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// fromModule makes a database of the newest golang.org/x/vulndb with the program that the module brings for it.
func fromModule(ctx context.Context, cache string) (address, version string, err error) {
	out, err := command(ctx, "go", "mod", "download", "-json", "golang.org/x/vulndb@latest")
	if err != nil {
		return "", "", err
	}
	var module struct{ Version, Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", "", err
	}
	folder, err := filepath.Abs(filepath.Join(cache, module.Version))
	if err != nil {
		return "", "", err
	}
	if _, err := os.Stat(folder); err == nil {
		return "file://" + folder, module.Version, nil
	}
	unfinished := folder + ".unfinished"
	if err := errors.Join(os.RemoveAll(unfinished), os.MkdirAll(unfinished, 0o755)); err != nil {
		return "", "", err
	}
	if _, err := command(ctx, "go", "run", "golang.org/x/vulndb/cmd/indexdb@"+module.Version,
		"-vulns", filepath.Join(module.Dir, "data", "osv"), "-out", unfinished); err != nil {
		return "", "", err
	}
	return "file://" + folder, module.Version, os.Rename(unfinished, folder)
}

// command is what a command prints. What it says of a failure is in the error.
func command(ctx context.Context, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, args...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s%s", strings.Join(append([]string{name}, args...), " "), err,
			tail(out.String()), tail(said.String()))
	}
	return out.Bytes(), nil
}

// tail is the end of a long text.
func tail(text string) string {
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-1000):]
}

// findings are the vulnerabilities that the code reaches, by their id.
type findings struct {
	summaries map[string]string
	reached   map[string]finding
	modules   int // that were looked at
}

// finding is a message of govulncheck. Package golang.org/x/vuln/internal/govulncheck, Finding.
type finding struct {
	OSV          string  `json:"osv"`
	FixedVersion string  `json:"fixed_version"`
	Trace        []frame `json:"trace"` // from the vulnerable symbol to the entry point
}

type frame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"` // empty when the code imports, but does not call
}

// standardLibrary is govulncheck's name of the module of Go's packages.
const standardLibrary = "stdlib"

// read reads what govulncheck writes: JSON values one after the other.
func read(from io.Reader) (findings, error) {
	f := findings{summaries: map[string]string{}, reached: map[string]finding{}}
	for d := json.NewDecoder(from); ; {
		var message struct {
			Finding *finding `json:"finding"`
			OSV     *struct {
				ID      string `json:"id"`
				Summary string `json:"summary"`
			} `json:"osv"`
			SBOM *struct {
				Modules []any `json:"modules"`
			} `json:"SBOM"`
		}
		switch err := d.Decode(&message); {
		case errors.Is(err, io.EOF) && f.modules == 0:
			return f, errors.New("govulncheck looked at no module")
		case errors.Is(err, io.EOF):
			return f, nil
		case err != nil:
			return f, fmt.Errorf("read what govulncheck says: %w", err)
		}
		if o := message.OSV; o != nil {
			f.summaries[o.ID] = o.Summary
		}
		if s := message.SBOM; s != nil {
			f.modules += len(s.Modules)
		}
		if v := message.Finding; v != nil && len(v.Trace) > 0 && v.Trace[0].Function != "" {
			f.reached[v.OSV] = *v // the last of several ways
		}
	}
}

// tell lists what was found, and is an error when a dependency has to change.
func (f findings) tell(to io.Writer) error {
	var mended, library int
	for _, id := range slices.Sorted(maps.Keys(f.reached)) {
		v := f.reached[id]
		at, where := v.Trace[0], v.Trace[len(v.Trace)-1]
		fixed := "warning: no version mends it yet"
		if v.FixedVersion != "" {
			fixed = "mended in " + v.FixedVersion
		}
		fmt.Fprintf(to, "https://pkg.go.dev/vuln/%s: %s, in %s %s (%s), reached from %s\n",
			id, f.summaries[id], at.Module, at.Version, fixed, where.Package)
		switch {
		case at.Module == standardLibrary:
			library++
		case v.FixedVersion != "":
			mended++
		}
	}
	if library > 0 {
		fmt.Fprintf(to, "warning: this machine's Go has %d known vulnerabilities that the code reaches: "+
			"build with a newer Go before you deploy\n", library)
	}
	if mended > 0 {
		return fmt.Errorf("dependencies have %d known vulnerabilities that the code reaches: take the versions that "+
			"mend them", mended)
	}
	fmt.Fprintf(to, "%d modules: no dependency has to be updated\n", f.modules)
	return nil
}
