package ijson

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// fieldsDepth is how deep Fields looks; what is nested deeper says nothing of a success or a failure.
const fieldsDepth = 6

// Fields reads the texts, numbers and truth values of a JSON object by their paths, in lower case: `result.sys_id`,
// `errors.0.message`. What was read is kept when the rest is missing or broken, because only the first bytes of an
// answer are kept and a connection can break off. It is nil for anything that is no object. A null is no value.
func Fields(body []byte) map[string]string {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	out := map[string]string{}
	members(dec, "", 1, out)
	return out
}

// members reads the rest of an object; false when the text ends or breaks in it.
func members(dec *json.Decoder, path string, depth int, out map[string]string) bool {
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok || !value(dec, path+strings.ToLower(name), depth, out) {
			return false
		}
	}
	_, err := dec.Token()
	return err == nil
}

func elements(dec *json.Decoder, path string, depth int, out map[string]string) bool {
	for i := 0; dec.More(); i++ {
		if !value(dec, path+strconv.Itoa(i), depth, out) {
			return false
		}
	}
	_, err := dec.Token()
	return err == nil
}

func value(dec *json.Decoder, path string, depth int, out map[string]string) bool {
	if depth > fieldsDepth {
		var skipped json.RawMessage
		return dec.Decode(&skipped) == nil
	}
	t, err := dec.Token()
	if err != nil {
		return false
	}
	switch v := t.(type) {
	case json.Delim:
		if v == '{' {
			return members(dec, path+".", depth+1, out)
		}
		return elements(dec, path+".", depth+1, out)
	case string:
		out[path] = v
	case json.Number:
		out[path] = v.String()
	case bool:
		out[path] = strconv.FormatBool(v)
	}
	return true
}
