package independent

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/destination"
	tocsin "tocsin/shared/mail"
)

// postOffice is emersion's SMTP server, which bears so many sessions at once and turns others away with 421.
type postOffice struct {
	most int

	mu              sync.Mutex
	open, peak      int
	opened, refused int
	taken           map[string]int // by Message-ID
	mails           []string       // receivers and subjects
	unknown         string         // a receiver that it does not know
}

func (p *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open >= p.most {
		p.refused++
		return nil, &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "too many sessions"}
	}
	p.open++
	p.opened++
	p.peak = max(p.peak, p.open)
	return &visit{office: p}, nil
}

type visit struct {
	office *postOffice
	to     string
}

func (v *visit) Mail(string, *smtp.MailOptions) error { return nil }

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == v.office.unknown {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "no"}
	}
	v.to = to
	return nil
}

func (v *visit) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, m.Body); err != nil {
		return err
	}
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.taken[m.Header.Get("Message-ID")]++
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	v.office.mails = append(v.office.mails, v.to+": "+subject)
	return err
}

func (v *visit) Reset() {}

func (v *visit) Logout() error {
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.open--
	return nil
}

func openOffice(t *testing.T, p *postOffice) *tocsin.SMTP {
	t.Helper()
	p.taken = map[string]int{}
	c, err := tocsin.NewSMTP(served(t, p), "tocsin@bücher.example", tocsin.Sessions{}, time.Now)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func send(ctx context.Context, c *tocsin.SMTP, n int) (destination.Response, error) {
	return c.Send(ctx, destination.Mail{
		To: fmt.Sprintf("person%d@example.com", n), Subject: "New vulnerability 警報", Text: "plain\n.\ntext",
		HTML: "<p>" + strings.Repeat("rich ", 1000) + "</p>", ID: fmt.Sprintf("mail-%d", n),
	})
}

func TestH4ThreeHundredMailsToAServerThatBearsFiveSessions(t *testing.T) {
	for _, most := range []int{5, 2} {
		p := &postOffice{most: most}
		c := openOffice(t, p)
		var wg sync.WaitGroup
		for n := range 300 {
			wg.Go(func() {
				if answer, err := send(t.Context(), c, n); err != nil || answer.Status != 250 {
					t.Errorf("mail %d: %d %s %v", n, answer.Status, answer.Body, err)
				}
			})
		}
		wg.Wait()
		require.Len(t, p.taken, 300)
		for id, times := range p.taken {
			require.Equal(t, 1, times, id)
		}
		require.LessOrEqual(t, p.peak, 4)
		if most > 4 {
			require.Zero(t, p.refused)
			require.LessOrEqual(t, p.opened, 8)
		}
	}
}

func TestH2OneReceiverThatIsRefused(t *testing.T) {
	p := &postOffice{most: 5, unknown: "person1@example.com"}
	c := openOffice(t, p)
	for n := range 3 {
		answer, err := send(t.Context(), c, n)
		require.NoError(t, err)
		if n == 1 {
			require.Equal(t, destination.Response{Status: 550, Body: []byte("5.7.1 no"), Recipient: true}, answer)
			continue
		}
		require.Equal(t, 250, answer.Status)
	}
	require.Equal(t, 1, p.opened)
}

// program builds the program.
func program(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tocsin")
	build := exec.Command("go", "build", "-o", binary, "./functions/local")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// served is where an office takes mails.
func served(t *testing.T, p *postOffice) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := smtp.NewServer(p)
	server.Domain = "localhost"
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return "smtp+insecure://" + l.Addr().String()
}

func TestH4AProgramThatMailsSixEventsToFiftyPeopleEach(t *testing.T) {
	binary := program(t)
	p := &postOffice{most: 5, taken: map[string]int{}, unknown: "person7@xn--bcher-kva.example"}
	program, err := embedded.Start(binary, t.TempDir(), "-smtp", served(t, p))
	require.NoError(t, err)
	t.Cleanup(program.Kill)

	var addresses []string
	for n := range 50 {
		addresses = append(addresses, fmt.Sprintf("person%d@bücher.example", n))
	}
	var made struct{ ID string }
	require.NoError(t, program.Call("POST", "/v1/integrations", map[string]any{
		"name": "all", "system": "email", "events": []any{map[string]any{"event": "system"}},
		"parameters": map[string]any{"addresses": addresses},
	}, &made))
	for n := range 6 {
		require.NoError(t,
			program.Publish(embedded.Entry{Source: "platform.users", DetailType: "create_user", Detail: fmt.Sprintf(
				`{"version":1,"id":"u-%d","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"user":{"name":"Ada","email":"ada@example.com","role":"Analyst"}}}`, n)}))
	}
	mails := func() (n, again int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, times := range p.taken {
			n++
			again += times - 1
		}
		return n, again
	}
	require.Eventually(t, func() bool { n, _ := mails(); return n >= 6*49+6 }, time.Minute, 20*time.Millisecond,
		"%s", program.Output())
	n, again := mails()
	t.Log(n, "mails,", p.opened, "sessions")
	require.Zero(t, again)
	require.LessOrEqual(t, p.peak, 4)
	require.Zero(t, p.refused)
	var now struct{ Enabled bool }
	require.NoError(t, program.Call("GET", "/v1/integrations/"+made.ID, nil, &now))
	require.True(t, now.Enabled, "neither a burst nor a receiver that is refused is a failure of the integration")
}

func TestWhoHasATokenIsMailedThreeDaysBeforeItExpires(t *testing.T) {
	binary, folder := program(t), t.TempDir()
	p := &postOffice{most: 5, taken: map[string]int{}}
	at := served(t, p)
	first, err := embedded.Start(binary, folder, "-smtp", at)
	require.NoError(t, err)
	t.Cleanup(first.Kill)
	const days = 24 * time.Hour
	for name, left := range map[string]time.Duration{"deploy": 3*days + 2*time.Second, "later": 4 * days} {
		require.NoError(t, first.Call("POST", "/v1/tokens", map[string]any{"name": name, "kind": "personal",
			"expires_at": time.Now().Add(left).UTC().Format(time.RFC3339)}, nil))
	}
	_, err = first.Stop()
	require.NoError(t, err)
	require.Empty(t, p.mails, "both are good for longer than three days")
	time.Sleep(3 * time.Second)
	for range 2 { // a program looks when it starts
		next, err := embedded.Start(binary, folder, "-smtp", at)
		require.NoError(t, err)
		t.Cleanup(next.Kill)
		require.Eventually(t, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.mails) > 0
		}, time.Minute, 20*time.Millisecond, "%s", next.Output())
		_, err = next.Stop()
		require.NoError(t, err)
	}
	require.Equal(t, []string{"admin@example.com: [Tocsin] API token expires: deploy"}, p.mails, "once, of the one")
}
