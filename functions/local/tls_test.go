package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var regexpAddress = regexp.MustCompile(`"address":"([^"]+)"`)

// certify writes a certificate of this machine for localhost, with its key.
func certify(t *testing.T, folder string, serial int64) (cert, key string, of *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	of, err = x509.ParseCertificate(raw)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: raw},
		key: {Type: "PRIVATE KEY", Bytes: secret}} {
		require.NoError(t, os.WriteFile(name, pem.EncodeToMemory(block), 0o600))
	}
	return cert, key, of
}

func TestTheConsoleSpeaksHTTPSAndReadsAChangedCertificate(t *testing.T) {
	folder := t.TempDir()
	cert, key, first := certify(t, folder, 1)
	p := running(t, folder, "-tls-cert", cert, "-tls-key", key)
	require.True(t, strings.HasPrefix(p.URL, "https://127.0.0.1:"), p.URL)
	serial := func(trusted *x509.Certificate) (string, error) {
		roots := x509.NewCertPool()
		roots.AddCert(trusted)
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: roots}}}
		r, err := c.Get(p.URL + "/livez")
		if err != nil {
			return "", err
		}
		defer r.Body.Close()
		require.Equal(t, "HTTP/2.0", r.Proto)
		return r.TLS.PeerCertificates[0].SerialNumber.String(), nil
	}
	got, err := serial(first)
	require.NoError(t, err)
	require.Equal(t, "1", got)
	_, err = tls.Dial("tcp", strings.TrimPrefix(p.URL, "https://"), &tls.Config{MinVersion: tls.VersionTLS10,
		MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true})
	require.ErrorContains(t, err, "protocol version")

	// A new certificate beside the old key: what is held goes on.
	old, err := os.ReadFile(key)
	require.NoError(t, err)
	_, _, second := certify(t, folder, 2)
	fresh, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, old, 0o600))
	require.Eventually(t, func() bool {
		got, err := serial(first)
		return err == nil && got == "1" && strings.Contains(p.Output(), "the one before is used on")
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, os.WriteFile(key, fresh, 0o600))
	require.Eventually(t, func() bool {
		got, err := serial(second)
		return err == nil && got == "2"
	}, time.Minute, 50*time.Millisecond)
}

func TestTLSThatCanNotBeIsExplained(t *testing.T) {
	folder := t.TempDir()
	cert, key, _ := certify(t, folder, 1)
	start := append(files(folder), "-listen", "127.0.0.1:0", "-listen-bus", "127.0.0.1:0")
	require.Contains(t, fails(t, append(start, "-tls-cert", cert)...), "-tls-cert and -tls-key go together")
	require.Contains(t, fails(t, append(start, "-tls-key", key)...), "-tls-cert and -tls-key go together")
	require.Contains(t, fails(t, append(start, "-tls-cert", cert, "-tls-key", folder+"/none.pem")...), "none.pem")
	require.Contains(t, fails(t, append(start, "-tls-cert", key, "-tls-key", key)...), "-tls-cert "+key)
}
