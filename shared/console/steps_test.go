package console_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/ports"
	"tocsin/shared/console/integrations"
)

// stepsOf runs a test of parameters and reads its lines one by one.
func (r *rig) stepsOf(parameters string, seen func(integrations.TestLine)) (out []integrations.TestLine) {
	r.t.Helper()
	server := httptest.NewServer(r.handler)
	defer server.Close()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, server.URL+"/v1/integrations/test?steps=true",
		strings.NewReader(`{"system":"web_hooks","parameters":`+parameters+`}`))
	require.NoError(r.t, err)
	q.Header.Set("Authorization", "Bearer "+r.token)
	q.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(q)
	require.NoError(r.t, err)
	defer a.Body.Close()
	require.Equal(r.t, 200, a.StatusCode)
	require.Equal(r.t, integrations.JSONLines, a.Header.Get("Content-Type"))
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() {
		var l integrations.TestLine
		require.NoError(r.t, json.Unmarshal(lines.Bytes(), &l))
		out = append(out, l)
		if seen != nil {
			seen(l)
		}
	}
	require.NoError(r.t, lines.Err())
	return out
}

// kinds are the steps of the first message.
func kinds(lines []integrations.TestLine) (out []string) {
	for _, l := range lines {
		if l.Step != nil && l.Step.Message == 1 {
			kind := string(l.Step.Kind)
			if l.Step.Failed {
				kind += "!"
			}
			out = append(out, kind)
		}
	}
	return out
}

func TestEachStepOfATestIsToldBeforeTheNextOneEnds(t *testing.T) {
	goOn := make(chan struct{})
	at := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-goOn }))
	defer at.Close()
	_, port, err := net.SplitHostPort(at.Listener.Addr().String())
	require.NoError(t, err)
	r := start(t, "localhost:"+port)
	told := false
	lines := r.stepsOf(`{"url":"https://localhost:`+port+`","ca_verify":false}`, func(l integrations.TestLine) {
		if l.Step != nil && l.Step.Kind == "sent" && !told {
			told = true
			close(goOn) // the answer comes when the steps before it were read
		}
	})
	require.Equal(t, []string{"begun", "name", "address", "connected", "tls", "sent", "answered", "ended"},
		kinds(lines))
	last := lines[len(lines)-1]
	require.NotNil(t, last.Result)
	require.True(t, last.Result.Delivered)
	require.Len(t, last.Result.Messages, lines[0].Step.Of)
	var later []string // the second has a connection of its own: the first said that the server speaks HTTP/1.1
	for _, l := range lines {
		if l.Step != nil && l.Step.Message == 3 {
			later = append(later, string(l.Step.Kind))
		}
	}
	require.Equal(t, []string{"begun", "reused", "sent", "answered", "ended"}, later)
	require.Len(t, r.entries(), 1, "one entry in the activity log, however it is answered")
}

func TestTheStepThatFailedIsTold(t *testing.T) {
	at := httptest.NewTLSServer(nil)
	defer at.Close()
	port, err := ports.Free()
	require.NoError(t, err)
	gone := net.JoinHostPort("127.0.0.1", port)
	r := start(t, at.Listener.Addr().String(), gone)
	for url, want := range map[string][]string{
		"https://" + at.Listener.Addr().String(): {"begun", "address", "connected", "tls!", "ended!"},
		"https://" + gone:                        {"begun", "address", "connected!", "ended!"},
		"https://nothing.invalid":                {"begun", "name!", "ended!"},
	} {
		require.Equal(t, want, kinds(r.stepsOf(`{"url":"`+url+`"}`, nil)), url)
	}
}

func TestATestThatDoesNotBeginIsAProblemAlsoWithSteps(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/integrations/test?steps=true", `{"system":"web_hooks","parameters":{}}`)
	require.Equal(t, 422, a.status, a.raw)
	full := mailing(t, 2, &postbox{})
	a = full.call("POST", "/v1/integrations/test?steps=true", toAddresses("eve@x.org"))
	require.Equal(t, 429, a.status, a.raw)
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
}
