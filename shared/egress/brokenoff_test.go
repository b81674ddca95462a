package egress_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest/authority"
	"tocsin/shared/egress"
	"tocsin/shared/step"
)

// beneath writes to the socket of a connection without TLS, once the request is there.
func beneath(text string) func(*testing.T, net.Conn, *tls.Config) {
	return func(_ *testing.T, conn net.Conn, config *tls.Config) {
		secured := tls.Server(conn, config)
		if q, err := http.ReadRequest(bufio.NewReader(secured)); err == nil {
			_, _ = io.Copy(io.Discard, q.Body)
		}
		_, _ = io.WriteString(conn, text)
		hold(conn)
	}
}

// within answers with the beginning of an answer, and ends the connection.
func within(text string) func(*testing.T, net.Conn, *tls.Config) {
	return func(_ *testing.T, conn net.Conn, config *tls.Config) {
		secured := tls.Server(conn, config)
		if q, err := http.ReadRequest(bufio.NewReader(secured)); err == nil {
			_, _ = io.Copy(io.Discard, q.Body)
		}
		_, _ = io.WriteString(secured, text)
		secured.Close()
	}
}

// greeted reads the first message of a handshake, and says something.
func greeted(text string, then func(net.Conn)) func(*testing.T, net.Conn, *tls.Config) {
	return func(_ *testing.T, conn net.Conn, _ *tls.Config) {
		_, _ = conn.Read(make([]byte, 16<<10))
		_, _ = io.WriteString(conn, text)
		then(conn)
	}
}

// inHandshake begins what is told of a handshake that ended.
const inHandshake = "no secure connection to HOST: it closed the connection during the TLS handshake: "

// breaks are systems that break off, and what is told of them.
var breaks = map[string]struct {
	serve func(*testing.T, net.Conn, *tls.Config)
	kind  egress.Kind
	ends  step.Kind
	says  string
	shown string // where we have a client certificate; "" = the same
}{
	"closed in the handshake": {greeted("", shut), egress.TLS, step.TLS,
		inHandshake + "check scheme and port",
		inHandshake + "it may not take our client certificate"},
	"reset in the handshake": {greeted("", reset), egress.TLS, step.TLS,
		inHandshake + "check scheme and port",
		inHandshake + "it may not take our client certificate"},
	"closed within a message of the handshake": {greeted("\x16\x03\x03\x00\x7a\x02\x00", shut), egress.TLS, step.TLS,
		inHandshake + "check scheme and port",
		inHandshake + "it may not take our client certificate"},
	"no TLS": {greeted("SSH-2.0-x\r\n", hold), egress.TLS, step.TLS,
		"no secure connection to HOST: it does not speak TLS at that port: check scheme and port", ""},
	"a record that was changed": {beneath("\x17\x03\x03\x00\x20" + strings.Repeat("A", 32)), egress.Closed,
		step.Answered, "the secure connection to HOST broke before an answer came", ""},
	"an answer without TLS": {beneath("HTTP/1.1 200 OK\r\n\r\n"), egress.Closed, step.Answered,
		"the secure connection to HOST broke before an answer came", ""},
	"cut off behind a line of the header": {within("HTTP/1.1 200 OK\r\nX: y\r\n"), egress.Protocol, step.Answered,
		"HOST gave an answer that can not be read: it was cut off in its first lines, or breaks the rules of HTTP",
		""},
	"closed without an answer": {within(""), egress.Closed, step.Answered,
		"HOST closed the connection without an answer",
		"HOST closed the connection without an answer: it may not take our client certificate"},
}

// What a person is told of a connection that broke off says where it did: a handshake that ended is no answer that did
// not come, and what breaks after it is not the handshake's.
func TestAConnectionThatBreaksOffIsToldByWhereItDid(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	config := &tls.Config{Certificates: certified.TLS.Certificates}
	id := authority.New(t, "known").Client(t, "x")
	for name, f := range breaks {
		for _, standard := range []bool{true, false} {
			for _, shown := range []destination.Identity{{}, id} {
				host := accepts(t, func(conn net.Conn) { f.serve(t, conn, config) })
				c := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{})
				q := post("https://" + host)
				q.Transport = destination.Transport{SkipVerify: true, Identity: shown}
				if standard {
					c.Standard()
				} else {
					c.Learn(t, q)
				}
				var mu sync.Mutex
				var failed []step.Kind
				_, err := c.Do(step.With(t.Context(), func(s step.Step) {
					mu.Lock()
					defer mu.Unlock()
					if s.Failed {
						failed = append(failed, s.Kind)
					}
				}), q)
				got := failure(t, err)
				want := f.says
				if shown != (destination.Identity{}) && f.shown != "" {
					want = f.shown
				}
				require.Equal(t, want, strings.ReplaceAll(got.Reason, host, "HOST"), name)
				require.Equal(t, f.kind, got.Kind, name)
				mu.Lock()
				require.Equal(t, []step.Kind{f.ends}, failed, name)
				mu.Unlock()
			}
		}
	}
}
