package egress_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/ports"
	"tocsin/shared/egress"
	"tocsin/shared/patience"
)

func TestAFaultOfTheDeploymentSaysThatItCertainlyIsOne(t *testing.T) {
	_, wrong := newProxy(t, false, "127.0.0.1:1")
	wrong.User = url.UserPassword("tocsin", "another")
	_, private := newProxy(t, true, "127.0.0.1:1")
	port, err := ports.Free()
	require.NoError(t, err)
	shut := accepts(t, func(conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 1)) })
	for name, c := range map[string]struct {
		proxy  *url.URL
		policy egress.Policy
		url    string
		inside bool
		ours   bool
	}{
		"the proxy refuses our password": {proxy: wrong, ours: true},
		"the proxy may not lead there":   {proxy: answering(t, "HTTP/1.1 403 Forbidden\r\n\r\n"), ours: true},
		"nothing listens at the proxy": {proxy: &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", port)},
			ours: true},
		"the proxy's certificate is of an unknown": {proxy: private, ours: true},
		"the proxy is none":                        {proxy: answering(t, "SSH-2.0-OpenSSH_9.9\r\n"), ours: true},
		"the proxy does not reach the system":      {proxy: answering(t, "HTTP/1.1 502 Bad Gateway\r\n\r\n")},
		"the proxy knows no such name":             {proxy: answering(t, "HTTP/1.1 404 No such domain\r\n\r\n")},
		"the proxy closes":                         {proxy: &url.URL{Scheme: "http", Host: shut}},
		"an address that is allowed no more": {policy: egress.Policy{Local: true}, url: "https://127.0.0.1:8443",
			ours: true},
		"plain http that is allowed no more": {policy: egress.Policy{Local: true}, url: "http://hooks.example.com",
			ours: true},
		"a name inside that is allowed no more": {policy: egress.Policy{Local: true}, inside: true, ours: true},
		"an address that nobody can allow":      {url: "https://127.0.0.1:8443"},
		"a name inside that nobody can allow":   {inside: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := egress.Options{Lookup: public}
			if c.inside {
				o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
					return []netip.Addr{netip.MustParseAddr("10.0.0.7")}, nil
				}
			}
			if c.proxy != nil {
				var err error
				o.Proxy, err = egress.ParseProxy(c.proxy.String())
				require.NoError(t, err)
			}
			if c.url == "" {
				c.url = "https://hooks.example.com"
			}
			q := post(c.url)
			q.Transport.OpenTimeout = patience.Long
			_, err := egress.New(c.policy, o).Do(t.Context(), q)
			require.Equal(t, c.ours, failure(t, err).CertainlyOurs(), failure(t, err).Reason)
		})
	}
}

func TestAProxyThatRefusesOurPasswordForAPlainAddressIsNotTakenForTheSystem(t *testing.T) {
	_, at := newProxy(t, false, "127.0.0.1:1")
	at.User = url.UserPassword("tocsin", "another")
	p, err := egress.ParseProxy(at.String())
	require.NoError(t, err)
	c := egress.New(egress.Policy{Allow: []string{"collector.corp"}}, egress.Options{Proxy: p})
	_, err = c.Do(t.Context(), post("http://collector.corp:9000"))
	got := failure(t, err)
	require.Equal(t, egress.ByProxy, got.Kind)
	require.True(t, got.CertainlyOurs())
	require.Contains(t, got.Reason, "does not accept our user and password (407")

	own, host := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })
	_ = own
	a, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(t.Context(), post("http://"+host))
	require.NoError(t, err)
	require.Equal(t, 407, a.Status, "without a proxy it is the system's own word")
}
