package awslocal

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/destination/s3"
)

// Lab is what stands in a customer's AWS account.
type Lab struct {
	Users   []LabUser
	Roles   []LabRole
	Buckets []LabBucket
}

// LabUser is who calls, with what its policy allows.
type LabUser struct {
	ID, Secret string
	Policy     any
}

// LabRole has its trust policy and its own.
type LabRole struct {
	Name          string
	Trust, Policy any
}

// LabBucket is empty.
type LabBucket struct{ Name, Region string }

// Customer is an AWS that is not ours: moto's server (customer.py), behind a proxy to which every address of AWS leads.
// So programs are tried as they are, with no endpoint changed: they speak to sts.eu-west-1.amazonaws.com over TLS.
type Customer struct {
	Proxy string // its address
	CA    string // the file of the authority that its certificates are signed by, for SSL_CERT_FILE

	moto    *exec.Cmd
	at      string
	log     *os.File
	closers []func()

	mu    sync.Mutex
	calls []string
}

// auditor reads what was written.
var auditor = s3.Keys{ID: "Auditor", Secret: "local"}

// StartCustomer starts the servers with what the lab says; files go into the folder.
func StartCustomer(ctx context.Context, folder string, lab Lab) (*Customer, error) {
	c := &Customer{CA: filepath.Join(folder, "ca.pem")}
	lab.Users = append(lab.Users, LabUser{ID: auditor.ID, Secret: auditor.Secret,
		Policy: Statements(map[string]any{"Effect": "Allow", "Action": "s3:*", "Resource": "*"})})
	if err := c.start(ctx, folder, lab); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Statements is a policy of them.
func Statements(all ...any) any { return map[string]any{"Version": "2012-10-17", "Statement": all} }

func (c *Customer) start(ctx context.Context, folder string, lab Lab) (err error) {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	input, err := json.Marshal(lab)
	if err != nil {
		return err
	}
	if c.log, err = os.Create(filepath.Join(folder, "moto.log")); err != nil {
		return err
	}
	c.at = address(ports[0])
	c.moto = exec.Command(filepath.Join(os.Getenv(ModulesVariable), "moto", "bin", "python"), "customer.py", ports[0])
	c.moto.Stdin, c.moto.Stdout, c.moto.Stderr = bytes.NewReader(input), c.log, c.log
	if err := c.moto.Start(); err != nil {
		return fmt.Errorf("start moto (scripts/test-aws installs it): %w", err)
	}
	if err := listening(ctx, c.at); err != nil {
		return err
	}
	return c.open()
}

// open starts the proxy.
func (c *Customer) open() error {
	authority, err := newAuthority(c.CA)
	if err != nil {
		return err
	}
	target, err := url.Parse(c.at)
	if err != nil {
		return err
	}
	tunnels := tunnels{make(chan net.Conn)}
	forward := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host // it was signed
	}}
	inner := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			c.mu.Lock()
			c.calls = append(c.calls, q.Method+" "+q.Host)
			c.mu.Unlock()
			forward.ServeHTTP(w, q)
		}),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: authority.certificate},
		ReadHeaderTimeout: 10 * time.Second,
	}
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodConnect { // the identity provider of a stack here has no TLS
			if host, _, _ := net.SplitHostPort(q.Host); host != "127.0.0.1" {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}).ServeHTTP(w, q)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection Established\r\n\r\n"); err == nil {
			tunnels.conns <- conn
		}
	}))
	c.Proxy = outer.URL
	go func() { _ = inner.ServeTLS(tunnels, "", "") }() // it ends with Close
	c.closers = append(c.closers, outer.Close, func() { _ = inner.Close() })
	return nil
}

// Calls are the requests since the last time: a method and a host each.
func (c *Customer) Calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

// Objects reads what is in a bucket.
func (c *Customer) Objects(bucket string) (map[string][]byte, error) {
	list, err := c.read("/" + bucket)
	if err != nil {
		return nil, err
	}
	var found struct {
		Contents []struct{ Key string }
	}
	if err := xml.Unmarshal(list, &found); err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, o := range found.Contents {
		if out[o.Key], err = c.read("/" + bucket + "/" + o.Key); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *Customer) read(path string) ([]byte, error) {
	empty := sha256.Sum256(nil)
	header := http.Header{"X-Amz-Content-Sha256": {hex.EncodeToString(empty[:])}}
	q, err := s3.Sign(destination.Request{Method: http.MethodGet, URL: c.at + path, Header: header}, auditor, "s3",
		"us-east-1", time.Now())
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(q.Method, q.URL, nil)
	if err != nil {
		return nil, err
	}
	r.Header = q.Header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("read %s: %d %s", path, answer.StatusCode, body)
	}
	return body, err
}

// Close ends the servers.
func (c *Customer) Close() {
	for _, end := range c.closers {
		end()
	}
	if c.moto != nil && c.moto.Process != nil {
		_ = c.moto.Process.Kill()
		_ = c.moto.Wait() // killed: the error says just that
	}
	if c.log != nil {
		_ = c.log.Close()
	}
}

// tunnels is a listener of connections that came through the proxy.
type tunnels struct{ conns chan net.Conn }

func (t tunnels) Accept() (net.Conn, error) {
	conn, ok := <-t.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (t tunnels) Close() error {
	defer func() { _ = recover() }() // it was closed before
	close(t.conns)
	return nil
}

func (tunnels) Addr() net.Addr { return &net.TCPAddr{} }

// authority signs certificates for whatever host is asked for.
type authority struct {
	certificateOf *x509.Certificate
	key           *ecdsa.PrivateKey
}

func newAuthority(file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour),
		IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key}
	if a.certificateOf, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{hello.ServerName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificateOf, &a.key.PublicKey, a.key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}, err
}
