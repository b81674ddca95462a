package pseudonym

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Writer puts a pseudonym in the place of what names a person.
type Writer struct {
	Names     Names
	Pseudonym string
	// Called is what they are called beside that, such as Ada Lovelace, and what an identity provider calls them. It is
	// looked for only where a name stands as well: others may be called so.
	Called []string
	but    string // a member of objects that stays as it is
}

// Text is a text with the pseudonym where it names the person.
func (w Writer) Text(text string) string {
	if !w.Names.In(text) && !w.called(text) {
		return text
	}
	if raw := []byte(text); holdsJSON(text) && json.Valid(raw) {
		return string(w.JSON(raw))
	}
	for _, name := range w.Names {
		text = w.replace(text, name)
	}
	for _, name := range w.Called {
		if full(name) {
			text = w.replaceExactly(text, name)
		}
	}
	return text
}

// Member is Text of a member of an object, of which some say what somebody is called.
func (w Writer) Member(name, text string) string {
	is := w.Text(text)
	if is == text && slices.Contains(identity, plainKey(name)) && slices.Contains(w.Called, text) {
		return w.Pseudonym
	}
	return is
}

// called reports whether what the person is called stands in a text.
func (w Writer) called(text string) bool {
	return slices.ContainsFunc(w.Called, func(name string) bool {
		return full(name) && strings.Contains(text, name)
	})
}

func (w Writer) replace(text, name string) string {
	var out strings.Builder
	for {
		lower, was := lowered(text)
		at := find(lower, name)
		if at < 0 {
			return out.String() + text
		}
		out.WriteString(text[:was[at]] + w.Pseudonym)
		text = text[was[at+len(name)]:]
	}
}

// replaceExactly replaces what somebody is called, where no word goes on.
func (w Writer) replaceExactly(text, name string) string {
	var out strings.Builder
	for at := 0; ; {
		n := strings.Index(text[at:], name)
		if n < 0 {
			return out.String() + text
		}
		n += at
		end := n + len(name)
		if !apart(text[:n], name, text[end:]) {
			at = n + 1
			continue
		}
		out.WriteString(text[:n] + w.Pseudonym)
		text, at = text[end:], 0
	}
}

// apart reports whether what somebody is called stands by itself between two texts; _so_ too.
func apart(before, name, after string) bool {
	if strings.HasSuffix(before, "_") && strings.HasPrefix(after, "_") {
		before, after = strings.TrimRight(before, "_"), strings.TrimLeft(after, "_")
	}
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	l, left := utf8.DecodeLastRuneInString(before)
	r, right := utf8.DecodeRuneInString(after)
	return (left == 0 || !within(l, first)) && (right == 0 || !within(r, last))
}

// Bytes is Text for what may be JSON, text, or neither: that stays as it is.
func (w Writer) Bytes(raw []byte) []byte {
	switch {
	case json.Valid(raw):
		return w.JSON(raw)
	case utf8.Valid(raw):
		return []byte(w.Text(string(raw)))
	}
	return raw
}

// JSON is a value of JSON, which must be valid, with the pseudonym in each text and name of a member that names the
// person. Numbers, the order of members and those that come twice stay as they are.
func (w Writer) JSON(raw []byte) []byte {
	var out bytes.Buffer
	w.value(&out, raw, "")
	return out.Bytes()
}

// Integration is JSON of an integration, but for its parameters: see erasure.Integrations. It may be called as somebody
// is.
func (w Writer) Integration(raw []byte) []byte {
	w.Called, w.but = nil, "Parameters"
	return w.JSON(raw)
}

// identity are the members that say what somebody is called.
var identity = []string{"name", "personname", "subject"}

func plainKey(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

func (w Writer) value(out *bytes.Buffer, raw json.RawMessage, key string) {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '"':
		var text string
		_ = json.Unmarshal(raw, &text) // it is valid
		is := w.Member(key, text)
		if is == text {
			out.Write(raw)
			return
		}
		write(out, is)
	case '[':
		list := members(raw)
		out.WriteByte('[')
		for n, m := range list {
			if n > 0 {
				out.WriteByte(',')
			}
			w.value(out, m.value, key)
		}
		out.WriteByte(']')
	case '{':
		w.object(out, members(raw))
	default:
		out.Write(raw)
	}
}

// object writes an object. Of a change of what somebody is called, which the activity log has as a field and its
// values, the values are what they are called.
func (w Writer) object(out *bytes.Buffer, all []member) {
	ofName := slices.ContainsFunc(all, func(m member) bool { return m.name == "field" && string(m.value) == `"name"` })
	out.WriteByte('{')
	for n, m := range all {
		if n > 0 {
			out.WriteByte(',')
		}
		key := m.name
		if ofName && (key == "before" || key == "after") {
			key = "name"
		}
		write(out, w.Text(m.name))
		out.WriteByte(':')
		if w.but != "" && m.name == w.but {
			out.Write(m.value)
			continue
		}
		w.value(out, m.value, key)
	}
	out.WriteByte('}')
}

// member is one of an object, or of a list without a name.
type member struct {
	name  string
	value json.RawMessage
}

// members are those of an object or a list, in their order.
func members(raw []byte) (all []member) {
	d := json.NewDecoder(bytes.NewReader(raw))
	open, _ := d.Token() // it is valid
	for d.More() {
		var m member
		if open == json.Delim('{') {
			name, _ := d.Token()
			m.name, _ = name.(string)
		}
		_ = d.Decode(&m.value)
		all = append(all, m)
	}
	return all
}

// write writes a text with `<`, `>` and `&` as they are, as events are written.
func write(out *bytes.Buffer, text string) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	_ = e.Encode(text)
	out.Truncate(out.Len() - 1) // the line's end
}

// holdsJSON reports whether a text looks like an object or a list.
func holdsJSON(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}
