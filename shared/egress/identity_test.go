package egress_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest/authority"
	"tocsin/shared/egress"
	"tocsin/shared/step"
)

// mutual is a receiver that asks for client certificates of one authority, and answers with the name in the one that
// it was shown.
func mutual(t *testing.T, a authority.Authority, version uint16, http2 bool) (url, host, ca string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, q.TLS.PeerCertificates[0].Subject.CommonName+" "+q.Proto)
	}))
	s.EnableHTTP2 = http2
	known := x509.NewCertPool()
	known.AddCert(a.Certificate)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known, MinVersion: tls.VersionTLS12,
		MaxVersion: version}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, s.Listener.Addr().String(),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// A client certificate is shown on the connections of its own integration alone, whatever was open before.
func TestEachIntegrationShowsItsOwnCertificate(t *testing.T) {
	t.Parallel()
	known := authority.New(t, "known")
	for _, http2 := range []bool{false, true} {
		at, host, ca := mutual(t, known, tls.VersionTLS13, http2)
		client := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{})
		ids := map[string]destination.Identity{"one": known.Client(t, "one"), "two": known.Client(t, "two")}
		var wg sync.WaitGroup
		for range 20 {
			for name, id := range ids {
				wg.Go(func() {
					r, err := client.Do(t.Context(), destination.Request{Method: http.MethodPost, URL: at,
						Body: []byte("x"), Transport: destination.Transport{CA: ca, Identity: id}})
					proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
					if err != nil || string(r.Body) != name+" "+proto {
						t.Errorf("%v, %q", err, r.Body)
					}
				})
			}
			wg.Wait()
		}
		_, err := client.Do(t.Context(), destination.Request{Method: http.MethodPost, URL: at,
			Transport: destination.Transport{CA: ca}})
		require.Error(t, err, "who has none shows none, though such connections are open")
	}
}

func TestAServerThatTakesNoneOfOursSaysSo(t *testing.T) {
	t.Parallel()
	known := authority.New(t, "known")
	over := known.Identity(t, x509.Certificate{Subject: pkix.Name{CommonName: "over"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		at, host, ca := mutual(t, known, version, false)
		for name, id := range map[string]destination.Identity{"none": {}, "an expired one": over,
			"another authority's": authority.New(t, "other").Client(t, "x")} {
			client := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{})
			var last []step.Step
			var mu sync.Mutex
			ctx := step.With(t.Context(), func(s step.Step) {
				mu.Lock()
				defer mu.Unlock()
				last = append(last, s)
			})
			_, err := client.Do(ctx, destination.Request{Method: http.MethodPost, URL: at, Body: []byte("x"),
				Transport: destination.Transport{CA: ca, Identity: id}})
			var f *egress.Failure
			require.ErrorAs(t, err, &f, name)
			u, err := url.Parse(at)
			require.NoError(t, err)
			require.Contains(t, f.Reason, u.Host)
			if version == tls.VersionTLS12 && name == "none" { // handshake_failure, which says no more
				require.Contains(t, f.Reason, "or ask for a client certificate")
				continue
			}
			if strings.Contains(f.Reason, "closed the connection") { // the alert was lost with it
				require.Contains(t, []egress.Kind{egress.Closed, egress.TLS}, f.Kind)
				continue
			}
			require.Equal(t, egress.Identity, f.Kind, name+": "+f.Reason)
			require.Contains(t, f.Reason, "it asks for a client certificate, and takes none of ours")
			mu.Lock()
			require.Equal(t, step.Step{Kind: step.Certificate, Failed: true}, last[len(last)-1])
			mu.Unlock()
		}
	}
}

func TestACertificateThatIsShownIsAStep(t *testing.T) {
	t.Parallel()
	known := authority.New(t, "known")
	at, host, ca := mutual(t, known, tls.VersionTLS13, false)
	client := egress.New(egress.Policy{Allow: []string{host}}, egress.Options{})
	told := make(chan step.Step, 100)
	_, err := client.Do(step.With(t.Context(), func(s step.Step) { told <- s }), destination.Request{
		Method: http.MethodPost, URL: at, Transport: destination.Transport{CA: ca, Identity: known.Client(t, "x")}})
	require.NoError(t, err)
	close(told)
	var kinds []step.Kind
	for s := range told {
		kinds = append(kinds, s.Kind)
	}
	require.Contains(t, kinds, step.Certificate)
	_, err = client.Do(t.Context(), destination.Request{Method: http.MethodPost, URL: at,
		Transport: destination.Transport{CA: ca, Identity: destination.Identity{Certificate: "x", Key: "y"}}})
	require.ErrorContains(t, err, "the client certificate of this integration can not be read")
}
