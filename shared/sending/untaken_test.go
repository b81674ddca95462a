package sending_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/egress"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// fixed opens every integration with the same parameters.
type fixed struct {
	system     destination.System
	parameters any
}

func (f fixed) Open(context.Context, integration.Integration) (integration.Opened, error) {
	return integration.Opened{System: f.system, Parameters: f.parameters}, nil
}

// storage is a loopback server that keeps what it was sent.
type storage struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
}

func listen(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *storage {
	s := &storage{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		s.mu.Lock()
		s.requests, s.bodies = append(s.requests, r), append(s.bodies, body)
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *storage) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// sendTo makes one attempt after another at new deliveries to a system whose address is the server's.
func sendTo(t *testing.T, s *storage, system, parameters string) (now *time.Time, send func() delivery.Attempt) {
	t.Helper()
	known, _, ok := catalogue.Default().Lookup(system)
	require.True(t, ok)
	full, err := known.Parameters.Complete(json.RawMessage(strings.ReplaceAll(parameters, "{{url}}", s.URL)))
	require.NoError(t, err)
	opened, err := known.Parameters.Open(full)
	require.NoError(t, err)
	clock := time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)
	now = &clock
	c := &sending.Sender{
		Destinations: catalogue.Default(), Now: func() time.Time { return *now }, Log: slog.New(slog.DiscardHandler),
		Transport: egress.New(egress.Policy{Allow: []string{strings.TrimPrefix(s.URL, "http://")}}, egress.Options{}),
	}
	i := integration.Integration{ID: "i", Tenant: "42", System: system, Revision: 1}
	route, err := c.Open(t.Context(), fixed{known, opened}, i)
	require.NoError(t, err)
	return now, func() delivery.Attempt {
		d := delivery.Delivery{ID: "01GTD8R4000000000000000001", Tenant: "42", Integration: "i",
			State: delivery.Pending, Events: []event.Event{{
				ID: "e", Tenant: "42", Kind: event.NewHits, Time: *now,
				Data: json.RawMessage(`{"hit":{"type":"sqli"}}`),
			}}}
		sent, err := c.Send(t.Context(), route, d)
		require.NoError(t, err)
		return sent.Attempts[len(sent.Attempts)-1]
	}
}

const minioParameters = `{"endpoint":"{{url}}","bucket":"hits","access_key":"ours","secret_key":"0123456789"}`

// H28: storage that refuses the checksum header gets the file once more without it, and none with it for a while.
func TestH28StorageThatRefusesChecksumHeaders(t *testing.T) {
	for name, refuse := range map[string]func(w http.ResponseWriter){
		"400 without words": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
		"400 in words": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w,
				`<Error><Code>InvalidRequest</Code><Message>Unsupported header 'x-amz-checksum-sha256' received for this API call.</Message></Error>`)
		},
		"InvalidArgument": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `<Error><Code>InvalidArgument</Code></Error>`)
		},
		"XAmzContentSHA256Mismatch": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `<Error><Code>XAmzContentSHA256Mismatch</Code></Error>`)
		},
		"501 NotImplemented": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusNotImplemented)
			_, _ = io.WriteString(w,
				`<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, func(w http.ResponseWriter, r *http.Request) {
				for h := range r.Header {
					if strings.HasPrefix(h, "X-Amz-Checksum-") || strings.HasPrefix(h, "X-Amz-Sdk-Checksum-") {
						refuse(w)
						return
					}
				}
				w.Header().Set("ETag", `"x"`)
			})
			now, send := sendTo(t, s, "minio", minioParameters)
			first := send()
			require.True(t, first.Delivered)
			require.Empty(t, first.Answer, "what the first request was refused with is no answer to one that arrived")
			require.Equal(t, 2, s.count(), "with it, and without it")
			second := s.requests[1]
			sum := md5.Sum(s.bodies[1])
			require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), second.Header.Get("Content-Md5"),
				"the older checksum, which all storage takes, stands in")
			require.Equal(t, s.bodies[0], s.bodies[1])
			require.Equal(t, s.requests[0].URL.Path, second.URL.Path)
			signed(t, s, second, s.bodies[1], *now)

			require.True(t, send().Delivered)
			require.Equal(t, 3, s.count(), "remembered")
			*now = now.Add(7 * time.Hour)
			require.True(t, send().Delivered)
			require.Equal(t, 5, s.count(), "asked again after a while: storage is upgraded, too")
		})
	}
}

// signed holds a request's signature against one made of what arrived.
func signed(t *testing.T, s *storage, r *http.Request, body []byte, now time.Time) {
	t.Helper()
	q := destination.Request{Method: r.Method, URL: s.URL + r.URL.Path, Body: body, Header: http.Header{}}
	for h := range r.Header {
		if strings.HasPrefix(h, "X-Amz-") && h != "X-Amz-Date" || strings.HasPrefix(h, "Content-") &&
			h != "Content-Length" {
			q.Header[h] = r.Header[h]
		}
	}
	want, err := s3.Sign(q, s3.Keys{ID: "ours", Secret: "0123456789"}, "s3", "us-east-1", now)
	require.NoError(t, err)
	require.Equal(t, want.Header.Get("Authorization"), r.Header.Get("Authorization"))
}

func TestAnotherRefusalIsNoMatterOfTheChecksum(t *testing.T) {
	for code, requests := range map[string]int{"EntityTooLarge": 1, "ExpiredToken": 1,
		"AuthorizationHeaderMalformed": 1, "Whatever": 2} {
		s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `<Error><Code>`+code+`</Code></Error>`)
		})
		_, send := sendTo(t, s, "minio", minioParameters)
		a := send()
		require.False(t, a.Delivered)
		require.Contains(t, a.Reason, code)
		require.Equal(t, requests, s.count(), code)
		send()
		require.Equal(t, 2*requests, s.count(), "what did not help is not remembered")
	}
	s := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"x"`) })
	_, send := sendTo(t, s, "minio", minioParameters)
	require.True(t, send().Delivered)
	require.NotEmpty(t, s.requests[0].Header.Get("X-Amz-Checksum-Sha256"), "the usual case")
	require.Equal(t, 1, s.count())
}

func TestAReceiverThatRefusesCompressionGetsThePlainBody(t *testing.T) {
	s := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Encoding") != "" {
			w.WriteHeader(http.StatusUnsupportedMediaType)
		}
	})
	_, send := sendTo(t, s, "sumo_logic", `{"source_url":"{{url}}/receiver/v1/http/x"}`)
	require.True(t, send().Delivered)
	require.Equal(t, 2, s.count())
	z, err := gzip.NewReader(bytes.NewReader(s.bodies[0]))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, string(plain), string(s.bodies[1]))
	require.True(t, send().Delivered)
	require.Equal(t, 3, s.count(), "remembered")
}

// H19, H17: an attempt says that its receiver is gone, and a date is measured by the clock of the attempt.
func TestAnAttemptSaysThatItsReceiverIsGone(t *testing.T) {
	s := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	_, send := sendTo(t, s, "web_hooks", `{"url":"{{url}}/x"}`)
	a := send()
	require.True(t, a.Gone)
	require.Contains(t, a.Reason, "answered 410 Gone: what was at this address is gone for good")
}
