package configuration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tocsin/shared/configuration/tree"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Check holds a document against the JSON Schema of an installation, so that what it would refuse is told before
// anything is changed. The error is Problems. No sentence quotes a value: it may be a secret.
func Check(d Document, schema json.RawMessage) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return fmt.Errorf("read the schema of configurations: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:tocsin:configuration", doc); err != nil {
		return fmt.Errorf("read the schema of configurations: %w", err)
	}
	compiled, err := c.Compile("urn:tocsin:configuration")
	if err != nil {
		return fmt.Errorf("read the schema of configurations: %w", err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.tree().JSON()))
	if err != nil {
		return fmt.Errorf("check the configuration: %w", err)
	}
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(instance); !errors.As(err, &invalid) {
		return err
	}
	k := checker{root: d.root}
	k.explain(invalid)
	return k.problems.Err()
}

// Join puts problems together. Of those of one line the first error's are kept: it looks closer.
func Join(errs ...error) error {
	var all tree.Problems
	for _, err := range errs {
		var p tree.Problems
		if err != nil && !errors.As(err, &p) {
			return err
		}
		known := slices.Clone(all)
		for _, one := range p {
			if !slices.ContainsFunc(known, func(k tree.Problem) bool { return k.Line == one.Line }) {
				all = append(all, one)
			}
		}
	}
	return all.Err()
}

type checker struct {
	root     tree.Value
	problems tree.Problems
}

// explain tells the leaves. Of several forms that a value can have, the first is the usual one.
func (c *checker) explain(e *jsonschema.ValidationError) {
	if _, ok := e.ErrorKind.(*kind.AnyOf); ok && len(e.Causes) > 0 {
		c.explain(e.Causes[0])
		return
	}
	for _, cause := range e.Causes {
		c.explain(cause)
	}
	if len(e.Causes) > 0 {
		return
	}
	line, at := c.place(e.InstanceLocation)
	if k, ok := e.ErrorKind.(*kind.AdditionalProperties); ok && len(k.Properties) > 0 {
		line, _ = c.place(append(slices.Clone(e.InstanceLocation), k.Properties[0]))
	}
	said := sentences(e.ErrorKind, c.find(e.InstanceLocation))
	if words := ofIntegration(e.InstanceLocation, c.find(e.InstanceLocation).Text); words != "" {
		said = []string{words}
	}
	for _, words := range said {
		p := tree.Problem{Line: line, At: at, Text: words}
		if !slices.Contains(c.problems, p) {
			c.problems = append(c.problems, p)
		}
	}
}

// place is the line of a value, or of what holds it, and how a person calls it.
func (c *checker) place(path []string) (line int, at string) {
	v, line := c.root, c.root.Line
	for _, step := range path {
		if m, ok := v.Get(step); ok {
			for _, member := range v.Members {
				if member.Name == step {
					line = member.Line
				}
			}
			v = m
			continue
		}
		var n int
		if _, err := fmt.Sscanf(step, "%d", &n); err != nil || n < 0 || n >= len(v.Items) {
			break
		}
		v = v.Items[n]
		line = cmp.Or(v.Line, line)
	}
	if len(path) < 2 {
		return line, strings.Join(path, ": ")
	}
	at = fmt.Sprintf("%s %q", strings.TrimSuffix(path[0], "s"), tree.Short(path[1]))
	if path[0] == "report_settings" {
		at = strings.Join(path[:2], ": ")
	}
	for _, step := range path[2:] {
		if strings.Trim(step, "0123456789") != "" {
			at += ": " + tree.Short(step)
		}
	}
	return line, at
}

// find is the value at a place of the document that was read.
func (c *checker) find(path []string) tree.Value {
	v := c.root
	for _, step := range path {
		m, ok := v.Get(step)
		var n int
		if _, err := fmt.Sscanf(step, "%d", &n); !ok && err == nil && n >= 0 && n < len(v.Items) {
			m = v.Items[n]
		}
		v = m
	}
	return v
}

var formats = map[string]string{
	"uri": "a full address such as https://example.com/path", "email": "an e-mail address", "uuid": "a UUID",
}

// sentences say what is wrong. Only of a word that stands for one of a few is the value looked at.
func sentences(k jsonschema.ErrorKind, v tree.Value) []string {
	one := func(format string, args ...any) []string { return []string{fmt.Sprintf(format, args...)} }
	switch k := k.(type) {
	case *kind.Required:
		return one("%s is required", strings.Join(k.Missing, ", "))
	case *kind.AdditionalProperties:
		var out []string
		for _, name := range k.Properties {
			out = append(out, fmt.Sprintf("there is no %q here", tree.Short(name)))
		}
		return out
	case *kind.Type:
		return one("must be of type %s", strings.Join(k.Want, " or "))
	case *kind.Enum:
		var known []string
		for _, w := range k.Want {
			known = append(known, fmt.Sprint(w))
		}
		if n := tree.Nearest(v.Text, known); n != "" {
			return one("did you mean %q?", n)
		}
		return one("must be one of %s", strings.Join(known, ", "))
	case *kind.Const:
		return one("must be %v", k.Want)
	case *kind.Not:
		return one("is the mask that stands for a secret in answers: write ${NAME} of an environment variable, or " +
			"leave it out to keep what is stored")
	case *kind.FalseSchema:
		return one("must be left out: it is not for this")
	case *kind.MinLength:
		if k.Want == 1 {
			return one("must not be empty")
		}
		return one("must have at least %d characters, has %d", k.Want, k.Got)
	case *kind.MaxLength:
		return one("must have at most %d characters, has %d", k.Want, k.Got)
	case *kind.MinItems:
		if k.Want == 1 {
			return one("must not be empty")
		}
		return one("must have at least %d entries", k.Want)
	case *kind.MaxItems:
		return one("must have at most %d entries, has %d", k.Want, k.Got)
	case *kind.UniqueItems:
		return one("holds the same entry twice")
	case *kind.Pattern:
		return one("has the wrong form: it must match %s", k.Want)
	case *kind.Format:
		return one("must be %s", cmp.Or(formats[k.Want], "of the form "+k.Want))
	case *kind.Minimum:
		f, _ := k.Want.Float64()
		return one("must be at least %v", f)
	case *kind.Maximum:
		f, _ := k.Want.Float64()
		return one("must be at most %v", f)
	case *kind.MultipleOf:
		f, _ := k.Want.Float64()
		return one("must be a multiple of %v", f)
	}
	return one("does not keep the rule %s", strings.Join(k.KeywordPath(), "."))
}
