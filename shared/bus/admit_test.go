package bus_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"tocsin/shared/bus"
	"tocsin/shared/publisher"
)

// one is a publisher with a key of fixed values, whose secret has what signers trip over.
type one struct{ err error }

const keyID, secret = "TCSNABCDEFGHIJKLMNOP", "se-cret_/+=0123456789abcdefghijklmnopqrst"

func (o one) Secret(_ context.Context, id string) (string, string, error) {
	if id != keyID || o.err != nil {
		if o.err != nil {
			return "", "", o.err
		}
		return "", "", publisher.ErrUnknown
	}
	return "one", secret, nil
}

const body = `{"Entries":[{"Source":"platform.users","DetailType":"create_user","Detail":"{\"version\":1}"}]}`

// guarded serves a bus that has a publisher; the clock is the real one, because SDKs and curl sign with it.
func guarded(t *testing.T, unsigned bool, region string) (*httptest.Server, *store) {
	s := &store{}
	server := httptest.NewServer(bus.Handler(bus.Config{
		Store: s, Name: "tocsin", Now: time.Now, NewID: func() string { return "1" },
		Log:        slog.New(slog.DiscardHandler),
		Publishers: one{}, SignedOnly: !unsigned, Region: region,
	}))
	t.Cleanup(server.Close)
	return server, s
}

func put(t *testing.T, url string, shape func(*http.Request)) (status int, kind, message string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodPost, url+"/", strings.NewReader(body))
	require.NoError(t, err)
	q.Header.Set("X-Amz-Target", bus.Target)
	q.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if shape != nil {
		shape(q)
	}
	r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	var answer struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	require.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
	require.Equal(t, answer.Type, r.Header.Get("X-Amzn-Errortype"))
	return r.StatusCode, answer.Type, answer.Message
}

func sign(q *http.Request, id, secret, service, region, body string, at time.Time) {
	sum := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, q,
		hex.EncodeToString(sum[:]), service, region, at)
	if err != nil {
		panic(err)
	}
}

func TestS1AnUnsignedCallComesFromAProgramOfThisMachineAlone(t *testing.T) {
	open, taken := guarded(t, true, "")
	for name, host := range map[string]string{
		"as it is": "", "localhost": "localhost:8081", "without a port": "localhost",
		"another loopback address": "127.8.9.10:1", "IPv6": "[::1]:8081",
		"IPv6 without a port": "[::1]", "with a dot": "localhost.:8081", "in capitals": "LOCALHOST",
	} {
		status, kind, _ := put(t, open.URL, func(q *http.Request) { q.Host = host })
		require.Equal(t, http.StatusOK, status, "%s: %s", name, kind)
	}
	require.Len(t, taken.entries, 8)

	refused := map[string]func(*http.Request){}
	for _, host := range []string{"evil.test", "evil.test:8081", "localhost.evil.test", "127.0.0.1.evil.test",
		"0.0.0.0", "[::]", "10.0.0.1", "2130706433", "0x7f.1", "localhost:80:90"} {
		refused["Host "+host] = func(q *http.Request) { q.Host = host }
	}
	for _, header := range []string{
		"Origin: http://localhost:8081", "Origin: null", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors",
		"Sec-CH-UA: x", "Forwarded: for=203.0.113.9",
		"X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: a", "X-Forwarded-Proto: https",
		"X-Forwarded: a", "x-forwarded-anything: a",
		"X-Real-IP: 203.0.113.9", "Via: 1.1 proxy", "CF-Connecting-IP: 203.0.113.9", "True-Client-IP: 203.0.113.9",
		"Referer: http://evil.test/", "Cookie: a=b",
		"X_Forwarded_For: 203.0.113.9", "X-Scheme: https", "Front-End-Https: on", "X-ARR-LOG-ID: a",
		"X-Envoy-Expected-Rq-Timeout-Ms: 15000", "X-Host: a", "X-Request-Id: a",
		"X-A-Proxy-Of-Tomorrow: a", "Accept-Language: en", "DNT: 1", "Upgrade-Insecure-Requests: 1",
	} {
		refused[header] = func(q *http.Request) {
			name, value, _ := strings.Cut(header, ": ")
			q.Header.Set(name, value)
		}
	}
	before := len(taken.entries)
	for name, shape := range refused {
		status, kind, message := put(t, open.URL, shape)
		require.Equal(t, http.StatusForbidden, status, name)
		require.Equal(t, "MissingAuthenticationTokenException", kind, name)
		require.Contains(t, message, "publisher-key", name)
	}
	closed, none := guarded(t, false, "")
	status, kind, _ := put(t, closed.URL, nil)
	require.Equal(t, http.StatusForbidden, status,
		"a listener that others reach takes nothing unsigned, from here neither")
	require.Equal(t, "MissingAuthenticationTokenException", kind)
	require.Len(t, taken.entries, before)
	require.Empty(t, none.entries)

	h := bus.Handler(bus.Config{Store: &store{}, NewID: func() string { return "1" }, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)})
	for _, peer := range []string{"192.0.2.1:1234", "[2001:db8::1]:1", "", "@"} {
		q := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		q.RemoteAddr, q.Host = peer, "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		require.Equal(t, http.StatusForbidden, w.Code, peer)
	}
}

// TestS1WhatNginxPassesOnMustBeSigned: by itself nginx speaks HTTP/1.0, writes the address that it dials as Host, and
// adds no header.
func TestS1WhatNginxPassesOnMustBeSigned(t *testing.T) {
	open, taken := guarded(t, true, "")
	conn, err := net.Dial("tcp", open.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn,
		"POST / HTTP/1.0\r\nHost: %s\r\nConnection: close\r\nX-Amz-Target: %s\r\nContent-Length: %d\r\n\r\n%s",
		open.Listener.Addr(), bus.Target, len(body), body)
	require.NoError(t, err)
	raw, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(raw), "403 Forbidden")
	require.Empty(t, taken.entries)
}

// TestS1ProgramsThatPublishNeedNotSign sends what the SDKs of the languages and those that trace them add.
func TestS1ProgramsThatPublishNeedNotSign(t *testing.T) {
	open, taken := guarded(t, true, "")
	headers := []string{
		"User-Agent", "Accept", "Accept-Encoding", "Content-MD5", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request",
		"Aws-Sdk-Retry", "X-Amz-User-Agent", "X-Amz-Date",
		"X-Amzn-Trace-Id", "X-Amzn-Query-Mode", "Cache-Control", "Pragma", "Date", "Keep-Alive", "Traceparent",
		"Tracestate", "Baggage", "X-B3-Traceid",
	}
	for _, name := range headers {
		status, kind, _ := put(t, open.URL, func(q *http.Request) { q.Header.Set(name, "a") })
		require.Equal(t, http.StatusOK, status, "%s: %s", name, kind)
	}
	require.Len(t, taken.entries, len(headers))
}

// signed signs a request at a time that is away from now.
func signed(key, secret, service, region, body string, away time.Duration) func(*http.Request) {
	return func(q *http.Request) { sign(q, key, secret, service, region, body, time.Now().Add(away)) }
}

// rightly signs a request as it should be.
func rightly(away time.Duration) func(*http.Request) {
	return signed(keyID, secret, "events", "eu-west-1", body, away)
}

// refusedCalls are calls that are not signed as they should be, and the code that each is refused with.
var refusedCalls = map[string]struct {
	shape func(*http.Request)
	code  string
}{
	"another secret": {signed(keyID, "wrong", "events", "eu-west-1", body, 0),
		"InvalidSignatureException"},
	"another body": {signed(keyID, secret, "events", "eu-west-1", body+" ", 0),
		"InvalidSignatureException"},
	"another service": {signed(keyID, secret, "sqs", "eu-west-1", body, 0),
		"InvalidSignatureException"},
	"an unknown key": {signed("AKIDEXAMPLE", secret, "events", "eu-west-1", body, 0),
		"UnrecognizedClientException"},
	"a recording of six minutes ago":    {rightly(-6 * time.Minute), "InvalidSignatureException"},
	"a recording of yesterday":          {rightly(-24 * time.Hour), "InvalidSignatureException"},
	"a clock that is six minutes ahead": {rightly(6 * time.Minute), "InvalidSignatureException"},
	"an old signature under a new date": {func(q *http.Request) {
		rightly(-time.Hour)(q)
		q.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	}, "InvalidSignatureException"},
	"a signed header that was changed": {func(q *http.Request) {
		rightly(0)(q)
		q.Header.Set("Content-Type", "text/plain")
	}, "InvalidSignatureException"},
	"another host": {func(q *http.Request) {
		rightly(0)(q)
		q.Host = "evil.test"
	}, "InvalidSignatureException"},
	"host not signed": {func(q *http.Request) {
		rightly(0)(q)
		q.Header.Set("Authorization", strings.Replace(q.Header.Get("Authorization"), ";host;", ";", 1))
	}, "InvalidSignatureException"},
	"a date not signed": {func(q *http.Request) {
		rightly(0)(q)
		q.Header.Set("Authorization", strings.Replace(q.Header.Get("Authorization"), ";x-amz-date", "", 1))
	}, "InvalidSignatureException"},
	"a session token": {func(q *http.Request) {
		q.Header.Set("X-Amz-Security-Token", "x")
		rightly(0)(q)
	}, "UnrecognizedClientException"},
	"no date": {func(q *http.Request) {
		rightly(0)(q)
		q.Header.Del("X-Amz-Date")
	}, "IncompleteSignatureException"},
	"a bearer token": {func(q *http.Request) { q.Header.Set("Authorization", "Bearer x") },
		"IncompleteSignatureException"},
	"the prefix alone": {func(q *http.Request) { q.Header.Set("Authorization", "AWS4-HMAC-SHA256") },
		"IncompleteSignatureException"},
	"half a signature": {func(q *http.Request) {
		q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/events/aws4_request")
	}, "IncompleteSignatureException"},
	"a short scope": {func(q *http.Request) {
		q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00")
	}, "IncompleteSignatureException"},
	"no hash": {func(q *http.Request) {
		q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+keyID+
			"/20260101/x/events/aws4_request, SignedHeaders=host, Signature=zz")
	}, "IncompleteSignatureException"},
	"a signature in the query": {func(q *http.Request) { q.URL.RawQuery = "X-Amz-Signature=00&X-Amz-Credential=a" },
		"IncompleteSignatureException"},
	"two of them": {func(q *http.Request) {
		rightly(0)(q)
		q.Header.Add("Authorization", q.Header.Get("Authorization"))
	}, "IncompleteSignatureException"},
}

// takenCalls are calls that are signed after each change.
var takenCalls = map[string]func(*http.Request){
	"as it is":     func(q *http.Request) {},
	"from a proxy": func(q *http.Request) { q.Header.Set("X-Forwarded-For", "203.0.113.9") },
	"by a name":    func(q *http.Request) { q.Host = "events.example.com" },
	"with a query": func(q *http.Request) { q.URL.RawQuery = "b=2&a=%20x+y&a=" },
	"with spaces":  func(q *http.Request) { q.Header.Set("User-Agent", "  a   b  ") },
}

func TestS1ASignedCallIsJudgedByItsSignature(t *testing.T) {
	for _, unsigned := range []bool{true, false} {
		server, taken := guarded(t, unsigned, "")
		for name, c := range refusedCalls {
			status, kind, message := put(t, server.URL, c.shape)
			require.Equal(t, c.code, kind, "%s: %s", name, message)
			require.Contains(t, []int{400, 403}, status, name)
			require.NotContains(t, message, secret)
		}
		require.Empty(t, taken.entries)
		for name, shape := range takenCalls {
			status, kind, message := put(t, server.URL, func(q *http.Request) {
				shape(q)
				rightly(0)(q)
			})
			require.Equal(t, http.StatusOK, status, "%s: %s %s", name, kind, message)
		}
		status, kind, message := put(t, server.URL, rightly(-4*time.Minute))
		require.Equal(t, http.StatusOK, status, "a clock behind: %s %s", kind, message)
	}
}

func TestS1ASignatureIsOfTheRegionThatIsConfigured(t *testing.T) {
	server, _ := guarded(t, false, "eu-west-1")
	status, _, _ := put(t, server.URL, rightly(0))
	require.Equal(t, http.StatusOK, status)
	status, _, _ = put(t, server.URL, signed(keyID, secret, "events", "us-east-1", body, 0))
	require.Equal(t, http.StatusForbidden, status, "another region than the configured one")
}

// counted counts the requests that go out.
type counted struct{ n atomic.Int64 }

func (c *counted) RoundTrip(q *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return http.DefaultTransport.RoundTrip(q)
}

func TestS1TheRealSDKSignsAndUnderstandsARefusal(t *testing.T) {
	server, taken := guarded(t, false, "")
	calls := &counted{}
	client := func(id, secret string) *eventbridge.Client {
		return eventbridge.New(eventbridge.Options{BaseEndpoint: &server.URL, Region: "eu-west-1",
			HTTPClient:  &http.Client{Transport: calls},
			Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")})
	}
	large := good() // above 10 KiB an SDK may compress
	large.Detail = aws.String(`{"a":"` + strings.Repeat("x", 100_000) + `"}`)
	in := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{good(), large}}
	out, err := client(keyID, secret).PutEvents(t.Context(), in)
	require.NoError(t, err)
	require.Zero(t, out.FailedEntryCount)
	require.Len(t, taken.entries, 2)
	for _, c := range []struct{ id, secret, code string }{
		{keyID, "wrong", "InvalidSignatureException"}, {"AKID", secret, "UnrecognizedClientException"}} {
		calls.n.Store(0)
		_, err = client(c.id, c.secret).PutEvents(t.Context(), in)
		var told smithy.APIError
		require.ErrorAs(t, err, &told)
		require.Equal(t, c.code, told.ErrorCode())
		require.Equal(t, int64(1), calls.n.Load(), "the SDK does not try again what is refused for good")
	}
	require.Len(t, taken.entries, 2)
}

func TestS1CurlSigns(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("curl is not installed")
	}
	require.NoError(t, err)
	out, err := exec.Command(curl, "--help", "all").CombinedOutput()
	require.NoError(t, err, string(out))
	if !bytes.Contains(out, []byte("--aws-sigv4")) {
		t.Skip("this curl can not sign: 7.75 is the first that can")
	}
	server, taken := guarded(t, false, "")
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		secret string
		says   string
	}{"its key": {secret, `"FailedEntryCount":0`}, "another secret": {"wrong", "InvalidSignatureException"}} {
		out, err := exec.CommandContext(t.Context(), curl, "-sS", "--noproxy", "*", "--aws-sigv4",
			"aws:amz:eu-west-1:events", "--user", keyID+":"+c.secret,
			"-H", "X-Amz-Target: "+bus.Target, "-H", "Content-Type: application/x-amz-json-1.1", "-d", body,
			"http://127.0.0.1:"+port+"/").CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), c.says, name)
	}
	require.Len(t, taken.entries, 1)
}

func TestAFileOfKeysThatCanNotBeReadIsAFaultOfOurs(t *testing.T) {
	h := bus.Handler(bus.Config{
		Store: &store{}, NewID: func() string { return "1" }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Publishers: one{io.ErrClosedPipe},
	})
	q := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	sign(q, keyID, secret, "events", "x", body, time.Now())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "pipe")
}
