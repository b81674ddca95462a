package main

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/scripts/embedded"
)

// receiver takes webhooks, or lets them hang, and notes which events came.
type receiver struct {
	host   string
	server *http.Server
	open   atomic.Pointer[chan struct{}] // closed when requests are answered
	seen   []atomic.Int32
	count  atomic.Int64 // events that came for the first time
	calls  atomic.Int64 // requests
}

func newReceiver(events int, hanging bool) (*receiver, error) {
	l, host, err := embedded.Listen()
	if err != nil {
		return nil, err
	}
	r := &receiver{host: host, seen: make([]atomic.Int32, events)}
	gate := make(chan struct{})
	if !hanging {
		close(gate)
	}
	r.open.Store(&gate)
	r.server = &http.Server{Handler: http.HandlerFunc(r.take)}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// slowness is how long a request hangs that is not let go on: a little less than senders wait. A system that never
// answers is disabled after half an hour, and nothing waits for it any more.
const slowness = 8 * time.Second

// answer lets what hangs go on.
func (r *receiver) answer() { close(*r.open.Load()) }

func (r *receiver) close() { _ = r.server.Close() }

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

var marker = []byte(`"seq":"`)

func (r *receiver) take(_ http.ResponseWriter, q *http.Request) {
	buf, _ := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(buf)
	buf.Reset()
	if _, err := io.Copy(buf, q.Body); err != nil {
		return
	}
	select {
	case <-*r.open.Load():
	case <-time.After(slowness):
	case <-q.Context().Done():
		return
	}
	r.calls.Add(1)
	for rest := buf.Bytes(); ; {
		at := bytes.Index(rest, marker)
		if at < 0 {
			return
		}
		rest = rest[at+len(marker):]
		if n, err := strconv.Atoi(string(rest[:7])); err == nil && n < len(r.seen) && r.seen[n].Add(1) == 1 {
			r.count.Add(1)
		}
	}
}

// waitFor waits until a number is reached; false when it stands still for a minute.
func waitFor(now func() int64, want int64) bool {
	last, moved := now(), time.Now()
	for last < want {
		time.Sleep(20 * time.Millisecond)
		if n := now(); n != last {
			last, moved = n, time.Now()
		} else if time.Since(moved) > time.Minute {
			return false
		}
	}
	return true
}
