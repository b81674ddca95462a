package sending_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/egress"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// far is a receiver over real HTTP that refuses some bodies.
type far struct {
	*httptest.Server
	mu       sync.Mutex
	got      map[string]int  // by event
	names    map[string]bool // of what was taken: the path, and the webhook-id
	repeated []string
	refused  int
}

var marked = regexp.MustCompile(`mark-\d\d`)

func newFar(t *testing.T, refuse func(body []byte, w http.ResponseWriter) bool, taken string) *far {
	f := &far{got: map[string]int{}, names: map[string]bool{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			z, bad := gzip.NewReader(bytes.NewReader(body))
			if err = bad; err == nil {
				body, err = io.ReadAll(z)
			}
		}
		if err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if refuse(body, w) {
			f.refused++
			return
		}
		name := r.URL.Path + " " + r.Header.Get("Webhook-Id")
		if f.names[name] && (r.Method == http.MethodPut || r.Header.Get("Webhook-Id") != "") {
			f.repeated = append(f.repeated, name)
		}
		f.names[name] = true
		seen := map[string]bool{}
		for _, m := range marked.FindAllString(string(body), -1) {
			if !seen[m] { // an event may name it more than once
				f.got[m]++
			}
			seen[m] = true
		}
		_, _ = io.WriteString(w, taken)
	}))
	t.Cleanup(f.Close)
	return f
}

// refusal is a system over real HTTP that refuses something of a delivery of ten events.
type refusal struct {
	system, parameters string
	refuse             func([]byte, http.ResponseWriter) bool
	taken              string
	dead               bool // the fourth event is what is refused
}

func TestH10OverRealHTTPEverySystemThatTakesSeveralEvents(t *testing.T) {
	bad := func(answer string) func([]byte, http.ResponseWriter) bool {
		return func(body []byte, w http.ResponseWriter) bool {
			if !bytes.Contains(body, []byte("mark-03")) {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, answer)
			return true
		}
	}
	large := func(body []byte, w http.ResponseWriter) bool {
		if len(body) <= 100_000 {
			return false
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	}
	hec := `{"text":"Success","code":0}`
	for name, c := range map[string]refusal{
		"webhook":             {"web_hooks", `{"url":"{{url}}"}`, bad("no"), "", true},
		"webhook, lines":      {"web_hooks", `{"url":"{{url}}","format":"jsonl"}`, bad("no"), "", true},
		"webhook, few events": {"web_hooks", `{"url":"{{url}}","max_events":4}`, bad("no"), "", true},
		"webhook, size":       {"web_hooks", `{"url":"{{url}}"}`, large, "", false},
		"Fluentd":             {"fluentd", `{"url":"{{url}}"}`, bad("400 Bad Request"), "", true},
		"Logstash":            {"logstash", `{"url":"{{url}}"}`, bad(""), "ok", true},
		"Logstash, size":      {"logstash", `{"url":"{{url}}"}`, large, "ok", false},
		"Splunk": {"splunk", `{"api":"{{url}}","token":"11111111-2222-3333-4444-555555555555"}`,
			bad(`{"text":"Invalid data format","code":6,"invalid-event-number":0}`), hec, true},
		"Splunk, size": {"splunk", `{"api":"{{url}}","token":"11111111-2222-3333-4444-555555555555"}`, large,
			hec, false},
		"Sumo Logic, size": {"sumo_logic", `{"source_url":"{{url}}"}`, large, "", false},
		"MinIO, size":      {"minio", minioParameters, large, "", false},
	} {
		t.Run(name, func(t *testing.T) { sendTen(t, c) })
	}
}

func sendTen(t *testing.T, c refusal) {
	t.Helper()
	f := newFar(t, c.refuse, c.taken)
	known, _, ok := catalogue.Default().Lookup(c.system)
	require.True(t, ok)
	full, err := known.Parameters.Complete(json.RawMessage(strings.ReplaceAll(c.parameters, "{{url}}", f.URL)))
	require.NoError(t, err)
	opened, err := known.Parameters.Open(full)
	require.NoError(t, err)
	now := time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)
	sender := &sending.Sender{
		Destinations: catalogue.Default(), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Transport: egress.New(egress.Policy{Allow: []string{strings.TrimPrefix(f.URL, "http://")}}, egress.Options{}),
	}
	target, err := sender.Open(t.Context(), fixed{known, opened},
		integration.Integration{ID: "i", Tenant: "42", System: c.system, Revision: 1})
	require.NoError(t, err)
	d := delivery.Delivery{ID: "01GTD8R4000000000000000001", Tenant: "42", Integration: "i", State: delivery.Pending,
		Count: 10}
	for n := range 10 {
		d.Events = append(d.Events, event.Event{ID: fmt.Sprint("e", n), Tenant: "42", Kind: event.NewHits, Time: now,
			Data: fmt.Appendf(nil,
				`{"hit":{"type":"sqli","request_id":"mark-%02d","path":"/mark-%02d","payloads":[%q]}}`, n, n,
				strings.Repeat("x", 15_000))})
	}
	for attempt := 1; d.State == delivery.Pending || d.State == delivery.Retrying; attempt++ {
		after, err := sender.Send(t.Context(), target, d)
		require.NoError(t, err)
		d = after.Delivery
		if attempt == 1 && c.dead {
			require.Len(t, f.got, 9, "the good ones at once: %s", d.Reason)
		}
		now = now.Add(time.Hour)
	}
	require.Empty(t, f.repeated, "no two of its requests look like repeats of one another")
	for n := range 10 {
		want := 1
		if c.dead && n == 3 {
			want = 0
		}
		require.Equal(t, want, f.got[fmt.Sprintf("mark-%02d", n)], n)
	}
	if c.dead {
		require.Equal(t, delivery.Dead, d.State)
		require.Contains(t, d.Reason, "9 of 10 events arrived; 1 did not: ")
		require.Len(t, d.Attempts, 17)
	} else {
		require.Equal(t, delivery.Delivered, d.State)
		require.Len(t, d.Attempts, 1)
	}
}
