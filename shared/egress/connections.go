package egress

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/step"
)

// How many idle connections may be kept, to one host and in all: many integrations can share a host (all of Slack is
// one), and opening a connection costs more than the request.
const (
	idlePerHost = 256
	idleInAll   = 1024
	idleFor     = 90 * time.Second
)

// How many settings, and how many hosts apart, have their connections kept; and of how many addresses is known what
// they say.
const (
	maxPools  = 256
	maxApart  = 1024
	maxRoutes = 1024
)

// Pings of HTTP/2 (RFC 9113, 6.7): a connection on which nothing came for pingAfter is asked whether it lives, and
// closed when it does not say so within pingFor. Both together are shorter than destination.DefaultTimeout, so that a
// request on a connection that a middlebox has forgotten is repeated on a new one before its time is up.
const (
	pingAfter = 4 * time.Second
	pingFor   = 3 * time.Second
)

// pool is the connections of one setting.
type pool struct {
	kept *http1          // connections serve again
	once *http.Transport // each request has a connection of its own, for the repeat of one that a used connection lost
}

func (p *pool) close() {
	p.kept.CloseIdleConnections()
	p.once.CloseIdleConnections()
}

// place is a host under one setting.
type place struct {
	setting destination.Transport
	host    string
}

// apart is a pool of one place alone: see Client.leave.
type apart struct {
	*pool
	since time.Time
}

// setting is what of a Transport decides about its connections.
func setting(t destination.Transport) destination.Transport {
	t.Timeout = 0
	t.OpenTimeout, _ = deadlines(t)
	return t
}

// connections finds or makes the connections to a place.
func (c *Client) connections(at place) (*pool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.apart.Peek(at); ok {
		if c.now().Sub(a.since) < 2*idleFor {
			return a.pool, nil
		}
		c.apart.Remove(at)
	}
	if known, ok := c.pools.Get(at.setting); ok {
		return known, nil
	}
	made, err := c.pool(at.setting)
	if err != nil {
		return nil, err
	}
	c.pools.Add(at.setting, made)
	return made, nil
}

// leave has later requests to a place go on new connections, because one on these got no answer in time: whatever
// swallowed it (a firewall that forgot the connection, a backend that hangs) swallows the next one on them too.
// Requests that are on the old connections now are not disturbed: an old connection ends by its pings or by being idle,
// and after that the place needs no pool of its own any more.
func (c *Client) leave(at place, these *pool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.apart.Peek(at)
	if known, _ := c.pools.Peek(at.setting); ok && old.pool != these || !ok && known != these {
		return // left already
	}
	made, err := c.pool(at.setting)
	if err != nil {
		return // it could be made before
	}
	c.apart.Remove(at)
	for {
		_, a, ok := c.apart.GetOldest()
		if !ok || c.now().Sub(a.since) < 2*idleFor {
			break
		}
		c.apart.RemoveOldest()
	}
	c.apart.Add(at, &apart{made, c.now()})
}

// pool makes the connections of a setting.
func (c *Client) pool(t destination.Transport) (*pool, error) {
	// Skipping the verification is the administrator's own, documented choice (product facts, 2.11).
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.SkipVerify,
		NextProtos: []string{"h2", "http/1.1"}}
	if t.CA != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, &Failure{Kind: TLS,
				Reason: "the CA certificate of this integration can not be read: paste it again, in PEM form"}
		}
		config.RootCAs = roots
	}
	if t.Identity != (destination.Identity{}) {
		own, err := t.Identity.TLS()
		if err != nil {
			return nil, &Failure{Kind: TLS,
				Reason: "the client certificate of this integration can not be read: paste it and its key again, " +
					"in PEM form"}
		}
		config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			step.Done(asked.Context(), step.Certificate)
			return &own, nil // also to a server that names other issuers: it says why it does not take it
		}
	}
	d := &dialer{policy: c.policy, lookup: c.options.Lookup, proxy: c.options.Proxy, open: t.OpenTimeout, tls: config}
	transport := func() *http.Transport {
		made := &http.Transport{
			DialContext: d.plain, DialTLSContext: d.secure, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: idlePerHost, MaxIdleConns: idleInAll, IdleConnTimeout: idleFor,
			MaxResponseHeaderBytes: maxHeaders, DisableCompression: true,
			HTTP2: &http.HTTP2Config{SendPingTimeout: c.pingAfter, PingTimeout: c.pingFor,
				WriteByteTimeout: c.pingAfter + c.pingFor},
		}
		if d.proxy != nil {
			made.Proxy = d.proxy.usual
		}
		return made
	}
	kept := &http1{dialer: d, rest: transport(), longest: c.longest, only: map[string]bool{},
		idle: map[string][]*wire{}}
	p := &pool{kept: kept, once: transport()}
	p.once.DisableKeepAlives = true
	return p, nil
}
