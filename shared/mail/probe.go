package mail

import (
	"context"
	"fmt"
	"time"
)

// Found is what a look at the mail server found.
type Found struct {
	Server string    // host:port
	TLS    bool      // mails go there encrypted
	Until  time.Time // the first end of the certificates that it shows; zero without TLS
}

// Look connects to the mail server as for a mail, signs in and goes away again.
func (s *SMTP) Look(ctx context.Context) (f Found, err error) {
	f.Server = s.server.host + ":" + s.server.port
	se, err := s.server.open(ctx)
	if err != nil {
		return f, fmt.Errorf("the mail server %s: %w", f.Server, s.server.told(err))
	}
	defer func() { _ = se.conn.Close() }()
	state, encrypted := se.client.TLSConnectionState()
	if f.TLS = encrypted; encrypted {
		for _, c := range state.PeerCertificates {
			if f.Until.IsZero() || c.NotAfter.Before(f.Until) {
				f.Until = c.NotAfter
			}
		}
	}
	_ = se.client.Quit() // everything is known
	return f, nil
}
