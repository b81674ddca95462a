package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"tocsin/shared/destination"
)

// Limits of an answer, in bytes.
const (
	keptBody   = 4 << 10  // for judging and for the log, unless the request asks for more
	readBody   = 64 << 10 // read so that the connection can serve again; a longer answer closes it
	maxHeaders = 64 << 10
)

// How many idle connections may be kept, to one host and in all: many integrations can share a host (all of Slack is
// one), and opening a connection costs more than the request.
const (
	idlePerHost = 256
	idleInAll   = 1024
)

// maxTransports bounds the connection settings whose connections are kept.
const maxTransports = 256

// Mailer sends one mail. Its error is a sentence for an administrator.
type Mailer interface {
	Send(ctx context.Context, m destination.Mail) error
}

// Options of a Client.
type Options struct {
	Mailer    Mailer                                                       // nil: mail is not configured
	UserAgent string                                                       // "" = Tocsin/1
	Lookup    func(ctx context.Context, host string) ([]netip.Addr, error) // nil = the system's resolver
}

// Client sends requests within a Policy. It is safe for concurrent use.
type Client struct {
	policy  Policy
	options Options

	mu         sync.Mutex
	transports map[destination.Transport]*http.Transport
}

// New makes a Client.
func New(p Policy, o Options) *Client {
	if o.UserAgent == "" {
		o.UserAgent = "Tocsin/1"
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return &Client{policy: p, options: o, transports: map[destination.Transport]*http.Transport{}}
}

// Do sends one request and returns the answer, whatever its status. The error is a *Failure, or the context's own
// when that ended.
func (c *Client) Do(ctx context.Context, r destination.Request) (destination.Response, error) {
	if r.Mail != nil {
		return c.mail(ctx, *r.Mail)
	}
	if err := c.policy.CheckURL(r.URL); err != nil {
		return destination.Response{}, &Failure{Forbidden, "the address " + err.Error()}
	}
	t, err := c.transport(r.Transport)
	if err != nil {
		return destination.Response{}, err
	}
	open, timeout := deadlines(r.Transport)
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	deadline := time.AfterFunc(open+timeout, cancel)
	defer deadline.Stop()
	q, err := c.request(bounded, r)
	if err != nil {
		return destination.Response{}, &Failure{Protocol, "the request could not be made: check the URL and the headers"}
	}
	// RoundTrip, not a Client's Do: it follows no redirect and keeps no cookies.
	answer, err := t.RoundTrip(q)
	if err != nil {
		return destination.Response{}, explain(ctx, err, q.URL.Host, open, timeout)
	}
	defer answer.Body.Close()
	deadline.Reset(timeout) // for the rest of the answer
	body, err := read(answer.Body, min(max(keptBody, r.Keep), destination.MaxKeep))
	if cause := ctx.Err(); err != nil && cause != nil {
		return destination.Response{}, cause
	}
	return destination.Response{Status: answer.StatusCode, Header: answer.Header, Body: body, Broken: err != nil}, nil
}

func (c *Client) mail(ctx context.Context, m destination.Mail) (destination.Response, error) {
	if c.options.Mailer == nil {
		return destination.Response{}, &Failure{Mail, "this deployment sends no mail: ask its operator to configure a mail server"}
	}
	err := c.options.Mailer.Send(ctx, m)
	var not *destination.NotSent
	if errors.As(err, &not) {
		return destination.Response{Status: MailNotSent, Body: []byte(not.Reason)}, nil
	}
	if err != nil {
		if cause := ctx.Err(); cause != nil {
			return destination.Response{}, cause
		}
		return destination.Response{}, &Failure{Mail, err.Error()}
	}
	return destination.Response{Status: MailAccepted}, nil
}

// MailAccepted is the status of a mail that the mail server took (RFC 5321: 250).
const MailAccepted = 250

// MailNotSent is the status of a mail that is settled without being sent; the body says why. No mail server uses it.
const MailNotSent = 299

func deadlines(t destination.Transport) (open, timeout time.Duration) {
	if open = t.OpenTimeout; open <= 0 {
		open = destination.DefaultOpenTimeout
	}
	if timeout = t.Timeout; timeout <= 0 {
		timeout = destination.DefaultTimeout
	}
	return open, timeout
}

func (c *Client) request(ctx context.Context, r destination.Request) (*http.Request, error) {
	q, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		q.Header[name] = values
	}
	if q.Header.Get("User-Agent") == "" {
		q.Header["User-Agent"] = []string{c.options.UserAgent}
	}
	return q, nil
}

// read keeps the start of an answer and reads on a little. The error says that the answer broke off.
func read(r io.Reader, keep int) ([]byte, error) {
	kept, err := io.ReadAll(io.LimitReader(r, int64(keep)))
	if err == nil && len(kept) == keep {
		if _, err = io.CopyN(io.Discard, r, readBody-keptBody); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return kept, err
}

// transport finds or makes the connections for one setting.
func (c *Client) transport(t destination.Transport) (*http.Transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.transports[t]; ok {
		return known, nil
	}
	open, timeout := deadlines(t)
	// Skipping the verification is the administrator's own, documented choice (product facts, 2.11).
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.SkipVerify}
	if t.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, &Failure{TLS, "the CA certificate of this integration can not be read: paste it again, in PEM form"}
		}
		config.RootCAs = pool
	}
	made := &http.Transport{
		DialContext: c.dialer(open), TLSClientConfig: config, TLSHandshakeTimeout: open, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: idlePerHost, MaxIdleConns: idleInAll, IdleConnTimeout: 90 * time.Second,
		ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: maxHeaders, DisableCompression: true,
	}
	if len(c.transports) >= maxTransports {
		for key, old := range c.transports { // any one: a settings' change is rare
			old.CloseIdleConnections()
			delete(c.transports, key)
			break
		}
	}
	c.transports[t] = made
	return made, nil
}

var errForbidden = errors.New("forbidden address")

// dialer resolves a name, leaves out what the policy forbids, and has the socket itself refuse the rest: what is
// checked is what is dialled.
func (c *Client) dialer(open time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	guarded := &net.Dialer{Timeout: open, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !Public(at.Addr()) {
			return errForbidden
		}
		return nil
	}}
	free := &net.Dialer{Timeout: open}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := guarded
		if c.policy.allows(address) {
			dialer = free
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, open)
		defer cancel()
		addrs, err := c.resolve(ctx, host)
		if err != nil {
			return nil, err
		}
		var last error
		for _, a := range addrs {
			conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
			if err == nil {
				return conn, nil
			}
			if last == nil || errors.Is(last, errForbidden) {
				last = err
			}
		}
		return nil, last
	}
}

func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	addrs, err := c.options.Lookup(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap() // a resolver's way to write an IPv4 address; Public judges what it is
	}
	return addrs, err
}
