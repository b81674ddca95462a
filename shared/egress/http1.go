package egress

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// maxDirect is the longest body, in bytes, that is written before anything of the answer is read: the kernels at both
// ends take so much although the system reads nothing of it (Linux offers a window of 64 KiB from the start). A system
// that answers a longer one before it has read all, with 413 perhaps, is to be heard meanwhile.
const maxDirect = 32 << 10

// http1 is an http.RoundTripper whose goroutines write their requests and read the answers themselves, over connections
// that serve again. An http.Transport has two goroutines for each connection, and wakes both and the caller for each
// request, which is more than a third of what a request costs (docs/measurements.md).
//
// It carries what takes says, and gives the rest to an http.Transport, HTTP/2 above all. The outcome is the same: a
// test holds them against each other. But when a system switches protocols unasked (101), this one ends at once.
type http1 struct {
	dialer  *dialer
	rest    *http.Transport
	longest int64 // body: maxDirect

	mu    sync.Mutex
	only  map[string]bool    // the host:port that speak no HTTP/2 over TLS
	idle  map[string][]*wire // by host:port; the last one was used last
	kept  int                // of idle
	clock *time.Timer        // of sweep; nil while nothing is idle
}

// wire is an open connection.
type wire struct {
	net.Conn
	address string
	watch   watch
	bound   atMost // of the header of an answer
	from    *bufio.Reader
	since   time.Time // when it became idle
}

// requests are the buffers that requests are written to, so that each is one call of the system.
var requests = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// errHTTP2 is a connection to a system that has learnt HTTP/2 since it was last spoken to.
var errHTTP2 = errors.New("the system speaks HTTP/2")

// RoundTrip implements http.RoundTripper. The request has a trace with the hooks of exchange.do.
func (t *http1) RoundTrip(q *http.Request) (*http.Response, error) {
	address := hostPort(q.URL)
	if !t.takes(q, address) {
		return t.learn(q, address)
	}
	w, reused, err := t.connection(q, address)
	if errors.Is(err, errHTTP2) {
		return t.learn(q, address)
	}
	if err != nil {
		return nil, err
	}
	trace := httptrace.ContextClientTrace(q.Context())
	trace.GotConn(httptrace.GotConnInfo{Conn: w.Conn, Reused: reused})
	// Not Close: under TLS that would wait for a write that stands still.
	stop := context.AfterFunc(q.Context(), func() { _ = w.SetDeadline(time.Unix(1, 0)) })
	answer, whole, err := w.exchange(q, trace)
	if err != nil {
		stop()
		w.Close()
		return nil, cmp.Or(q.Context().Err(), err)
	}
	body := &lent{ReadCloser: answer.Body, wire: w, to: t, stop: stop, ended: answer.Body == http.NoBody,
		serves: whole && !answer.Close && answer.StatusCode >= http.StatusOK}
	if body.ended {
		_ = body.Close() // the answer is whole: what comes of the connection is another matter
		return answer, nil
	}
	answer.Body = body
	return answer, nil
}

// learn has the http.Transport carry a request, and notes which systems speak no HTTP/2.
func (t *http1) learn(q *http.Request, address string) (*http.Response, error) {
	answer, err := t.rest.RoundTrip(q)
	if err != nil || answer.TLS == nil {
		return answer, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if answer.ProtoMajor != 1 || len(t.only) >= idleInAll {
		delete(t.only, address)
	} else {
		t.only[address] = true
	}
	return answer, nil
}

// takes reports whether a request is a plain one: no proxy, no upgrade, headers that can be written as they are, a body
// that is not long, and for https a system that is known to speak HTTP/1.1.
func (t *http1) takes(q *http.Request, address string) bool {
	if !watches || q.ContentLength < 0 || q.ContentLength > t.longest || t.dialer.proxy.leadsTo(address) ||
		asciiHost(q.URL.Host) != strings.ToLower(q.URL.Host) || strings.Contains(q.Host, "%") {
		return false
	}
	for name, values := range q.Header {
		if name == "Connection" || name == "Upgrade" || name == "Expect" || !httpguts.ValidHeaderFieldName(name) {
			return false
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return false
			}
		}
	}
	if q.URL.Scheme == "http" {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.only[address]
}

// connection is one that is idle, or a new one.
func (t *http1) connection(q *http.Request, address string) (w *wire, reused bool, err error) {
	for w := t.last(address); w != nil; w = t.last(address) {
		if time.Since(w.since) < idleFor && w.watch.quiet() && !w.holds() {
			return w, true, nil
		}
		w.Close()
	}
	dial := t.dialer.secure
	if q.URL.Scheme == "http" {
		dial = t.dialer.plain
	}
	conn, err := dial(q.Context(), "tcp", address)
	if err != nil {
		return nil, false, err
	}
	if secured, ok := conn.(*tls.Conn); ok && secured.ConnectionState().NegotiatedProtocol == "h2" {
		conn.Close()
		return nil, false, errHTTP2
	}
	w = &wire{Conn: conn, address: address, watch: newWatch(conn), bound: atMost{Conn: conn}}
	w.from = bufio.NewReader(&w.bound)
	return w, false, nil
}

// holds reports whether TLS has taken more from the socket than was read of it: what a system sent behind an answer is
// not the answer to the next request.
func (w *wire) holds() bool {
	secured, ok := w.Conn.(*tls.Conn)
	if !ok {
		return false
	}
	if err := secured.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return true
	}
	n, err := secured.Read(make([]byte, 1)) // of what it has; the deadline keeps it from the socket
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || secured.SetReadDeadline(time.Time{}) != nil
}

// last takes the connection that was used last; nil when none is idle.
func (t *http1) last(address string) *wire {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle[address]
	if len(idle) == 0 {
		return nil
	}
	w := idle[len(idle)-1]
	t.idle[address] = idle[:len(idle)-1]
	t.kept--
	return w
}

// keep has a connection serve again.
func (t *http1) keep(w *wire) {
	w.since = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept >= idleInAll || len(t.idle[w.address]) >= idlePerHost {
		w.Close()
		return
	}
	t.idle[w.address] = append(t.idle[w.address], w)
	t.kept++
	if t.clock == nil {
		t.clock = time.AfterFunc(idleFor, func() { t.sweep(time.Now().Add(-idleFor)) })
	}
}

// sweep closes the connections that have been idle since a time, and comes again while there are others.
func (t *http1) sweep(since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for address, idle := range t.idle {
		for len(idle) > 0 && !idle[0].since.After(since) {
			idle[0].Close()
			idle = idle[1:]
			t.kept--
		}
		if t.idle[address] = idle; len(idle) == 0 {
			delete(t.idle, address)
		}
	}
	if t.clock == nil {
		return
	}
	if t.kept == 0 {
		t.clock = nil
	} else {
		t.clock.Reset(idleFor / 2)
	}
}

// CloseIdleConnections closes what serves nobody now.
func (t *http1) CloseIdleConnections() {
	t.rest.CloseIdleConnections()
	t.sweep(time.Now())
}

// exchange writes a request and reads the answer up to its body. whole says that all of the request was written.
func (w *wire) exchange(q *http.Request, trace *httptrace.ClientTrace) (answer *http.Response, whole bool, err error) {
	out := requests.Get().(*bytes.Buffer)
	defer requests.Put(out)
	out.Reset()
	if err := write(out, q); err != nil {
		return nil, false, err
	}
	_, failed := w.Write(out.Bytes())
	trace.WroteRequest(httptrace.WroteRequestInfo{Err: failed})
	// A system may have answered, and closed the connection, without reading all.
	w.bound.left = maxHeaders
	if _, err := w.from.Peek(1); err != nil {
		return nil, false, cmp.Or(failed, err)
	}
	trace.GotFirstResponseByte()
	for {
		answer, err = http.ReadResponse(w.from, q)
		if err != nil {
			return nil, false, err
		}
		if answer.StatusCode >= http.StatusOK || answer.StatusCode == http.StatusSwitchingProtocols {
			w.bound.left = math.MaxInt
			return answer, failed == nil, nil
		}
	}
}

// special are the headers that are written apart from the others, or not at all.
var special = map[string]bool{"Host": true, "User-Agent": true, "Content-Length": true, "Transfer-Encoding": true,
	"Trailer": true}

// write writes what http.Request.Write does for a request that takes let pass: half of the work of that one is for
// others.
func write(out *bytes.Buffer, q *http.Request) error {
	out.WriteString(q.Method)
	out.WriteByte(' ')
	out.WriteString(q.URL.RequestURI())
	out.WriteString(" HTTP/1.1\r\nHost: ")
	out.WriteString(q.Host)
	if agent := strings.TrimSpace(q.Header.Get("User-Agent")); agent != "" {
		out.WriteString("\r\nUser-Agent: ")
		out.WriteString(agent)
	}
	// RFC 9110, 8.6: the methods that mean content say also that there is none.
	if q.ContentLength > 0 || q.Method == http.MethodPost || q.Method == http.MethodPut ||
		q.Method == http.MethodPatch {
		out.WriteString("\r\nContent-Length: ")
		out.WriteString(strconv.FormatInt(q.ContentLength, 10))
	}
	out.WriteString("\r\n")
	if err := q.Header.WriteSubset(out, special); err != nil {
		return err
	}
	out.WriteString("\r\n")
	if q.Body == nil {
		return nil
	}
	defer q.Body.Close()
	_, err := out.ReadFrom(q.Body)
	return err
}

// lent is the body of an answer: the connection serves again when it was read to its end.
type lent struct {
	io.ReadCloser
	wire   *wire
	to     *http1
	stop   func() bool
	serves bool
	ended  bool
}

func (b *lent) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.ended = b.ended || err == io.EOF // as an io.Reader says it
	return n, err
}

// Close closes no body of net/http, which would read on.
func (b *lent) Close() error {
	if stopped := b.stop(); stopped && b.serves && b.ended && b.wire.from.Buffered() == 0 {
		b.to.keep(b.wire)
		return nil
	}
	return b.wire.Close()
}
