package egress_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/patience"
	"tocsin/shared/step"
)

// script is what a server does with a request, the n-th on its connection from 0 on. It ends the connection when it
// returns false.
type script func(conn net.Conn, from *bufio.Reader, n int, pause time.Duration) bool

// answers reads the request, answers with the given bytes, and goes on or not.
func answers(answer string, goesOn bool) script {
	return func(conn net.Conn, from *bufio.Reader, _ int, _ time.Duration) bool {
		drain(from)
		_, _ = io.WriteString(conn, answer)
		return goesOn
	}
}

// Answers that are whole.
const (
	fine    = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
	keeping = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
)

// slowly answers in pieces.
func slowly(conn net.Conn, from *bufio.Reader, _ int, _ time.Duration) bool {
	drain(from)
	for piece := range slices.Chunk([]byte(fine), 5) {
		_, _ = conn.Write(piece)
		time.Sleep(time.Millisecond)
	}
	return true
}

// resets answers with some bytes and resets the connection.
func resets(answer string) script {
	return func(conn net.Conn, from *bufio.Reader, _ int, pause time.Duration) bool {
		drain(from)
		_, _ = io.WriteString(conn, answer)
		time.Sleep(pause) // else the reset overtakes the answer
		if secured, ok := conn.(*tls.Conn); ok {
			conn = secured.NetConn()
		}
		reset(conn)
		conn.Close()
		return false
	}
}

// afterFirst is fine once, and does something before a second request comes.
func afterFirst(then func(net.Conn, time.Duration)) script {
	return func(conn net.Conn, from *bufio.Reader, _ int, pause time.Duration) bool {
		drain(from)
		_, _ = io.WriteString(conn, fine)
		then(conn, pause)
		return false
	}
}

var scripts = map[string]script{
	"a length":               answers(fine, true),
	"a length, then the end": answers(fine, false),
	"no body":                answers("HTTP/1.1 204 No Content\r\n\r\n", true),
	"a length of zero":       answers("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", true),
	"chunks": answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", true),
	"chunks and a trailer": answers("HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"2\r\nok\r\n0\r\nX: y\r\n\r\n", true),
	"the end ends the body":    answers("HTTP/1.1 200 OK\r\n\r\nok", false),
	"it says that it closes":   answers(closing, false),
	"it says so and does not":  answers(closing, true),
	"HTTP/1.0":                 answers("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
	"HTTP/1.0 that keeps":      answers(keeping, true),
	"a failure":                answers("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", true),
	"wait":                     answers("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", true),
	"an interim answer":        answers("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+fine, true),
	"100 that nobody asked":    answers("HTTP/1.1 100 Continue\r\n\r\n"+fine, true),
	"endless interim answers":  answers(strings.Repeat("HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n", 3000), false),
	"empty lines before":       answers("\r\n\r\n"+fine, false),
	"another protocol":         answers("SSH-2.0-OpenSSH_9.7\r\n", false),
	"zeros":                    answers(strings.Repeat("\x00", 100), false),
	"HTTP/2's answer":          answers("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", false),
	"a status of letters":      answers("HTTP/1.1 2xx OK\r\n\r\n", false),
	"two lengths":              answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", false),
	"a header without a colon": answers("HTTP/1.1 200 OK\r\nnothing\r\n\r\n", false),
	"an endless header": answers("HTTP/1.1 200 OK\r\n"+strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 4000)+
		"\r\n", false),
	"half a status line":         answers("HTTP/1.1 20", false),
	"half a header":              answers("HTTP/1.1 200 OK\r\nContent-Le", false),
	"half a body":                answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", false),
	"half a chunk":               answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", false),
	"a long body":                answers("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n"+long[:20000], true),
	"a body longer than is read": answers("HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n"+long, true),
	"gzip":                       answers(packed(len(zipped)), true),
	"more than its answer":       answers(fine+"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", true),
	"more than a long answer": answers("HTTP/1.1 200 OK\r\nContent-Length: 13000\r\n\r\n"+long[:13000]+
		"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", true),
	"more than an answer without": answers("HTTP/1.1 204 No Content\r\n\r\n"+fine, true),
	"nothing":                     answers("", false),
	"in pieces":                   slowly,
	"a reset before an answer":    resets(""),
	"a reset in the status line":  resets("HTTP/1.1 20"),
	"a reset in the header":       resets("HTTP/1.1 200 OK\r\nContent-Le"),
	"a reset behind the header":   resets("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
	"a reset in the body":         resets("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
	"a reset behind the body":     resets(fine),
	"closed while it is idle":     afterFirst(func(c net.Conn, _ time.Duration) { c.Close() }),
	"reset while it is idle": afterFirst(func(c net.Conn, pause time.Duration) {
		time.Sleep(pause)
		resets("")(c, bufio.NewReader(strings.NewReader("")), 0, pause)
	}),
	"an answer while it is idle": afterFirst(func(c net.Conn, pause time.Duration) {
		time.Sleep(pause)
		_, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		hold(c)
	}),
	"it takes and never answers": func(conn net.Conn, from *bufio.Reader, _ int, _ time.Duration) bool {
		drain(from)
		hold(conn)
		return false
	},
	"it stands still in the header": func(conn net.Conn, from *bufio.Reader, _ int, _ time.Duration) bool {
		drain(from)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		hold(conn)
		return false
	},
	"it stands still in the body": func(conn net.Conn, from *bufio.Reader, _ int, _ time.Duration) bool {
		drain(from)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
		hold(conn)
		return false
	},
	"fine, then it never answers": func(conn net.Conn, from *bufio.Reader, n int, _ time.Duration) bool {
		drain(from)
		if n == 0 {
			_, _ = io.WriteString(conn, fine)
			return true
		}
		hold(conn)
		return false
	},
	"fine, then closed without an answer": func(conn net.Conn, from *bufio.Reader, n int, _ time.Duration) bool {
		drain(from)
		if n == 0 {
			_, _ = io.WriteString(conn, fine)
		}
		return n == 0
	},
	"fine, then closed in the header": func(conn net.Conn, from *bufio.Reader, n int, _ time.Duration) bool {
		drain(from)
		if n == 0 {
			_, _ = io.WriteString(conn, fine)
			return true
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 2")
		return false
	},
	"closed before it reads": func(net.Conn, *bufio.Reader, int, time.Duration) bool { return false },
}

// scripted is a server that follows a script. It counts connections and requests.
type scripted struct {
	host             string
	opened, requests atomic.Int64
}

func newScripted(t testing.TB, secure *tls.Config, pause time.Duration, s script) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	out := &scripted{host: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			out.opened.Add(1)
			if secure != nil {
				conn = tls.Server(conn, secure)
			}
			go func() {
				defer conn.Close()
				from := bufio.NewReader(conn)
				for n := 0; ; n++ {
					if _, err := from.Peek(1); err != nil {
						return
					}
					out.requests.Add(1)
					if !s(conn, from, n, pause) {
						return
					}
				}
			}()
		}
	}()
	return out
}

// told is what an observer sees of requests one after the other: outcomes, steps, and what the server had to do.
type told struct {
	outcomes []string
	steps    []string
	opened   int64
	requests int64
}

// observe sends three requests, with a pause in which a server ends what it wants to end.
func observe(t testing.TB, c *egress.Client, s *scripted, q destination.Request, pause time.Duration) (out told) {
	for range 3 {
		var mu sync.Mutex
		seen := map[step.Step]bool{}
		ctx := step.With(t.Context(), func(s step.Step) {
			mu.Lock()
			defer mu.Unlock()
			seen[s] = true
		})
		a, err := c.Do(ctx, q)
		if err != nil {
			out.outcomes = append(out.outcomes, strings.ReplaceAll(err.Error(), s.host, "host"))
		} else {
			a.Header = a.Header.Clone()
			out.outcomes = append(out.outcomes, fmt.Sprint(a.Status, a.Header, a.Broken, string(a.Body)))
		}
		time.Sleep(pause)
		mu.Lock()
		delete(seen, step.Step{Kind: step.Sent})   // an http.Transport can tell it after that the answer came
		delete(seen, step.Step{Kind: step.Reused}) // also of a connection whose end did not come yet
		out.steps = append(out.steps, fmt.Sprint(seen))
		mu.Unlock()
	}
	out.opened, out.requests = s.opened.Load(), s.requests.Load()
	return out
}

func TestARequestEndsAsNetHTTPEndsIt(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	for scheme, secure := range map[string]*tls.Config{
		"http": nil, "https": {Certificates: certified.TLS.Certificates, DynamicRecordSizingDisabled: true},
	} {
		for name, s := range scripts {
			t.Run(scheme+", "+name, func(t *testing.T) {
				t.Parallel()
				send := func(standard bool, unit time.Duration) told {
					server := newScripted(t, secure, unit/60, s)
					c := egress.New(egress.Policy{Allow: []string{server.host}}, egress.Options{})
					q := post(scheme + "://" + server.host)
					q.Transport = destination.Transport{Timeout: unit, SkipVerify: secure != nil}
					if standard {
						c.Standard()
					} else {
						c.Learn(t, q)
					}
					return observe(t, c, server, q, unit/15)
				}
				patience.Growing(t, 300*time.Millisecond, func(unit time.Duration) (bool, string) {
					var want, got told
					var both sync.WaitGroup
					both.Go(func() { want = send(true, unit) })
					both.Go(func() { got = send(false, unit) })
					both.Wait()
					return reflect.DeepEqual(want, got), fmt.Sprintf("net/http: %+v; ours: %+v", want, got)
				})
			})
		}
	}
}

// FuzzAnAnswerIsReadAsNetHTTPReadsIt leaves out a switch to another protocol, for whose bytes net/http waits.
func FuzzAnAnswerIsReadAsNetHTTPReadsIt(f *testing.F) {
	for _, s := range []string{fine, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nok", packed(5),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 103 x\r\n\r\n" + fine,
		"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 1\n\na", "\r\n" + fine,
		"HTTP/1.1 200 OK\r\n X: y\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		if strings.Contains(answer, " 101") {
			return
		}
		send := func(standard bool) []string {
			server := newScripted(t, nil, 0, answers(answer, false))
			c := egress.New(egress.Policy{Allow: []string{server.host}}, egress.Options{})
			if standard {
				c.Standard()
			}
			a, err := c.Do(t.Context(), post("http://"+server.host))
			if err != nil {
				return []string{strings.ReplaceAll(err.Error(), server.host, "host")}
			}
			return []string{fmt.Sprint(a.Status, a.Header, a.Broken), string(a.Body)}
		}
		require.Equal(t, send(true), send(false))
	})
}

// What the server sees of a request is the same, byte for byte.
func TestARequestIsWrittenAsNetHTTPWritesIt(t *testing.T) {
	for name, change := range map[string]func(*destination.Request){
		"as ever":        func(*destination.Request) {},
		"PUT":            func(q *destination.Request) { q.Method = http.MethodPut },
		"GET":            func(q *destination.Request) { q.Method, q.Body = http.MethodGet, nil },
		"no body":        func(q *destination.Request) { q.Body = nil },
		"DELETE":         func(q *destination.Request) { q.Method, q.Body = http.MethodDelete, nil },
		"PATCH":          func(q *destination.Request) { q.Method, q.Body = http.MethodPatch, nil },
		"another length": func(q *destination.Request) { q.Header.Set("Content-Length", "7") },
		"chunked":        func(q *destination.Request) { q.Header.Set("Transfer-Encoding", "chunked") },
		"another host":   func(q *destination.Request) { q.Header.Set("Host", "example.com") },
		"a wide agent":   func(q *destination.Request) { q.Header.Set("User-Agent", " other/2 ") },
		"no header":      func(q *destination.Request) { q.Header = nil },
		"a query":        func(q *destination.Request) { q.URL += "?a=b&c=%20d" },
		"no path":        func(q *destination.Request) { q.URL = strings.TrimSuffix(q.URL, secret) },
		"a user":         func(q *destination.Request) { q.Header.Set("Authorization", "Basic dTpw") },
		"an agent":       func(q *destination.Request) { q.Header.Set("User-Agent", "other/2") },
		"two values":     func(q *destination.Request) { q.Header["X-A"] = []string{"a", "b"} },
		"lower case":     func(q *destination.Request) { q.Header["x-lower"] = []string{"a"} },
		"a long body":    func(q *destination.Request) { q.Body = bytes.Repeat([]byte("x"), 100<<10) },
		"just short":     func(q *destination.Request) { q.Body = bytes.Repeat([]byte("x"), 32<<10) },
		"expects":        func(q *destination.Request) { q.Header.Set("Expect", "100-continue") },
		"closes":         func(q *destination.Request) { q.Header.Set("Connection", "close") },
		"a bad name":     func(q *destination.Request) { q.Header["X A"] = []string{"a"} },
		"a bad value":    func(q *destination.Request) { q.Header["X-A"] = []string{"a\r\nB: c"} },
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan string, 1)
			server := newScripted(t, nil, 0, func(conn net.Conn, from *bufio.Reader, _ int, _ time.Duration) bool {
				var raw bytes.Buffer
				q, err := http.ReadRequest(bufio.NewReaderSize(io.TeeReader(from, &raw), 1))
				if err == nil {
					_, _ = io.Copy(io.Discard, q.Body)
				}
				seen <- raw.String()
				_, _ = io.WriteString(conn, fine)
				return false
			})
			send := func(c *egress.Client) string {
				q := post("http://" + server.host)
				change(&q)
				if _, err := c.Do(t.Context(), q); err != nil {
					return err.Error()
				}
				return <-seen
			}
			c := func() *egress.Client {
				return egress.New(egress.Policy{Allow: []string{server.host}}, egress.Options{})
			}
			require.Equal(t, send(c().Standard()), send(c()))
		})
	}
}
