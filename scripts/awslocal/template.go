package awslocal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is template.yaml as far as the local stack needs it.
type Template struct {
	Parameters map[string]Parameter `yaml:"Parameters"`
	Conditions map[string]any       `yaml:"Conditions"`
	Globals    map[string]any       `yaml:"Globals"`
	Resources  map[string]Resource  `yaml:"Resources"`
	Outputs    map[string]any       `yaml:"Outputs"`
}

// Parameter of a template.
type Parameter struct {
	Type    string `yaml:"Type"`
	Default any    `yaml:"Default"`
	NoEcho  bool   `yaml:"NoEcho"`
	// What a value may be at most, nil where the parameter does not say.
	AllowedValues []any `yaml:"AllowedValues"`
	MaxValue      any   `yaml:"MaxValue"`
	MaxLength     int   `yaml:"MaxLength"`
}

// Longest is how many characters a value of the parameter has at most; false when the template does not bound it.
func (p Parameter) Longest() (n int, ok bool) {
	for _, v := range p.AllowedValues {
		n = max(n, len(fmt.Sprint(v)))
	}
	switch {
	case n > 0:
		return n, true
	case p.MaxLength > 0:
		return p.MaxLength, true
	case p.MaxValue != nil:
		return len(fmt.Sprint(p.MaxValue)), true
	case p.Type == "Number":
		return 20, true // a 64-bit number
	}
	return 0, false
}

// Resource of a template. Intrinsic functions stand as maps of one member, {"Ref": …} or {"Fn::GetAtt": …}.
type Resource struct {
	Type           string         `yaml:"Type"`
	Condition      string         `yaml:"Condition"`
	DeletionPolicy string         `yaml:"DeletionPolicy"`
	Properties     map[string]any `yaml:"Properties"`
}

// ReadTemplate reads a template.
func ReadTemplate(path string) (*Template, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	long(&doc)
	var t Template
	if err := doc.Decode(&t); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &t, nil
}

// long turns the short form of intrinsic functions (!Ref x) into the long one.
func long(n *yaml.Node) {
	for _, c := range n.Content {
		long(c)
	}
	if !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
		return
	}
	name := n.Tag[1:]
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	value := *n
	switch value.Kind {
	case yaml.ScalarNode:
		value.Tag = "!!str"
	case yaml.SequenceNode:
		value.Tag = "!!seq"
	default:
		value.Tag = "!!map"
	}
	*n = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, &value,
	}}
}

// At finds a property by its path, nil when there is none.
func At(v any, path ...any) any {
	for _, step := range path {
		switch at := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[at]
		case int:
			l, _ := v.([]any)
			if at >= len(l) {
				return nil
			}
			v = l[at]
		}
	}
	return v
}

// Text is a property that is a text, "" when it is not.
func Text(v any) string {
	s, _ := v.(string)
	return s
}

// Number is a property that is a whole number, 0 when it is not.
func Number(v any) int {
	n, _ := v.(int)
	return n
}

// Target is the resource that !Ref, !GetAtt or !Sub of one resource names, "" when it is none of these.
func Target(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	if ref, ok := m["Ref"].(string); ok {
		return ref
	}
	switch at := m["Fn::GetAtt"].(type) {
	case string:
		name, _, _ := strings.Cut(at, ".")
		return name
	case []any:
		return Text(At(at, 0))
	}
	return ""
}

// Environment is a function's variables; resolve finds what a reference stands for.
func (t *Template) Environment(function string, resolve func(any) string) (map[string]string, error) {
	r, ok := t.Resources[function]
	if !ok {
		return nil, errors.New("the template has no " + function)
	}
	out := map[string]string{}
	for _, source := range []any{At(t.Globals, "Function", "Environment", "Variables"),
		At(r.Properties, "Environment", "Variables")} {
		variables, _ := source.(map[string]any)
		for name, v := range variables {
			switch v := v.(type) {
			case string:
				out[name] = v
			case int:
				out[name] = fmt.Sprint(v)
			default:
				out[name] = resolve(v)
			}
		}
	}
	return out, nil
}

// Allows looks for a statement of the role of a function, the caller, that names the action and the table, key or
// secret, whose name here begins with the prefix, and that has no condition which the call does not meet.
func (t *Template) Allows(u Use, prefix string) bool {
	statements, _ := At(t.Resources[u.Caller+"Role"].Properties, "Policies", 0, "PolicyDocument", "Statement").([]any)
	for _, s := range statements {
		if branch := At(s, "Fn::If", 1); branch != nil {
			s = branch
		}
		actions, _ := At(s, "Action").([]any)
		if !slices.Contains(actions, any(u.Action)) || !meets(At(s, "Condition"), u) {
			continue
		}
		if u.Resource == "" {
			return true
		}
		resources, _ := At(s, "Resource").([]any)
		if slices.ContainsFunc(resources, func(v any) bool { return named(v, u.Resource, prefix) }) {
			return true
		}
	}
	return false
}

// named reports whether a resource of a statement is the one that a call used.
func named(v any, used, prefix string) bool {
	if branch := At(v, "Fn::If", 1); branch != nil {
		v = branch
	}
	name := Target(v)
	if sub, ok := At(v, "Fn::Sub").(string); ok {
		name = strings.TrimPrefix(strings.Replace(sub, ".Arn}", "", 1), "${")
	}
	switch {
	case strings.HasPrefix(used, "arn:aws:kms:"):
		return strings.HasSuffix(used, ":key/"+name)
	case strings.HasPrefix(used, "arn:aws:secretsmanager:"):
		return strings.Contains(used, ":secret:"+prefix+name+"-")
	}
	return prefix+name == used
}

// meets reports whether a call that a function makes itself, and no service for it, meets a condition: of those on the
// encryption context and on scans by PartiQL, which are all that the template's roles have beside kms:ViaService.
func meets(condition any, u Use) bool {
	in := map[string]string{}
	for pair := range strings.SplitSeq(u.Context, ",") {
		name, value, _ := strings.Cut(pair, "=")
		in["kms:EncryptionContext:"+name] = value
	}
	operators, _ := condition.(map[string]any)
	for operator, keys := range operators {
		keys, _ := keys.(map[string]any)
		for key, want := range keys {
			got, has := in[key]
			switch operator {
			case "StringEquals":
				if !has || got != want {
					return false
				}
			case "BoolIfExists":
				if has && got != want {
					return false
				}
			case "Null":
				if (want == "false") != has {
					return false
				}
			default:
				return false
			}
		}
	}
	return true
}
