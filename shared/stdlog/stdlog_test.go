package stdlog_test

import (
	"bufio"
	"bytes"
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

	"tocsin/shared/patience"
	"tocsin/shared/stdlog"
)

type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// A system that sends the request back behind its answer has net/http write it to the log, with the secrets in it.
func TestWhatASystemSendsUnaskedIsNotInTheLog(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	answered := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		q, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-answered
		_, _ = fmt.Fprintf(conn, "I got Authorization: %s", q.Header.Get("Authorization"))
		_, _ = io.Copy(io.Discard, conn)
	}()
	var out lines
	stdlog.Take(slog.New(slog.NewTextHandler(&out, nil)))
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer s3cr3t-value")
	a, err := (&http.Transport{}).RoundTrip(q)
	require.NoError(t, err)
	_, err = io.ReadAll(a.Body)
	require.NoError(t, err)
	require.NoError(t, a.Body.Close())
	close(answered)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "Unsolicited response") }, patience.Long,
		time.Millisecond)
	require.Contains(t, out.String(), `msg="a library says" said="Unsolicited response received on idle HTTP channel `+
		`starting with …"`)
	require.NotContains(t, out.String(), "I got")
	require.NotContains(t, out.String(), "s3cr3t")
}

func TestALineIsToldUpToWhatItQuotes(t *testing.T) {
	for line, want := range map[string]string{
		"http2: header list too large\n":                              "http2: header list too large",
		`http2: invalid header: invalid header field name "X Y"`:      "http2: invalid header: invalid header field name …",
		"net/http: invalid byte '\\x00' in Cookie.Value; dropping it": "net/http: invalid byte …",
		`"all of it"`: " …", "": "",
	} {
		require.Equal(t, want, string(stdlog.Unquoted([]byte(line))))
	}
}
