package console_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/wording"
)

// open are the parameters of queries whose values are of no closed set: ids, names, what is searched for, times, and
// the cursors that the pages before gave.
var open = []string{"cursor", "delivery", "event", "from", "integration", "object_id", "person", "q", "tenant", "text",
	"to", "trigger", "clientid"}

// parameter is one of a query, as the OpenAPI document has it.
type parameter struct {
	In, Name string
	Schema   struct {
		Type  any
		Enum  []string
		Items struct{ Enum []string }
	}
}

func (p parameter) enum() []string { return append(p.Schema.Enum, p.Schema.Items.Enum...) }

// queries are the parameters of queries of operations, by the address.
func queries(t *testing.T) map[string][]parameter {
	t.Helper()
	raw, err := os.ReadFile("testdata/openapi.json")
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(raw, &document))
	out := map[string][]parameter{}
	for path, operations := range document.Paths {
		var one struct{ Parameters []parameter }
		if of, ok := operations["get"]; ok {
			require.NoError(t, json.Unmarshal(of, &one))
		}
		for _, p := range one.Parameters {
			kind := fmt.Sprint(p.Schema.Type)
			if p.In == "query" && (kind == "string" || strings.Contains(kind, "array")) {
				out[path] = append(out[path], p)
			}
		}
	}
	return out
}

var placeholder = regexp.MustCompile(`{[a-z_]+}`)

// TestAnUnknownValueOfAClosedSetIsRefused: such a value answered an empty list, as if there were nothing.
func TestAnUnknownValueOfAClosedSetIsRefused(t *testing.T) {
	r := start(t)
	closed := map[string]bool{}
	for path, parameters := range queries(t) {
		for _, p := range parameters {
			if slices.Contains(open, p.Name) {
				continue
			}
			closed[p.Name] = true
			a := r.call("GET", placeholder.ReplaceAllString(path, "x")+"?"+p.Name+"=nosuch", "")
			require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s %s: %s", path, p.Name, a.raw)
			requireWorded(t, a.body)
			require.Contains(t, a.raw, `"field":"query.`+p.Name, path)
			for _, known := range p.enum() {
				require.Contains(t, a.raw, known, path)
			}
		}
	}
	for _, name := range []string{"object", "action", "source", "languages", "state", "status", "kind", "system",
		"group"} {
		require.True(t, closed[name], name)
	}
}

// TestWhatIsOfferedOfAClosedSetIsAllOfIt compares the document with the constants.
func TestWhatIsOfferedOfAClosedSetIsAllOfIt(t *testing.T) {
	offered := map[string][]string{}
	for path, parameters := range queries(t) {
		for _, p := range parameters {
			offered[path+" "+p.Name] = p.enum()
		}
	}
	for _, path := range []string{"/v1/activity", "/v1/activity/export"} {
		require.Equal(t, constants(t, "Object"), offered[path+" object"])
		require.Equal(t, constants(t, "Action"), offered[path+" action"])
	}
	var languages []string
	for _, l := range wording.Languages() {
		languages = append(languages, string(l))
	}
	require.Equal(t, languages, offered["/v1/systems languages"])
}

// constants are those of a type of package activity, in the order of the code.
func constants(t *testing.T, of string) (out []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../activity/activity.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == of {
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			out = append(out, value)
		}
		return true
	})
	require.NotEmpty(t, out)
	return out
}
