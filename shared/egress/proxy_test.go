package egress_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elazarl/goproxy"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/ports"
	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/patience"
)

// realProxy is a proxy that others use, with a password, which notes what it is asked for and leads everything to one
// server.
type realProxy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func (p *realProxy) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, s)
}

func newProxy(t *testing.T, secure bool, leadsTo string) (*realProxy, *url.URL) {
	t.Helper()
	p := &realProxy{}
	g := goproxy.NewProxyHttpServer()
	g.Logger = log.New(io.Discard, "", 0)
	known := func(q *http.Request) bool {
		as := &http.Request{Header: http.Header{"Authorization": q.Header["Proxy-Authorization"]}}
		user, password, _ := as.BasicAuth()
		return user == "tocsin" && password == "pa%ss:wörd"
	}
	g.OnRequest().HandleConnectFunc(func(host string, c *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		if !known(c.Req) {
			c.Resp = goproxy.NewResponse(c.Req, "text/plain", http.StatusProxyAuthRequired, "")
			return goproxy.RejectConnect, host
		}
		p.note("CONNECT " + host)
		return goproxy.OkConnect, host
	})
	g.OnRequest().DoFunc(func(q *http.Request, _ *goproxy.ProxyCtx) (*http.Request, *http.Response) {
		if !known(q) {
			return q, goproxy.NewResponse(q, "text/plain", http.StatusProxyAuthRequired, "")
		}
		q.Header.Del("Proxy-Authorization")
		p.note(q.Method + " " + q.URL.Scheme + "://" + q.URL.Host)
		return q, nil
	})
	g.ConnectDial = func(string, string) (net.Conn, error) { return net.Dial("tcp", leadsTo) }
	g.Tr = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", leadsTo)
	}}
	p.Server = httptest.NewUnstartedServer(g)
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.Close)
	u, err := url.Parse(p.URL)
	require.NoError(t, err)
	u.User = url.UserPassword("tocsin", "pa%ss:wörd")
	return p, u
}

// public answers any name with an address of the internet, which only the proxy is asked for.
func public(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("8.8.8.8")}, nil
}

// proxied is a TLS server, and a proxy that leads to it.
func proxied(t *testing.T) (proxy *realProxy, p *egress.Proxy, server *httptest.Server) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = fmt.Fprint(w, q.Proto, " ", q.Host, " ", q.TLS != nil && q.TLS.ServerName != "", " ",
			q.Header.Get("Proxy-Authorization"))
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	proxy, at := newProxy(t, false, s.Listener.Addr().String())
	p, err := egress.ParseProxy(at.String())
	require.NoError(t, err)
	return proxy, p, s
}

// unverified is a request to an address, whose server has a certificate of no authority.
func unverified(address string) destination.Request {
	q := post(address)
	q.Transport.SkipVerify = true
	return q
}

func TestH26RequestsGoThroughTheProxy(t *testing.T) {
	proxy, p, _ := proxied(t)
	c := egress.New(egress.Policy{}, egress.Options{Proxy: p, Lookup: public})
	for range 3 {
		a, err := c.Do(t.Context(), unverified("https://hooks.example.com"))
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0 hooks.example.com true ", string(a.Body),
			"the name in TLS and Host, no password of the proxy")
	}
	require.Equal(t, []string{"CONNECT 8.8.8.8:443"}, proxy.asked, "one tunnel, to the address that was checked")
}

func TestH26AProxyThatResolvesIsToldTheName(t *testing.T) {
	proxy, p, _ := proxied(t)
	p.Resolves = true
	c := egress.New(egress.Policy{}, egress.Options{Proxy: p,
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return nil, fmt.Errorf("nothing is looked up here")
		}})
	_, err := c.Do(t.Context(), unverified("https://hooks.example.com"))
	require.NoError(t, err)
	require.Equal(t, []string{"CONNECT hooks.example.com:443"}, proxy.asked)
	_, err = c.Do(t.Context(), post("https://127.0.0.1:8443"))
	require.Equal(t, egress.Forbidden, failure(t, err).Kind)
}

func TestH26ANameThatLeadsInsideIsNotAskedOfTheProxy(t *testing.T) {
	proxy, p, _ := proxied(t)
	c := egress.New(egress.Policy{}, egress.Options{Proxy: p,
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("::ffff:0:7f00:1")}, nil
		}})
	_, err := c.Do(t.Context(), unverified("https://hooks.example.com"))
	require.Equal(t, egress.Forbidden, failure(t, err).Kind)
	require.Empty(t, proxy.asked)
}

func TestH26AHostThatTheOperatorAllowsGoesThroughTheProxyByItsName(t *testing.T) {
	proxy, p, _ := proxied(t)
	c := egress.New(egress.Policy{Allow: []string{"collector.corp"}}, egress.Options{Proxy: p})
	_, err := c.Do(t.Context(), unverified("https://collector.corp:8443/x"))
	require.NoError(t, err)
	require.Equal(t, []string{"CONNECT collector.corp:8443"}, proxy.asked)
}

func TestH26AHostThatIsReachedDirectlyIsNotAskedOfTheProxy(t *testing.T) {
	proxy, p, s := proxied(t)
	p.Direct = []string{s.Listener.Addr().String()}
	c := egress.New(egress.Policy{Allow: []string{s.Listener.Addr().String()}}, egress.Options{Proxy: p})
	_, err := c.Do(t.Context(), unverified(s.URL))
	require.NoError(t, err)
	require.Empty(t, proxy.asked)
}

func TestH26AnHTTPAddressGoesThroughTheProxyWhole(t *testing.T) {
	var seen atomic.Value
	s, host := server(t, func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		seen.Store(q.Host + q.URL.Path + " " + q.Header.Get("Proxy-Authorization") + string(body))
		http.Redirect(w, q, "/elsewhere", http.StatusFound)
	})
	_ = s
	proxy, at := newProxy(t, false, host)
	p, err := egress.ParseProxy(at.String())
	require.NoError(t, err)
	c := egress.New(egress.Policy{Allow: []string{"collector.corp"}}, egress.Options{Proxy: p})
	a, err := c.Do(t.Context(), post("http://collector.corp:9000"))
	require.NoError(t, err)
	require.Equal(t, 302, a.Status, "no redirect is followed on this way either")
	require.Equal(t, []string{"POST http://collector.corp:9000"}, proxy.asked)
	require.Equal(t, `collector.corp:9000/T000/B000/s3cr3t {"a":1}`, seen.Load())
}

// answering is a proxy that answers every call with the same bytes; with none it holds the connection.
func answering(t *testing.T, answer string) *url.URL {
	t.Helper()
	host := accepts(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil && answer != "" {
			_, _ = io.WriteString(conn, answer)
		} else {
			hold(conn)
		}
	})
	return &url.URL{Scheme: "http", Host: host, User: url.UserPassword("tocsin", "pr0xyp4ss")}
}

// What is said of a proxy that does not do its part in time: it is not the receiver's firewall.
const (
	hangs          = ") took the connection and made no tunnel in time: it hangs, or does not reach it: tell the"
	unreachedProxy = ") can not be reached, or is none: tell the"
)

func TestH26WhatAProxyDoesWrong(t *testing.T) {
	_, wrong := newProxy(t, false, "127.0.0.1:1")
	wrong.User = url.UserPassword("tocsin", "pr0xyp4ss")
	_, private := newProxy(t, true, "127.0.0.1:1") // its certificate is of no known authority
	port, err := ports.Free()
	require.NoError(t, err)
	closed := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", port)}
	for name, f := range map[string]struct {
		at   *url.URL
		kind egress.Kind
		says string
	}{
		"it refuses the password": {wrong, egress.ByProxy, "does not accept our user and password (407"},
		"it does not lead there": {answering(t, "HTTP/1.1 403 Forbidden\r\n\r\n"), egress.ByProxy,
			"does not lead there (403 Forbidden): ask the deployment's operator"},
		"it can not reach the system": {answering(t, "HTTP/1.1 502 Bad Gateway\r\n\r\n"), egress.ByProxy,
			"could not reach it (502 Bad Gateway)"},
		"it is no proxy": {answering(t, "SSH-2.0-OpenSSH_9.9\r\n"), egress.ByProxy,
			"can not be reached, or is none"},
		"its answer has no end": {answering(t, "HTTP/1.1 200 OK\r\n"+
			string(bytes.Repeat([]byte("X-Header: value\r\n"), 10000))), egress.ByProxy, "can not be reached, or is " +
			"none"},
		"it speaks in the tunnel first": {answering(t, "HTTP/1.1 200 OK\r\n\r\nhello"), egress.ByProxy,
			"can not be reached, or is none"},
		"it does not answer": {answering(t, ""), egress.ByProxy, hangs},
		"it takes no TLS": {&url.URL{Scheme: "https", Host: accepts(t, hold)}, egress.ByProxy,
			unreachedProxy},
		"nothing listens":                  {closed, egress.ByProxy, "can not be reached, or is none"},
		"its certificate is of an unknown": {private, egress.ByProxy, "can not be reached, or is none"},
		"the tunnel leads nowhere": {answering(t, "HTTP/1.1 200 OK\r\n\r\n"), egress.TLS,
			"closed the connection during the TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := egress.ParseProxy(f.at.String())
			require.NoError(t, err)
			c := egress.New(egress.Policy{}, egress.Options{Proxy: p, Lookup: public})
			q := post("https://hooks.example.com")
			q.Transport.OpenTimeout = patience.Long
			if f.says == hangs || f.says == unreachedProxy {
				q.Transport.OpenTimeout = 500 * time.Millisecond
			}
			_, err = c.Do(t.Context(), q)
			got := failure(t, err)
			require.Equal(t, f.kind, got.Kind, got.Reason)
			require.Contains(t, got.Reason, f.says)
			require.NotContains(t, got.Reason, "pr0xyp4ss")
		})
	}
}

func TestH26AProxysAddressIsReadAndItsPasswordShownNowhere(t *testing.T) {
	for text, want := range map[string]string{
		"http://proxy.corp:3128": "proxy.corp:3128", "https://proxy.corp": "proxy.corp:443",
		"http://u:p4ssw0rd@proxy.corp/": "proxy.corp:80", "http://[::1]:3128": "[::1]:3128",
		" http://u:p%40ss@10.0.0.1:8080 ": "10.0.0.1:8080",
	} {
		p, err := egress.ParseProxy(text)
		require.NoError(t, err, text)
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "proxy", p)
		for _, shown := range []string{p.String(), fmt.Sprintf("%v", p), fmt.Sprintf("%+v", p), fmt.Sprintf("%#v", p),
			fmt.Sprint(egress.Options{Proxy: p}), logged.String()} {
			require.NotContains(t, shown, "p4ssw0rd")
			require.NotContains(t, shown, "p%40ss")
			require.NotContains(t, shown, "p@ss")
		}
		require.Equal(t, want, p.String())
	}
	for _, text := range []string{"", "proxy.corp:3128", "socks5://u:p4ssw0rd@proxy.corp", "http://u:p4ssw0rd@",
		"http://u:p4ss w0rd@proxy.corp", "http://u:p4ssw0rd@proxy.corp/path", "http://u:p4ssw0rd@proxy.corp:port",
		"http://u:p4ssw0rd%zz@proxy.corp", "u:p4ssw0rd@proxy.corp"} {
		_, err := egress.ParseProxy(text)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "p4ss")
	}
	var none *egress.Proxy
	require.Equal(t, "none", none.String())
}

func TestH26TheHostsThatAProxyIsNotFor(t *testing.T) {
	p, err := egress.ParseProxy("http://u:p@proxy.corp:3128")
	require.NoError(t, err)
	p.Direct = []string{"Collector.corp", ".internal.corp", "10.0.0.1:9000"}
	for address, through := range map[string]bool{
		"https://collector.corp/x": false, "http://COLLECTOR.corp:1/": false, "https://a.internal.corp/": false,
		"https://internal.corp/": true, "https://10.0.0.1:9000/": false,
		"https://10.0.0.1/": true, "https://xinternal.corp/": true, "https://hooks.example.com/": true,
	} {
		q, err := http.NewRequest(http.MethodPost, address, nil)
		require.NoError(t, err)
		u, err := p.For(q)
		require.NoError(t, err)
		require.Equal(t, through, u != nil, address)
	}
}
