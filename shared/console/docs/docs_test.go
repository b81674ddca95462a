package docs_test

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/console/docs"
)

func serve(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	docs.New(&huma.OpenAPI{Tags: []*huma.Tag{{Name: "Systems"}}, Paths: map[string]*huma.PathItem{
		"/v1/systems": {Get: &huma.Operation{OperationID: "list-systems", Method: "GET", Summary: "List <systems>",
			Tags: []string{"Systems"}}}}}, "Tocsin").Mount(mux)
	return mux
}

func get(h http.Handler, path, encoding string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(http.MethodGet, path, nil)
	q.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w
}

func TestThePageLoadsItsOwnFilesAndListsEachOperationWithoutThem(t *testing.T) {
	h := serve(t)
	page := get(h, "/docs", "")
	require.Contains(t, page.Body.String(), "List &lt;systems&gt;")
	require.Contains(t, page.Body.String(), `href="/"`, "a way back to the Console")
	require.NotContains(t, page.Header().Get("Content-Security-Policy"), "unsafe")
	require.NotRegexp(t, `<script>|<style|style="|//[a-z]`, page.Body.String())
	found := regexp.MustCompile(`(?:src|href)="(/docs/[0-9a-f]{16}/[^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	require.Len(t, found, 4)
	for _, one := range found {
		plain, packed := get(h, one[1], ""), get(h, one[1], "gzip, br")
		require.Equal(t, 200, plain.Code, one[1])
		require.Contains(t, plain.Header().Get("Cache-Control"), "immutable")
		if packed.Header().Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(packed.Body)
			require.NoError(t, err)
			raw, err := io.ReadAll(z)
			require.NoError(t, err)
			require.Equal(t, plain.Body.String(), string(raw), "for who takes no gzip")
		}
	}
	for _, strange := range []string{"/docs/x/docs.js", strings.Replace(found[0][1], "swagger-ui.css", "docs.html", 1),
		strings.Replace(found[0][1], "swagger-ui.css", "lib", 1)} {
		require.Equal(t, 404, get(h, strange, "").Code, strange)
	}
}

// TestSwaggerUIIsThePackageThatIsNamed compares the files with the digests in lib/README.md.
func TestSwaggerUIIsThePackageThatIsNamed(t *testing.T) {
	readme, err := os.ReadFile("lib/README.md")
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\| (\S+\.gz) \|.*\| ([0-9a-f]{64}) \|`).FindAllStringSubmatch(string(readme), -1)
	require.Len(t, rows, 2)
	for _, row := range rows {
		f, err := os.Open(filepath.Join("lib", row[1]))
		require.NoError(t, err)
		defer f.Close()
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		sum := sha256.New()
		_, err = io.Copy(sum, z)
		require.NoError(t, err)
		require.Equal(t, row[2], fmt.Sprintf("%x", sum.Sum(nil)), row[1])
	}
}

func TestTheEventsPageShowsCodeAsCode(t *testing.T) {
	mux := http.NewServeMux()
	docs.Events{Platform: "Tocsin"}.Mount(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/docs/events", nil))
	require.Contains(t, w.Body.String(), "the event type <code>siem</code>.")
	require.NotContains(t, w.Body.String(), "`")
}
