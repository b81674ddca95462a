package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// build makes every function's binary by the Makefile's own targets, as `sam build` does.
func build(root, into string) error {
	into, err := filepath.Abs(into)
	if err != nil {
		return err
	}
	for _, f := range functions {
		artifacts := filepath.Join(into, strings.ToLower(f))
		if err := os.MkdirAll(artifacts, 0o755); err != nil {
			return err
		}
		c := exec.Command("make", "-s", "-C", root, "build-"+f+"Function", "ARTIFACTS_DIR="+artifacts)
		c.Stderr = os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("build the function %s: %w", f, err)
		}
	}
	return nil
}

// parameterName finds the names in the Parameters section, which stand two spaces in, and their types.
var parameterName = regexp.MustCompile(`(?m)^  ([A-Za-z0-9]+):\n    Type: (\S+)$`)

// parameters are the values that the app's context gives to parameters of the template. The others stay parameters of
// the stack, with the template's defaults.
func parameters(stack awscdk.Stack, path string) (*map[string]any, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, section, _ := strings.Cut(string(raw), "\nParameters:\n")
	section, _, ok := strings.Cut(section, "\nConditions:\n")
	if !ok {
		return nil, fmt.Errorf("%s: Parameters must stand before Conditions", path)
	}
	values := map[string]any{}
	for _, m := range parameterName.FindAllStringSubmatch(section, -1) {
		if v := stack.Node().TryGetContext(jsii.String(m[1])); v != nil {
			if list, ok := v.(string); ok && m[2] == "CommaDelimitedList" {
				v = strings.Split(list, ",") // a reference to it stands where CloudFormation takes a list
			}
			values[m[1]] = v
		}
	}
	return &values, nil
}
