package mail_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/mail"
)

var withReport = destination.Mail{
	To: "ada@example.com", Subject: "[Tocsin] Weekly report", Text: "plain", HTML: "<p>html</p>", ID: "d.e.0",
	Tenant:      "acme=42,x",
	Unsubscribe: "https://tocsin.example.com/unsubscribe/a.b",
	Attachments: []destination.Attachment{{Name: "tocsin-weekly-report-2023-W09.pdf", Type: "application/pdf",
		Data: bytes.Repeat([]byte{0, 1, 2, 255}, 10000)}},
}

// parts flattens a mail as a client reads it, with the standard library, which did not write it.
func parts(t *testing.T, header func(string) string, body io.Reader) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	require.NoError(t, err)
	if !strings.HasPrefix(kind, "multipart/") {
		raw, err := io.ReadAll(body)
		require.NoError(t, err)
		if strings.EqualFold(header("Content-Transfer-Encoding"), "base64") {
			raw, err = base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(string(raw)))
			require.NoError(t, err)
		}
		return map[string][]byte{kind: raw}
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		for k, v := range parts(t, p.Header.Get, p) {
			if name := p.FileName(); name != "" {
				k += " " + name
			}
			out[kind+" > "+k] = v
		}
	}
}

func TestAReportIsAttachedAndCanBeUnsubscribedFrom(t *testing.T) {
	s, err := mail.NewSMTP("smtp://mail.example.com", "Tocsin <tocsin@example.com>", mail.Sessions{}, now)
	require.NoError(t, err)
	raw, err := s.Raw(withReport)
	require.NoError(t, err)
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	require.NoError(t, err)
	require.Equal(t, "<https://tocsin.example.com/unsubscribe/a.b>", m.Header.Get("List-Unsubscribe"))
	require.Equal(t, "List-Unsubscribe=One-Click", m.Header.Get("List-Unsubscribe-Post"), "RFC 8058")
	require.Equal(t, "<d.e.0@example.com>", m.Header.Get("Message-Id"))
	require.Empty(t, m.Header.Get("Cc")+m.Header.Get("Bcc"))
	to, err := m.Header.AddressList("To")
	require.NoError(t, err)
	require.Len(t, to, 1, "nobody learns who else receives it")
	got := parts(t, m.Header.Get, m.Body)
	require.Equal(t, withReport.Attachments[0].Data,
		got["multipart/mixed > application/pdf tocsin-weekly-report-2023-W09.pdf"])
	found := 0
	for k, v := range got {
		if strings.Contains(k, "multipart/alternative > text/plain") {
			require.Contains(t, string(v), "plain")
			found++
		}
		if strings.Contains(k, "multipart/alternative > text/html") {
			require.Contains(t, string(v), "<p>html</p>")
			found++
		}
	}
	require.Equal(t, 2, found)
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		require.LessOrEqual(t, len(line), 998, "RFC 5322, 2.1.1")
	}
}

func TestAMailOverTheLimitIsRefused(t *testing.T) {
	s, err := mail.NewSMTP("smtp://mail.example.com", "tocsin@example.com", mail.Sessions{}, now)
	require.NoError(t, err)
	m := withReport
	m.Attachments = []destination.Attachment{{Name: "a.csv", Type: "text/csv", Data: make([]byte, 27<<20)}}
	raw, err := s.Raw(m)
	require.NoError(t, err)
	require.Less(t, len(raw), 40_000_000)
	m.Attachments[0].Data = make([]byte, 30<<20)
	_, err = s.Raw(m)
	require.ErrorContains(t, err, "ask for a shorter period")
}

type sender struct {
	sent []destination.Mail
}

func (s *sender) Send(_ context.Context, m destination.Mail) (destination.Response, error) {
	s.sent = append(s.sent, m)
	return destination.Response{Status: destination.MailAccepted}, nil
}

// sent asserts that a mail was taken.
func sent(t *testing.T, s mail.Sender, m destination.Mail) {
	t.Helper()
	answer, err := s.Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, destination.MailAccepted, answer.Status, "%s", answer.Body)
}

// kept asserts that a mail was settled without being sent, and returns why.
func kept(t *testing.T, s mail.Sender, m destination.Mail) string {
	t.Helper()
	answer, err := s.Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, destination.MailNotSent, answer.Status, "%s", answer.Body)
	return string(answer.Body)
}

func guarded(t *testing.T) (*memory.Engine, *sender, mail.Guard) {
	t.Helper()
	db := memory.New(nil)
	s := &sender{}
	return db, s, mail.Guard{Next: s, Blocks: db.SuppressionList(), Feedback: &mail.Feedback{
		Blocks: db.SuppressionList(), Bus: db.Bus(), Now: now, Log: slog.New(slog.DiscardHandler),
	}}
}

// told lists what administrators are told. An event that is on the bus twice counts once.
func told(t *testing.T, db *memory.Engine) (out []event.AddressData) {
	t.Helper()
	entries, err := db.Bus().Receive(t.Context(), 100)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, e := range entries {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(t, err)
		if seen[parsed.ID] {
			continue
		}
		seen[parsed.ID] = true
		require.Equal(t, event.System, parsed.Type(), "administrators who are told of the system are told")
		out = append(out, event.Data[event.AddressData](parsed))
	}
	return out
}

func ses(kind, detail string) string {
	return fmt.Sprintf(
		`{"eventType":%q,%s,"mail":{"messageId":"m","tags":{"tenant":["acme_3d42_2cx"],"ses:from-domain":["x"]}}}`,
		kind, detail)
}

const bounced = `"bounce":{"bounceType":"Permanent","bounceSubType":"General","bouncedRecipients":[{"emailAddress":"Ada Lovelace <Ada@Example.com>","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]}`

func TestABounceBlocksTheAddressAndTellsOnce(t *testing.T) {
	db, s, g := guarded(t)
	bare := ses("Bounce", bounced)
	quoted, err := json.Marshal(bare)
	require.NoError(t, err)
	for i, raw := range []string{bare, `{"Type":"Notification","MessageId":"x","Message":` + string(quoted) + `}`,
		`{"version":"0","detail-type":"Email Bounced","source":"aws.ses","detail":` + bare + `}`} {
		n, err := g.Feedback.Handle(t.Context(), []byte(raw))
		require.NoError(t, err, i)
		require.Equal(t, 1, n)
	}
	require.Equal(t, []event.AddressData{{Address: "ada@example.com", Reason: "bounced: smtp; 550 5.1.1 user unknown"}},
		told(t, db))
	require.Contains(t, kept(t, g, withReport), "undeliverable since 2023-03-01")
	other := withReport
	other.Tenant = "43"
	sent(t, g, other) // another tenant's mails go on
	require.Len(t, s.sent, 1)
	require.NoError(t, db.SuppressionList().Allow(t.Context(), "acme=42,x", "ada@example.com", enginetest.Entry("42")))
	sent(t, g, withReport)
}

// lame is a bus that is away.
type lame struct{}

func (lame) Publish(context.Context, ...event.Event) error { return errors.New("the bus is away") }

func TestABounceThatComesAgainBecauseNobodyCouldBeToldIsTold(t *testing.T) {
	db, _, g := guarded(t)
	g.Feedback.Bus = lame{}
	_, err := g.Feedback.Handle(t.Context(), []byte(ses("Bounce", bounced)))
	require.ErrorContains(t, err, "the bus is away")
	g.Feedback.Bus = db.Bus()
	_, err = g.Feedback.Handle(t.Context(), []byte(ses("Bounce", bounced)))
	require.NoError(t, err)
	require.Empty(t, told(t, db), "it can be told by another that came at the same time")
	g.Feedback.Now = func() time.Time { return now().Add(6 * time.Minute) }
	_, err = g.Feedback.Handle(t.Context(), []byte(ses("Bounce", bounced)))
	require.NoError(t, err)
	require.Len(t, told(t, db), 1)
}

func TestAComplaintBlocksAsWell(t *testing.T) {
	_, _, g := guarded(t)
	raw := `{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"ada@example.com"}],"complaintFeedbackType":"abuse"},"mail":{"headers":[{"name":"X-SES-MESSAGE-TAGS","value":"a=b, tenant=acme_3d42_2cx"}]}}`
	n, err := g.Feedback.Handle(t.Context(), []byte(raw))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Contains(t, kept(t, g, withReport), "called a mail of ours spam")
}

func TestWhatBlocksNobody(t *testing.T) {
	db, _, g := guarded(t)
	for _, raw := range []string{
		ses("Bounce", strings.Replace(bounced, "Permanent", "Transient", 1)), ses("Delivery", `"delivery":{}`),
		ses("Open", `"open":{}`),
		strings.Replace(ses("Bounce", bounced), "tenant", "other", 1),
	} {
		n, err := g.Feedback.Handle(t.Context(), []byte(raw))
		require.NoError(t, err)
		require.Zero(t, n)
	}
	for _, raw := range []string{"", "[]", "{}", `{"Message":"x"}`, `{"eventType":"Bounce"}`,
		`{"eventType":"Complaint"}`, `{"detail":7}`} {
		_, err := g.Feedback.Handle(t.Context(), []byte(raw))
		var unreadable *mail.UnreadableError
		require.ErrorAs(t, err, &unreadable, raw)
	}
	require.Empty(t, told(t, db))
}

func TestAMailServerThatKnowsNoSuchUserBlocks(t *testing.T) {
	for answer, blocks := range map[string]bool{"550 5.1.1 no such user": true, "550 5.7.1 policy": false,
		"450 4.2.2 mailbox full": false, "552 5.2.2 over quota": false} {
		db, _, g := guarded(t)
		server := listen(t, script{"RCPT": {answer}})
		g.Next = server.client(t, mail.Sessions{})
		got, err := g.Send(t.Context(), withReport)
		require.NoError(t, err)
		require.Equal(t, blocks, got.Status == destination.MailNotSent, "%s: %d", answer, got.Status)
		require.True(t, got.Recipient, answer)
		require.Len(t, told(t, db), map[bool]int{true: 1, false: 0}[blocks], answer)
	}
}

func TestH5ABlockHoldsForBothSpellingsOfAnAddress(t *testing.T) {
	db, _, g := guarded(t)
	_, err := g.Feedback.Handle(t.Context(),
		[]byte(ses("Bounce", strings.Replace(bounced, "Ada Lovelace <Ada@Example.com>", "ops@xn--bcher-kva.example",
			1))))
	require.NoError(t, err)
	m := withReport
	for _, to := range []string{"ops@bücher.example", "Ops@BÜCHER.example", "ops@xn--bcher-kva.example",
		"ops@XN--BCHER-KVA.EXAMPLE"} {
		m.To = to
		require.Contains(t, kept(t, g, m), "undeliverable since", to)
	}
	require.NoError(t, db.SuppressionList().Allow(t.Context(), m.Tenant, mail.Canonical("OPS@bücher.example"),
		enginetest.Entry("42")))
	sent(t, g, m)
}

func TestH5AnAddressThatWasSavedAndCanNotBeSentToIsSettledAndSaysWhy(t *testing.T) {
	_, s, g := guarded(t)
	m := withReport
	m.To = "jörg@example.com"
	require.Contains(t, kept(t, g, m),
		"not sent to jörg@example.com: it is not an e-mail address that can be used: mail servers do not take 'ö'")
	m.To = "ada@mailhost"
	sent(t, g, m)
	require.Len(t, s.sent, 1)
}

func FuzzParseSES(f *testing.F) {
	f.Add([]byte(ses("Bounce", bounced)))
	f.Add([]byte(`{"Message":"{}"}`))
	f.Add([]byte(`{"detail":{"eventType":"Complaint","complaint":{}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		notices, err := mail.ParseSES(raw)
		var unreadable *mail.UnreadableError
		if err != nil && (!errors.As(err, &unreadable) || notices != nil) {
			t.Fatal(err)
		}
	})
}
