package event_test

import (
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

// TestTheSchemaOfEachKindAsksForWhatParseAsksFor takes each member out of an example of each kind, in turn: a validator
// that is not ours and Parse say the same of what is left.
func TestTheSchemaOfEachKindAsksForWhatParseAsksFor(t *testing.T) {
	for _, k := range event.Kinds() {
		schema := compiled(t, k)
		raw, err := k.Example().Encode()
		require.NoError(t, err)
		agree := func(v any, what string) {
			one, err := json.Marshal(v)
			require.NoError(t, err)
			_, refused := event.Parse(string(k), one)
			broken := schema.Validate(v)
			require.Equal(t, refused == nil, broken == nil, "%s %s: Parse says %v, the schema %v", k, what, refused,
				broken)
		}
		var whole map[string]any
		require.NoError(t, json.Unmarshal(raw, &whole))
		require.NoError(t, schema.Validate(whole), k)
		agree(whole, "as it is")
		without(whole, "", func(path string) { agree(whole, "without "+path) })
		for _, wrong := range []any{nil, "", "x", 1.5, []any{}} {
			kept := whole["data"]
			whole["data"] = wrong
			agree(whole, "with wrong data")
			whole["data"] = kept
		}
	}
}

// without calls look with each member of an object left out.
func without(o map[string]any, at string, look func(path string)) {
	for name, v := range o {
		delete(o, name)
		look(at + name)
		o[name] = v
		if inner, ok := v.(map[string]any); ok {
			without(inner, at+name+".", look)
		}
	}
}

func compiled(t *testing.T, k event.Kind) *jsonschema.Schema {
	t.Helper()
	raw, err := json.Marshal(k.Schema())
	require.NoError(t, err)
	var doc any
	require.NoError(t, json.Unmarshal(raw, &doc))
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("kind.json", doc))
	schema, err := c.Compile("kind.json")
	require.NoError(t, err)
	return schema
}
