package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Bus publishes to the program that is measured, over connections that it keeps. It is no net/http client: what it
// takes of the cores, it takes from the program. Each answer is checked.
type Bus struct {
	host string
	mu   sync.Mutex
	idle []*call
}

// call is a connection, and room for a request and its answer.
type call struct {
	net.Conn
	request, answer []byte
}

// NewBus is the way to a bus at a URL, http://host:port.
func NewBus(url string) *Bus { return &Bus{host: strings.TrimPrefix(url, "http://")} }

// Close closes the connections.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.idle {
		_ = c.Conn.Close()
	}
	b.idle = nil
}

// Publish makes one PutEvents call with a body that PutEvents made, in the wire form of the AWS SDKs. It fails unless
// every entry was taken.
func (b *Bus) Publish(body []byte) error {
	c, err := b.connection()
	if err != nil {
		return fmt.Errorf("put events: %w", err)
	}
	if err := c.publish(b.host, body); err != nil {
		_ = c.Conn.Close()
		return fmt.Errorf("put events: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idle = append(b.idle, c)
	return nil
}

func (b *Bus) connection() (*call, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.idle); n > 0 {
		c := b.idle[n-1]
		b.idle = b.idle[:n-1]
		return c, nil
	}
	conn, err := net.Dial("tcp", b.host)
	return &call{Conn: conn, answer: make([]byte, 8<<10)}, err
}

func (c *call) publish(host string, body []byte) error {
	q := append(c.request[:0], "POST / HTTP/1.1\r\nHost: "...)
	q = append(q, host...)
	q = append(q, "\r\nX-Amz-Target: AWSEvents.PutEvents\r\nContent-Type: application/x-amz-json-1.1\r\n"+
		"Content-Length: "...)
	q = append(strconv.AppendInt(q, int64(len(body)), 10), "\r\n\r\n"...)
	c.request = append(q, body...)
	if _, err := c.Write(c.request); err != nil {
		return err
	}
	return c.taken()
}

// taken reads the answer.
func (c *call) taken() error {
	for read := 0; ; {
		n, err := c.Read(c.answer[read:])
		if err != nil {
			return err
		}
		read += n
		head, body, whole := bytes.Cut(c.answer[:read], []byte("\r\n\r\n"))
		if !whole && read < len(c.answer) {
			continue
		}
		length, err := answered(head)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %s", err, c.answer[:read])
		case len(body) < length && read < len(c.answer):
			continue
		case len(body) != length:
			return fmt.Errorf("an answer with %d bytes of %d: %s", len(body), length, c.answer[:read])
		case !bytes.Contains(body, []byte(`"FailedEntryCount":0`)):
			return fmt.Errorf("not every entry was taken: %s", body)
		}
		return nil
	}
}

// answered is the length of the body that the head of an answer with status 200 tells.
func answered(head []byte) (length int, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("the answer is %q", line)
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			return decimal(bytes.TrimSpace(value))
		}
	}
	return 0, errors.New("the answer has no Content-Length")
}

// decimal reads a length, in bytes.
func decimal(of []byte) (n int, err error) {
	if len(of) == 0 || len(of) > 9 {
		return 0, fmt.Errorf("the length %q", of)
	}
	for _, c := range of {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("the length %q", of)
		}
		n = 10*n + int(c-'0')
	}
	return n, nil
}
