package ijson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"tocsin/shared/cut"
)

// Bounds of a JSON value that Fit had to cut. They are loose at first and halved until the value fits.
const (
	fitDepth   = 32  // of arrays and objects in each other
	fitNumber  = 64  // characters of one number
	fitMembers = 64  // members of one object, at least: an envelope or a hit of today's fields loses none
	fitItems   = 4   // entries of one array, at least
	fitLevel   = 256 // bytes of text for each entry of an array, in the choice of the two bounds
)

// Fit returns a JSON value unchanged when it has at most limit bytes. Otherwise it returns a smaller valid JSON
// value of the same shape: long strings are cut and end in cut.Mark, the tails of long arrays and objects become one
// entry that counts them. It makes the least cut that fits, in steps of a half, so that one huge member leaves the
// small ones whole.
func Fit(value []byte, limit int) []byte {
	if len(value) <= limit {
		return value
	}
	for text := limit / 2; text >= len(cut.Mark); text /= 2 {
		c := cutter{dec: json.NewDecoder(bytes.NewReader(value)), text: text, items: max(fitItems, text/fitLevel)}
		c.dec.UseNumber()
		if err := c.value(0); err != nil {
			break
		}
		if len(c.out) <= limit {
			return c.out
		}
	}
	return []byte(`"` + cut.Mark + `"`) // nothing of it can be kept: the bounds above make this a limit of a few bytes
}

// cutter copies one JSON value from dec to out within its bounds.
type cutter struct {
	dec   *json.Decoder
	out   []byte
	text  int // bytes of one string
	items int // entries of one array
}

func (c *cutter) value(depth int) error {
	if depth == fitDepth {
		var deep json.RawMessage
		if err := c.dec.Decode(&deep); err != nil {
			return err
		}
		c.string(cut.Mark)
		return nil
	}
	token, err := c.dec.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		return c.container(v, depth)
	case string:
		c.string(cut.Bytes(v, c.text))
	case json.Number:
		if len(v) > fitNumber {
			c.string(cut.Bytes(v.String(), fitNumber))
		} else {
			c.out = append(c.out, v...)
		}
	case bool:
		c.out = fmt.Append(c.out, v)
	default:
		c.out = append(c.out, "null"...)
	}
	return nil
}

// container copies an array or an object whose first bracket was read.
func (c *cutter) container(open json.Delim, depth int) error {
	object := open == '{'
	most := c.items
	if object {
		most = max(fitMembers, c.items)
	}
	c.out = append(c.out, byte(open))
	n := 0
	for ; c.dec.More(); n++ {
		if n >= most {
			if err := c.skip(object); err != nil {
				return err
			}
			continue
		}
		if n > 0 {
			c.out = append(c.out, ',')
		}
		if object {
			name, err := c.dec.Token()
			if err != nil {
				return err
			}
			c.string(cut.Bytes(name.(string), c.text))
			c.out = append(c.out, ':')
		}
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	if n > most {
		c.out = append(c.out, ',')
		if object {
			c.string(cut.Mark)
			c.out = append(c.out, ':')
		}
		c.string(fmt.Sprintf("%s %d more", cut.Mark, n-most))
	}
	end, err := c.dec.Token()
	if err != nil {
		return err
	}
	c.out = append(c.out, byte(end.(json.Delim)))
	return nil
}

func (c *cutter) skip(object bool) error {
	var gone json.RawMessage
	if object {
		if _, err := c.dec.Token(); err != nil {
			return err
		}
	}
	return c.dec.Decode(&gone)
}

func (c *cutter) string(s string) { c.out = AppendString(c.out, s) }

// Marshal writes v as JSON that every reader takes, with `<`, `>` and `&` as they are: the escapes that a
// browser would need cost six bytes each and make a log hard to read.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return Mended(bytes.TrimRight(b.Bytes(), "\n")), nil
}

// Text writes a string as JSON.
func Text(s string) []byte { return AppendString(nil, s) }

// Member is one member of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Members lists the members of a JSON object in their order. Of a name that stands twice the last value counts, as
// most readers have it. What is not an object has none.
func Members(object []byte) []Member {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var out []Member
	at := map[string]int{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return out
		}
		var m Member
		m.Name, _ = name.(string)
		if err := dec.Decode(&m.Value); err != nil && err != io.EOF {
			return out
		}
		if i, ok := at[m.Name]; ok {
			out[i].Value = m.Value
			continue
		}
		at[m.Name] = len(out)
		out = append(out, m)
	}
	return out
}

// JoinObject is the inverse of Members.
func JoinObject(members []Member) []byte {
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, Text(m.Name)...)
		out = append(out, ':')
		out = append(out, m.Value...)
	}
	return append(out, '}')
}
