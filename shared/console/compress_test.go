package console_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLargeAnswersAreCompressed(t *testing.T) {
	r := start(t)
	plain := r.call("GET", "/v1/systems", "")
	q := httptest.NewRequest(http.MethodGet, "/v1/systems", nil)
	q.Header.Set("Authorization", "Bearer "+r.token)
	q.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	require.Less(t, w.Body.Len(), len(plain.raw)/3)
	z, err := gzip.NewReader(w.Body)
	require.NoError(t, err)
	got, err := io.ReadAll(z)
	require.NoError(t, err)
	require.JSONEq(t, plain.raw, string(got))
	require.Empty(t, r.call("GET", "/v1/session", "", "Accept-Encoding", "gzip").header.Get("Content-Encoding"),
		"a small one is not worth it")
}
