// Package mail builds mails and carries them: over SMTP, or into an outbox that the embedded mode keeps. A mail goes
// to one person, so nobody learns who else receives it. The MIME work is go-mail's (github.com/wneessen/go-mail).
package mail

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"tocsin/shared/destination"
)

// timeout of a whole exchange with the mail server.
const timeout = 30 * time.Second

// Outbox keeps mails instead of sending them.
type Outbox struct {
	Keep func(ctx context.Context, m destination.Mail, at time.Time) error
	Now  func() time.Time
}

// Send keeps a mail.
func (o Outbox) Send(ctx context.Context, m destination.Mail) error {
	if err := o.Keep(ctx, m, o.Now()); err != nil {
		return fmt.Errorf("the mail could not be kept: %w", err)
	}
	return nil
}

// Composer writes mails in their wire form.
type Composer struct {
	from   string
	domain string // of message ids
	now    func() time.Time
}

// NewComposer makes a Composer; from is an address, with or without a name.
func NewComposer(from string, now func() time.Time) (*Composer, error) {
	at := strings.LastIndex(from, "@")
	if at < 0 {
		return nil, fmt.Errorf("the sending address %q is not an e-mail address", from)
	}
	return &Composer{from: from, domain: strings.TrimSuffix(from[at+1:], ">"), now: now}, nil
}

// SMTP sends mails through a server.
type SMTP struct {
	*Composer
	host    string
	options []gomail.Option
}

// NewSMTP reads the server's address: smtp://user:password@host:port uses STARTTLS where the server offers it,
// smtps:// speaks TLS from the start, smtp+insecure:// neither (for a server on the same machine). from is an
// address, with or without a name. Errors never hold the password.
func NewSMTP(address, from string, now func() time.Time) (*SMTP, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("the mail server's address must be smtp://user:password@host:port or smtps://…")
	}
	composer, err := NewComposer(from, now)
	if err != nil {
		return nil, err
	}
	s := &SMTP{Composer: composer, host: u.Hostname()}
	port := 587
	switch u.Scheme {
	case "smtp":
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case "smtps":
		port = 465
		s.options = append(s.options, gomail.WithSSL())
	case "smtp+insecure":
		port = 25
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		return nil, fmt.Errorf("the mail server's address must begin with smtp://, smtps:// or smtp+insecure://, not %s://", u.Scheme)
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil {
			return nil, fmt.Errorf("the mail server's port %q is not a number", p)
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	s.options = append(s.options, gomail.WithPort(port), gomail.WithTimeout(timeout))
	return s, nil
}

// Send sends a mail. The error is a sentence for an administrator.
func (s *SMTP) Send(ctx context.Context, m destination.Mail) error {
	msg, err := s.compose(m)
	if err != nil {
		return err
	}
	client, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return fmt.Errorf("the mail server's settings are not right: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return s.explain(err, m.To)
	}
	return nil
}

func (s *SMTP) explain(err error, to string) error {
	var reply *textproto.Error
	var refused *gomail.SendError
	switch {
	case errors.As(err, &reply):
		return fmt.Errorf("the mail server %s answered %d to a mail for %s: %s", s.host, reply.Code, to, reply.Msg)
	case errors.As(err, &refused) && refused.IsTemp():
		return fmt.Errorf("the mail server %s put off a mail for %s: %w", s.host, to, err)
	case errors.As(err, &refused):
		return fmt.Errorf("the mail server %s refused a mail for %s: %w", s.host, to, err)
	default:
		return fmt.Errorf("the mail server %s could not be used: %w", s.host, err)
	}
}

// Raw is the mail in its wire form (RFC 5322).
func (c *Composer) Raw(m destination.Mail) ([]byte, error) {
	msg, err := c.compose(m)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if _, err := msg.WriteTo(&buf); err != nil {
		return nil, fmt.Errorf("write the mail for %s: %w", m.To, err)
	}
	return buf.Bytes(), nil
}

func (c *Composer) compose(m destination.Mail) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.From(c.from); err != nil {
		return nil, fmt.Errorf("the sending address is not right: %w", err)
	}
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("the address %q is not right: %w", m.To, err)
	}
	msg.Subject(oneLine(m.Subject))
	msg.SetDateWithValue(c.now())
	if m.ID != "" {
		msg.SetMessageIDWithValue(token(m.ID) + "@" + c.domain)
	}
	for name, value := range m.Header {
		msg.SetGenHeader(gomail.Header(name), oneLine(value))
	}
	if m.Unsubscribe != "" {
		msg.SetGenHeader(gomail.HeaderListUnsubscribe, "<"+oneLine(m.Unsubscribe)+">")
		msg.SetGenHeader(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click") // RFC 8058
	}
	if m.Tenant != "" {
		// SES gives the tag back with a bounce and takes the header away; another server leaves it.
		msg.SetGenHeader(TagHeader, "tenant="+tag(m.Tenant))
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	size := len(m.Text) + len(m.HTML)
	for _, a := range m.Attachments {
		size += base64.StdEncoding.EncodedLen(len(a.Data)) * 78 / 76 // lines of 76 characters end in two more
		if err := msg.AttachReader(a.Name, bytes.NewReader(a.Data), gomail.WithFileContentType(gomail.ContentType(a.Type))); err != nil {
			return nil, fmt.Errorf("attach %s to the mail for %s: %w", a.Name, m.To, err)
		}
	}
	if size > maxSize {
		return nil, fmt.Errorf("the mail for %s would have %d bytes, at most %d can be sent: ask for a shorter period", m.To, size, maxSize)
	}
	return msg, nil
}

// maxSize of a mail in bytes, attachments after base64 and some room for headers. SES v2, quotas, "Message size": 40 MB.
const maxSize = 40_000_000 - 64<<10

// TagHeader names the account of a mail to SES (Sending email, "Message tags"); Feedback reads it back.
const TagHeader = "X-SES-MESSAGE-TAGS"

// tag keeps what may stand in a message tag: others are written as _xx, in hexadecimal.
func tag(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "_%02x", c)
		}
	}
	return out.String()
}

// untag is the inverse of tag; what is not one stays as it is.
func untag(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '_' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// oneLine keeps a value from beginning a header of its own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, s)
}

// token keeps what may stand in a message id (RFC 5322, dot-atom).
func token(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, s)
}
