// Package httpserver is how the embedded program listens: servers that no client can hold up by not sending, not
// reading or opening too much, and that answer only to their own names.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of a server. The zero value of a field is its default.
type Limits struct {
	// Connections open at once; 1,000. Above it the connection that has been idle longest makes room.
	Connections int
	// Header and Request bound how long a request's head, and all of it, may take to arrive; 10 s and 30 s.
	Header, Request time.Duration
	// Stall is how long a client may read nothing while it is written to; 20 s. An answer that is read steadily takes
	// as long as it takes.
	Stall time.Duration
	// Answer is how long a handler may take until it begins to answer; 2 min.
	Answer time.Duration
	// Idle is how long a connection is kept between requests; 1 min.
	Idle time.Duration
}

func (l Limits) filled() Limits {
	return Limits{
		Connections: cmp.Or(l.Connections, 1000), Header: cmp.Or(l.Header, 10*time.Second),
		Request: cmp.Or(l.Request, 30*time.Second),
		Stall:   cmp.Or(l.Stall, 20*time.Second), Answer: cmp.Or(l.Answer, 2*time.Minute),
		Idle: cmp.Or(l.Idle, time.Minute),
	}
}

// maxHeader is the size of a request's head, in bytes.
const maxHeader = 64 << 10

// New makes a server that keeps the limits.
func New(h http.Handler, l Limits, log *slog.Logger) *http.Server {
	l = l.filled()
	open := &connections{most: l.Connections, by: map[net.Conn]waiting{}}
	return &http.Server{
		Handler: steady(h, l.Stall), ReadHeaderTimeout: l.Header, ReadTimeout: l.Request, WriteTimeout: l.Answer,
		IdleTimeout:    l.Idle,
		MaxHeaderBytes: maxHeader, ConnState: open.changed, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// connections are those that are open, and which of them serve nothing at the moment.
type connections struct {
	most int
	mu   sync.Mutex
	by   map[net.Conn]waiting
}

type waiting struct {
	idle  bool // nothing of a request has come in
	since time.Time
}

// changed is http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if len(c.by) >= c.most && !c.shed() {
			_ = conn.Close() // all others are at work
			return
		}
		c.by[conn] = waiting{idle: true, since: time.Now()}
	case http.StateIdle:
		c.by[conn] = waiting{idle: true, since: time.Now()}
	case http.StateActive:
		if _, ok := c.by[conn]; ok {
			c.by[conn] = waiting{}
		}
	default:
		delete(c.by, conn)
	}
}

// shed closes the connection that has been idle longest; false when none is. The lock is held.
func (c *connections) shed() bool {
	var oldest net.Conn
	for conn, w := range c.by {
		if w.idle && (oldest == nil || w.since.Before(c.by[oldest].since)) {
			oldest = conn
		}
	}
	if oldest == nil {
		return false
	}
	delete(c.by, oldest)
	_ = oldest.Close() // its end is what is wanted
	return true
}

// steady gives each piece of an answer its own deadline: a client that reads nothing is left after stall, a slow one is
// served to the end.
func steady(h http.Handler, stall time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&pieces{ResponseWriter: w, control: http.NewResponseController(w), stall: stall}, r)
	})
}

// piece is how much is written under one deadline, in bytes.
const piece = 64 << 10

type pieces struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

func (w *pieces) Write(p []byte) (n int, err error) {
	for {
		// Without a connection (a test's recorder) there is no deadline to set.
		if err := w.control.SetWriteDeadline(time.Now().Add(w.stall)); err != nil &&
			!errors.Is(err, http.ErrNotSupported) {
			return n, err
		}
		part := p[n:min(n+piece, len(p))]
		m, err := w.ResponseWriter.Write(part)
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// Flush implements http.Flusher.
func (w *pieces) Flush() { _ = w.control.Flush() } // nothing to flush without a connection

// Unwrap lets http.ResponseController reach the connection.
func (w *pieces) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Shutdown ends servers side by side: requests in flight are finished until the context ends.
func Shutdown(ctx context.Context, servers ...*http.Server) error {
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() { errs[i] = s.Shutdown(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}
