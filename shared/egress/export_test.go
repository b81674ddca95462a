package egress

import "time"

// Quick has the pings of HTTP/2 come fast, for tests that wait for them.
func (c *Client) Quick() *Client {
	c.pingAfter, c.pingFor = 200*time.Millisecond, 400*time.Millisecond
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
