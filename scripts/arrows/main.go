// Command arrows proves that the linter holds the arrows between the folders: it makes a small module with one package
// for each arrow back, and fails when the linter lets one of them through. `make lint` runs it.
//
//	go run ./scripts/arrows github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tocsin/scripts/tool"
)

// back are the arrows that must fail: a folder, and what nothing in it imports.
var back = []struct{ from, to string }{
	{"shared/delivery", "tocsin/functions/stack"},
	{"shared/engine/aws/queues", "tocsin/functions/stack"},
	{"shared/report", "tocsin/scripts/tool"},
	{"shared/engine/sqlite", "tocsin/scripts/tool"},
	{"functions/api", "tocsin/scripts/tool"},

	{"shared/delivery", "tocsin/shared/engine/sqlite"},
	{"shared/fanout", "tocsin/shared/engine/aws"},
	{"shared/sending", "tocsin/shared/engine/aws/tables"},
	{"shared/worker", "tocsin/shared/engine/memory"},
	{"shared/console", "tocsin/shared/engine/sqlite"},
	{"shared/telegrambot", "tocsin/shared/engine/sqlite"},
	{"shared/destination/slack", "tocsin/shared/engine/sqlite"},
	{"shared/destination/s3", "tocsin/shared/engine/aws"},
	{"shared/trigger", "github.com/aws/aws-sdk-go-v2/service/dynamodb"},
	{"shared/health", "github.com/aws/aws-lambda-go/events"},
	{"shared/destination/s3", "github.com/aws/aws-sdk-go-v2/service/sts"},
	{"shared/report", "zombiezen.com/go/sqlite"},
	{"shared/counting", "database/sql"},

	{"shared/engine/aws", "tocsin/shared/console"},
	{"shared/engine/sqlite", "tocsin/shared/console"},
	{"shared/report", "tocsin/shared/console/pages"},

	{"shared/engine/aws", "tocsin/shared/engine/sqlite"},
	{"shared/engine/aws/keys", "zombiezen.com/go/sqlite"},
	{"shared/engine/sqlite", "tocsin/shared/engine/aws"},
	{"shared/engine/sqlite", "github.com/aws/aws-sdk-go-v2/service/sqs"},
	{"shared/engine/memory", "tocsin/shared/engine/sqlite"},
	{"shared/engine/enginetest", "tocsin/shared/engine/aws"},
	{"shared/engine/enginetest", "zombiezen.com/go/sqlite"},

	{"shared/destination", "tocsin/shared/destination/slack"},
	{"shared/destination/slack", "tocsin/shared/destination/catalogue"},
	{"shared/destination/jira", "tocsin/shared/delivery"},
	{"shared/destination/teams", "tocsin/shared/egress"},
	{"shared/destination/telegram", "tocsin/shared/telegrambot"},
	{"shared/event", "tocsin/shared/notification"},
	{"shared/event", "tocsin/shared/destination"},
	{"shared/notification", "tocsin/shared/destination"},
	{"shared/delivery", "tocsin/shared/fanout"},
	{"shared/delivery", "tocsin/shared/sending"},
	{"shared/delivery", "tocsin/shared/worker"},
	{"shared/fanout", "tocsin/shared/sending"},
	{"shared/sending", "tocsin/shared/worker"},
}

// forward are arrows that must not fail.
var forward = []struct{ from, to string }{
	{"functions/api", "tocsin/shared/engine/aws"},
	{"shared/console", "tocsin/shared/delivery"},
	{"shared/engine/aws", "tocsin/shared/delivery"},
	{"shared/engine/aws", "github.com/aws/aws-sdk-go-v2/service/dynamodb"},
	{"shared/engine/sqlite", "zombiezen.com/go/sqlite"},
	{"shared/destination/slack", "tocsin/shared/destination"},
	{"shared/destination/s3", "github.com/aws/aws-sdk-go-v2/aws/signer/v4"},
	{"shared/worker", "tocsin/shared/sending"},
}

func main() { tool.Main("arrows", run) }

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("name the package of golangci-lint with its version")
	}
	folder, err := os.MkdirTemp("", "tocsin-arrows-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := lay(folder); err != nil {
		return err
	}
	failed, err := lint(ctx, args[0], folder)
	if err != nil {
		return err
	}
	var wrong []error
	for n, a := range back {
		if !failed[place(a.from, "back", n)] {
			wrong = append(wrong, fmt.Errorf(".golangci.yml lets %s import %s", a.from, a.to))
		}
	}
	for n, a := range forward {
		if failed[place(a.from, "forward", n)] {
			wrong = append(wrong, fmt.Errorf(".golangci.yml does not let %s import %s", a.from, a.to))
		}
	}
	if len(wrong) == 0 {
		fmt.Printf("%d arrows back fail, %d arrows forward pass\n", len(back), len(forward))
	}
	return errors.Join(wrong...)
}

// place is the file of an arrow. Most have a folder of their own, so that no package imports itself; the rule of the
// seam is for one folder alone.
func place(from, kind string, n int) string {
	if from == "shared/destination" {
		return filepath.Join(from, fmt.Sprintf("%s%d.go", kind, n))
	}
	return filepath.Join(from, fmt.Sprintf("%s%d", kind, n), "arrow.go")
}

// lay writes the module: the configuration and go.mod of this repository, a file for each arrow, and an empty package
// for each that is imported.
func lay(folder string) error {
	for _, name := range []string{".golangci.yml", "go.mod", "go.sum"} {
		content, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("run it where go.mod is: %w", err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	for kind, arrows := range map[string][]struct{ from, to string }{"back": back, "forward": forward} {
		for n, a := range arrows {
			if err := write(folder, place(a.from, kind, n), "package arrow\n\nimport _ \""+a.to+"\"\n"); err != nil {
				return err
			}
			if path, ours := strings.CutPrefix(a.to, "tocsin/"); ours && path != "shared/destination" {
				if err := write(folder, filepath.Join(path, "empty.go"), "package arrow\n"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func write(folder, name, content string) error {
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}

// lint is the files of which depguard finds something.
func lint(ctx context.Context, golangci, folder string) (map[string]bool, error) {
	c := exec.CommandContext(ctx, "go", "run", golangci, "run", "--enable-only=depguard",
		"--output.json.path=stdout", "--show-stats=false", "./...")
	c.Dir = folder
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	wrong := c.Run() // 1 for what it found
	var found struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		return nil, fmt.Errorf("golangci-lint: %w\n%s%s", errors.Join(wrong, err), out.String(), said.String())
	}
	failed := map[string]bool{}
	for _, i := range found.Issues {
		if i.FromLinter != "depguard" {
			return nil, fmt.Errorf("golangci-lint: %s: %s", i.Pos.Filename, i.Text)
		}
		failed[filepath.FromSlash(i.Pos.Filename)] = true
	}
	return failed, nil
}
