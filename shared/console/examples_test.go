package console_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// operationWithBody is an operation in the document.
type operationWithBody struct {
	OperationID string `json:"operationId"`
	Tags        []string
	RequestBody struct {
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			}
			Example json.RawMessage
		}
	}
}

// TestEachBodyHasAnExampleThatItsSchemaTakes: the judge is a validator that is not ours.
func TestEachBodyHasAnExampleThatItsSchemaTakes(t *testing.T) {
	r := start(t)
	raw := []byte(r.call("GET", "/openapi.json", "").raw)
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, compiler.AddResource("https://tocsin.test/openapi.json", whole))
	var doc struct {
		Servers []struct{ URL string }
		Info    struct{ License struct{ Name string } }
		Tags    []struct{ Name string }
		Paths   map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(raw, &doc))
	require.Equal(t, "/", doc.Servers[0].URL)
	require.NotEmpty(t, doc.Info.License.Name)
	known := map[string]bool{}
	for _, tag := range doc.Tags {
		known[tag.Name] = true
	}
	for path, methods := range doc.Paths {
		for method, item := range methods {
			if method == "parameters" {
				continue
			}
			var o operationWithBody
			require.NoError(t, json.Unmarshal(item, &o))
			require.True(t, len(o.Tags) == 1 && known[o.Tags[0]], "%s: %v is no part of the page", path, o.Tags)
			for _, media := range o.RequestBody.Content {
				require.NotEmpty(t, media.Example, "%s needs a line in requestExamples", o.OperationID)
				schema, err := compiler.Compile("https://tocsin.test/openapi.json" + media.Schema.Ref)
				require.NoError(t, err, o.OperationID)
				example, err := jsonschema.UnmarshalJSON(bytes.NewReader(media.Example))
				require.NoError(t, err)
				require.NoError(t, schema.Validate(example), o.OperationID)
			}
		}
	}
}
