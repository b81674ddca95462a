package console_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

type content map[string]struct{ Example json.RawMessage }

// operationWithBody is an operation in the document.
type operationWithBody struct {
	OperationID string `json:"operationId"`
	Tags        []string
	RequestBody struct{ Content content }
	Responses   map[string]struct{ Content content }
}

// TestEachBodyAndAnswerHasAnExampleThatItsSchemaTakes: the judge is a validator that is not ours.
func TestEachBodyAndAnswerHasAnExampleThatItsSchemaTakes(t *testing.T) {
	r := start(t)
	raw := []byte(r.call("GET", "/openapi.json", "").raw)
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, compiler.AddResource("https://tocsin.test/openapi.json", whole))
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	validate := func(at string, examples content, operation string) {
		for kind, media := range examples {
			if !strings.Contains(kind, "json") || strings.Contains(kind, "problem") ||
				strings.Contains(kind, "ndjson") {
				continue
			}
			require.NotEmpty(t, media.Example, "%s has no example", operation)
			schema, err := compiler.Compile(at + "/content/" + escape.Replace(kind) + "/schema")
			require.NoError(t, err, operation)
			example, err := jsonschema.UnmarshalJSON(bytes.NewReader(media.Example))
			require.NoError(t, err)
			require.NoError(t, schema.Validate(example), "%s: %s", operation, media.Example)
		}
	}
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
			if method == "parameters" || method == "servers" {
				continue
			}
			var o operationWithBody
			require.NoError(t, json.Unmarshal(item, &o))
			require.True(t, len(o.Tags) == 1 && known[o.Tags[0]], "%s: %v is no part of the page", path, o.Tags)
			at := "https://tocsin.test/openapi.json#/paths/" + escape.Replace(path) + "/" + method
			validate(at+"/requestBody", o.RequestBody.Content, o.OperationID)
			for status, answer := range o.Responses {
				if strings.HasPrefix(status, "2") {
					validate(at+"/responses/"+status, answer.Content, o.OperationID)
				}
			}
		}
	}
}
