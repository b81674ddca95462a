package destination_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest/authority"
)

// encryptedKey and oldEncryptedKey begin as OpenSSL writes keys with a passphrase.
const (
	encryptedKey    = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
	oldEncryptedKey = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIB\n" +
		"-----END RSA PRIVATE KEY-----\n"
)

func TestWhatIsWrongWithAClientCertificateIsSaid(t *testing.T) {
	root := authority.New(t, "root")
	middle := root.Authority(t, "middle")
	one, two := middle.Client(t, "one"), root.Client(t, "two")
	server := root.Identity(t, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(old)}))
	for name, c := range map[string]struct {
		certificate, key, says string
	}{
		"none":                       {"", "", ""},
		"one":                        {two.Certificate, two.Key, ""},
		"with its chain":             {one.Certificate + middle.PEM + root.PEM, one.Key, ""},
		"no key":                     {two.Certificate, "", "key: is required"},
		"a key alone":                {"", two.Key, "certificate: is required"},
		"no PEM":                     {"MIIB", two.Key, "certificate: is not a certificate in PEM form"},
		"a key for the certificate":  {two.Key, two.Key, "certificate: is not a certificate in PEM form"},
		"both in one field":          {two.Certificate + two.Key, two.Key, "certificate: is not a certificate"},
		"a chain in the wrong order": {one.Certificate + root.PEM + middle.PEM, one.Key, "certificate: is no chain"},
		"a server's":                 {server.Certificate, server.Key, "certificate: is not for clients"},
		"a certificate for the key":  {two.Certificate, two.Certificate, "key: is not a private key in PEM form"},
		"an encrypted key":           {two.Certificate, encryptedKey, "key: is encrypted"},
		"an old encrypted key":       {two.Certificate, oldEncryptedKey, "key: is encrypted"},
		"another's key":              {two.Certificate, one.Key, "key: does not belong to the client certificate"},
		"a key of another kind":      {two.Certificate, pkcs1, "key: does not belong to the client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := destination.Identity{Certificate: c.certificate, Key: c.key}.Problems("certificate", "key")
			if c.says == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.ErrorContains(t, problems, c.says)
		})
	}
}

func TestTheEndOfAnIdentityIsThatOfItsFirstCertificateToEnd(t *testing.T) {
	root := authority.New(t, "root")
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	i := root.Identity(t, x509.Certificate{NotBefore: from, NotAfter: from.AddDate(1, 0, 0)})
	end, ok := i.Ends()
	require.True(t, ok)
	require.Equal(t, from.AddDate(1, 0, 0), end)
	chain := i
	chain.Certificate += root.PEM
	end, _ = chain.Ends()
	require.Equal(t, root.Certificate.NotAfter, end)
	require.Empty(t, i.ProblemsAt(from, "c"))
	require.ErrorContains(t, i.ProblemsAt(from.Add(-time.Second), "c"), "c: is not valid yet")
	require.ErrorContains(t, i.ProblemsAt(from.AddDate(1, 0, 1), "c"), "c: has expired")
}

func TestACertificateOfAnIssuerThatHasEndedOrHasNotBegunIsRefused(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	root := authority.New(t, "root")
	client := root.Identity(t, x509.Certificate{NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0)})
	issuer := func(from, to time.Time) string {
		return root.Identity(t, x509.Certificate{Subject: pkix.Name{CommonName: "middle"}, NotBefore: from,
			NotAfter: to}).Certificate
	}
	for name, c := range map[string]struct{ chain, says string }{
		"good": {issuer(now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0)), ""},
		"ended": {issuer(now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0)), "that has expired: number 2 of the chain, " +
			"CN=middle, ended 2025-06-01T00:00:00Z"},
		"to come": {issuer(now.AddDate(1, 0, 0), now.AddDate(2, 0, 0)), "that is not valid yet: number 2 of the " +
			"chain, CN=middle, begins 2027-06-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			i := destination.Identity{Certificate: client.Certificate + c.chain, Key: client.Key}
			problems := i.ProblemsAt(now, "c")
			if c.says == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.ErrorContains(t, problems, c.says)
		})
	}
}
