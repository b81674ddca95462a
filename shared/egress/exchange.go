package egress

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/step"
)

// exchange is one request and its answer, with the one repeat that a lost connection allows.
type exchange struct {
	client        *Client
	request       destination.Request
	at            *route
	caller        context.Context
	heard         bool // the caller waits for the steps
	open, timeout time.Duration
	start, end    time.Time // of the whole, repeat included
	by            time.Time // the time for the answer is up, once there is a connection

	// Made when they are needed: see bounded.
	ctx    context.Context
	cancel context.CancelFunc
	clock  *time.Timer

	reused   bool // the connection had served before
	shared   bool // it is HTTP/2's, on which other requests go too
	over     bool // the time was up on a connection of our own
	answered atomic.Bool
}

// bounded is the caller's context, which ends with the time too.
func (x *exchange) bounded() context.Context {
	if x.ctx == nil {
		until := x.end
		if !x.by.IsZero() {
			until = x.by
		}
		x.ctx, x.cancel = context.WithCancel(x.caller)
		x.clock = time.AfterFunc(time.Until(until), x.cancel)
	}
	return x.ctx
}

// exchanges are those that are over.
var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// close ends what bounded made. Without that nobody has the exchange any more, and it serves again.
func (x *exchange) close() {
	if x.ctx != nil {
		x.clock.Stop()
		x.cancel()
		return
	}
	*x = exchange{}
	exchanges.Put(x)
}

// done tells of a step.
func (x *exchange) done(k step.Kind) {
	if x.heard {
		step.Done(x.caller, k)
	}
}

// ended notes an error of a connection of our own, and is the caller's where that one has gone.
func (x *exchange) ended(err error) error {
	x.over = x.over || errors.Is(err, os.ErrDeadlineExceeded)
	return cmp.Or(x.caller.Err(), err)
}

// late reports whether the time was up, and the caller still there.
func (x *exchange) late() bool {
	return x.caller.Err() == nil && (x.over || x.ctx != nil && x.ctx.Err() != nil)
}

// keep is how much of the answer is wanted, in bytes.
func (x *exchange) keep() int { return min(max(keptBody, x.request.Keep), destination.MaxKeep) }

// do sends the request and reads the answer. The time for the answer runs from the connection on.
func (x *exchange) do(t http.RoundTripper) (destination.Response, error) {
	ctx := httptrace.WithClientTrace(x.bounded(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			secured, ok := i.Conn.(*tls.Conn)
			x.reused, x.shared = i.Reused, ok && secured.ConnectionState().NegotiatedProtocol == "h2"
			x.clock.Reset(min(x.timeout, time.Until(x.end)))
			if i.Reused {
				step.Done(x.ctx, step.Reused)
			}
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				step.Done(x.ctx, step.Sent)
			}
		},
		GotFirstResponseByte: func() {
			x.answered.Store(true)
			step.Done(x.ctx, step.Answered)
		},
	})
	q, err := http.NewRequestWithContext(ctx, x.request.Method, x.request.URL, bytes.NewReader(x.request.Body))
	if err != nil {
		return destination.Response{}, errMalformed
	}
	for name, values := range x.request.Header {
		q.Header[name] = values
	}
	if q.Header.Get("User-Agent") == "" {
		q.Header["User-Agent"] = []string{x.client.options.UserAgent}
	}
	// RoundTrip, not a Client's Do: it follows no redirect and keeps no cookies.
	answer, err := t.RoundTrip(q)
	if err != nil {
		return destination.Response{}, err
	}
	defer answer.Body.Close()
	body, err := read(plain(answer), x.keep())
	return destination.Response{Status: answer.StatusCode, Header: answer.Header, Body: body, Broken: err != nil}, nil
}

// explain turns an error of the network into a Failure. A server that does not take a client certificate may close the
// connection so fast that its alert is lost.
func (x *exchange) explain(ctx context.Context, err error, host string) error {
	explained := explain(ctx, err, host, x.open, x.timeout)
	var f *Failure
	shown := x.request.Transport.Identity != (destination.Identity{})
	switch {
	case errors.As(explained, &f) && f.Kind == Forbidden && x.client.policy.Local:
		return &Failure{Kind: Forbidden, Ours: true, Reason: host + " leads to an address that is not " +
			"public: private, loopback and link-local addresses are not allowed: to send there, " +
			"Tocsin has to be started with -allow " + host}
	case f == nil || !closed(err):
	case f.Kind == TLS && shown:
		return &Failure{Kind: TLS, Reason: "no secure connection to " + host + ": " + closedHandshake +
			": it may not take our client certificate"}
	case f.Kind == Closed && x.answered.Load():
		return cutOff(host)
	case f.Kind == Closed && shown:
		return &Failure{Kind: Closed, Reason: f.Reason + ": it may not take our client certificate"}
	}
	return explained
}

// lost reports whether the request was lost with a connection that had served before and that the other side had
// closed, or closed then: no byte of an answer came. It says nothing about the system, which closes connections that
// are idle as it likes, and the request is sent once more, on a new connection (RFC 9112, 9.3.1 and 9.5). Such a repeat
// can be a second delivery, as any retry can. A new connection that is closed without an answer is a failure.
func (x *exchange) lost(err error) bool {
	return x.reused && !x.answered.Load() && x.caller.Err() == nil && !x.late() && closed(err)
}

// plain is the body without the gzip that a server put on it unasked: the absence of Accept-Encoding allows it to (RFC
// 9110, 12.5.3). Any other coding stays as it is.
func plain(answer *http.Response) io.Reader {
	switch strings.ToLower(answer.Header.Get("Content-Encoding")) {
	case "gzip", "x-gzip":
		return &unzipped{from: answer.Body}
	}
	return answer.Body
}

// unzipped opens the gzip when it is read: a body may be empty.
type unzipped struct {
	from io.Reader
	z    *gzip.Reader
}

func (u *unzipped) Read(into []byte) (n int, err error) {
	if u.z == nil {
		if u.z, err = gzip.NewReader(u.from); err != nil {
			return 0, err // io.EOF for an empty body
		}
	}
	return u.z.Read(into)
}

// read keeps the start of an answer and reads on a little. The error says that the answer broke off.
func read(r io.Reader, keep int) ([]byte, error) {
	if r == http.NoBody {
		return []byte{}, nil
	}
	kept, err := io.ReadAll(io.LimitReader(r, int64(keep)))
	if err == nil && len(kept) == keep {
		if _, err = io.CopyN(io.Discard, r, readBody-keptBody); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return kept, err
}
