package browser

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// mailServer takes mails but for receivers whose mailboxes are full.
type mailServer struct {
	address string

	mu   sync.Mutex
	full []string
	got  []string // receivers
	raw  [][]byte // what each was sent
}

type mailSession struct {
	server *mailServer
	to     string
}

func mailServes(t *testing.T, full ...string) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &mailServer{address: l.Addr().String(), full: full}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mailSession{server: m}, nil
	}))
	s.Domain, s.AllowInsecureAuth = "localhost", true
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return m
}

func (m *mailServer) empties(address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = slices.DeleteFunc(m.full, func(a string) bool { return a == address })
}

func (m *mailServer) count(address string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.got {
		if a == address {
			n++
		}
	}
	return n
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if slices.Contains(s.server.full, to) {
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "the mailbox is full"}
	}
	s.to = to
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	sent, err := io.ReadAll(r)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.got, s.server.raw = append(s.server.got, s.to), append(s.server.raw, sent)
	return err
}

func (s *mailSession) Reset()        { s.to = "" }
func (s *mailSession) Logout() error { return nil }

// outcomes waits until the mails that a path of the API tells of are in these states, in any order.
func outcomes(t *testing.T, b *tab, path string, want ...string) {
	t.Helper()
	slices.Sort(want)
	eventually(t, fmt.Sprintf("the mails of %s are %v", path, want), func() (bool, error) {
		var list struct{ Items []struct{ State string } }
		err := b.p.Call("GET", path, nil, &list)
		var got []string
		for _, m := range list.Items {
			got = append(got, m.State)
		}
		slices.Sort(got)
		return slices.Equal(got, want), err
	})
}

// looked judges and pictures what is shown, in both languages and at both widths.
func looked(b *tab, name string, shown func(language string)) {
	b.t.Helper()
	for _, l := range []look{
		{language: "en", theme: "light", width: 1280, height: 900},
		{language: "en", theme: "dark", width: 360, height: 800, mobile: true},
		{language: "ja", theme: "dark", width: 1280, height: 900},
		{language: "ja", theme: "light", width: 360, height: 800, mobile: true},
	} {
		b.set(l)
		b.do(chromedp.Reload())
		shown(l.language)
		b.axe()
		where := fmt.Sprintf("%s-%s-%s-%d", name, l.language, l.theme, l.width)
		b.judge(where)
		b.picture(where)
	}
	b.set(desk)
	b.do(chromedp.Reload())
}

func TestP3AReportSaysWhoGotItAndWhoDidNotIsSentItAgain(t *testing.T) {
	t.Parallel()
	m := mailServes(t, "full@example.com")
	b := open(t, program(t, "-smtp", "smtp://"+m.address, "-faster", "100000"), desk, "/reports")
	b.fill("Mail it to", "ada@example.com, full@example.com")
	b.click("Make report")
	b.sees("Mailed to")
	b.sees("answered 250")
	b.sees("the mailbox is full")
	words := map[string][]string{"en": {"Sent", "the mailbox is full", "Send again"}, "ja": {"送信済み", "失敗", "再送信"}}
	looked(b, "report-mails", func(language string) {
		for _, w := range words[language] {
			b.sees(w)
		}
	})
	m.empties("full@example.com")
	b.click("Send again: full@example.com")
	b.seesNot("Send again")
	eventually(t, "it arrived", func() (bool, error) { return m.count("full@example.com") == 1, nil })
	require.Equal(t, 1, m.count("ada@example.com"), "who has it does not get it again")
}

func TestP3APersonSeesWhatBecameOfTheirMailsAndSoDoAdministrators(t *testing.T) {
	t.Parallel()
	m, at := mailServes(t, "admin@example.com"), receive(t)
	p := program(t, "-allow", at.Host, "-smtp", "smtp://"+m.address, "-faster", "100000")
	b := open(t, p, desk, "/profile")
	b.sees("Mails to you")
	b.sees("No mails are kept.")
	slack(t, p, at, "Ops channel")
	outcomes(t, b, "/v1/profile/mails", "failed")
	b.do(chromedp.Reload())
	b.sees("Integration added")
	words := map[string][]string{"en": {"the mailbox is full", "Send again"}, "ja": {"失敗", "再送信"}}
	looked(b, "own-mails", func(language string) {
		for _, w := range words[language] {
			b.sees(w)
		}
	})

	b.follow("/reports")
	b.sees("Mails to people")
	b.sees("1 failed")
	b.click("admin@example.com")
	b.sees("Integration added")
	b.sees("the mailbox is full")
	looked(b, "people-mails", func(language string) {
		b.click("admin@example.com")
		for _, w := range words[language] {
			b.sees(w)
		}
	})
	m.empties("admin@example.com")
	b.click("admin@example.com")
	b.click("Send again: Integration added")
	outcomes(t, b, "/v1/profile/mails", "sent")
	b.sees("answered 250")
	require.Equal(t, 1, m.count("admin@example.com"))
}
