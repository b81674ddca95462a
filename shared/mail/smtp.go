package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/mail/address"
	"tocsin/shared/mail/reply"
	"tocsin/shared/redact"
	"tocsin/shared/step"
)

// Defaults of Sessions.
const (
	DefaultSessions = 4
	DefaultMails    = 100
	DefaultIdle     = 10 * time.Second
)

// Sessions bound what one mail server is asked to bear: opening a session costs it more than a mail (TLS, signing
// in), and servers turn away whoever has too many (Postfix, smtpd_client_connection_count_limit; Microsoft 365: 3 for
// a mailbox). The zero value of a field is its default.
type Sessions struct {
	Most  int           // open at once; 4
	Mails int           // in one session; 100, as many as Postfix gives a cached one
	Idle  time.Duration // without a mail before a session is closed; 10 s
}

func (s Sessions) filled() Sessions {
	if s.Most <= 0 {
		s.Most = DefaultSessions
	}
	if s.Mails <= 0 {
		s.Mails = DefaultMails
	}
	if s.Idle <= 0 {
		s.Idle = DefaultIdle
	}
	return s
}

// SMTP sends mails through a server, over a few sessions that it keeps.
type SMTP struct {
	*Composer
	server server
	pool   pool
}

// server is where a mail server is and how it is spoken to.
type server struct {
	host, port     string
	tls, startTLS  bool // from the beginning; where it is offered
	user, password string
	signIn         bool
	helo           string
	config         *tls.Config
	grace          time.Duration // endGrace
	secrets        *redact.Redactor
}

// NewSMTP reads the server's address: smtp://user:password@host:port uses STARTTLS where the server offers it,
// smtps:// speaks TLS from the start, smtp+insecure:// neither (for a server on the same machine). from is an
// address, with or without a name. Errors never hold the password.
func NewSMTP(where, from string, sessions Sessions, now func() time.Time) (*SMTP, error) {
	composer, err := NewComposer(from, now)
	if err != nil {
		return nil, err
	}
	to, err := readServer(where)
	if err != nil {
		return nil, err
	}
	s := &SMTP{Composer: composer, server: to}
	s.pool.bounds = sessions.filled()
	s.pool.open = func(ctx context.Context) (*session, error) { return s.server.open(ctx) }
	return s, nil
}

func readServer(where string) (server, error) {
	u, err := url.Parse(where)
	if err != nil || u.Hostname() == "" {
		return server{}, errors.New("the mail server's address must be smtp://user:password@host:port or smtps://…")
	}
	s := server{host: u.Hostname(), port: u.Port(), grace: endGrace,
		config: &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}}
	port := "587"
	switch u.Scheme {
	case "smtp":
		s.startTLS = true
	case "smtps":
		port, s.tls = "465", true
	case "smtp+insecure":
		port = "25"
	default:
		return s, fmt.Errorf(
			"the mail server's address must begin with smtp://, smtps:// or smtp+insecure://, not %s://", u.Scheme)
	}
	if s.port == "" {
		s.port = port
	}
	if n, err := strconv.Atoi(s.port); err != nil || n < 1 || n > 65535 {
		return s, fmt.Errorf("the mail server's port %q is not a number from 1 to 65535", s.port)
	}
	if u.User != nil {
		s.user, s.signIn = u.User.Username(), true
		s.password, _ = u.User.Password()
	}
	s.secrets = redact.New(s.password)
	if s.helo, err = os.Hostname(); err != nil || s.helo == "" {
		s.helo = "localhost"
	}
	return s, nil
}

// Close ends the sessions that are not in use. Mails can be sent afterwards.
func (s *SMTP) Close() { s.pool.close() }

// Send sends a mail. What the server says is the answer; the error, a sentence for an administrator, is that there
// was none: then nobody knows whether the mail was taken. Once the server has said 250 to the mail it is responsible
// for it (RFC 5321, 4.2.5 and 6.1): nothing that happens later changes that answer, neither in the session nor to
// ctx.
func (s *SMTP) Send(ctx context.Context, m destination.Mail) (destination.Response, error) {
	msg, err := s.compose(m)
	if err != nil {
		return destination.Response{}, err
	}
	t := transaction{from: s.from.Address, to: address.Wire(m.To), msg: msg, size: size(m)}
	for {
		answer, retry, err := s.attempt(ctx, t)
		switch {
		case err == nil:
			return answer, nil
		case !retry || ctx.Err() != nil:
			return s.explain(err)
		}
	}
}

// attempt sends a mail over one session. retry says that the session was an old one, which the server had ended or
// did not want to take more mails in, and that it has certainly not taken this one: it is gone now, and in the end a
// new one will be used.
func (s *SMTP) attempt(ctx context.Context, t transaction) (answer destination.Response, retry bool, err error) {
	se, err := s.pool.take(ctx)
	if err != nil {
		return destination.Response{}, false, err
	}
	used := se.mails > 0
	if used {
		step.Done(ctx, step.Reused)
	}
	text, err := se.send(ctx, t)
	if err == nil {
		s.pool.give(se)
		return destination.Response{Status: destination.MailAccepted, Body: s.server.shown(text)}, false, nil
	}
	var failed *failure
	retry = used && errors.As(err, &failed) && failed.stale()
	se.broken = se.broken || retry
	s.pool.give(se)
	return destination.Response{}, retry, err
}

// explain makes the server's words an answer, and anything else a sentence.
func (s *SMTP) explain(err error) (destination.Response, error) {
	var failed *failure
	var said *textproto.Error
	isFailure := errors.As(err, &failed)
	if errors.As(err, &said) {
		// Before RCPT TO the server has heard of us alone: who we are, how we sign in, who sends.
		ours := !isFailure || failed.at == atSender
		about := !ours && reply.Read(said.Code, said.Msg).AboutRecipient(failed.at == atRecipient)
		return destination.Response{Status: said.Code, Body: s.server.shown(said.Msg), Recipient: about,
			Ours: ours}, nil
	}
	if isFailure && failed.at == atEnd {
		return destination.Response{}, fmt.Errorf("the mail server %s did not say whether it took the mail (%s): "+
			"it is sent again under the same Message-ID",
			s.server.host, s.server.told(failed.err))
	}
	return destination.Response{}, fmt.Errorf("the mail server %s could not be used: %w", s.server.host,
		s.server.told(err))
}

// shown are a server's words without the password: one that refuses it can repeat what it was sent, as base64 too.
func (s server) shown(words string) []byte { return []byte(s.secrets.Text(clean(words))) }

// told is an error in words that a person can do something with, and without the password.
func (s server) told(err error) error {
	text := cmp.Or(egress.InWords(err, net.JoinHostPort(s.host, s.port)), err.Error())
	if text = s.secrets.Text(text); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// transaction is one mail for the wire.
type transaction struct {
	from, to string
	msg      *gomail.Msg
	size     int
}
