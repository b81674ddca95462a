package egress_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/egress"
	"tocsin/shared/patience"
)

// asked is a server that does what a request asks for, and tells when each of its connections ends.
type asked struct {
	*httptest.Server
	came   chan string   // the address of a connection whose request waits
	answer chan struct{} // ends the wait of one

	mu     sync.Mutex
	closed map[string]chan struct{}
}

// ended is closed when the connection from an address has.
func (s *asked) ended(address string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed[address] == nil {
		s.closed[address] = make(chan struct{})
	}
	return s.closed[address]
}

func newAsked(t *testing.T) *asked {
	gone, goes := context.WithCancel(t.Context())
	s := &asked{came: make(chan string), answer: make(chan struct{}), closed: map[string]chan struct{}{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		switch q.Header.Get("X-Do") {
		case "wait":
			s.came <- q.RemoteAddr
			<-s.answer
		case "hang":
			<-gone.Done()
		}
	}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(s.ended(c.RemoteAddr().String()))
		}
	}
	s.Start()
	t.Cleanup(func() {
		goes()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// A request that is on its way when its connections are left, because another one on them got no answer, ends its
// connection: nobody would use it again, and one that is left time after time would gather them.
func TestAConnectionThatIsLeftWhileItServesIsClosedThen(t *testing.T) {
	for _, standard := range []bool{true, false} {
		s := newAsked(t)
		c := egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{})
		if standard {
			c.Standard()
		}
		do := func(what string, within time.Duration) error {
			q := post(s.URL)
			q.Header, q.Transport.Timeout = http.Header{"X-Do": {what}}, within
			_, err := c.Do(t.Context(), q)
			return err
		}
		require.NoError(t, do("", patience.Long))
		require.Error(t, do("hang", 50*time.Millisecond)) // on a connection that served: the pool of all is left
		require.Equal(t, 1, c.Apart())
		answered := make(chan error, 2)
		wait := func() (address string) {
			go func() { answered <- do("wait", patience.Long) }()
			return <-s.came
		}
		both := []string{wait(), wait()} // two connections, which serve again
		for range both {
			s.answer <- struct{}{}
			require.NoError(t, <-answered)
		}
		again := wait()
		require.Contains(t, both, again)
		require.Error(t, do("hang", 50*time.Millisecond)) // on the other one: they are left
		select {
		case <-s.ended(again):
			t.Fatal("it serves still")
		default:
		}
		s.answer <- struct{}{}
		require.NoError(t, <-answered)
		select {
		case <-s.ended(again):
		case <-time.After(patience.Long):
			t.Fatal("it is kept")
		}
	}
}
