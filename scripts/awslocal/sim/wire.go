package sim

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// wire speaks HTTP/1.1 with a server, a call on a connection at a time, in the caller's own goroutine (see the
// package's comment for why net/http's client can not serve).
type wire struct {
	address string // host:port

	mu   sync.Mutex
	idle []*line
}

type line struct {
	net.Conn
	in *bufio.Reader
}

func newWire(base string) (*wire, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("read the address %q: %w", base, err)
	}
	return &wire{address: u.Host}, nil
}

func (w *wire) take() (*line, error) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		l := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		return l, nil
	}
	w.mu.Unlock()
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		return nil, err
	}
	return &line{c, bufio.NewReader(c)}, nil
}

// post sends a body with headers and returns the answer.
func (w *wire) post(header http.Header, body []byte) (status int, answer []byte, err error) {
	l, err := w.take()
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+w.address+"/", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header = header
	if err = r.Write(l); err == nil {
		status, answer, err = read(l.in, r)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("call %s: %w", w.address, closing(l, err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = append(w.idle, l)
	return status, answer, nil
}

func closing(l *line, err error) error {
	_ = l.Close() // what went wrong before is what counts
	return err
}

func read(in *bufio.Reader, r *http.Request) (int, []byte, error) {
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

// close ends the connections.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.idle {
		_ = l.Close()
	}
	w.idle = nil
}
