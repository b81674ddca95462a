package egress

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"tocsin/shared/destination"
	"tocsin/shared/step"
)

// wire is an open connection.
type wire struct {
	net.Conn
	address   string
	watch     watch
	bound     atMost // of the header of an answer
	from      *bufio.Reader
	last      head      // of its answers
	since     time.Time // when it became idle
	attention attention
}

func newWire(conn net.Conn, address string) *wire {
	w := &wire{Conn: conn, address: address, watch: newWatch(conn), bound: atMost{Conn: conn}}
	w.from = bufio.NewReader(&w.bound)
	// Not Close: under TLS that would wait for a write that stands still.
	w.attention.interrupt = func() { _ = conn.SetDeadline(time.Unix(1, 0)) }
	return w
}

// Close ends the connection.
func (w *wire) Close() error {
	w.attention.end()
	return w.Conn.Close()
}

// holds reports whether TLS has taken more from the socket than was read of it: what a system sent behind an answer is
// not the answer to the next request. until is the deadline of the connection.
func (w *wire) holds(until time.Time) bool {
	secured, ok := w.Conn.(*tls.Conn)
	if !ok {
		return false
	}
	if err := secured.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return true
	}
	n, err := secured.Read(make([]byte, 1)) // of what it has; the deadline keeps it from the socket
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || secured.SetReadDeadline(until) != nil
}

// exchange writes a request and reads the answer. serves says that the connection can carry another one.
func (w *wire) exchange(x *exchange, request []byte) (answer destination.Response, serves bool, err error) {
	_, failed := w.Write(request)
	if failed == nil {
		x.done(step.Sent)
	}
	// A system may have answered, and closed the connection, without reading all.
	w.bound.left = maxHeaders
	if _, err := w.from.Peek(1); err != nil {
		return answer, false, x.ended(cmp.Or(failed, err))
	}
	x.answered.Store(true)
	x.done(step.Answered)
	answer, serves = plainAnswer(w.from, &w.last)
	if !serves {
		answer, serves, err = w.anyAnswer(x)
	}
	return answer, serves && failed == nil, err
}

// head is the header of a plain answer, with its first line. A connection keeps the last one: what a system says again
// byte for byte, as most do within a second (Date), is not read again.
type head struct {
	text   []byte // with the empty line; none = no head
	status int
	header http.Header // of all answers with this head: nobody writes to it
	length int         // of the body
}

// plainAnswer reads an answer as most are: of HTTP/1.1 on a connection that stays, its header in what has come, each
// line as the rules have it, a body of a length that fits into the buffer, and no coding. Of any other it takes nothing
// from the reader, and says false: anyAnswer reads it, and judges what is wrong with it. last is that of the answer
// before, and becomes this one's.
func plainAnswer(from *bufio.Reader, last *head) (answer destination.Response, ok bool) {
	came, _ := from.Peek(from.Buffered())
	if (len(last.text) == 0 || !bytes.HasPrefix(came, last.text)) && !last.read(came, from.Size()) {
		return answer, false
	}
	size := len(last.text) + last.length
	whole, err := from.Peek(size)
	if err != nil {
		return answer, false
	}
	answer = destination.Response{Status: last.status, Header: last.header,
		Body: append([]byte{}, whole[len(last.text):]...)}
	_, err = from.Discard(size)
	return answer, err == nil
}

// read reads the head of what has come; most is how long it and the body may be. Without one that is plain it is none.
func (h *head) read(came []byte, most int) bool {
	h.text = h.text[:0]
	end := bytes.Index(came, []byte("\r\n\r\n")) + 4
	if end < 4 {
		return false
	}
	line, lines, _ := bytes.Cut(came[:end-2], []byte("\r\n"))
	status, ok := plainStatus(line)
	if !ok {
		return false
	}
	header, length, ok := plainHeader(string(lines))
	switch {
	case !ok || status == http.StatusNotModified:
		return false
	case status == http.StatusNoContent && length < 0:
		length = 0
	case status == http.StatusNoContent || length < 0 || length > most-end:
		return false
	}
	h.text, h.status, h.header, h.length = append(h.text, came[:end]...), status, header, length
	return true
}

// plainStatus reads the first line of an answer that is final.
func plainStatus(line []byte) (status int, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' || !visible(string(line)) {
		return 0, false
	}
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		status = 10*status + int(c-'0')
	}
	return status, status >= http.StatusOK
}

// plainHeader reads lines that each end with CRLF. The length is that of the body; -1 = they do not say it.
func plainHeader(lines string) (header http.Header, length int, ok bool) {
	count := strings.Count(lines, "\n")
	header, length = make(http.Header, count), -1
	values := make([]string, count)
	for n := 0; lines != ""; n++ {
		var line string
		line, lines, _ = strings.Cut(lines, "\r\n")
		name, value, cut := strings.Cut(line, ":")
		if !cut || n == count || !httpguts.ValidHeaderFieldName(name) || !visible(value) {
			return nil, 0, false
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t")
		switch name {
		case "Content-Length":
			if length >= 0 {
				return nil, 0, false
			}
			if length, cut = plainLength(value); !cut {
				return nil, 0, false
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return nil, 0, false
			}
		case "Transfer-Encoding", "Content-Encoding", "Trailer", "Upgrade", "Pragma":
			return nil, 0, false
		}
		if known, ok := header[name]; ok {
			header[name] = append(known, value)
			continue
		}
		values[n] = value
		header[name] = values[n : n+1 : n+1]
	}
	return header, length, true
}

// plainLength reads a length of a few digits.
func plainLength(value string) (n int, ok bool) {
	if value == "" || len(value) > 5 {
		return 0, false
	}
	for _, c := range []byte(value) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// visible reports whether a line holds no control character but tabs: no part of a line break above all.
func visible(line string) bool {
	for _, c := range []byte(line) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// anyAnswer reads an answer with net/http.
func (w *wire) anyAnswer(x *exchange) (answer destination.Response, serves bool, err error) {
	q := &http.Request{Method: x.request.Method} // the method is all that is asked of it
	for {
		a, err := http.ReadResponse(w.from, q) //nolint:bodyclose // to close the body would be to read on
		if err != nil {
			return answer, false, x.ended(err)
		}
		if a.StatusCode < http.StatusOK && a.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		w.bound.left = math.MaxInt
		body := &ending{Reader: a.Body, ended: a.Body == http.NoBody}
		if !body.ended {
			a.Body = io.NopCloser(body)
		}
		kept, err := read(plain(a), x.keep())
		_ = x.ended(err)
		return destination.Response{Status: a.StatusCode, Header: a.Header, Body: kept, Broken: err != nil},
			body.ended && !a.Close && a.StatusCode >= http.StatusOK, nil
	}
}

// ending is a body that knows whether it was read to its end.
type ending struct {
	io.Reader
	ended bool
}

func (b *ending) Read(into []byte) (int, error) {
	n, err := b.Reader.Read(into)
	b.ended = b.ended || err == io.EOF // as an io.Reader says it
	return n, err
}
