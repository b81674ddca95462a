// Package mail builds mails and carries them: over SMTP, or into the mail log that the embedded mode keeps. A mail goes
// to one person, so nobody learns who else receives it. The MIME work is go-mail's (github.com/wneessen/go-mail).
package mail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/mail/address"
)

// LogSender keeps mails instead of sending them.
type LogSender struct {
	Keep func(ctx context.Context, m destination.Mail, at time.Time) error
	Now  func() time.Time
}

// Kept is what becomes of a mail where there is no mail server.
const Kept = "kept in the mail log: no mail server is configured, so it was sent to nobody"

// Send keeps a mail.
func (o LogSender) Send(ctx context.Context, m destination.Mail) (destination.Response, error) {
	if err := o.Keep(ctx, m, o.Now()); err != nil {
		return destination.Response{}, fmt.Errorf("the mail could not be kept in the mail log: %w", err)
	}
	return destination.Response{Status: destination.MailNotSent, Body: []byte(Kept)}, nil
}

// Composer writes mails in their wire form.
type Composer struct {
	from *netmail.Address
	now  func() time.Time
}

// NewComposer makes a Composer; from is an address, with or without a name.
func NewComposer(from string, now func() time.Time) (*Composer, error) {
	a, err := address.ParseSender(from)
	if err != nil {
		return nil, err
	}
	return &Composer{from: a, now: now}, nil
}

// From is the sending address as a mail service takes it: in ASCII, its name an encoded word (RFC 2047).
func (c *Composer) From() string { return c.from.String() }

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
	if err := msg.From(c.from.String()); err != nil {
		return nil, fmt.Errorf("the sending address is not right: %w", err)
	}
	if err := msg.To(address.Wire(m.To)); err != nil {
		return nil, fmt.Errorf("the address %q is not right: %w", m.To, err)
	}
	msg.Subject(oneLine(m.Subject))
	msg.SetDateWithValue(c.now())
	if m.ID != "" {
		msg.SetMessageIDWithValue(messageID(m.ID) + "@" + c.from.Address[strings.LastIndexByte(c.from.Address, '@')+1:])
	}
	for name, value := range m.Header {
		msg.SetGenHeader(gomail.Header(name), oneLine(value))
	}
	if m.Unsubscribe != "" && len(m.Unsubscribe) <= headerLimit { // a link that is cut leads nowhere
		msg.SetGenHeader(gomail.HeaderListUnsubscribe, "<"+oneLine(m.Unsubscribe)+">")
		msg.SetGenHeader(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click") // RFC 8058
	}
	if m.Tenant != "" {
		// SES gives the tag back with a bounce and takes the header away; another server leaves it.
		msg.SetGenHeader(TagHeader, "tenant="+oneLine(tag(m.Tenant)))
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	for _, a := range m.Attachments {
		if err := msg.AttachReader(a.Name, bytes.NewReader(a.Data),
			gomail.WithFileContentType(gomail.ContentType(a.Type))); err != nil {
			return nil, fmt.Errorf("attach %s to the mail for %s: %w", a.Name, m.To, err)
		}
	}
	if n := size(m); n > maxSize {
		return nil, fmt.Errorf("the mail for %s would have %d bytes, at most %d can be sent: ask for a shorter period",
			m.To, n, maxSize)
	}
	return msg, nil
}

// size is about that of a mail, in bytes.
func size(m destination.Mail) int {
	n := len(m.Text) + len(m.HTML)
	for _, a := range m.Attachments {
		n += base64.StdEncoding.EncodedLen(len(a.Data)) * 78 / 76 // lines of 76 characters end in two more
	}
	return n
}

// maxSize of a mail in bytes, attachments after base64 and some room for headers. SES v2, quotas, "Message size": 40
// MB.
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

// headerLimit of a value in bytes. RFC 5322, 2.1.1: a line has at most 998, and a value without spaces can not be
// folded.
const headerLimit = 900

// oneLine keeps a value from beginning a header of its own, and from making a line that is too long.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	return cut.Keep(s, headerLimit)
}

// idLimit of what names a mail in its Message-ID, in bytes: a longer name is told by its digest.
const idLimit = 200

func messageID(id string) string {
	if id = token(id); len(id) > idLimit {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])
	}
	return id
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
