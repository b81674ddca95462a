package httpserver_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/httpserver"
)

func ask(t *testing.T, h http.Handler, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// api answers as the Console's API does to who has no token.
func api() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"7"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
}

func TestAPageOfANamedOriginMayCallTheAPI(t *testing.T) {
	h := httpserver.CrossOrigin(api(), []string{"https://console.example.com", "http://localhost:3000"})
	const origin = "https://console.example.com"
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		a := ask(t, h, "OPTIONS", "/v1/integrations/1", "Origin", origin, "Access-Control-Request-Method", method,
			"Access-Control-Request-Headers", "authorization,content-type,if-match")
		require.Equal(t, http.StatusNoContent, a.StatusCode, method)
		require.Equal(t, origin, a.Header.Get("Access-Control-Allow-Origin"), method)
		require.Equal(t, method, a.Header.Get("Access-Control-Allow-Methods"), method)
		require.Equal(t, "authorization,content-type,if-match", a.Header.Get("Access-Control-Allow-Headers"))
		require.Empty(t, a.Header.Get("Access-Control-Allow-Credentials"), "no cookie is ever asked for")
	}
	a := ask(t, h, "PATCH", "/v1/integrations/1", "Origin", origin)
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
	require.Equal(t, origin, a.Header.Get("Access-Control-Allow-Origin"), "a refusal can be read, too")
	for _, name := range []string{"etag", "location", "retry-after"} {
		require.Contains(t, strings.ToLower(a.Header.Get("Access-Control-Expose-Headers")), name)
	}
	require.Contains(t, a.Header.Values("Vary"), "Origin")
}

func TestAPageOfAnotherOriginMayNot(t *testing.T) {
	h := httpserver.CrossOrigin(api(), []string{"https://console.example.com"})
	for _, origin := range []string{"https://evil.example", "https://console.example.com.evil.example",
		"https://xconsole.example.com", "http://console.example.com", "https://console.example.com:444", "null"} {
		a := ask(t, h, "OPTIONS", "/v1/integrations", "Origin", origin, "Access-Control-Request-Method", "GET")
		require.Empty(t, a.Header.Get("Access-Control-Allow-Origin"), origin)
		require.Empty(t, ask(t, h, "GET", "/v1/integrations", "Origin",
			origin).Header.Get("Access-Control-Allow-Origin"), origin)
	}
	a := ask(t, h, "OPTIONS", "/telegram", "Origin", "https://console.example.com", "Access-Control-Request-Method",
		"POST")
	require.Equal(t, http.StatusUnauthorized, a.StatusCode, "only the API is for other pages")
	require.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))
}

func TestOffByDefault(t *testing.T) {
	a := ask(t, httpserver.CrossOrigin(api(), nil), "OPTIONS", "/v1/integrations", "Origin",
		"https://console.example.com", "Access-Control-Request-Method", "GET")
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
	require.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))
}

func TestAnOriginIsWhatABrowserSends(t *testing.T) {
	got, err := httpserver.ParseOrigins(" https://console.example.com ,http://localhost:3000,")
	require.NoError(t, err)
	require.Equal(t, []string{"https://console.example.com", "http://localhost:3000"}, got)
	for _, bad := range []string{"https://console.example.com/", "console.example.com", "*", "https://*.example.com",
		"https://Console.example.com", "ftp://x", "https://", "null", "https://u@x"} {
		_, err := httpserver.ParseOrigins(bad)
		require.ErrorContains(t, err, "is no origin", bad)
	}
}
