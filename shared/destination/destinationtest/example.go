package destinationtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Example is testdata/example.json of a system's folder: what the tests over all systems need to know of it.
type Example struct {
	// System is its name in the catalogue.
	System string `json:"system"`
	// Parameters hold each of its secrets.
	Parameters json.RawMessage `json:"parameters"`
	// Changes are other values of its parameters that are texts without a rule of their own, by name.
	Changes map[string][]string `json:"changes"`
	// AskedAgain are parameters that decide who receives the secrets in a way that the address does not show:
	// Microsoft's token endpoint is one host for all of its customers.
	AskedAgain []string `json:"asked_again"`
	// Hosts are the domains that its requests go to, where no customer may choose another.
	Hosts []string `json:"hosts"`
	// AnySuccess: the receiver is the customer's own, and any 2xx is a success.
	AnySuccess bool `json:"any_2xx"`
	// Successes are the answers that the system's documentation shows of a success; Answers are its other words.
	Successes []Answer `json:"successes"`
	Answers   []Answer `json:"answers"`
	// Words are bodies that say what is wrong, %s in place of what they say. None where AnySuccess.
	Words []string `json:"words"`
}

// Answer of a receiver; Name is what the golden files call it.
type Answer struct {
	Name   string            `json:"name"`
	Status int               `json:"status"`
	Fields map[string]string `json:"header"`
	Body   string            `json:"body"`
}

// Header is the answer's header.
func (a Answer) Header() http.Header {
	h := http.Header{}
	for name, value := range a.Fields {
		h.Set(name, value)
	}
	return h
}

// Examples reads those of all folders beside that of the calling package, by the system's name, with their folders.
func Examples(t testing.TB) (examples map[string]Example, folders map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "*", "testdata", "example.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	examples, folders = map[string]Example{}, map[string]string{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		var e Example
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&e), name)
		require.NotContains(t, examples, e.System, name)
		examples[e.System], folders[e.System] = e, filepath.Dir(filepath.Dir(name))
	}
	return examples, folders
}
