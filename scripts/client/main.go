// Command client writes shared/client/client.gen.go from the API's document, with the oapi-codegen of scripts/versions.
//
//	go run ./scripts/client
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tocsin/scripts/tool"
)

func main() {
	tool.Main("client", func(ctx context.Context, _ []string) error {
		return generate(ctx, ".", "shared/client/client.gen.go")
	})
}

// generate writes the client of the repository at a path into a file.
func generate(ctx context.Context, root, file string) error {
	generator, err := version(filepath.Join(root, "scripts/versions"), "OAPI_CODEGEN")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "run", generator, "-config", "shared/client/oapi-codegen.yaml", "-o", file,
		"shared/console/testdata/openapi.json")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", generator, err, out)
	}
	return nil
}

// version reads the version of a tool.
func version(file, tool string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		if of, is := strings.CutPrefix(strings.TrimSpace(line), tool+"="); is {
			return of, nil
		}
	}
	return "", errors.New(file + " has no " + tool)
}
