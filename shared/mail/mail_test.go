package mail_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/mail"
)

var now = func() time.Time { return time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC) }

var sample = destination.Mail{
	To: "ada@example.com", Subject: "[Tocsin] 新しい脆弱性 — New vulnerability\r\nBcc: eve@example.com", Text: "Hello,\n\nplain text with ä.", HTML: "<p>Hello ä</p>",
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
		if err == io.EOF {
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
	s, err := mail.NewSMTP("smtp://mail.example.com", "Tocsin <tocsin@example.com>", now)
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

// server speaks as much SMTP as one client needs, and answers RCPT as told.
func server(t *testing.T, rcpt string) (address string, received func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		say := func(s string) { fmt.Fprintf(conn, "%s\r\n", s) }
		say("220 test")
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); verb {
			case "EHLO", "HELO":
				say("250-test")
				say("250 ENHANCEDSTATUSCODES")
			case "RCPT":
				say(rcpt)
			case "DATA":
				say("354 go on")
				var body strings.Builder
				for {
					line, err := r.ReadString('\n')
					if err != nil || line == ".\r\n" {
						break
					}
					body.WriteString(strings.TrimPrefix(line, "."))
				}
				got <- body.String()
				say("250 taken")
			case "QUIT":
				say("221 bye")
				return
			default:
				say("250 ok")
			}
		}
	}()
	return l.Addr().String(), func() string { return <-got }
}

func TestAMailGoesOverSMTP(t *testing.T) {
	address, received := server(t, "250 ok")
	s, err := mail.NewSMTP("smtp+insecure://"+address, "tocsin@example.com", now)
	require.NoError(t, err)
	require.NoError(t, s.Send(t.Context(), sample))
	_, parts := decode(t, []byte(received()))
	require.Contains(t, parts["text/html"], "Hello ä")
}

func TestARefusalIsASentence(t *testing.T) {
	address, _ := server(t, "550 5.1.1 no such user")
	s, err := mail.NewSMTP("smtp+insecure://"+address, "tocsin@example.com", now)
	require.NoError(t, err)
	err = s.Send(t.Context(), sample)
	require.ErrorContains(t, err, "ada@example.com")
	require.ErrorContains(t, err, "no such user")
}

func TestBadSettings(t *testing.T) {
	for address, says := range map[string]string{
		"mail.example.com":                "must be smtp://",
		"http://mail.example.com":         "must begin with smtp://",
		"smtp://u:hunter2@mail.example:x": "must be smtp://",
	} {
		_, err := mail.NewSMTP(address, "tocsin@example.com", now)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err := mail.NewSMTP("smtp://mail.example.com", "nobody", now)
	require.ErrorContains(t, err, "is not an e-mail address")
}

func TestTheOutboxKeeps(t *testing.T) {
	var kept destination.Mail
	o := mail.Outbox{Now: now, Keep: func(_ context.Context, m destination.Mail, at time.Time) error {
		require.Equal(t, now(), at)
		kept = m
		return nil
	}}
	require.NoError(t, o.Send(t.Context(), sample))
	require.Equal(t, sample, kept)
}
