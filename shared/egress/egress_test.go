package egress_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/ports"
	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/patience"
	"tocsin/shared/wording"
)

func TestPublic(t *testing.T) {
	for address, public := range map[string]bool{
		"8.8.8.8": true, "34.94.85.217": true, "2606:4700::1111": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false,
		"203.0.113.7": false,
		"::1":         false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false,
		"fd00:ec2::254":  false,
		"ff02::1":        false,
		"::ffff:8.8.8.8": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::8.8.8.8": true, "64:ff9b::127.0.0.1": false, "64:ff9b::a9fe:a9fe": false,
		"2002:7f00:1::1": false, "2002:808:808::1": true, "2001::1": false, "2001:db8::1": false, "fec0::1": false,
	} {
		require.Equal(t, public, egress.Public(netip.MustParseAddr(address)), address)
	}
}

func TestCheckURL(t *testing.T) {
	p := egress.Policy{Allow: []string{"127.0.0.1:9000", "collector.internal"}}
	for address, want := range map[string]string{
		"https://hooks.example.com/x?y=z":                  "",
		"http://127.0.0.1:9000/x":                          "",
		"https://127.0.0.1:9000/x":                         "",
		"http://collector.internal:1234/":                  "",
		"http://hooks.example.com/":                        "must begin with https://",
		"ftp://hooks.example.com/":                         "must begin with https://",
		"hooks.example.com":                                "must begin with https://",
		"https://":                                         "has no host",
		"https://u:p@hooks.example.com/":                   "must not hold a user name",
		"https://hooks.example.com/#part":                  "must not hold a fragment",
		"https://127.0.0.1:9001/":                          "not a public address",
		"https://[::1]/":                                   "not a public address",
		"https://[::ffff:169.254.169.254]/":                "not a public address",
		"https://localhost:8443/":                          "not a public address",
		"https://a.localhost./":                            "not a public address",
		"https://exa mple.com/":                            "is not a valid address",
		"https://example.com/" + strings.Repeat("x", 2048): "at most 2048",
	} {
		err := p.CheckURL(address)
		if want == "" {
			require.NoError(t, err, address)
		} else {
			require.ErrorContains(t, err, want, address)
		}
	}
}

// On one machine a receiver beside Tocsin is the first one that people try.
func TestAnAddressThatIsRefusedOnOneMachineNamesWhatAdmitsIt(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:9000/": "names 127.0.0.1, which is not a public address: to send there, Tocsin has to be " +
			"started with -allow 127.0.0.1:9000",
		"https://127.0.0.1:9000/": "names 127.0.0.1, which is not a public address: to send there, Tocsin has to be " +
			"started with -allow 127.0.0.1:9000",
		"http://[::1]/": "names ::1, which is not a public address: to send there, Tocsin has to be started with " +
			"-allow [::1]:80",
		"https://wiki.internal/": "names internal, which is not a public address: to send there, Tocsin has to be " +
			"started with -allow wiki.internal:443",
		"http://receiver:8080/": "has a host without a dot, which is not a public address: write the full name, or " +
			"Tocsin has to be started with -allow receiver:8080",
		"http://hooks.example.com/": "must begin with https://",
	} {
		local := egress.Policy{Local: true}
		err := local.CheckURL(address)
		require.EqualError(t, err, want)
		require.NotContains(t, egress.Policy{}.CheckURL(address).Error(), "-allow", "nobody can on AWS")
		if _, allow, ok := strings.Cut(want, "-allow "); ok {
			local.Allow = []string{allow}
			require.NoError(t, local.CheckURL(address), "what is named admits it")
			require.NotEqual(t, want, wording.In(wording.Japanese, want))
			require.Contains(t, wording.In(wording.Japanese, want), "-allow "+allow)
		}
	}
}

func TestANameThatLeadsInsideOnOneMachineNamesWhatAdmitsIt(t *testing.T) {
	lookup := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	for _, local := range []bool{true, false} {
		c := egress.New(egress.Policy{Local: local}, egress.Options{Lookup: lookup})
		_, err := c.Do(t.Context(), destination.Request{Method: http.MethodPost, URL: "https://receiver.example.com:1/"})
		require.Equal(t, egress.Forbidden, failure(t, err).Kind)
		const remedy = ": to send there, Tocsin has to be started with -allow receiver.example.com:1"
		require.Equal(t, local, strings.HasSuffix(failure(t, err).Reason, " are not allowed"+remedy), err)
		require.NotEqual(t, failure(t, err).Reason, wording.In(wording.Japanese, failure(t, err).Reason))
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://a.example/", "http://127.0.0.1", "https://[::1%25eth0]/", "https://0x7f.1/",
		"//x", "https:\\\\x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if (egress.Policy{}).CheckURL(address) != nil {
			return
		}
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, "https", u.Scheme)
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
			require.True(t, egress.Public(ip))
		}
	})
}

// secret stands in every address of these tests and must stand in no error.
const secret = "/T000/B000/s3cr3t"

func server(t *testing.T, h http.HandlerFunc) (*httptest.Server, string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s, s.Listener.Addr().String()
}

func post(address string) destination.Request {
	return destination.Request{Method: "POST", URL: address + secret, Body: []byte(`{"a":1}`),
		Header: http.Header{"Content-Type": {"application/json"}}}
}

func failure(t *testing.T, err error) *egress.Failure {
	t.Helper()
	var f *egress.Failure
	require.ErrorAs(t, err, &f)
	require.NotContains(t, err.Error(), "s3cr3t")
	return f
}

func TestARequestArrivesAsItWasMade(t *testing.T) {
	s, host := server(t, func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		w.Header().Set("X-Seen", q.Method+" "+q.URL.Path+" "+q.Header.Get("Content-Type")+" "+
			q.Header.Get("User-Agent")+" "+string(body))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "taken")
	})
	a, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(t.Context(), post(s.URL))
	require.NoError(t, err)
	require.Equal(t, 202, a.Status)
	require.Equal(t, "taken", string(a.Body))
	require.Equal(t, `POST /T000/B000/s3cr3t application/json Tocsin/1 {"a":1}`, a.Header.Get("X-Seen"))
}

func TestARedirectIsAnAnswerAndIsNotFollowed(t *testing.T) {
	var hits atomic.Int64
	s, host := server(t, func(w http.ResponseWriter, q *http.Request) {
		hits.Add(1)
		http.Redirect(w, q, "/elsewhere", http.StatusFound)
	})
	a, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(t.Context(), post(s.URL))
	require.NoError(t, err)
	require.Equal(t, http.StatusFound, a.Status)
	require.Equal(t, int64(1), hits.Load())
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 20<<10)) // more than is kept
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := egress.New(egress.Policy{Allow: []string{s.Listener.Addr().String()}}, egress.Options{})
	for range 20 {
		a, err := c.Do(t.Context(), post(s.URL))
		require.NoError(t, err)
		require.Len(t, a.Body, 4<<10)
	}
	require.Equal(t, int64(1), opened.Load())
}

func TestAnEndlessAnswerIsCutShort(t *testing.T) {
	s, host := server(t, func(w http.ResponseWriter, q *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	a, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(t.Context(), post(s.URL))
	require.NoError(t, err)
	require.Len(t, a.Body, 4<<10)
}

func TestFailuresAreToldApart(t *testing.T) {
	slow, slowHost := server(t, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		<-q.Context().Done()
	})
	gone, goneHost := server(t, func(w http.ResponseWriter, q *http.Request) { panic(http.ErrAbortHandler) })
	plain, plainHost := server(t, func(w http.ResponseWriter, q *http.Request) {})
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {}))
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	defer secure.Close()
	port, err := ports.Free()
	require.NoError(t, err)
	closed := net.JoinHostPort("127.0.0.1", port)

	c := egress.New(egress.Policy{Allow: []string{slowHost, goneHost, plainHost, closed,
		secure.Listener.Addr().String(), "nowhere.invalid"}},
		egress.Options{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{IsNotFound: true}
		}})
	for name, f := range map[string]struct {
		address   string
		transport destination.Transport
		kind      egress.Kind
		says      string
	}{
		"a refused connection": {"http://" + closed, destination.Transport{}, egress.Refused,
			"nothing listens at " + closed},
		"no answer in time":   {slow.URL, destination.Transport{}, egress.Timeout, "gave no answer within"},
		"a closed connection": {gone.URL, destination.Transport{}, egress.Closed, "closed the connection"},
		"a name that does not exist": {"https://nowhere.invalid", destination.Transport{}, egress.DNS,
			"check the spelling, where you entered it, or ask this deployment's operator about its DNS"},
		"an unknown authority": {secure.URL, destination.Transport{}, egress.TLS,
			"give the CA certificate of its issuer, where this integration has a field for it, or"},
		"no TLS at the port": {"https://" + plainHost, destination.Transport{}, egress.TLS,
			"does not speak TLS"},
		"a CA certificate that is none": {secure.URL, destination.Transport{CA: "garbage"}, egress.TLS,
			"can not be read"},
		"an address that is not allowed": {"https://10.0.0.1", destination.Transport{}, egress.Forbidden,
			"not a public address"},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(f.address)
			r.Transport = f.transport
			patience.Growing(t, 100*time.Millisecond, func(unit time.Duration) (bool, string) {
				if f.kind == egress.Timeout { // or there is no connection yet
					r.Transport.Timeout = unit
				}
				_, err := c.Do(t.Context(), r)
				got := failure(t, err)
				return f.kind == got.Kind && strings.Contains(got.Reason, f.says), got.Reason
			})
		})
	}
	_ = plain
}

func TestATLSServerWithItsOwnCA(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {}))
	defer s.Close()
	c := egress.New(egress.Policy{Allow: []string{s.Listener.Addr().String()}}, egress.Options{})
	for name, transport := range map[string]destination.Transport{
		"its CA": {
			CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))},
		"no verification": {SkipVerify: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(s.URL)
			r.Transport = transport
			a, err := c.Do(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, 200, a.Status)
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {}))
	s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	r := post(s.URL)
	r.Transport.SkipVerify = true
	_, err := egress.New(egress.Policy{Allow: []string{s.Listener.Addr().String()}}, egress.Options{}).Do(t.Context(),
		r)
	require.Equal(t, egress.TLS, failure(t, err).Kind)
}

func TestANameThatLeadsInsideIsRefusedWhereItIsDialled(t *testing.T) {
	var hits atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { hits.Add(1) }))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for _, inside := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "169.254.169.254", "10.0.0.1",
		"fd00:ec2::254", "64:ff9b::7f00:1"} {
		c := egress.New(egress.Policy{}, egress.Options{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(inside)}, nil
		}})
		r := post("https://innocent.example:" + port)
		r.Transport.SkipVerify = true
		_, err := c.Do(t.Context(), r)
		require.Equal(t, egress.Forbidden, failure(t, err).Kind, inside)
	}
	require.Zero(t, hits.Load())
}

func TestACancelledRequestIsNoFailureOfTheSystem(t *testing.T) {
	s, host := server(t, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		<-q.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{}).Do(ctx, post(s.URL))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

type mailer struct {
	answer destination.Response
	err    error
}

func (m mailer) Send(context.Context, destination.Mail) (destination.Response, error) {
	return m.answer, m.err
}

func TestMail(t *testing.T) {
	r := destination.Request{Mail: &destination.Mail{To: "a@example.com"}}
	_, err := egress.New(egress.Policy{}, egress.Options{}).Do(t.Context(), r)
	require.Equal(t, egress.Mail, failure(t, err).Kind)
	_, err = egress.New(egress.Policy{},
		egress.Options{Mailer: mailer{err: errors.New("the mail server could not be used")}}).Do(t.Context(), r)
	require.Equal(t, "the mail server could not be used", failure(t, err).Reason)
	said := destination.Response{Status: 550, Body: []byte("5.7.1 no"), Recipient: true}
	a, err := egress.New(egress.Policy{}, egress.Options{Mailer: mailer{answer: said}}).Do(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, said, a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, err = egress.New(egress.Policy{},
		egress.Options{Mailer: mailer{answer: destination.Response{Status: egress.MailAccepted}}}).Do(ctx, r)
	require.NoError(t, err)
	require.Equal(t, 250, a.Status, "what was taken was taken, though nobody waits for it any more")
}
