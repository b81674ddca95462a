package mail

import (
	"crypto/x509"
	"time"
)

// Trust adds the certificates of a test's server.
func (s *SMTP) Trust(roots *x509.CertPool) { s.server.config.RootCAs = roots }

// Grace sets how long an answer is waited for when the sender is told to stop.
func (s *SMTP) Grace(d time.Duration) { s.server.grace = d }
