package tree

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Node is a value as the YAML library writes it.
func Node(v Value) *yaml.Node {
	n := &yaml.Node{LineComment: v.Comment}
	if v.Flow {
		n.Style = yaml.FlowStyle
	}
	switch v.Kind {
	case List:
		n.Kind = yaml.SequenceNode
		for _, item := range v.Items {
			n.Content = append(n.Content, Node(item))
		}
	case Map:
		n.Kind = yaml.MappingNode
		for _, m := range v.Members {
			n.Content = append(n.Content, stringNode(m.Name), Node(m.Value))
		}
	case String:
		s := stringNode(v.Text)
		s.LineComment = v.Comment
		return s
	default:
		n.Kind = yaml.ScalarNode
		n.Tag, n.Value = map[Kind]string{Null: "!!null", Bool: "!!bool", Number: ""}[v.Kind], v.Text
		if v.Kind == Null {
			n.Value = "null"
		}
	}
	return n
}

// stringNode writes a text of several lines as a block where the block gives back the same text, and what looks like
// another type in quotes.
func stringNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	odd := strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\n' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff
	})
	lines := strings.Split(s, "\n")
	padded := slices.ContainsFunc(lines, func(l string) bool { return strings.TrimSpace(l) != l })
	switch {
	case odd || len(lines) > 1 && (padded || lines[0] == "" || strings.HasSuffix(s, "\n\n")):
		n.Style = yaml.DoubleQuotedStyle
	case len(lines) > 1:
		n.Style = yaml.LiteralStyle
	case ambiguous(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// ambiguous reports whether a reader of YAML 1.1 could take a plain text for something else.
func ambiguous(s string) bool {
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "<<", "=":
		return true
	}
	return strings.ContainsRune("0123456789+-.", rune(s[0]))
}
