package load

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/scripts/embedded"
)

// Receiver counts what arrives and when. It is no net/http server: what it takes of the cores, it takes from the
// program that is measured. It reads requests with a Content-Length, as many as come on a connection, and answers each.
// What it can not read is an error of the run.
type Receiver struct {
	Host     string
	Arrived  []atomic.Int64 // Unix nanoseconds of the last arrival of each event
	Count    atomic.Int64   // of arrivals, each event as often as it is wanted at most
	Repeated atomic.Int64   // arrivals beyond those
	Want     int64
	Done     chan struct{}

	copies   int32
	times    []atomic.Int32 // arrivals of each event
	listener net.Listener

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
	odd    error // the first thing that was not understood
}

// NewReceiver listens on loopback, with TLS where a configuration is given. It waits for so many copies of each event.
func NewReceiver(events, copies int, secure *tls.Config) (*Receiver, error) {
	l, host, err := embedded.Listen()
	if err != nil {
		return nil, err
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	r := &Receiver{Host: host, Arrived: make([]atomic.Int64, events), Want: int64(events * copies),
		Done: make(chan struct{}), copies: int32(copies), times: make([]atomic.Int32, events), listener: l,
		open: map[net.Conn]struct{}{}}
	go r.accept()
	return r, nil
}

func (r *Receiver) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.mu.Lock()
		if r.closed {
			conn.Close()
		}
		r.open[conn] = struct{}{}
		r.mu.Unlock()
		go func() {
			r.serve(conn)
			conn.Close()
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.open, conn)
		}()
	}
}

// Err is what arrived and was not understood.
func (r *Receiver) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.odd
}

// Close ends the receiver and the requests that hang.
func (r *Receiver) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	_ = r.listener.Close()
	for conn := range r.open {
		_ = conn.Close()
	}
}

// received is what is answered to each request.
var received = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

// serve reads the requests of a connection until its end.
func (r *Receiver) serve(conn net.Conn) {
	buf := make([]byte, 64<<10)
	from, to := 0, 0 // what is read and not served yet
	for {
		q, err := readHead(buf[from:to])
		if err != nil {
			r.refuse(conn, err)
			return
		}
		if q.size == 0 || to-from < q.size {
			if q.expects && to-from == q.head {
				_, _ = conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
			}
			to, from = copy(buf, buf[from:to]), 0
			buf = slices.Grow(buf[:to], max(q.size-to, 1))
			buf = buf[:cap(buf)]
			n, err := conn.Read(buf[to:])
			if err != nil {
				return // the other side has ended it
			}
			to += n
			continue
		}
		if string(q.path) == "/hang" {
			_, _ = conn.Read(buf) // until one of both ends it
			return
		}
		if string(q.path) != "/hook" {
			r.refuse(conn, fmt.Errorf("a request to %q", q.path))
			return
		}
		if err := r.take(buf[from+q.head : from+q.size]); err != nil {
			r.refuse(conn, err)
			return
		}
		if _, err := conn.Write(received); err != nil {
			return
		}
		if from += q.size; from == to {
			from, to = 0, 0
		}
	}
}

// refuse notes what was not understood, and says so.
func (r *Receiver) refuse(conn net.Conn, why error) {
	r.mu.Lock()
	if r.odd == nil {
		r.odd = fmt.Errorf("the receiver got what it does not understand: %w", why)
	}
	r.mu.Unlock()
	_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
}

// take counts the events of a body.
func (r *Receiver) take(body []byte) error {
	now := time.Now().UnixNano()
	held := false
	for rest := body; ; {
		at := bytes.Index(rest, []byte(marker))
		if at < 0 {
			break
		}
		rest = rest[at+len(marker):]
		n, err := number(rest)
		if err != nil {
			return err
		}
		if held = true; n >= len(r.Arrived) {
			continue // of another tenant
		}
		r.Arrived[n].Store(now)
		if r.times[n].Add(1) > r.copies {
			r.Repeated.Add(1)
		} else if r.Count.Add(1) == r.Want {
			close(r.Done)
		}
	}
	if !held {
		return errors.New("a request without an event")
	}
	return nil
}

// digits of the number of an event.
const digits = 7

func number(of []byte) (n int, err error) {
	if len(of) < digits {
		return 0, errors.New("an event without a number")
	}
	for _, c := range of[:digits] {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("an event with the number %q", of[:digits])
		}
		n = 10*n + int(c-'0')
	}
	return n, nil
}

// request is what the head of one says.
type request struct {
	path       []byte
	head, size int // of the head, and of the whole, in bytes; 0 = the head is not whole yet
	expects    bool
}

// longestHead bounds a head, in bytes.
const longestHead = 16 << 10

// readHead reads the head of a request.
func readHead(b []byte) (q request, err error) {
	end := bytes.Index(b[:min(len(b), longestHead)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= longestHead {
			return q, errors.New("an endless head")
		}
		return q, nil
	}
	line, rest, _ := bytes.Cut(b[:end+2], []byte("\r\n"))
	path, posts := bytes.CutPrefix(line, []byte("POST "))
	path, speaks := bytes.CutSuffix(path, []byte(" HTTP/1.1"))
	if q.path = path; !posts || !speaks {
		return q, fmt.Errorf("the request line %q", line)
	}
	length := -1
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = decimal(bytes.TrimSpace(value))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			err = errors.New("a request without a Content-Length")
		case bytes.EqualFold(name, []byte("Expect")):
			q.expects = true
		}
		if err != nil {
			return q, err
		}
	}
	if length < 0 {
		return q, errors.New("a request without a Content-Length")
	}
	q.head, q.size = end+4, end+4+length
	return q, nil
}
