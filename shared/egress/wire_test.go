package egress_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/egress"
	"tocsin/shared/patience"
)

// pieces gives its first bytes by themselves, as a connection can.
type pieces struct {
	text  string
	first int
}

func (p *pieces) Read(into []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(into, p.text)
	if p.first > 0 {
		n = min(n, p.first)
	}
	p.text, p.first = p.text[n:], 0
	return n, nil
}

// judged has net/http judge what the short way makes of an answer whose first bytes come by themselves: as the first of
// a connection, after one like it, and after others.
func judged(t testing.TB, answer string, first int) (plain bool) {
	t.Helper()
	plain = judgedAfter(t, &egress.Head{}, answer, first)
	for _, before := range []string{answer, fine, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok!", closing} {
		var last egress.Head
		r := bufio.NewReader(strings.NewReader(before))
		_, _ = r.Peek(1)
		_, _ = egress.Plain(r, &last)
		require.Equal(t, plain, judgedAfter(t, &last, answer, first), "after %.80q", before)
		require.Equal(t, plain, judgedAfter(t, &last, answer, first), "after itself, and %.80q", before)
	}
	return plain
}

func judgedAfter(t testing.TB, last *egress.Head, answer string, first int) (plain bool) {
	t.Helper()
	from := bufio.NewReader(&pieces{answer, first})
	if _, err := from.Peek(1); err != nil {
		return false
	}
	got, plain := egress.Plain(from, last)
	left, err := io.ReadAll(from)
	require.NoError(t, err)
	if !plain {
		require.Equal(t, answer, string(left), "net/http gets all of it")
		return false
	}
	judge := bufio.NewReader(strings.NewReader(answer))
	want, err := http.ReadResponse(judge, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(want.Body)
	require.NoError(t, err)
	behind, err := io.ReadAll(judge)
	require.NoError(t, err)
	require.GreaterOrEqual(t, got.Status, 200, "it is final")
	require.Equal(t, want.StatusCode, got.Status)
	require.Equal(t, want.Header, got.Header)
	require.Equal(t, string(body), string(got.Body))
	require.Equal(t, string(behind), string(left), "what is behind the answer")
	require.False(t, want.Close, "the connection stays")
	require.False(t, got.Broken)
	return true
}

// plain are answers that need no net/http, and odd ones that do: by its judgement they are fine, or they are not.
var plain, odd = []string{
	fine, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok",
	"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno",
	"HTTP/1.1 500 Oops\r\nX-A: a\r\nx-a:b\r\nX-A:\t c \t\r\nX-B:\r\nContent-Length: 2\r\n" +
		"Connection: Keep-Alive\r\n\r\nno",
	"HTTP/1.1 599 \u00e9\r\nX: \u00e9\r\nContent-Length: 3\r\n\r\n\r\n\r",
	fine + "HTTP/1.1 500 Oops\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + long[:4000],
	"HTTP/1.1 999 x\r\nContent-Length: 00002\r\n\r\nok",
}, []string{
	"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 103 Hints\r\n\r\n" + fine, closing, keeping,
	"HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 304 x\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 101 Switching\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
	"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999999\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nX: a\rContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 20\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.10 200 OK\r\nContent-Length: 2\r\n\r\nok", "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "\r\n" + fine, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + long[:20000], "SSH-2.0-OpenSSH\r\n\r\n", "\x00\x00\x00",
	"HTTP/1.1 200 OK\r\nX: " + long[:5000] + "\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\n", "\r\n\r\n", "x",
}

func TestAPlainAnswerIsReadAsNetHTTPReadsItWhereverItIsCut(t *testing.T) {
	for _, answer := range plain {
		require.True(t, judged(t, answer, 0), "%.80q needs no net/http", answer)
		for first := range min(len(answer), 4<<10) {
			judged(t, answer, first)
		}
	}
	for _, answer := range odd {
		for first := range min(len(answer), 4<<10) {
			require.False(t, judged(t, answer, first), "%.80q is for net/http", answer)
		}
	}
}

// What net/http's own server answers, most often, is read without net/http.
func TestAServersAnswersArePlain(t *testing.T) {
	for name, f := range map[string]struct {
		answer http.HandlerFunc
		plain  bool
	}{
		"nothing":  {func(http.ResponseWriter, *http.Request) {}, true},
		"a status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, true},
		"a body":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }, true},
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "no", http.StatusTooManyRequests)
		}, true},
		"chunks": {func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "ok")
		}, false},
		"the end":     {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, false},
		"early hints": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusEarlyHints) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(f.answer)
			defer s.Close()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"+
				"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			require.NoError(t, err)
			both, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, f.plain, judged(t, string(both), 0), "%q", both)
		})
	}
}

func FuzzAPlainAnswerIsReadAsNetHTTPReadsIt(f *testing.F) {
	for _, s := range append(plain, odd...) {
		f.Add(s, 0)
		f.Add(s, len(s)/2)
	}
	f.Fuzz(func(t *testing.T, answer string, first int) { judged(t, answer, first) })
}

// A deadline of the request before, passed while the connection was idle, ends nothing.
func TestAConnectionServesAfterTheDeadlineOfItsLastRequest(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			patience.Growing(t, 50*time.Millisecond, func(unit time.Duration) (bool, string) {
				var opened atomic.Int64
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						opened.Add(1)
					}
				}
				start := s.Start
				if scheme == "https" {
					start = s.StartTLS
				}
				start()
				defer s.Close()
				c := egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{})
				q := post(s.URL)
				q.Transport.SkipVerify, q.Transport.Timeout = true, unit
				c.Learn(t, q)
				for range 3 {
					if _, err := c.Do(t.Context(), q); err != nil {
						return false, err.Error()
					}
					time.Sleep(2 * unit)
				}
				return opened.Load() == 1, fmt.Sprint(opened.Load(), " connections")
			})
		})
	}
}

// A caller that goes is not kept until the time for the answer is up, on a new connection or on one that served.
func TestACallerThatGoesIsAnsweredAtOnce(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		for _, before := range []struct{ others, own int }{{}, {others: 1}, {own: 1}, {own: 3}, {others: 3, own: 2}} {
			t.Run(fmt.Sprintf("%s, served before: %+v", scheme, before), func(t *testing.T) {
				came, gone := make(chan struct{}), make(chan struct{})
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
					if q.Header.Get("X-Wait") != "" {
						close(came)
						<-gone
					}
				}))
				start := s.Start
				if scheme == "https" {
					start = s.StartTLS
				}
				start()
				defer s.Close()
				defer close(gone)
				c := egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{})
				q := post(s.URL)
				q.Transport.SkipVerify, q.Transport.Timeout = true, time.Hour
				c.Learn(t, q)
				other, goes := context.WithCancel(t.Context())
				for range before.others {
					_, err := c.Do(other, q)
					require.NoError(t, err)
				}
				goes()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for range before.own {
					_, err := c.Do(ctx, q)
					require.NoError(t, err)
				}
				q.Header = http.Header{"X-Wait": {"yes"}}
				ended := make(chan error, 1)
				go func() {
					_, err := c.Do(ctx, q)
					ended <- err
				}()
				<-came
				cancel()
				select {
				case err := <-ended:
					require.ErrorIs(t, err, context.Canceled)
				case <-time.After(patience.Long):
					t.Fatal("it waits on")
				}
			})
		}
	}
}

// Whoever goes after its request was answered disturbs no request of another caller, however often its own went before.
func TestACallerThatGoesDisturbsNobodyElse(t *testing.T) {
	for range 2000 {
		var interrupts atomic.Int64
		a := egress.Attentive(func() { interrupts.Add(1) })
		one, oneGoes := context.WithCancel(t.Context())
		two, twoGoes := context.WithCancel(t.Context())
		for range rand.IntN(3) {
			a.Begin(one)
			require.True(t, a.Done())
		}
		a.Begin(one)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			oneGoes()
		}()
		undisturbed := a.Done()
		before := interrupts.Load()
		require.Equal(t, undisturbed, before == 0)
		for range 2 {
			a.Begin(two)
			require.True(t, a.Done())
		}
		<-gone
		require.Equal(t, before, interrupts.Load())
		a.Begin(two)
		twoGoes()
		require.Eventually(t, func() bool { return interrupts.Load() == before+1 }, patience.Long, time.Microsecond)
		require.False(t, a.Done())
	}
}
