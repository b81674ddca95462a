package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of a document: a hundred times what a large account has.
const (
	MaxBytes  = 4 << 20
	maxValues = 200_000 // with those that aliases repeat
	maxDepth  = 50
)

// Parse makes values of YAML: one document, in UTF-8, without what only YAML has but anchors. begins is how a file
// that is empty ought to begin. The error is Problems.
func Parse(data []byte, begins string) (Value, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case len(data) > MaxBytes:
		return Value{}, Fault(0, "the file has %d bytes; at most %d are read", len(data), MaxBytes)
	case !utf8.Valid(data):
		line := 1 + bytes.Count(data[:invalidAt(data)], []byte("\n"))
		return Value{}, Fault(line, "the file is not UTF-8: save it in that encoding")
	}
	if json.Valid(data) {
		data = plainJSON(data)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	err := d.Decode(&first)
	if errors.Is(err, io.EOF) || err == nil && (len(first.Content) == 0 || empty(first.Content[0])) {
		return Value{}, Fault(0, "the file is empty: begin with `%s`", begins)
	}
	if err != nil {
		return Value{}, syntax(data, err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return Value{}, syntax(data, err)
		}
		return Value{}, Fault(second.Line, "a second document begins here: a configuration is one document")
	}
	c := converter{}
	root := c.value(first.Content[0], 0)
	return root, c.problems.Err()
}

// escapes are those of JSON's strings, and the pairs of one character.
var escapes = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\.`)

// unlike are characters that JSON takes as they are, and YAML does not, or as the end of a line.
var unlike = regexp.MustCompile("[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]")

// plainJSON is JSON as YAML takes it: without tabs, which are between values only, without pairs of escapes for one
// character, and with escapes for what is unlike.
func plainJSON(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("\t"), []byte(" "))
	data = unlike.ReplaceAllFunc(data, func(found []byte) []byte {
		r, _ := utf8.DecodeRune(found)
		return fmt.Appendf(nil, `\u%04x`, r)
	})
	return escapes.ReplaceAllFunc(data, func(found []byte) []byte {
		var s string
		if len(found) < 12 || json.Unmarshal(slices.Concat([]byte{'"'}, found, []byte{'"'}), &s) != nil {
			return found
		}
		return []byte(s)
	})
}

// empty reports whether a node is a null that nobody wrote.
func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" }

// invalidAt is where the first byte is that is not UTF-8.
func invalidAt(data []byte) int {
	for n := 0; n < len(data); {
		r, size := utf8.DecodeRune(data[n:])
		if r == utf8.RuneError && size == 1 {
			return n
		}
		n += size
	}
	return len(data)
}

var (
	atLine  = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	tabbed  = regexp.MustCompile(`(?m)^ *\t`)
	control = regexp.MustCompile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
)

// syntax tells what the YAML library found, with the usual causes in words of our own.
func syntax(data []byte, err error) error {
	if at := tabbed.FindIndex(data); at != nil {
		return Fault(1+bytes.Count(data[:at[0]], []byte("\n")), "a tab indents this line: YAML takes spaces only")
	}
	if at := control.FindIndex(data); at != nil {
		return Fault(1+bytes.Count(data[:at[0]], []byte("\n")), "there is a control character in this line")
	}
	words := err.Error()
	found := atLine.FindStringSubmatch(words)
	line, _ := strconv.Atoi(found[1]) // 0 when it names none
	return Fault(line, "this is not YAML: %s", strings.TrimPrefix(words, found[0]))
}

// converter makes values of the library's nodes.
type converter struct {
	problems Problems
	count    int
	open     map[*yaml.Node]bool // the anchors that are being repeated
}

func (c *converter) wrong(n *yaml.Node, format string, args ...any) Value {
	if len(c.problems) == 0 || c.count < maxValues {
		c.problems.Add(n.Line, "", format, args...)
	}
	return Value{Line: n.Line}
}

func (c *converter) value(n *yaml.Node, depth int) Value {
	if c.count++; c.count > maxValues {
		if c.count == maxValues+1 {
			c.problems.Add(n.Line, "", "the document has more than %d values, with those that aliases repeat",
				maxValues)
		}
		return Value{}
	}
	if depth > maxDepth {
		return c.wrong(n, "this is nested more than %d levels deep", maxDepth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		if c.open[n.Alias] {
			return c.wrong(n, "the alias *%s is inside of what it repeats", n.Value)
		}
		if c.open == nil {
			c.open = map[*yaml.Node]bool{}
		}
		c.open[n.Alias] = true
		v := c.value(n.Alias, depth+1)
		delete(c.open, n.Alias)
		v.Line = n.Line
		return v
	case yaml.SequenceNode:
		out := Value{Kind: List, Line: n.Line}
		if n.Tag != "!!seq" {
			return c.wrong(n, "the tag %s is not taken", n.Tag)
		}
		for _, item := range n.Content {
			out.Items = append(out.Items, c.value(item, depth+1))
		}
		return out
	case yaml.MappingNode:
		return c.members(n, depth)
	}
	return c.scalar(n)
}

func (c *converter) members(n *yaml.Node, depth int) Value {
	out := Value{Kind: Map, Line: n.Line}
	if n.Tag != "!!map" {
		return c.wrong(n, "the tag %s is not taken", n.Tag)
	}
	seen := map[string]int{}
	for k := 0; k+1 < len(n.Content); k += 2 {
		key := n.Content[k]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!null":
			c.wrong(key, "a name must be a text")
			continue
		case key.Tag == "!!merge":
			c.wrong(key, "<< is not taken: write the members out")
			continue
		case !strings.HasPrefix(key.Tag, "!!") || key.Tag == "!!binary":
			c.wrong(key, "the tag %s is not taken", key.Tag)
			continue
		case seen[key.Value] > 0:
			c.wrong(key, "%q is here twice: first in line %d", Short(key.Value), seen[key.Value])
			continue
		}
		seen[key.Value] = key.Line
		out.Members = append(out.Members, Member{Name: key.Value, Line: key.Line,
			Value: c.value(n.Content[k+1], depth+1)})
	}
	return out
}

func (c *converter) scalar(n *yaml.Node) Value {
	v := Value{Line: n.Line, Text: n.Value}
	switch n.Tag {
	case "!!null":
		v.Kind, v.Text = Null, ""
	case "!!bool":
		v.Kind, v.Text = Bool, strings.ToLower(n.Value)
	case "!!int", "!!float":
		v.Kind = Number
	case "!!str", "!!timestamp":
		v.Kind = String
	default:
		return c.wrong(n, "the tag %s is not taken", n.Tag)
	}
	return v
}
