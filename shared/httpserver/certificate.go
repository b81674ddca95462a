package httpserver

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate is a certificate and its key in two files (PEM), read again when either changes.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamp  string
	held   *tls.Certificate
}

// certificateLook is how often the files are looked at, at most; only while somebody connects.
const certificateLook = time.Second

// ReadCertificate reads both files: a start with ones that do not serve is refused.
func ReadCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: now, log: log}
	c.stamp = c.stamps()
	c.looked = now()
	held, err := c.load()
	c.held = held
	return c, err
}

func (c *Certificate) load() (*tls.Certificate, error) {
	held, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("-tls-cert %s, -tls-key %s: %w", c.certFile, c.keyFile, err)
	}
	switch now := c.now(); {
	case now.After(held.Leaf.NotAfter):
		c.log.Warn("the TLS certificate is too old: browsers will refuse it", "path", c.certFile, "ended",
			held.Leaf.NotAfter)
	case now.Before(held.Leaf.NotBefore):
		c.log.Warn("the TLS certificate is not good yet: browsers will refuse it", "path", c.certFile, "begins",
			held.Leaf.NotBefore)
	}
	return &held, nil
}

// stamps tells a change of the files.
func (c *Certificate) stamps() (out string) {
	for _, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			out += fmt.Sprintln(info.ModTime().UnixNano(), info.Size())
		}
	}
	return out
}

// get is tls.Config.GetCertificate. While the new files do not serve (one of the two may be written before the other)
// the certificate that is held goes on.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < certificateLook {
		return c.held, nil
	}
	c.looked = now
	stamp := c.stamps()
	if stamp == c.stamp {
		return c.held, nil
	}
	c.stamp = stamp
	if held, err := c.load(); err != nil {
		c.log.Error("the TLS certificate was changed and can not be read: the one before is used on", "error",
			err.Error())
	} else {
		c.held = held
		c.log.Info("the TLS certificate was read again", "path", c.certFile, "good_until", held.Leaf.NotAfter)
	}
	return c.held, nil
}

// Config is what the listener speaks.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}
