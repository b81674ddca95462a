package pseudonym

import (
	"encoding/json"
	"slices"
)

// Value is a value of Go as JSON keeps it, with the pseudonym in its texts.
func Value[T any](w Writer, v T) (out T, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	err = json.Unmarshal(w.JSON(raw), &out)
	return out, err
}

// CalledIn is what a decoded value of JSON says the person is called: beside their address, and where the activity log
// tells of a change of it.
func (n Names) CalledIn(v any) (called []string) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			called = append(called, n.CalledIn(one)...)
		}
	case map[string]any:
		of, names := false, identity
		for key, one := range v {
			text, _ := one.(string)
			of = of || plainKey(key) == "email" && n.Is(text)
			called = append(called, n.CalledIn(one)...)
		}
		if isToken(v) {
			names = []string{"personname"}
		}
		for key, one := range v {
			text, _ := one.(string)
			if of && text != "" && slices.Contains(names, plainKey(key)) && !n.In(text) {
				called = append(called, text)
			}
		}
		if id, _ := v["object_id"].(string); n.Is(id) {
			called = append(called, n.changed(v["changes"])...)
		}
	}
	return called
}

// isToken reports whether a value is an API token of a person: its name is what the person calls it.
func isToken(v map[string]any) bool {
	_, owner := v["person_name"]
	_, kind := v["kind"]
	_, tenants := v["tenants"]
	return owner || kind && tenants
}

// changed is what an entry about the person says that they were called, and are.
func (n Names) changed(changes any) (called []string) {
	list, _ := changes.([]any)
	for _, one := range list {
		change, _ := one.(map[string]any)
		for _, key := range []string{"before", "after"} {
			if text, _ := change[key].(string); change["field"] == "name" && text != "" && !n.In(text) {
				called = append(called, text)
			}
		}
	}
	return called
}
