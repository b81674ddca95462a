// Package authority makes certificates for tests of TLS.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
)

// Authority is a certificate authority of a test.
type Authority struct {
	Certificate *x509.Certificate
	PEM         string

	key *ecdsa.PrivateKey
}

// New makes one.
func New(t testing.TB, name string) Authority {
	t.Helper()
	return Authority{}.Authority(t, name)
}

// Authority makes one that a signs, or that signs itself where a is the zero value.
func (a Authority) Authority(t testing.TB, name string) Authority {
	t.Helper()
	made, key := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return Authority{Certificate: made, PEM: written("CERTIFICATE", made.Raw), key: key}
}

// Identity makes a certificate with its key. template gives its name, its times and its use.
func (a Authority) Identity(t testing.TB, template x509.Certificate) destination.Identity {
	t.Helper()
	made, key := a.sign(t, &template)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return destination.Identity{Certificate: written("CERTIFICATE", made.Raw), Key: written("PRIVATE KEY", raw)}
}

// Client makes a client's certificate.
func (a Authority) Client(t testing.TB, name string) destination.Identity {
	t.Helper()
	return a.Identity(t, x509.Certificate{Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a Authority) sign(t testing.TB, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	by, with := a.Certificate, a.key
	if by == nil {
		by, with = c, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, with)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return made, key
}

func written(kind string, raw []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
}
