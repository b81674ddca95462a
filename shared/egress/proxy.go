package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tocsin/shared/destination"
)

// Proxy is an HTTP proxy of the deployment that requests go through: a tunnel for an https address (CONNECT, RFC 9110,
// 9.3.6), and for the http address of a host that Policy.Allow names the usual form with the whole address.
//
// The proxy makes the last connection, so that no socket of ours can check it. Tocsin resolves the name itself, leaves
// out what the policy forbids, and asks for a tunnel to a checked IP address; the name stands in TLS, as ever. What the
// proxy dials is what was checked. This needs a DNS that knows the systems' names. Resolves is for a network without
// one. Hosts of Policy.Allow are asked for by name too: there is nothing to check.
//
// Mail does not go through it.
type Proxy struct {
	// Resolves has the proxy resolve the names of the systems. Then only names and IP addresses as written are checked:
	// a name that leads inside is the proxy's to refuse.
	Resolves bool
	// Direct names hosts (`host`, `host:port`, or `.domain` for all below it) that are reached without the proxy.
	Direct []string

	address string // host:port
	host    string
	secure  bool // TLS to the proxy
	user    *url.Userinfo
}

// ParseProxy reads http://user:password@host:port or https://…. The port is 80 or 443 when none is given. No error
// quotes the text: it holds a password.
func ParseProxy(text string) (*Proxy, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("must be an address such as http://user:password@proxy.example.com:3128; write % and " +
			"special characters of the password as %25 and so on")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("must begin with http:// or https://: no other kind of proxy is supported")
	}
	return &Proxy{address: hostPort(u), host: u.Hostname(), secure: u.Scheme == "https", user: u.User}, nil
}

// String is the proxy's address without user and password.
func (p *Proxy) String() string {
	if p == nil {
		return "none"
	}
	return p.address
}

// GoString keeps the password out of %#v.
func (p *Proxy) GoString() string { return p.String() }

// For is the Proxy function of an http.Transport that makes requests of our own, such as the bot's.
func (p *Proxy) For(q *http.Request) (*url.URL, error) {
	if !p.leadsTo(hostPort(q.URL)) {
		return nil, nil
	}
	return p.url(), nil
}

// usual is the Proxy function for http addresses, whose connections to the proxy dialer.plain makes: TLS, where the
// proxy wants it, is done there.
func (p *Proxy) usual(q *http.Request) (*url.URL, error) {
	if q.URL.Scheme != "http" || !p.leadsTo(hostPort(q.URL)) {
		return nil, nil
	}
	u := p.url()
	u.Scheme = "http"
	return u, nil
}

func (p *Proxy) url() *url.URL {
	u := &url.URL{Scheme: "http", Host: p.address, User: p.user}
	if p.secure {
		u.Scheme = "https"
	}
	return u
}

// leadsTo reports whether host:port is reached through the proxy. A nil Proxy leads nowhere.
func (p *Proxy) leadsTo(address string) bool {
	if p == nil {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true
	}
	for _, d := range p.Direct {
		d = strings.ToLower(d)
		if h := strings.ToLower(host); h == d || strings.ToLower(address) == d || strings.HasPrefix(d, ".") &&
			strings.HasSuffix(h, d) {
			return false
		}
	}
	return true
}

// proxyError is a proxy that can not be reached, or does not make the tunnel.
type proxyError struct {
	proxy  string
	status int // 0: it could not be reached or did not answer as a proxy
	cause  error
	// dialling: the connection to the proxy did not come about. Else it took it, and was asked for a tunnel.
	dialling bool
}

func (e *proxyError) Error() string {
	if e.status != 0 {
		return fmt.Sprintf("the proxy answered %d", e.status)
	}
	return "the proxy can not be used: " + e.cause.Error()
}

// reason is for an administrator, who can not change the proxy: its operator can.
func (e *proxyError) reason() string {
	switch said := destination.StatusText(e.status); {
	case e.status == http.StatusProxyAuthRequired:
		return "the proxy of this deployment (" + e.proxy + ") does not accept our user and password (" + said +
			"): tell the deployment's operator"
	case e.status >= 500:
		return "the proxy of this deployment (" + e.proxy + ") could not reach it (" + said + ")"
	case e.status != 0:
		return "the proxy of this deployment (" + e.proxy + ") does not lead there (" + said +
			"): ask the deployment's operator to admit it"
	case !e.dialling && errors.Is(e.cause, context.DeadlineExceeded):
		return "the proxy of this deployment (" + e.proxy + ") took the connection and made no tunnel in time: it " +
			"hangs, or does not reach it: tell the deployment's operator"
	default:
		return "the proxy of this deployment (" + e.proxy +
			") can not be reached, or is none: tell the deployment's operator"
	}
}

// ours reports whether the proxy itself is in the way. What it answers else can be about the system: that its name is
// not known (404 of some proxies, 503 of others), or that it can not be reached.
func (e *proxyError) ours() bool {
	switch e.status {
	case 0:
		return e.dialling || !closed(e.cause) && !timedOut(e.cause)
	case http.StatusProxyAuthRequired, http.StatusForbidden, http.StatusMethodNotAllowed:
		return true
	}
	return false
}

func (e *proxyError) Unwrap() error { return e.cause }

// dial connects to the proxy itself, which may be private: the operator names it. The standard dialer races its
// addresses.
func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, &proxyError{proxy: p.address, cause: err, dialling: true}
	}
	if !p.secure {
		return conn, nil
	}
	secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.host})
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &proxyError{proxy: p.address, cause: err, dialling: true}
	}
	return secured, nil
}

// connect asks for a tunnel to host:port; taken is called when the proxy has taken the connection.
func (p *Proxy) connect(ctx context.Context, to string, taken func()) (net.Conn, error) {
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	taken()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = p.ask(conn, to)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (p *Proxy) ask(conn net.Conn, to string) error {
	q := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: to}, Host: to, Header: http.Header{}}
	if p.user != nil {
		password, _ := p.user.Password()
		q.Header.Set("Proxy-Authorization", "Basic "+
			base64.StdEncoding.EncodeToString([]byte(p.user.Username()+":"+password)))
	}
	if err := q.Write(conn); err != nil {
		return &proxyError{proxy: p.address, cause: err}
	}
	// Bounded, and no byte of the tunnel is read with it: a TLS server speaks second.
	from := bufio.NewReader(&atMost{conn, maxHeaders})
	answer, err := http.ReadResponse(from, q)
	if err != nil {
		return &proxyError{proxy: p.address, cause: err}
	}
	defer answer.Body.Close() // reads nothing: what follows is the tunnel's
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return &proxyError{proxy: p.address, status: answer.StatusCode}
	}
	if from.Buffered() > 0 {
		return &proxyError{proxy: p.address, cause: errors.New("it sends more than its answer")}
	}
	return nil
}

var errTooLong = errors.New("the header of an answer is too long")

// atMost reads so many bytes and no more.
type atMost struct {
	net.Conn
	left int
}

func (b *atMost) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.Conn.Read(into[:min(len(into), b.left)])
	b.left -= n
	return n, err
}
