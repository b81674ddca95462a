package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"tocsin/shared/step"
)

// How long a mail server may take. RFC 5321, 4.5.3.2, asks for 5 minutes for a command, and for 10 from the end of a
// mail to its answer: who gives up before sends a mail twice. Commands have less here, because a mail that waits for
// a server is sent later by the cycles.
const (
	openTimeout    = 30 * time.Second // connection, greeting, TLS and signing in
	commandTimeout = time.Minute
	endTimeout     = 10 * time.Minute
	leastSpeed     = 64 << 10 // bytes in a second that a mail goes at, at the least
	// endGrace is how long the answer to a mail is still waited for when its sender is told to stop.
	endGrace = 5 * time.Second
)

// stage is where in a transaction something failed.
type stage int

const (
	atSender stage = iota // MAIL FROM
	atRecipient
	atData
	atText // the mail itself: cut off, it is not taken
	atEnd  // after it: nobody knows
)

// failure is a transaction that did not end in a 250.
type failure struct {
	at  stage
	err error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// stale reports whether the failure may come of the session's age alone: it is at an end, or the server has enough of
// it.
func (f *failure) stale() bool {
	if f.at == atEnd {
		return false
	}
	code, replied := replyCode(f.err)
	return !replied || code == 421 || f.at == atSender
}

// session is a connection to a mail server that is signed in. One goroutine uses it at a time.
type session struct {
	conn   net.Conn // below TLS: the deadlines are set here, also while client is in use
	client *smtp.Client
	mails  int  // how many it has carried
	broken bool // not to be used again
	reset  bool // RSET before the next mail
	grace  time.Duration
	timer  *time.Timer
}

// open connects and signs in.
func (s server) open(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return nil, err
	}
	step.Done(ctx, step.Connected)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	client, err := s.greet(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &session{conn: conn, client: client, grace: s.grace}, nil
}

func (s server) greet(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	over, secure := conn, false
	if s.tls {
		wrapped := tls.Client(conn, s.config)
		if err := wrapped.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		over, secure = wrapped, true
		step.Done(ctx, step.TLS)
	}
	client, err := smtp.NewClient(over, s.host)
	if err != nil {
		return nil, err
	}
	// Everything is ASCII on the wire. A server that is told otherwise needs an extension of the next one too.
	client.SkipSMTPUTF8(true)
	if err := client.Hello(s.helo); err != nil {
		return nil, err
	}
	if offered, _ := client.Extension("STARTTLS"); s.startTLS && offered {
		if err := client.StartTLS(s.config); err != nil {
			return nil, err
		}
		secure = true
		step.Done(ctx, step.TLS)
	}
	if !s.signIn {
		return client, nil
	}
	with, err := s.auth(client, secure)
	if err != nil {
		return nil, err
	}
	if err := client.Auth(with); err != nil {
		return nil, fmt.Errorf("signing in as %s: %w", s.user, err)
	}
	return client, nil
}

// auth chooses the best way to sign in that the server offers. A password goes in the clear to this machine alone.
func (s server) auth(client *smtp.Client, secure bool) (smtp.Auth, error) {
	offered, words := client.Extension("AUTH")
	if !offered {
		return nil, errors.New("it offers no way to sign in, though the address has a user")
	}
	ways := strings.Fields(strings.ToUpper(words))
	clear := secure || loopback(s.host)
	state, _ := client.TLSConnectionState()
	for _, w := range []struct {
		name string
		fits bool
		make func() smtp.Auth
	}{
		{"SCRAM-SHA-256-PLUS", secure, func() smtp.Auth {
			return smtp.ScramSHA256PlusAuth(s.user, s.password, &state)
		}},
		{"SCRAM-SHA-256", true, func() smtp.Auth { return smtp.ScramSHA256Auth(s.user, s.password) }},
		{"SCRAM-SHA-1-PLUS", secure, func() smtp.Auth { return smtp.ScramSHA1PlusAuth(s.user, s.password, &state) }},
		{"SCRAM-SHA-1", true, func() smtp.Auth { return smtp.ScramSHA1Auth(s.user, s.password) }},
		{"CRAM-MD5", true, func() smtp.Auth { return smtp.CRAMMD5Auth(s.user, s.password) }},
		{"PLAIN", clear, func() smtp.Auth { return smtp.PlainAuth("", s.user, s.password, s.host, clear) }},
		{"LOGIN", clear, func() smtp.Auth { return smtp.LoginAuth(s.user, s.password, s.host, clear) }},
	} {
		if w.fits && slices.Contains(ways, w.name) {
			return w.make(), nil
		}
	}
	if !secure {
		return nil, fmt.Errorf("it offers to sign in by %s without TLS, which would show the password: "+
			"use smtps://, or a server that offers STARTTLS", words)
	}
	return nil, fmt.Errorf("it offers to sign in by %s only, none of which is known here", words)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// within sets how long the server may take from now on.
func (s *session) within(d time.Duration) { _ = s.conn.SetDeadline(time.Now().Add(d)) }

// send carries one mail and returns the words of the server's 250. The error is a *failure.
func (s *session) send(ctx context.Context, t transaction) (string, error) {
	giveUp := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	defer giveUp()
	s.mails++
	if s.reset {
		s.reset = false
		s.within(commandTimeout)
		if err := s.client.Reset(); err != nil {
			return "", s.fail(atSender, err)
		}
	}
	for _, step := range []struct {
		at stage
		do func() error
	}{
		{atSender, func() error { return s.client.Mail("<" + t.from + ">") }},
		{atRecipient, func() error { return s.client.Rcpt("<" + t.to + ">") }},
	} {
		if ctx.Err() != nil {
			return "", s.fail(step.at, ctx.Err())
		}
		s.within(commandTimeout)
		if err := step.do(); err != nil {
			return "", s.fail(step.at, err)
		}
	}
	if ctx.Err() != nil {
		return "", s.fail(atData, ctx.Err())
	}
	s.within(commandTimeout)
	w, err := s.client.Data()
	if err != nil {
		return "", s.fail(atData, err)
	}
	s.within(commandTimeout + time.Duration(t.size/leastSpeed)*time.Second)
	if _, err := t.msg.WriteTo(w); err != nil {
		return "", s.fail(atText, err)
	}
	if !giveUp() { // the context has ended: without the final dot the mail is not taken
		return "", s.fail(atText, ctx.Err())
	}
	step.Done(ctx, step.Sent)
	return s.end(ctx, w)
}

// end ends the mail and waits for what becomes of it, longer than its sender's context: an answer that is not heard
// is a mail that is sent twice.
func (s *session) end(ctx context.Context, w interface{ Close() error }) (string, error) {
	s.within(endTimeout)
	last := context.AfterFunc(ctx, func() { s.within(s.grace) })
	err := w.Close()
	if !last() {
		s.broken = true // its deadline is not in our hands any more
	}
	if err != nil {
		return "", s.fail(atEnd, err)
	}
	if said, ok := w.(*smtp.DataCloser); ok {
		return said.ServerResponse(), nil
	}
	return "", nil
}

// fail notes what the failure means for the session.
func (s *session) fail(at stage, err error) error {
	code, replied := replyCode(err)
	switch {
	case !replied || code == 421: // RFC 5321, 3.8: it closes the channel
		s.broken = true
	case at == atRecipient || at == atData:
		s.reset = true // the transaction is still open
	case at == atText:
		s.broken = true
	}
	return &failure{at, err}
}

// closeTimeout is how long a server has to end a session.
const closeTimeout = 2 * time.Second

// close ends the session politely: until the server has closed its side too, it counts it.
func (s *session) close() {
	defer s.conn.Close()
	if s.broken {
		return
	}
	s.within(closeTimeout)
	if _, err := s.client.Text.Cmd("QUIT"); err == nil {
		_, _ = io.Copy(io.Discard, s.client.Text.R)
	}
}

// replyCode is that of the server's words, if there were any.
func replyCode(err error) (code int, replied bool) {
	var said *textproto.Error
	if !errors.As(err, &said) {
		return 0, false
	}
	return said.Code, true
}
