package httpserver_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/httpserver"
	"tocsin/shared/patience"
)

// zeros are more than the buffers of two sockets hold.
var zeros = make([]byte, large)

const large = 24 << 20

func serve(t *testing.T, l httpserver.Limits) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(zeros) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprint(w, n)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := httpserver.New(mux, l, slog.New(slog.DiscardHandler))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// closed waits until the other side has ended the connection. Nothing is read: a write fails once the other side is
// gone.
func closed(conn net.Conn, within time.Duration) error {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := conn.Write([]byte(" "))
		var timeout net.Error
		if err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
			return nil
		}
	}
	return fmt.Errorf("open after %s", within)
}

func TestS10ConnectionsThatHoldUpAreClosedAndOthersAreServed(t *testing.T) {
	at := serve(t, httpserver.Limits{Header: 300 * time.Millisecond, Request: 300 * time.Millisecond,
		Stall: 300 * time.Millisecond, Idle: 300 * time.Millisecond})
	kinds := map[string]string{
		"sends nothing":            "",
		"sends half a head":        "GET / HTTP/1.1\r\nHost: a\r\nX-A",
		"sends half a body":        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
		"sends half a chunk":       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\na",
		"reads nothing":            "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
		"is done and stays":        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"asks many and reads none": strings.Repeat("GET /large HTTP/1.1\r\nHost: a\r\n\r\n", 50),
	}
	var conns sync.Map
	var all sync.WaitGroup
	begin := time.Now()
	for kind, send := range kinds {
		for range 60 {
			all.Go(func() {
				conn, err := net.Dial("tcp", at)
				if err != nil {
					t.Errorf("%s: %v", kind, err)
					return
				}
				conns.Store(conn, kind)
				_, _ = io.WriteString(conn, send)
			})
		}
	}
	all.Wait()
	client := &http.Client{Timeout: patience.Long, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 5 {
		// On a busy machine a client itself is slower than the limits now and then, and comes again.
		require.Eventually(t, func() bool {
			r, err := client.Post("http://"+at+"/", "", strings.NewReader("hello"))
			if err != nil {
				return false
			}
			raw, err := io.ReadAll(r.Body)
			return errors.Join(err, r.Body.Close()) == nil && string(raw) == "5"
		}, patience.Long, time.Millisecond)
	}
	conns.Range(func(key, kind any) bool {
		conn := key.(net.Conn)
		all.Go(func() {
			defer conn.Close()
			if err := closed(conn, patience.Long); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		})
		return true
	})
	all.Wait()
	t.Logf("%d connections closed within %s", 60*len(kinds), time.Since(begin))
}

func TestAnAnswerThatIsReadSlowlyIsServedToTheEnd(t *testing.T) {
	patience.Growing(t, 200*time.Millisecond, func(unit time.Duration) (bool, string) {
		at := serve(t, httpserver.Limits{Stall: unit, Answer: unit * 3 / 2})
		conn, err := net.Dial("tcp", at)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(64<<10))
		_, err = io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		r, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<20), nil)
		if err != nil {
			return false, err.Error()
		}
		defer r.Body.Close()
		begin, n := time.Now(), int64(0)
		for n < large {
			m, err := io.CopyN(io.Discard, r.Body, min(2<<20, large-n))
			n += m
			if err != nil {
				return false, fmt.Sprintf("%d bytes, and then %v", n, err)
			}
			time.Sleep(unit / 4)
		}
		require.Greater(t, time.Since(begin), 3*unit, "it took longer than any one limit")
		return true, ""
	})
}

func TestIdleConnectionsMakeRoomForNewOnes(t *testing.T) {
	at := serve(t, httpserver.Limits{Connections: 20})
	for range 100 {
		conn, err := net.Dial("tcp", at)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.NoError(t, r.Body.Close())
	}
}

func TestS1AServerAnswersToItsOwnNamesAlone(t *testing.T) {
	h := httpserver.Named(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") }),
		"https://tocsin.example.com:8443/", "", "internal.example:8080", "0.0.0.0:8080")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	for host, ok := range map[string]bool{
		"localhost": true, "localhost:8080": true, "127.0.0.1": true, "[::1]:8080": true, "LocalHost.": true,
		listener.Addr().String(): true,
		"tocsin.example.com":     true, "tocsin.example.com:8443": true, "Tocsin.Example.COM": true,
		"internal.example": true,
		"evil.test":        false, "evil.test:8080": false, "localhost.evil.test": false,
		"tocsin.example.com.evil.test": false, "10.1.2.3": false, "evil-tocsin.example.com": false,
	} {
		q, err := http.NewRequest(http.MethodGet, "http://"+listener.Addr().String()+"/", nil)
		require.NoError(t, err)
		q.Host = host
		r, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		raw, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		if ok {
			require.Equal(t, "secret", string(raw), host)
			continue
		}
		require.Equal(t, http.StatusMisdirectedRequest, r.StatusCode, host)
		require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
		require.True(t, bytes.Contains(raw, []byte("-public-url")), string(raw))
	}
}
