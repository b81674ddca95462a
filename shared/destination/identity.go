package destination

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/plaintext"
)

// Identity is a client certificate with its private key, both in PEM form, for receivers that ask for one (mutual
// TLS). The certificates of its issuers may follow it. The zero value is none.
type Identity struct {
	Certificate string
	Key         string
}

// TLS reads the identity for a connection.
func (i Identity) TLS() (tls.Certificate, error) {
	return tls.X509KeyPair([]byte(i.Certificate), []byte(i.Key))
}

// Problems are what is wrong with the identity, as problems of the fields of its certificate and of its key.
func (i Identity) Problems(certificate, key string) (out InvalidParameters) {
	if i == (Identity{}) {
		return nil
	}
	switch chain := i.chain(); {
	case i.Certificate == "":
		out.Add(certificate, "is required")
	case len(chain) == 0:
		out.Add(certificate, "is not a certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	case !linked(chain):
		out.Add(certificate, "is no chain: each certificate must be signed by the one that follows it")
	case !forClients(chain[0]):
		out.Add(certificate, "is not for clients: its extended key usage lacks client authentication")
	}
	switch _, err := i.TLS(); {
	case i.Key == "":
		out.Add(key, "is required")
	case encrypted(i.Key):
		out.Add(key, "is encrypted: give the key without its passphrase (openssl pkey -in key.pem)")
	case !strings.Contains(i.Key, "PRIVATE KEY-----"):
		out.Add(key, "is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)")
	case len(out) == 0 && err != nil:
		out.Add(key, "does not belong to the client certificate")
	}
	return out
}

// ProblemsAt are those of a time: when the identity is saved. Each certificate of the chain has to be good, because a
// receiver refuses one whose issuer's is not.
func (i Identity) ProblemsAt(now time.Time, certificate string) (out InvalidParameters) {
	for n, c := range i.chain() {
		who := cut.Runes(plaintext.Line(c.Subject.String()), 100)
		switch {
		case n == 0 && now.After(c.NotAfter):
			out.Add(certificate, "has expired")
		case n == 0 && now.Before(c.NotBefore):
			out.Add(certificate, "is not valid yet")
		case now.After(c.NotAfter):
			out.Addf(certificate,
				"holds an issuer's certificate that has expired: number %d of the chain, %s, ended %s",
				n+1, who, c.NotAfter.UTC().Format(time.RFC3339))
		case now.Before(c.NotBefore):
			out.Addf(certificate, "holds an issuer's certificate that is not valid yet: number %d of the chain, %s, "+
				"begins %s", n+1, who, c.NotBefore.UTC().Format(time.RFC3339))
		}
	}
	return out
}

// Ends is when the first certificate of the identity ends that is needed; false for none.
func (i Identity) Ends() (end time.Time, ok bool) {
	for _, c := range i.chain() {
		if end.IsZero() || c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end, !end.IsZero()
}

// chain reads the certificates, the client's first; nil when they are not what they should be.
func (i Identity) chain() (out []*x509.Certificate) {
	for rest := []byte(i.Certificate); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil
		}
		out = append(out, c)
	}
}

func linked(chain []*x509.Certificate) bool {
	for n := 1; n < len(chain); n++ {
		if chain[n-1].CheckSignatureFrom(chain[n]) != nil {
			return false
		}
	}
	return true
}

// forClients reports whether a certificate may be a client's. RFC 5280, 4.2.1.12: without the extension it is for all.
func forClients(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// encrypted reports whether a key is: RFC 5958 and, of OpenSSL's own form, RFC 1421, 4.6.1.1.
func encrypted(key string) bool {
	return strings.Contains(key, "BEGIN ENCRYPTED PRIVATE KEY") || strings.Contains(key, "Proc-Type: 4,ENCRYPTED")
}
