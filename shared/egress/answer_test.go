package egress_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/patience"
)

// accepts is a server that does something with each of its connections, and closes it then.
func accepts(t *testing.T, each func(net.Conn)) (host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				each(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// raw is a server that reads one request from each connection, answers with these bytes and then does `after`.
func raw(t *testing.T, answer string, after func(net.Conn)) string {
	t.Helper()
	return accepts(t, func(conn net.Conn) {
		q, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, q.Body)
		_, _ = io.WriteString(conn, answer)
		after(conn)
	})
}

func shut(net.Conn) {}

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// hold keeps the connection open until the other side closes it.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// long is an answer that is longer than what is kept of one.
var long = strings.Repeat("x", 100<<10)

var zipped = func() string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, "ok, and more") // to memory
	_ = z.Close()
	return b.String()
}()

// packed is an answer with the first bytes of a compressed body.
func packed(n int) string {
	return "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(zipped)) + "\r\n\r\n" +
		zipped[:n]
}

// brokenAnswers are answers whose bodies end too early, and whole ones beside them.
var brokenAnswers = map[string]struct {
	answer string
	after  func(net.Conn)
	status int
	body   string
	broken bool
}{
	"two bytes of a hundred": {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", shut, 200,
		"ok", true},
	"none of a hundred": {"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n", shut, 202,
		"", true},
	"a chunked body without its end": {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", shut, 200, "ok", true},
	"a chunk that is cut": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
		shut, 200, "ok", true},
	"chunks that are none": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		shut, 200, "", true},
	"a body that stands still till the time": {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", hold, 200,
		"ok", true},
	"a failure that breaks off": {
		"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nno", shut, 500, "no", true},
	"a long body that breaks off past the kept": {"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + long[:10000],
		shut, 200, long[:4<<10], true},
	"a body longer than is read is no break": {"HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n" + long, hold,
		200, long[:4<<10], false},
	"a body without a length ends with the connection": {
		"HTTP/1.1 200 OK\r\n\r\nok", shut, 200, "ok", false,
	},
	"a gzip that nobody asked for":       {packed(len(zipped)), hold, 200, "ok, and more", false},
	"a gzip that is cut in its checksum": {packed(len(zipped) - 4), shut, 200, "ok, and more", true},
	"a gzip that is cut in its head":     {packed(5), shut, 200, "", true},
	"no body under a gzip's name": {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
		hold, 200, "", false},
	"what is no gzip": {
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", hold, 200, "", true},
	"no content": {"HTTP/1.1 204 No Content\r\n\r\n", hold, 204, "", false},
	"a whole body": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", shut, 200, "ok",
		false},
}

func TestH9AnAnswerWhoseBodyBreaksOffHasItsStatusAndSaysSo(t *testing.T) {
	for name, f := range brokenAnswers {
		t.Run(name, func(t *testing.T) {
			host := raw(t, f.answer, f.after)
			r := post("http://" + host)
			want := fmt.Sprint(f.status, f.body, f.broken)
			patience.Growing(t, 200*time.Millisecond, func(unit time.Duration) (bool, string) {
				r.Transport.Timeout = unit
				a, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(t.Context(), r)
				got := fmt.Sprint(a.Status, string(a.Body), a.Broken)
				return err == nil && got == want, fmt.Sprintf("%v: %q", err, got)
			})
		})
	}
	t.Run("a reset in the body", func(t *testing.T) {
		host := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", reset)
		a, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(t.Context(),
			post("http://"+host))
		require.NoError(t, err)
		require.Equal(t, destination.Response{Status: 200, Header: a.Header, Body: []byte{}, Broken: true}, a)
	})
}

func TestAnAnswerThatIsCutOffInItsHeaderOrBreaksTheRulesOfHTTPIsToldAsThat(t *testing.T) {
	for name, answer := range map[string]string{
		"cut off in the status line": "HTTP/1.1 20",
		"cut off in the header":      "HTTP/1.1 200 OK\r\nContent-Le",
		"a length below zero":        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"a length out of range":      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"two lengths":                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"an endless header": "HTTP/1.1 200 OK\r\n" +
			strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 4000) + "\r\n",
		"an unknown encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			host := raw(t, answer, shut)
			_, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(t.Context(),
				post("http://"+host))
			f := failure(t, err)
			require.Equal(t, egress.Protocol, f.Kind)
			require.Contains(t, f.Reason,
				"gave an answer that can not be read: it was cut off in its first lines, or breaks the rules of HTTP")
		})
	}
}
