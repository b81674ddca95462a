// Package tree is a document as values that keep the order and the lines of its members, read from YAML or JSON and
// written as either.
package tree

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Kind is the type of a Value, as JSON has it.
type Kind int

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

// Value is a node of a document: its members keep their order, its scalars their spelling, and each knows its line.
type Value struct {
	Kind    Kind
	Text    string // of a scalar, as it is written
	Written string // of a string in which variables were put: what stood there before
	Items   []Value
	Members []Member
	Line    int    // 0 = of no file
	Comment string // behind the line, in YAML
	Flow    bool   // on one line, in YAML
}

// Member is a value with its name.
type Member struct {
	Name  string
	Value Value
	Line  int
}

// OfText is a string.
func OfText(s string) Value { return Value{Kind: String, Text: s} }

// OfNumber is a whole number.
func OfNumber(n int64) Value { return Value{Kind: Number, Text: fmt.Sprint(n)} }

// OfBool is true or false.
func OfBool(b bool) Value { return Value{Kind: Bool, Text: fmt.Sprint(b)} }

// Set adds a member to a map.
func (v *Value) Set(name string, m Value) {
	v.Kind = Map
	v.Members = append(v.Members, Member{Name: name, Value: m})
}

// Get finds a member of a map.
func (v Value) Get(name string) (Value, bool) {
	n := slices.IndexFunc(v.Members, func(m Member) bool { return m.Name == name })
	if n < 0 {
		return Value{}, false
	}
	return v.Members[n].Value, true
}

// Decode reads JSON. The members of its objects are in the order of their names.
func Decode(raw json.RawMessage) (Value, error) {
	if len(raw) == 0 {
		return Value{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return Value{}, err
	}
	return valueOf(v), nil
}

func valueOf(v any) Value {
	switch v := v.(type) {
	case bool:
		return OfBool(v)
	case json.Number:
		return Value{Kind: Number, Text: v.String()}
	case string:
		return OfText(v)
	case []any:
		out := Value{Kind: List}
		for _, item := range v {
			out.Items = append(out.Items, valueOf(item))
		}
		return out
	case map[string]any:
		out := Value{Kind: Map}
		for name, m := range v {
			out.Set(name, valueOf(m))
		}
		slices.SortFunc(out.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
		return out
	}
	return Value{}
}

// JSON writes the value with its members in their order.
func (v Value) JSON() json.RawMessage {
	var out bytes.Buffer
	v.write(&out, "")
	return out.Bytes()
}

// Indented writes it so that a person can read it, with a line feed at its end.
func (v Value) Indented() []byte {
	var out bytes.Buffer
	v.write(&out, "\n")
	out.WriteByte('\n')
	return out.Bytes()
}

// write indents when the margin is not empty; its first character is a line feed.
func (v Value) write(out *bytes.Buffer, margin string) {
	inner := margin
	if margin != "" {
		inner += "  "
	}
	list := func(open, end byte, n int, item func(n int)) {
		out.WriteByte(open)
		for k := range n {
			if k > 0 {
				out.WriteByte(',')
			}
			out.WriteString(inner)
			item(k)
		}
		if n > 0 {
			out.WriteString(margin)
		}
		out.WriteByte(end)
	}
	switch v.Kind {
	case Null:
		out.WriteString("null")
	case Bool:
		out.WriteString(strings.ToLower(v.Text))
	case Number:
		out.WriteString(v.Text)
	case String:
		out.Write(quoted(v.Text))
	case List:
		list('[', ']', len(v.Items), func(n int) { v.Items[n].write(out, inner) })
	case Map:
		list('{', '}', len(v.Members), func(n int) {
			out.Write(quoted(v.Members[n].Name))
			out.WriteByte(':')
			if margin != "" {
				out.WriteByte(' ')
			}
			v.Members[n].Value.write(out, inner)
		})
	}
}

func quoted(s string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // strings always encode
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// Same compares values; the members of a map may be in any order.
func Same(a, b Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case Null:
		return true
	case Bool:
		return strings.EqualFold(a.Text, b.Text)
	case List:
		return slices.EqualFunc(a.Items, b.Items, Same)
	case Map:
		return len(a.Members) == len(b.Members) && !slices.ContainsFunc(a.Members, func(m Member) bool {
			other, ok := b.Get(m.Name)
			return !ok || !Same(m.Value, other)
		})
	}
	return a.Text == b.Text
}
