package destination

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"tocsin/shared/cut"
)

// Repeated is what is wrong with a name that is there twice.
const Repeated = "is there twice"

// repeated finds the names that an object of parameters holds twice, at any depth: which of the two a reader takes is
// chance (RFC 8259, 4), and encoding/json takes the last without a word. nil when there is none, and for what is no
// JSON: others say so.
func repeated(raw json.RawMessage) InvalidParameters {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var found InvalidParameters
	names := map[string]bool{}
	doubles(dec, "parameters", func(path string) {
		if !names[path] {
			names[path] = true
			found = append(found, FieldProblem{Field: path, Reason: Repeated})
		}
	})
	slices.SortFunc(found, func(a, b FieldProblem) int { return bytes.Compare([]byte(a.Field), []byte(b.Field)) })
	return found
}

// nestingMost is deeper than the parameters of any system: what is nested deeper is refused by their schemas.
const nestingMost = 16

// doubles reads one value; false when the text ends or breaks in it.
func doubles(dec *json.Decoder, path string, found func(path string)) bool {
	return doublesAt(dec, path, 0, found)
}

func doublesAt(dec *json.Decoder, path string, depth int, found func(path string)) bool {
	t, err := dec.Token()
	if err != nil || depth > nestingMost {
		return false
	}
	switch t {
	case json.Delim('{'):
		seen := map[string]bool{}
		for dec.More() {
			t, err := dec.Token()
			name, ok := t.(string)
			if err != nil || !ok {
				return false
			}
			at := path + "." + cut.Runes(name, 64)
			if seen[name] {
				found(at)
			}
			seen[name] = true
			if !doublesAt(dec, at, depth+1, found) {
				return false
			}
		}
	case json.Delim('['):
		for i := 0; dec.More(); i++ {
			if !doublesAt(dec, path+"."+strconv.Itoa(i), depth+1, found) {
				return false
			}
		}
	default:
		return true
	}
	_, err = dec.Token()
	return err == nil
}
