package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/client"
)

// console answers as the API does.
func console(t *testing.T, answers map[string]string) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.Method+" "+r.URL.Path+"?"+r.URL.Query().Encode()]
		switch {
		case r.Header.Get("Authorization") != "Bearer t0ken":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			body = `{"title":"Unauthorized","status":401,"detail":"the token is not known"}`
		case !ok:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			body = `{"title":"Unprocessable Entity","status":422,"detail":"the request is not valid","errors":[
				{"field":"query.limit","reason":"must be 1,000 at most"}]}`
		default:
			w.Header().Set("Content-Type", "application/json")
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server
}

func TestACallCarriesItsTokenAndItsParameters(t *testing.T) {
	server := console(t, map[string]string{
		"GET /v1/deliveries?kind=hit%2Cvuln&limit=2&text=a+%26+b": `{"items":[{"id":"d1","state":"dead",
			"created_at":"2026-11-01T06:00:00Z","count":1,"integration":{"id":"i1","name":"Ops","system":"slack"}}],
			"next_cursor":"more"}`})
	c, err := client.NewClientWithResponses(server.URL, client.WithToken("t0ken"))
	require.NoError(t, err)
	limit, text := int64(2), "a & b"
	answer, err := c.SearchDeliveriesWithResponse(t.Context(), &client.SearchDeliveriesParams{
		Kind: []string{"hit", "vuln"}, Limit: &limit, Text: &text})
	require.NoError(t, err)
	require.NotNil(t, answer.JSON200, "%s", answer.Body)
	require.Equal(t, client.LogViewStateDead, answer.JSON200.Items[0].State)
	require.Equal(t, "Ops", answer.JSON200.Items[0].Integration.Name)

	limit = 2000
	refused, err := c.SearchDeliveriesWithResponse(t.Context(), &client.SearchDeliveriesParams{Limit: &limit})
	require.NoError(t, err)
	require.Nil(t, refused.JSON200)
	require.EqualError(t, refused.ApplicationproblemJSONDefault,
		"answered 422: the request is not valid; query.limit: must be 1,000 at most")
}

func TestATokenGoesToNobodyElse(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the request was redirected")
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	c, err := client.NewClientWithResponses(server.URL, client.WithToken("t0ken"))
	require.NoError(t, err)
	_, err = c.GetVersionWithResponse(t.Context(), nil)
	require.ErrorContains(t, err, "the address leads on to "+elsewhere.URL)
	require.NotContains(t, err.Error(), "t0ken")
}

func TestTheClientHasEachOperationOfTheDocument(t *testing.T) {
	raw, err := os.ReadFile("../console/testdata/openapi.json")
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(raw, &document))
	generated, err := os.ReadFile("client.gen.go")
	require.NoError(t, err)
	found := 0
	for path, item := range document.Paths {
		for method, raw := range item {
			var operation struct{ OperationID string }
			if json.Unmarshal(raw, &operation) != nil || operation.OperationID == "" ||
				operation.OperationID == "put-events" {
				continue
			}
			name := ""
			for word := range strings.SplitSeq(operation.OperationID, "-") {
				name += strings.ToUpper(word[:1]) + word[1:]
			}
			require.Contains(t, string(generated), "\nfunc New"+name+"Request", "%s %s: go run ./scripts/client",
				method, path)
			found++
		}
	}
	require.Greater(t, found, 70)
}

func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"version":"0.2.0"}`))
	}))
	defer server.Close()
	c, err := client.NewClientWithResponses(server.URL, client.WithToken("t0ken"))
	if err != nil {
		panic(err)
	}
	answer, err := c.GetVersionWithResponse(context.Background(), nil)
	switch {
	case err != nil:
		fmt.Println(err)
	case answer.JSON200 == nil:
		fmt.Println(answer.ApplicationproblemJSONDefault)
	default:
		fmt.Println(answer.JSON200.Version)
	}
	// Output: 0.2.0
}

// The module has no host, so that nobody can get it: another one imports the package from a clone, by the page's edit.
func TestAnotherModuleImportsThePackageFromACloneAsThePageSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/command-line.md")
	require.NoError(t, err)
	edit := regexp.MustCompile(`(?m)^go (mod edit .*=)\.\./tocsin$`).FindStringSubmatch(string(page))
	require.NotNil(t, edit)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	folder := t.TempDir()
	const caller = `package main

import "tocsin/shared/client"

func main() { _, _ = client.NewClientWithResponses("https://tocsin.example.com", client.WithToken("x")) }
`
	require.NoError(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte(caller), 0o600))
	sum, err := os.ReadFile(filepath.Join(root, "go.sum")) // what go mod tidy would write, without a network
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go.sum"), sum, 0o600))
	for _, args := range [][]string{{"mod", "init", "example.com/caller"}, strings.Fields(edit[1] + root),
		{"vet", "-mod=mod", "."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s: %s", args, out)
	}
}
