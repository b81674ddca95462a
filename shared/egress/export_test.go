package egress

import (
	"bufio"
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
)

// Pinging sets the times of HTTP/2's pings.
func (c *Client) Pinging(after, within time.Duration) *Client {
	c.pingAfter, c.pingFor = after, within
	return c
}

// Slow has no pings.
func (c *Client) Slow() *Client {
	c.pingAfter, c.pingFor = 0, 0
	return c
}

// Apart is how many places have a pool of their own; Later moves the clock.
func (c *Client) Apart() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apart.Len()
}

// Later moves the Client's clock.
func (c *Client) Later(d time.Duration) {
	was := c.now
	c.now = func() time.Time { return was().Add(d) }
}

// CloseIdle closes the connections that serve nobody now.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pools.Values() {
		p.close()
	}
	for _, a := range c.apart.Values() {
		a.close()
	}
}

// Standard has every request carried by net/http's Transport.
func (c *Client) Standard() *Client {
	c.longest = -1
	return c
}

// Learn has the host of a request known as one that speaks no HTTP/2.
func (c *Client) Learn(t testing.TB, r destination.Request) {
	u, err := url.Parse(r.URL)
	require.NoError(t, err)
	through, err := c.connections(place{setting: setting(r.Transport), host: u.Host})
	require.NoError(t, err)
	through.kept.only[hostPort(u)] = true
}

// Head is that of the answer before.
type Head = head

// Plain reads an answer as it is tried first: false = net/http is to read it.
func Plain(from *bufio.Reader, last *Head) (destination.Response, bool) {
	return plainAnswer(from, last)
}

// Attention is that of a connection to its callers.
type Attention struct{ attention }

// Attentive has the connection interrupted by interrupt.
func Attentive(interrupt func()) *Attention { return &Attention{attention{interrupt: interrupt}} }

// Begin begins a caller's request.
func (a *Attention) Begin(caller context.Context) { a.begin(caller) }

// Done ends it, and reports whether it was not interrupted.
func (a *Attention) Done() bool { return a.done() }
