package egress_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/patience"
)

// relay is a middlebox on the way to a server. What it does to the connections that it has does not touch later ones.
type relay struct {
	net.Listener
	to     string
	opened atomic.Int64

	mu    sync.Mutex
	conns []*relayed
}

type relayed struct {
	near, far net.Conn
	swallows  atomic.Bool // takes and forgets what comes
	stuck     atomic.Bool // takes nothing any more
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{Listener: l, to: to}
	t.Cleanup(func() {
		l.Close()
		r.each(func(c *relayed) { c.near.Close(); c.far.Close() })
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			r.opened.Add(1)
			c := &relayed{near: near, far: far}
			r.mu.Lock()
			r.conns = append(r.conns, c)
			r.mu.Unlock()
			go c.carry(near, far)
			go c.carry(far, near)
		}
	}()
	return r
}

func (c *relayed) carry(from, to net.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		for c.stuck.Load() {
			time.Sleep(time.Millisecond)
		}
		n, err := from.Read(buffer)
		if !c.swallows.Load() {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			if !c.swallows.Load() {
				to.Close()
			}
			return
		}
	}
}

// each does something to the connections that there are now, and forgets them.
func (r *relay) each(do func(*relayed)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		do(c)
	}
	r.conns = nil
}

func (r *relay) url(secure bool) string {
	if secure {
		return "https://" + r.Addr().String()
	}
	return "http://" + r.Addr().String()
}

// spoken is a server that speaks HTTP/1.1, or HTTP/2 over TLS, behind a relay.
func spoken(t *testing.T, h2 bool, h http.HandlerFunc) (*relay, destination.Request) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if h2 {
		s.EnableHTTP2 = true
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.CloseClientConnections)
	r := newRelay(t, s.Listener.Addr().String())
	q := post(r.url(h2))
	q.Transport.SkipVerify = h2
	return r, q
}

func echo(seen *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		seen.Add(1)
		_, _ = io.Copy(io.Discard, q.Body)
		_, _ = io.WriteString(w, q.Proto)
	}
}

func client(r *relay) *egress.Client {
	return egress.New(egress.Policy{Allow: []string{r.Addr().String()}}, egress.Options{})
}

func TestH7ADeadHTTP2ConnectionIsFoundByItsPingsAndTheRequestIsRepeated(t *testing.T) {
	// A connection that lives answers a ping in time, unless the machine is busy: then a request on it is seen twice.
	patience.Growing(t, 400*time.Millisecond, func(unit time.Duration) (bool, string) {
		var seen atomic.Int64
		r, q := spoken(t, true, echo(&seen))
		c := client(r).Pinging(unit/2, unit)
		a, err := c.Do(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0", string(a.Body))
		r.each(func(c *relayed) { c.swallows.Store(true) })
		q.Transport.Timeout = patience.Long
		var wait sync.WaitGroup
		var failed atomic.Int64
		for range 20 {
			wait.Go(func() {
				if _, err := c.Do(t.Context(), q); err != nil {
					failed.Add(1)
				}
			})
		}
		wait.Wait()
		return seen.Load() == 21 && failed.Load() == 0, fmt.Sprintf("%d seen, %d failed", seen.Load(), failed.Load())
	})
}

func TestH7AConnectionOnWhichARequestTimedOutTakesNoMore(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int64
			r, q := spoken(t, h2, echo(&seen))
			c := client(r).Slow()
			var wait sync.WaitGroup
			for range 8 { // for HTTP/1.1 a connection each, all dead afterwards
				wait.Go(func() {
					a, err := c.Do(t.Context(), q)
					require.NoError(t, err)
					require.Equal(t, name, string(a.Body))
				})
			}
			wait.Wait()
			r.each(func(c *relayed) { c.swallows.Store(true) })
			brief := q
			brief.Transport.Timeout = 150 * time.Millisecond
			_, err := c.Do(t.Context(), brief)
			require.Equal(t, egress.Timeout, failure(t, err).Kind)
			for range 3 {
				_, err = c.Do(t.Context(), q)
				require.NoError(t, err, "the next attempt goes on a new connection")
			}
			require.Equal(t, 1, c.Apart())
			c.Later(4 * time.Minute)
			c.CloseIdle() // as their own clocks have done by then
			_, err = c.Do(t.Context(), q)
			require.NoError(t, err)
			require.Zero(t, c.Apart(), "the place goes with the others again")
		})
	}
}

func TestH7ARequestThatTimesOutDoesNotDisturbOthersOnItsConnection(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{}, 2)
	r, q := spoken(t, true, func(w http.ResponseWriter, q *http.Request) {
		if strings.HasPrefix(q.URL.Path, "/slow") {
			began <- struct{}{}
			<-release
		}
	})
	c := client(r).Slow()
	slow := q
	slow.URL = r.url(true) + "/slow"
	done := make(chan error, 1)
	go func() {
		_, err := c.Do(t.Context(), slow)
		done <- err
	}()
	<-began
	short := slow
	short.Transport.Timeout = 100 * time.Millisecond
	_, err := c.Do(t.Context(), short)
	require.Equal(t, egress.Timeout, failure(t, err).Kind)
	require.Equal(t, int64(1), r.opened.Load())
	_, err = c.Do(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, int64(2), r.opened.Load(), "later requests leave the connection")
	close(release)
	require.NoError(t, <-done, "the one that waits on it is answered")
}

func TestH7AProxyThatStopsReadingHoldsNoRequestForEver(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int64
			r, q := spoken(t, h2, echo(&seen))
			c := client(r)
			q.Body = bytes.Repeat([]byte("x"), 64<<10) // a long one, whose connection serves long ones again
			_, err := c.Do(t.Context(), q)
			require.NoError(t, err)
			r.each(func(c *relayed) {
				c.stuck.Store(true)
				t.Cleanup(func() { c.stuck.Store(false) })
			})
			large := q
			large.Body = bytes.Repeat([]byte("x"), 32<<20)
			large.Transport.Timeout = 300 * time.Millisecond
			for range 2 { // the relay reads on a little before it is stuck
				if _, err = c.Do(t.Context(), large); err != nil {
					break
				}
			}
			require.Equal(t, egress.Timeout, failure(t, err).Kind)
			q.Body = []byte("small")
			_, err = c.Do(t.Context(), q)
			require.NoError(t, err)
		})
	}
}

// closer is a server that answers the first request on each connection and treats later ones as told.
type closer struct {
	net.Listener
	seen, opened atomic.Int64
}

func newCloser(t *testing.T, secure *tls.Config, later func(conn net.Conn, from *bufio.Reader)) *closer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &closer{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if secure != nil {
				conn = tls.Server(conn, secure)
			}
			s.opened.Add(1)
			go func() {
				defer conn.Close()
				from := bufio.NewReader(conn)
				q, err := http.ReadRequest(from)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, q.Body)
				s.seen.Add(1)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				if _, err := from.Peek(1); err != nil {
					return
				}
				s.seen.Add(1)
				later(conn, from)
			}()
		}
	}()
	return s
}

func drain(from *bufio.Reader) {
	if q, err := http.ReadRequest(from); err == nil {
		_, _ = io.Copy(io.Discard, q.Body)
	}
}

func TestH8AUsedConnectionThatTheServerClosesIsNoFailedRequest(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	secure := &tls.Config{Certificates: certified.TLS.Certificates}
	for name, f := range map[string]struct {
		secure *tls.Config
		later  func(conn net.Conn, from *bufio.Reader)
		body   int
	}{
		"by FIN, the request read": {nil, func(_ net.Conn, from *bufio.Reader) { drain(from) }, 10},
		"by RST": {nil, func(conn net.Conn, from *bufio.Reader) { drain(from); reset(conn) },
			10},
		"with the request unread": {nil, func(net.Conn, *bufio.Reader) {}, 10},
		"in the middle of a large body": {nil, func(conn net.Conn, from *bufio.Reader) { _, _ = from.Discard(2000) },
			8 << 20},
		"by TLS's close_notify": {secure, func(_ net.Conn, from *bufio.Reader) { drain(from) }, 10},
		"by FIN under TLS": {secure,
			func(conn net.Conn, from *bufio.Reader) { drain(from); conn.(*tls.Conn).NetConn().Close() }, 10},
		"after a while, the answer due": {nil,
			func(_ net.Conn, from *bufio.Reader) { drain(from); time.Sleep(50 * time.Millisecond) }, 10},
		"a large body that a RST breaks": {nil,
			func(conn net.Conn, from *bufio.Reader) { _, _ = from.Discard(2000); reset(conn) }, 8 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCloser(t, f.secure, f.later)
			c := egress.New(egress.Policy{Allow: []string{s.Addr().String()}}, egress.Options{})
			q := post("http://" + s.Addr().String())
			if f.secure != nil {
				q = post("https://" + s.Addr().String())
				q.Transport.SkipVerify = true
			}
			q.Body = bytes.Repeat([]byte("x"), f.body)
			for i := range 10 { // each second request comes on a used connection, and is closed
				a, err := c.Do(t.Context(), q)
				require.NoError(t, err, i)
				require.Equal(t, "ok", string(a.Body))
				require.LessOrEqual(t, s.seen.Load(), int64(2*(i+1)), "one repeat, not more")
			}
		})
	}
}

func TestH8ARequestThatIsSentOnceIsNotRepeated(t *testing.T) {
	s := newCloser(t, nil, func(_ net.Conn, from *bufio.Reader) { drain(from) })
	c := egress.New(egress.Policy{Allow: []string{s.Addr().String()}}, egress.Options{})
	q := post("http://" + s.Addr().String())
	for i := range 4 { // a used connection would be closed, and the request repeated
		q.Once = i > 0
		_, err := c.Do(t.Context(), q)
		require.NoError(t, err, i)
		require.EqualValues(t, i+1, s.seen.Load())
	}
}

func TestH8WhatIsNotRepeated(t *testing.T) {
	t.Run("a new connection that is closed without an answer", func(t *testing.T) {
		var seen atomic.Int64
		r, q := spoken(t, false, func(http.ResponseWriter, *http.Request) {
			seen.Add(1)
			panic(http.ErrAbortHandler)
		})
		_, err := client(r).Do(t.Context(), q)
		require.Equal(t, egress.Closed, failure(t, err).Kind)
		require.Equal(t, int64(1), seen.Load())
	})
	t.Run("a request whose answer began", func(t *testing.T) {
		s := newCloser(t, nil, func(conn net.Conn, from *bufio.Reader) {
			drain(from)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		})
		c := egress.New(egress.Policy{Allow: []string{s.Addr().String()}}, egress.Options{})
		q := post("http://" + s.Addr().String())
		_, err := c.Do(t.Context(), q)
		require.NoError(t, err)
		_, err = c.Do(t.Context(), q)
		require.Equal(t, egress.Protocol, failure(t, err).Kind)
		require.Equal(t, int64(2), s.seen.Load())
	})
	t.Run("a repeat that is closed too", func(t *testing.T) {
		var n atomic.Int64
		r, q := spoken(t, false, func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			if n.Add(1) > 1 {
				panic(http.ErrAbortHandler)
			}
		})
		c := client(r)
		_, err := c.Do(t.Context(), q)
		require.NoError(t, err)
		_, err = c.Do(t.Context(), q)
		require.Equal(t, egress.Closed, failure(t, err).Kind)
		require.Equal(t, int64(3), n.Load())
	})
}

func TestH8ARepeatIsNotRepeatedAndItsTimeIsWithinTheWhole(t *testing.T) {
	patience.Growing(t, 300*time.Millisecond, func(unit time.Duration) (bool, string) {
		var n atomic.Int64
		r, q := spoken(t, false, func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			switch n.Add(1) {
			case 1:
			case 2:
				panic(http.ErrAbortHandler)
			default:
				<-q.Context().Done()
			}
		})
		q.Transport.OpenTimeout = unit
		c := client(r)
		if _, err := c.Do(t.Context(), q); err != nil {
			return false, err.Error()
		}
		brief := q
		brief.Transport.Timeout = unit
		begun := time.Now()
		_, err := c.Do(t.Context(), brief)
		took := time.Since(begun)
		require.Equal(t, egress.Timeout, failure(t, err).Kind)
		return took < 2*unit && n.Load() == 3, fmt.Sprintf("%d requests in %s", n.Load(), took)
	})
}

func TestH8AnHTTP2ConnectionThatIsCutUnderARequest(t *testing.T) {
	var seen atomic.Int64
	cut := make(chan struct{})
	r, q := spoken(t, true, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		if seen.Add(1) == 2 {
			close(cut)
			<-q.Context().Done()
		}
	})
	c := client(r)
	_, err := c.Do(t.Context(), q)
	require.NoError(t, err)
	go func() {
		<-cut
		r.each(func(c *relayed) { c.near.Close(); c.far.Close() })
	}()
	a, err := c.Do(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, 200, a.Status)
	require.Equal(t, int64(3), seen.Load())
}

func TestConnectionsAndGoroutinesEnd(t *testing.T) {
	var open atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	before := runtime.NumGoroutine()
	c := egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{})
	for i := range 30 {
		q := post(s.URL)
		if i%2 == 0 {
			q.Transport.SkipVerify = true
			q.Transport.OpenTimeout = time.Duration(i+1) * time.Second // a setting of its own
		}
		_, _ = c.Do(t.Context(), q) // every second one fails at the certificate
	}
	c.CloseIdle()
	require.Eventually(t, func() bool { return open.Load() == 0 && runtime.NumGoroutine() <= before+2 }, patience.Long,
		10*time.Millisecond,
		fmt.Sprint(open.Load(), " open connections"))
}

func TestH8AnHTTP2ServerThatSaysGoodbyeAfterEachAnswer(t *testing.T) {
	r, q := spoken(t, true, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		w.Header().Set("Connection", "close") // GOAWAY (RFC 9113, 6.8)
	})
	c := client(r)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 10 {
				a, err := c.Do(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, 200, a.Status)
			}
		})
	}
	wait.Wait()
}
