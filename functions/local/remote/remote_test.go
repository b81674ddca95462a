package remote_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/functions/local/remote"
	"tocsin/shared/client"
)

func session(url string) (*remote.Session, *bytes.Buffer) {
	said := &bytes.Buffer{}
	return &remote.Session{Out: io.Discard, Err: said, Token: "t0ken", URL: url,
		Getenv: func(string) string { return "" }}, said
}

func TestACallIsMadeAgainWhenTheAPIAsksToWait(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if calls.Add(1) < 3 {
			w.Header().Set("Retry-After", "0")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"title":"Too Many Requests","status":429,"detail":"later"}`))
			return
		}
		if string(body) != `{"states":["dead"]}` || r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = w.Write([]byte(`{"count":7}`))
	}))
	defer server.Close()
	s, said := session(server.URL + "/")
	api, err := s.API()
	require.NoError(t, err)
	var answer client.ReplayView
	_, err = remote.Ask(t.Context(), api, &answer)(client.NewReplayDeliveriesRequest(api.Server, "i/1",
		&client.ReplayDeliveriesParams{}, client.ReplayInputBody{States: []client.ReplayInputBodyStates{"dead"}}))
	require.NoError(t, err)
	require.EqualValues(t, 7, answer.Count)
	require.Contains(t, said.String(), "the API asks to wait, try 1 of 5: answered 429: later; going on in 0s\n"+
		"the API asks to wait, try 2 of 5: answered 429: later; going on in 0s\n")
}

func TestWhatIsNoAnswerOfTheAPIIsSaid(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away/v1/version" {
			http.Redirect(w, r, "https://other.example.com/", http.StatusFound)
			return
		}
		if r.URL.Path == "/gateway/v1/version" {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = w.Write([]byte("<html>"))
	}))
	defer elsewhere.Close()
	for path, says := range map[string]string{"": "answered 200, and that is no answer of the API: is -url the address",
		"/away":    "leads on to https://other.example.com: name that",
		"/gateway": "no answer of the API: what stands before it answered 502: is Tocsin running there?"} {
		s, _ := session(elsewhere.URL + path)
		api, err := s.API()
		require.NoError(t, err)
		var answer client.Info
		_, err = remote.Ask(t.Context(), api, &answer)(client.NewGetVersionRequest(api.Server, nil))
		require.ErrorContains(t, err, says)
		require.Equal(t, path == "/gateway", errors.Is(err, remote.ErrNoAnswer), "that can end by itself")
		require.NotContains(t, err.Error(), "t0ken")
	}
	for _, address := range []string{"localhost:8080", "ftp://a", "https://u:p@a.example.com", "https://a/?q=1"} {
		s, _ := session(address)
		_, err := s.API()
		require.ErrorContains(t, err, "the address must", address)
	}
	s, said := session("http://192.0.2.1/")
	_, err := s.API()
	require.NoError(t, err)
	require.Contains(t, said.String(), "the token goes to 192.0.2.1 without TLS")
}

func TestATimeIsATimeADayOrHowLongAgoItIs(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"90m": now.Add(-90 * time.Minute), "0s": now,
		"2026-03-01T09:00:00+09:00": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"2026-03-01":                time.Date(2026, 3, 1, 0, 0, 0, 0, time.Local)} {
		got, err := remote.Time(text, now)
		require.NoError(t, err)
		require.True(t, want.Equal(*got), text)
	}
	for _, text := range []string{"-90m", "yesterday", "2026-03-01 09:00"} {
		_, err := remote.Time(text, now)
		require.ErrorContains(t, err, "is no time")
	}
	none, err := remote.Time("", now)
	require.NoError(t, err)
	require.Nil(t, none)
}
