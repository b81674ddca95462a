package mail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/mail"
)

var now = func() time.Time { return time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC) }

var sample = destination.Mail{
	To: "ada@example.com", Subject: "[Tocsin] 新しい脆弱性 — New vulnerability\r\nBcc: eve@example.com",
	Text: "Hello,\n\nplain text with ä.", HTML: "<p>Hello ä</p>",
	ID: "01GTD8R4.evt 1\n", Header: map[string]string{"X-Delivery-Id": "01GTD8R4\r\nX-Evil: 1"},
}

// decode reads a mail with the standard library, which did not write it.
func decode(t *testing.T, raw []byte) (*netmail.Message, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	require.NoError(t, err)
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m, parts
		}
		require.NoError(t, err)
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		require.NoError(t, err)
		require.Equal(t, "quoted-printable", strings.ToLower(p.Header.Get("Content-Transfer-Encoding")))
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		require.NoError(t, err)
		parts[kind] = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
}

func TestAMailIsReadBackAsItWasMeant(t *testing.T) {
	s, err := mail.NewSMTP("smtp://mail.example.com", "Tocsin <tocsin@example.com>", mail.Sessions{}, now)
	require.NoError(t, err)
	raw, err := s.Raw(sample)
	require.NoError(t, err)
	m, parts := decode(t, raw)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	require.NoError(t, err)
	require.Contains(t, subject, "新しい脆弱性 — New vulnerability")
	require.Empty(t, m.Header.Get("Bcc"), "a subject begins no header of its own")
	require.Empty(t, m.Header.Get("X-Evil"))
	require.Contains(t, m.Header.Get("To"), "ada@example.com")
	require.Equal(t, "<01GTD8R4.evt-1-@example.com>", m.Header.Get("Message-ID"), "a repeat has the same")
	date, err := m.Header.Date()
	require.NoError(t, err)
	require.True(t, date.Equal(now()))
	require.Equal(t, "Hello,\n\nplain text with ä.", strings.TrimSpace(parts["text/plain"]))
	require.Equal(t, "<p>Hello ä</p>", strings.TrimSpace(parts["text/html"]))
}

func TestBadSettings(t *testing.T) {
	for address, says := range map[string]string{
		"mail.example.com":                "must be smtp://",
		"http://mail.example.com":         "must begin with smtp://",
		"smtp://u:hunter2@mail.example:x": "must be smtp://",
	} {
		_, err := mail.NewSMTP(address, "tocsin@example.com", mail.Sessions{}, now)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err := mail.NewSMTP("smtp://mail.example.com", "nobody", mail.Sessions{}, now)
	require.ErrorContains(t, err, "is not an e-mail address")
}

func TestTheMailLogKeeps(t *testing.T) {
	var kept destination.Mail
	o := mail.LogSender{Now: now, Keep: func(_ context.Context, m destination.Mail, at time.Time) error {
		require.Equal(t, now(), at)
		kept = m
		return nil
	}}
	answer, err := o.Send(t.Context(), sample)
	require.NoError(t, err)
	require.Equal(t, sample, kept)
	require.NotEqual(t, destination.MailAccepted, answer.Status, "no mail server took it")
	require.Contains(t, string(answer.Body), "kept in the mail log: no mail server is configured")
}

func TestHeadersHoldNoHeaderOfSomebodyElseAndNoLineIsTooLong(t *testing.T) {
	c, err := mail.NewComposer(`"Töcsin, Inc." <tocsin@bücher.example>`, now)
	require.NoError(t, err)
	for _, hostile := range []string{
		"a\r\nBcc: eve@example.com", "a\nBcc: eve@example.com", "a\rBcc: eve@example.com", "a\r\n\r\n<script>",
		"\x00\x01", strings.Repeat("警", 5000), strings.Repeat("x", 5000),
		"a\u2028Bcc: eve@example.com", "a\u0085Bcc: eve@example.com", "=?utf-8?q?x=0D=0ABcc:_eve@example.com?=",
		"\xff\xfe", strings.Repeat("é", 997) + "\r\nBcc: x",
	} {
		m := sample
		m.Subject, m.ID, m.Unsubscribe, m.Tenant = hostile, hostile, "https://x.example/"+
			url.PathEscape(hostile)[:min(300, len(url.PathEscape(hostile)))], hostile
		m.Header = map[string]string{"X-Delivery-Id": hostile}
		raw, err := c.Raw(m)
		require.NoError(t, err)
		parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
		require.NoError(t, err)
		for name := range parsed.Header {
			require.Contains(t, []string{
				"Date", "Mime-Version", "Message-Id", "Subject", "From", "To", "X-Delivery-Id", "List-Unsubscribe",
				"List-Unsubscribe-Post", "X-Ses-Message-Tags", "Content-Type",
			}, name, "%q", hostile)
		}
		from, err := parsed.Header.AddressList("From")
		require.NoError(t, err)
		require.Equal(t, []*netmail.Address{{Name: "Töcsin, Inc.", Address: "tocsin@xn--bcher-kva.example"}}, from)
		for line := range strings.SplitSeq(string(raw), "\r\n") {
			require.LessOrEqual(t, len(line), 998, "RFC 5322, 2.1.1: %q", hostile)
			require.NotContains(t, line, "\n")
			require.NotContains(t, line, "\r")
		}
	}
}
