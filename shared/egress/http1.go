package egress

import (
	"crypto/tls"
	"errors"
	"net/http"
	"sync"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/step"
)

// maxDirect is the longest body, in bytes, that is written before anything of the answer is read: the kernels at both
// ends take so much although the system reads nothing of it (Linux offers a window of 64 KiB from the start). A system
// that answers a longer one before it has read all, with 413 perhaps, is to be heard meanwhile.
const maxDirect = 32 << 10

// http1 has the goroutines that send requests write them and read the answers themselves, over connections that serve
// again. An http.Transport has two goroutines for each connection, and wakes both and the caller for each
// request, which is more than a third of what a request costs (docs/measurements.md).
//
// It carries what takes says, and gives the rest to an http.Transport, HTTP/2 above all. The outcome is the same: tests
// hold them against each other. But when a system switches protocols unasked (101), this one ends at once.
type http1 struct {
	dialer  *dialer
	rest    *http.Transport
	longest int64 // body: maxDirect

	mu    sync.Mutex
	only  map[string]bool    // the host:port that speak no HTTP/2 over TLS
	idle  map[string][]*wire // by host:port; the last one was used last
	kept  int                // of idle
	ended bool               // nothing was asked for since CloseIdleConnections: what comes back is closed
	clock *time.Timer        // of sweep; nil while nothing is idle
}

// errHTTP2 is a connection to a system that has learnt HTTP/2 since it was last spoken to.
var errHTTP2 = errors.New("the system speaks HTTP/2")

// RoundTrip implements http.RoundTripper: the http.Transport carries a request, and http1 notes which systems speak no
// HTTP/2.
func (t *http1) RoundTrip(q *http.Request) (*http.Response, error) {
	answer, err := t.rest.RoundTrip(q)
	if err != nil || answer.TLS == nil {
		return answer, err
	}
	address := hostPort(q.URL)
	t.mu.Lock()
	defer t.mu.Unlock()
	if answer.ProtoMajor != 1 || len(t.only) >= idleInAll {
		delete(t.only, address)
	} else {
		t.only[address] = true
	}
	return answer, nil
}

// takes reports whether a request is one for our own connections: no proxy, a body that is not long, and for https a
// system that is known to speak HTTP/1.1.
func (t *http1) takes(r *destination.Request, at *route) bool {
	if !watches || !at.plain || int64(len(r.Body)) > t.longest {
		return false
	}
	if at.url.Scheme == "http" {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.only[at.address]
}

// exchange sends a request over a connection of our own, or has net/http send one that takes does not let pass.
func (t *http1) exchange(x *exchange) (destination.Response, error) {
	if err := x.caller.Err(); err != nil {
		return destination.Response{}, err
	}
	out, _ := requests.Get().(*[]byte)
	defer requests.Put(out)
	fits := false
	if t.takes(&x.request, x.at) {
		*out, fits = appendRequest((*out)[:0], &x.request, x.at, x.client.options.UserAgent)
	}
	if !fits {
		return x.do(t)
	}
	w, err := t.connection(x)
	if errors.Is(err, errHTTP2) {
		return x.do(t)
	}
	if err != nil {
		return destination.Response{}, err
	}
	w.attention.begin(x.caller)
	answer, serves, err := w.exchange(x, *out)
	if w.attention.done() && serves && w.from.Buffered() == 0 {
		t.keep(w)
	} else {
		w.Close()
	}
	return answer, err
}

// connection is one that is idle, or a new one. Its deadline is that of the answer.
func (t *http1) connection(x *exchange) (*wire, error) {
	for w := t.last(x.at.address); w != nil; w = t.last(x.at.address) {
		until := x.start.Add(x.timeout)
		if x.start.Sub(w.since) < idleFor && w.SetDeadline(until) == nil && w.watch.quiet() && !w.holds(until) {
			x.by, x.reused = until, true
			x.done(step.Reused)
			return w, nil
		}
		w.Close()
	}
	dial := t.dialer.secure
	if x.at.url.Scheme == "http" {
		dial = t.dialer.plain
	}
	conn, err := dial(x.bounded(), "tcp", x.at.address)
	if err != nil {
		return nil, err
	}
	if secured, ok := conn.(*tls.Conn); ok && secured.ConnectionState().NegotiatedProtocol == "h2" {
		conn.Close()
		return nil, errHTTP2
	}
	x.clock.Stop()
	x.by = time.Now().Add(min(x.timeout, time.Until(x.end)))
	w := newWire(conn, x.at.address)
	_ = w.SetDeadline(x.by) // what fails here fails again when it is written
	return w, nil
}

// last takes the connection that was used last; nil when none is idle.
func (t *http1) last(address string) *wire {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = false
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
	if t.ended || t.kept >= idleInAll || len(t.idle[w.address]) >= idlePerHost {
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

// CloseIdleConnections closes what serves nobody now, and what serves somebody when that is over, as net/http does: of
// a pool that a place has left nobody would close it for longer than a minute.
func (t *http1) CloseIdleConnections() {
	t.rest.CloseIdleConnections()
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.sweep(time.Now())
}
