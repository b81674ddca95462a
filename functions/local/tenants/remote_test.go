package tenants_test

import (
	"archive/zip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/functions/local/tenants"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
)

const bearer = " Bearer of-the-operator "

// TestATenantIsExportedAndErasedOverTheAPI by the commands, which read all pages and ask for the tenant once more.
func TestATenantIsExportedAndErasedOverTheAPI(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "TOCSIN_CONFIG", "TOCSIN_TENANT", "TOCSIN_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", folder)
	t.Setenv("TOCSIN_TOKEN", "of-the-operator")
	server, asked := serves(t)
	never := func(context.Context, string, string, erasure.Person) error {
		require.Fail(t, "the API notes it by itself")
		return nil
	}
	to := filepath.Join(folder, "42.zip")
	require.NoError(t, tenants.Export(t.Context(), []string{"42", "-to", to, "-person", "ada@example.com", "-url",
		server.URL}, never))
	require.Equal(t, "GET /v1/tenants/42/export?person=ada%40example.com"+bearer, <-asked)
	require.Equal(t, "GET /v1/tenants/42/export?person=ada%40example.com&cursor=next"+bearer, <-asked)
	z, err := zip.OpenReader(to)
	require.NoError(t, err)
	defer z.Close()
	people, err := z.Open("people.jsonl")
	require.NoError(t, err)
	text, err := io.ReadAll(people)
	require.NoError(t, err)
	require.Equal(t, "{\"a\":9007199254740993}\n{\"a\":2}\n", string(text), "as it came")

	require.ErrorContains(t, tenants.Erase(t.Context(), []string{"42", "-url", server.URL}), "say -confirm 42")
	require.NoError(t, tenants.Erase(t.Context(), []string{"-url", server.URL, "-confirm", "42", "42"}))
	require.Equal(t, "POST /v1/tenants/42/erasure"+bearer+`{"confirm":"42"}`, <-asked)
	require.NoError(t, tenants.Erasure(t.Context(), []string{"42", "-url", server.URL}))
	require.Equal(t, "GET /v1/tenants/42/erasure"+bearer, <-asked)
	erasesPeople(t, server.URL, asked)
	require.ErrorContains(t, tenants.Erasure(t.Context(), []string{"-url", server.URL}), "usage")
	require.True(t, tenants.OverTheAPI([]string{"42", "--url=https://x"}))
	require.False(t, tenants.OverTheAPI([]string{"42", "-confirm", "url"})) // a word that is no flag
}

// erasesPeople erases one, who is named twice too, and asks how far that is.
func erasesPeople(t *testing.T, url string, asked chan string) {
	of := []string{"42", "-person", "ada@example.com", "-url", url}
	for _, confirm := range []string{"", "42"} {
		require.ErrorContains(t, tenants.Erase(t.Context(), append(of, "-confirm", confirm)),
			"say -confirm ada@example.com")
	}
	require.ErrorContains(t, tenants.Erase(t.Context(), []string{"42", "-person", "", "-confirm", "42", "-url",
		url}), "gone for good")
	require.ErrorIs(t, tenants.Erase(t.Context(), []string{"42", "-dry-run", "-url", url}), tenants.ErrDry)
	require.NoError(t, tenants.Erase(t.Context(), append(of, "-confirm", "ada@example.com")))
	require.Equal(t, "POST /v1/tenants/42/people/erasure"+bearer+
		`{"confirm":"ada@example.com","person":"ada@example.com"}`, <-asked)
	require.NoError(t, tenants.Erasure(t.Context(), of))
	require.Equal(t, "GET /v1/tenants/42/people/erasure?person=ada%40example.com"+bearer, <-asked)
	require.NoError(t, tenants.Erase(t.Context(), append(of, "-dry-run")))
	require.Equal(t, "GET /v1/tenants/42/people/erasure/trial?person=ada%40example.com"+bearer, <-asked)
	require.Equal(t, "GET /v1/tenants/42/export?person=ada%40example.com"+bearer, <-asked)
	require.Equal(t, "GET /v1/tenants/42/export?person=ada%40example.com&cursor=next"+bearer, <-asked)
}

// serves answers as the API does, and tells what it was asked.
func serves(t *testing.T) (*httptest.Server, chan string) {
	asked := make(chan string, 10)
	mux := http.NewServeMux()
	answer := func(pattern string, status int, body func(q *http.Request) string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			raw, _ := io.ReadAll(q.Body)
			asked <- q.Method + " " + q.URL.RequestURI() + " " + q.Header.Get("Authorization") + " " + string(raw)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body(q))
		})
	}
	answer("GET /v1/tenants/42/export", 200, func(q *http.Request) string {
		if q.URL.Query().Get("cursor") == "" {
			return `{"items":[{"table":"people","row":{"a":9007199254740993}}],"next_cursor":"next"}`
		}
		return `{"items":[{"table":"people","row":{"a":2}},{"table":"tokens","row":{}}]}`
	})
	const job = `{"tenant":"42","state":"running","rows":{"people":2},"total":2,"began":"2026-11-01T00:00:00Z",` +
		`"changed":"2026-11-01T00:00:00Z"}`
	answer("POST /v1/tenants/42/erasure", 202, func(*http.Request) string { return job })
	answer("GET /v1/tenants/42/erasure", 200, func(*http.Request) string { return job })
	const person = `{"tenant":"42","state":"settling","rows":{"people":1},"total":1,"began":"2026-11-01T00:00:00Z",` +
		`"changed":"2026-11-01T00:00:00Z","pseudonym":"erased person 1","integrations":[]}`
	answer("POST /v1/tenants/42/people/erasure", 202, func(*http.Request) string { return person })
	answer("GET /v1/tenants/42/people/erasure", 200, func(*http.Request) string { return person })
	answer("GET /v1/tenants/42/people/erasure/trial", 200, func(*http.Request) string { return `{"integrations":[]}` })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server, asked
}

func TestAnExportOfAStateOfANewerReleaseIsRefused(t *testing.T) {
	state, to := filepath.Join(t.TempDir(), "tocsin.db"), filepath.Join(t.TempDir(), "42.zip")
	db, err := sqlite.Open(t.Context(), state, sqlite.Options{})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	conn, err := driver.OpenConn(state, driver.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, "PRAGMA user_version = 9000", nil))
	require.NoError(t, conn.Close())
	require.ErrorContains(t, tenants.Export(t.Context(), []string{"42", "-to", to, "-state", state},
		func(context.Context, string, string, erasure.Person) error {
			require.Fail(t, "it is noted that somebody exported what was not")
			return nil
		}), "was written by a newer release (layout 9000, this one knows")
	require.NoFileExists(t, to)
}
