package ready_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/ready"
)

func ask(h http.Handler, url string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
	return w.Code, w.Body.String()
}

func TestH25ReadyOrNotWithTheReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault error
		probes := 0
		c := ready.New(ready.Check{Name: "state", Probe: func(context.Context) error { probes++; return fault }},
			ready.Clock(func() time.Time {
				return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			}))
		status, body := ask(c, "/readyz")
		require.Equal(t, 200, status)
		require.JSONEq(t, `{"status":"ready"}`, body)
		fault = errors.New("the disk is full")
		status, _ = ask(c, "/readyz")
		require.Equal(t, 200, status, "an answer stands for a moment")
		require.Equal(t, 1, probes)
		time.Sleep(3 * time.Second)
		status, body = ask(c, "/readyz")
		require.Equal(t, 503, status)
		require.JSONEq(t, `{"status":"unready","reasons":["state: the disk is full"]}`, body)
		_, body = ask(c, "/readyz?verbose")
		require.Contains(t, body, `{"name":"clock","ok":true,"took_ms":0}`)
	})
	status, body := ask(ready.New(ready.Clock(func() time.Time { return time.Unix(0, 0) })), "/readyz")
	require.Equal(t, 503, status)
	require.Contains(t, body, "clock")
	status, _ = ask(http.HandlerFunc(ready.Live), "/livez")
	require.Equal(t, 200, status)
}
