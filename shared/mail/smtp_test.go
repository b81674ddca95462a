package mail_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/mail"
	"tocsin/shared/patience"
	"tocsin/shared/redact"
	"tocsin/shared/wording"
)

// script says what a server answers to a verb: each time the next of the list, and the last one from then on. "" is
// the usual answer, "close" closes the connection without one, "hang" answers nothing. The verb END is the end of a
// mail, GREET the greeting.
type script map[string][]string

// testServer is a mail server on the loopback that does what a script says and keeps what it has taken.
type testServer struct {
	net.Listener
	script script
	most   int // sessions at once; more get 421; 0 = any number
	slow   time.Duration
	tls    *tls.Config // offered by STARTTLS
	auth   bool        // asked for, PLAIN ada secret
	any    bool        // whoever signs in may

	mu       sync.Mutex
	said     map[string]int
	taken    []string // the mails that got a 250
	seen     []string // and those that were sent at all
	verbs    []string
	open     int
	peak     int
	sessions int
	refused  int
}

func listen(t *testing.T, s script) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serve(t, &testServer{Listener: l, script: s})
}

// bearing is a server that takes so many sessions at once and thinks before each mail.
func bearing(t *testing.T, most int, slow time.Duration) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serve(t, &testServer{Listener: l, most: most, slow: slow})
}

func serve(t *testing.T, s *testServer) *testServer {
	s.said = map[string]int{}
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			go s.session(conn)
		}
	}()
	return s
}

func (s *testServer) client(t *testing.T, sessions mail.Sessions) *mail.SMTP {
	t.Helper()
	c, err := mail.NewSMTP("smtp+insecure://"+s.Addr().String(), "tocsin@example.com", sessions, now)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// next is what the script says to a verb.
func (s *testServer) next(verb string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verbs = append(s.verbs, verb)
	list := s.script[verb]
	if len(list) == 0 {
		return ""
	}
	n := s.said[verb]
	s.said[verb]++
	return list[min(n, len(list)-1)]
}

// mails are those that were taken, and those that were sent at all.
func (s *testServer) mails() (taken, seen []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken), slices.Clone(s.seen)
}

func (s *testServer) counts() (taken, sessions, peak, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken), s.sessions, s.peak, s.refused
}

// ids are the Message-IDs of mails.
func ids(mails []string) (out []string) {
	for _, m := range mails {
		for line := range strings.SplitSeq(m, "\r\n") {
			if v, ok := strings.CutPrefix(line, "Message-ID: "); ok {
				out = append(out, v)
			}
		}
	}
	return out
}

func (s *testServer) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
	s.open++
	s.peak = max(s.peak, s.open)
	if s.most > 0 && s.open > s.most {
		s.refused++
		return false
	}
	return true
}

// dialog is one session of a testServer.
type dialog struct {
	*testServer
	conn net.Conn
	in   *bufio.Reader
	gone bool // the session is over
}

func (s *testServer) session(conn net.Conn) {
	d := &dialog{testServer: s, conn: conn, in: bufio.NewReader(conn)}
	defer func() {
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
		_ = d.conn.Close()
	}()
	if !s.enter() {
		fmt.Fprintf(conn, "421 4.7.0 too many connections\r\n")
		return
	}
	d.say("GREET", "220 test ESMTP")
	for !d.gone {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return
		}
		d.answer(line)
	}
}

// say answers a verb as the test wants it answered, or as usual.
func (d *dialog) say(verb, usual string) {
	switch said := d.next(verb); said {
	case "":
		fmt.Fprintf(d.conn, "%s\r\n", usual)
	case "close":
		_ = d.conn.Close()
		d.gone = true
	case "hang":
		_, _ = d.in.ReadString('\n')
		d.gone = true
	default:
		fmt.Fprintf(d.conn, "%s\r\n", said)
		d.gone = strings.HasPrefix(said, "421")
	}
}

func (d *dialog) answer(line string) {
	verb := strings.ToUpper(strings.Fields(line + " x")[0])
	if d.slow > 0 && verb == "MAIL" {
		time.Sleep(d.slow)
	}
	switch verb {
	case "EHLO", "HELO":
		offers := "250-test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
		if _, secure := d.conn.(*tls.Conn); d.tls != nil && !secure {
			offers += "250-STARTTLS\r\n"
		}
		if d.auth {
			offers += "250-AUTH PLAIN LOGIN\r\n"
		}
		d.say("EHLO", offers+"250 ENHANCEDSTATUSCODES")
	case "STARTTLS":
		fmt.Fprintf(d.conn, "220 go on\r\n")
		d.conn = tls.Server(d.conn, d.tls)
		d.in = bufio.NewReader(d.conn)
	case "AUTH":
		if d.any || strings.Contains(line, "AGFkYQBzZWNyZXQ=") { // \0ada\0secret
			d.say("AUTH", "235 2.7.0 welcome")
		} else {
			d.say("AUTH", "535 5.7.8 Authentication credentials invalid")
		}
	case "DATA":
		if d.say("DATA", "354 go on"); !d.gone {
			d.take()
		}
	case "QUIT":
		d.say("QUIT", "221 bye")
		d.gone = true
	default:
		d.say(verb, "250 ok")
	}
}

// take reads a mail and answers it as the test wants it answered.
func (d *dialog) take() {
	body, ok := text(d.in)
	if !ok {
		d.gone = true
		return
	}
	answer := d.next("END")
	d.mu.Lock()
	d.seen = append(d.seen, body)
	if answer == "" || strings.HasPrefix(answer, "250") {
		d.taken = append(d.taken, body)
	}
	d.mu.Unlock()
	switch answer {
	case "":
		fmt.Fprintf(d.conn, "250 2.0.0 Ok: queued\r\n")
	case "close":
		d.gone = true
	case "250 close":
		fmt.Fprintf(d.conn, "250 2.0.0 Ok\r\n")
		d.gone = true
	case "hang":
		_, _ = d.in.ReadString('\n')
		d.gone = true
	default:
		fmt.Fprintf(d.conn, "%s\r\n", answer)
		d.gone = strings.HasPrefix(answer, "421")
	}
}

func text(in *bufio.Reader) (string, bool) {
	var body strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", false
		}
		if line == ".\r\n" {
			return body.String(), true
		}
		body.WriteString(strings.TrimPrefix(line, "."))
	}
}

func numbered(n int) destination.Mail {
	m := sample
	m.ID, m.To = fmt.Sprintf("mail-%d", n), fmt.Sprintf("person%d@example.com", n)
	return m
}

func TestAMailGoesOverSMTP(t *testing.T) {
	s := listen(t, nil)
	sent(t, s.client(t, mail.Sessions{}), sample)
	taken, _ := s.mails()
	_, parts := decode(t, []byte(taken[0]))
	require.Contains(t, parts["text/html"], "Hello ä")
}

func TestH1AMailThatTheServerTookIsDeliveredWhateverComesLater(t *testing.T) {
	for name, s := range map[string]script{
		"RSET is refused":              {"RSET": {"500 what"}},
		"RSET is put off":              {"RSET": {"421 going away"}},
		"QUIT is refused":              {"QUIT": {"500 what"}},
		"QUIT closes":                  {"QUIT": {"close"}},
		"RSET hangs":                   {"RSET": {"hang"}},
		"NOOP is refused":              {"NOOP": {"500 what"}},
		"the connection closes at 250": {"END": {"250 close"}},
		"the next mail is refused":     {"MAIL": {"", "503 bad sequence", ""}},
		"the next mail is cut off":     {"MAIL": {"", "close", ""}},
		"the next mail gets a 421":     {"MAIL": {"", "421 one mail a session", ""}},
		"a strange 250":                {"END": {"250-2.0.0 Ok\r\n250 more words"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := listen(t, s)
			c := server.client(t, mail.Sessions{})
			for n := range 3 {
				sent(t, c, numbered(n))
			}
			_, seen := server.mails()
			require.Equal(t, []string{"<mail-0@example.com>", "<mail-1@example.com>", "<mail-2@example.com>"},
				ids(seen), "once each")
		})
	}
}

// TestThePasswordIsMaskedInWhatTheMailServerSays: a server can repeat in its refusal what it was sent.
func TestThePasswordIsMaskedInWhatTheMailServerSays(t *testing.T) {
	const password, told = "S3cr3t pw/1", "bad credentials "
	plain := base64.StdEncoding.EncodeToString([]byte("\x00us@er\x00" + password))
	for name, echo := range map[string]string{
		"PLAIN": "AUTH PLAIN " + plain, "LOGIN": base64.StdEncoding.EncodeToString([]byte(password)),
		"as it is": password, "percent": url.QueryEscape(password), "hex": hex.EncodeToString([]byte(password)),
	} {
		for verb, code := range map[string]string{"AUTH": "535 5.7.8 ", "MAIL": "451 ", "RCPT": "550 5.1.1 ",
			"DATA": "554 ", "END": "250 "} {
			t.Run(name+" "+verb, func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				server := serve(t, &testServer{Listener: l, auth: true, any: true,
					script: script{verb: {code + told + echo}}})
				user := url.UserPassword("us@er", password)
				c, err := mail.NewSMTP("smtp+insecure://"+user.String()+"@"+server.Addr().String(),
					"tocsin@example.com", mail.Sessions{}, now)
				require.NoError(t, err)
				t.Cleanup(c.Close)
				answer, err := c.Send(t.Context(), sample)
				shown := fmt.Sprint(string(answer.Body), err)
				if verb == "AUTH" {
					_, err := c.Look(t.Context())
					require.ErrorContains(t, err, "bad credentials")
					shown += err.Error()
				}
				require.Contains(t, shown, told)
				require.Contains(t, shown, redact.Mask)
				require.NotContains(t, shown, echo)
				require.NotContains(t, shown, plain[12:], "its part that holds the password")
			})
		}
	}
}

func TestH1OverTLSAndSignedIn(t *testing.T) {
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS()
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	config := &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}
	for _, scheme := range []string{"smtp", "smtps"} {
		t.Run(scheme, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			s := &testServer{Listener: l, script: script{"RSET": {"500 what"}, "QUIT": {"500 what"}}, auth: true}
			if scheme == "smtps" {
				s.Listener = tls.NewListener(l, config)
			} else {
				s.tls = config
			}
			server := serve(t, s)
			c, err := mail.NewSMTP(scheme+"://ada:secret@"+l.Addr().String(), "tocsin@example.com", mail.Sessions{},
				now)
			require.NoError(t, err)
			c.Trust(roots)
			t.Cleanup(c.Close)
			for n := range 3 {
				sent(t, c, numbered(n))
			}
			_, seen := server.mails()
			require.Len(t, seen, 3)
			_, sessions, _, _ := server.counts()
			require.Equal(t, 1, sessions)

			wrong, err := mail.NewSMTP(scheme+"://ada:wrong@"+l.Addr().String(), "tocsin@example.com", mail.Sessions{},
				now)
			require.NoError(t, err)
			wrong.Trust(roots)
			answer, err := wrong.Send(t.Context(), sample)
			require.NoError(t, err)
			require.Equal(t, 535, answer.Status)
			require.True(t, answer.Ours)
			require.False(t, answer.Recipient)
			require.NotContains(t, string(answer.Body), "wrong")

			foreign, err := mail.NewSMTP(scheme+"://ada:secret@"+l.Addr().String(), "tocsin@example.com",
				mail.Sessions{}, now)
			require.NoError(t, err)
			_, err = foreign.Send(t.Context(), sample)
			require.ErrorContains(t, err, "could not be used", "a certificate that nobody vouches for")
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestH1AConnectionThatBreaksBeforeTheAnswerIsSentAgainUnderTheSameID(t *testing.T) {
	server := listen(t, script{"END": {"close", ""}})
	c := server.client(t, mail.Sessions{})
	_, err := c.Send(t.Context(), sample)
	require.ErrorContains(t, err, "did not say whether it took the mail")
	sent(t, c, sample)
	_, seen := server.mails()
	got := ids(seen)
	require.Len(t, got, 2)
	require.Equal(t, got[0], got[1])
}

func TestH1AContextThatEndsAfterThe250ChangesNothing(t *testing.T) {
	server := listen(t, nil)
	c := server.client(t, mail.Sessions{})
	ctx, cancel := context.WithCancel(t.Context())
	m := sample
	answer, err := c.Send(ctx, m)
	cancel()
	require.NoError(t, err)
	require.Equal(t, destination.MailAccepted, answer.Status)
	_, err = c.Send(ctx, m)
	require.ErrorIs(t, err, context.Canceled, "nothing begins under a context that has ended")
	_, seen := server.mails()
	require.Len(t, seen, 1)
	sent(t, c, numbered(1))
}

func TestH1TheAnswerToAMailIsWaitedForWhenItsSenderIsToldToStop(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		fmt.Fprint(conn, "220 test\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "DATA") {
				fmt.Fprint(conn, "354 go on\r\n")
				text(in)
				cancel() // between the end of the mail and the answer
				time.Sleep(20 * time.Millisecond)
			}
			fmt.Fprint(conn, "250 ok\r\n")
		}
	}()
	defer l.Close()
	c, err := mail.NewSMTP("smtp+insecure://"+l.Addr().String(), "tocsin@example.com", mail.Sessions{}, now)
	require.NoError(t, err)
	answer, err := c.Send(ctx, sample)
	require.NoError(t, err)
	require.Equal(t, destination.MailAccepted, answer.Status)
}

func TestH2ARefusalSaysWhomItIsAbout(t *testing.T) {
	for _, c := range []struct {
		script    script
		status    int
		recipient bool
		body      string
	}{
		{script{"RCPT": {"550 5.7.1 no"}}, 550, true, "5.7.1 no"},
		{script{"RCPT": {"550-5.7.1 no\r\n550 5.7.1 really"}}, 550, true, "5.7.1 no 5.7.1 really"},
		{script{"RCPT": {"450 4.2.0 Greylisted"}}, 450, true, "4.2.0 Greylisted"},
		{script{"RCPT": {"554 5.7.1 Relay access denied"}}, 554, false, "5.7.1 Relay access denied"},
		{script{"RCPT": {"421 4.7.0 too many"}}, 421, false, "4.7.0 too many"},
		{script{"MAIL": {"550 5.7.1 no"}}, 550, false, "5.7.1 no"},
		{script{"DATA": {"451 4.3.0 later"}}, 451, false, "4.3.0 later"},
		{script{"END": {"554 5.7.1 spam"}}, 554, false, "5.7.1 spam"},
		{script{"END": {"552 5.2.2 mailbox full"}}, 552, true, "5.2.2 mailbox full"},
		{script{"GREET": {"554 no"}}, 554, false, "no"},
		{script{"GREET": {"421 busy"}}, 421, false, "busy"},
		{script{"EHLO": {"550 you are not welcome"}}, 550, false, "you are not welcome"},
	} {
		server := listen(t, c.script)
		s := server.client(t, mail.Sessions{})
		got, err := s.Send(t.Context(), sample)
		require.NoError(t, err)
		ours := len(c.script["GREET"])+len(c.script["EHLO"])+len(c.script["MAIL"]) > 0 // it has heard of us alone
		require.Equal(t, destination.Response{Status: c.status, Recipient: c.recipient, Ours: ours,
			Body: []byte(c.body)}, got)
		taken, _ := server.mails()
		require.Empty(t, taken)
	}
	for _, c := range []script{{"GREET": {"close"}}, {"MAIL": {"close"}}, {"RCPT": {"close"}}, {"DATA": {"close"}}} {
		_, err := listen(t, c).client(t, mail.Sessions{}).Send(t.Context(), sample)
		require.ErrorContains(t, err, "could not be used")
	}
}

// TestWhatBecameOfAMailServerIsSaidInWords: administrators read `EOF`, and `dial tcp 127.0.0.1:25: connect: connection
// refused`.
func TestWhatBecameOfAMailServerIsSaidInWords(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, free.Close())
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // its backlog takes the connection
	require.NoError(t, err)
	defer deaf.Close()
	plain, ends := listen(t, script{}), listen(t, script{"GREET": {"close"}})
	for scheme, c := range map[string]struct{ at, says string }{
		"smtp": {free.Addr().String(), "connection refused: nothing listens at HOST, or a firewall turns us away"},
		"smtps": {plain.Addr().String(), "no secure connection to HOST: it does not speak TLS at that port: " +
			"check scheme and port"},
		"smtp+insecure": {ends.Addr().String(), "HOST closed the connection without an answer"},
	} {
		s, err := mail.NewSMTP(scheme+"://"+c.at, "tocsin@example.com", mail.Sessions{}, now)
		require.NoError(t, err)
		says := strings.ReplaceAll(c.says, "HOST", c.at)
		_, err = s.Send(t.Context(), sample)
		require.EqualError(t, err, "the mail server 127.0.0.1 could not be used: "+says)
		require.NotContains(t, wording.In(wording.Japanese, err.Error()), says)
		_, err = s.Look(t.Context())
		require.ErrorContains(t, err, says)
	}
	s, err := mail.NewSMTP("smtp+insecure://"+deaf.Addr().String(), "tocsin@example.com", mail.Sessions{}, now)
	require.NoError(t, err)
	patience.Growing(t, 100*time.Millisecond, func(unit time.Duration) (bool, string) { // or there is no connection yet
		ctx, cancel := context.WithTimeout(t.Context(), unit)
		defer cancel()
		_, err := s.Look(ctx)
		require.Error(t, err)
		return strings.HasSuffix(err.Error(), deaf.Addr().String()+" gave no answer in time"), err.Error()
	})
}

func TestH2ARefusedReceiverLeavesTheSessionToTheNext(t *testing.T) {
	server := listen(t, script{"RCPT": {"550 5.7.1 no", ""}})
	c := server.client(t, mail.Sessions{})
	answer, err := c.Send(t.Context(), numbered(0))
	require.NoError(t, err)
	require.Equal(t, 550, answer.Status)
	sent(t, c, numbered(1))
	_, sessions, _, _ := server.counts()
	require.Equal(t, 1, sessions)
	server.mu.Lock()
	defer server.mu.Unlock()
	require.Equal(t, []string{"GREET", "EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "END"}, server.verbs,
		"RSET only where a transaction is open")
}

// burst sends n mails at once and asserts that each was taken.
func burst(t *testing.T, c mail.Sender, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			answer, err := c.Send(t.Context(), numbered(i))
			if err != nil || answer.Status != destination.MailAccepted {
				t.Errorf("mail %d: %d %s %v", i, answer.Status, answer.Body, err)
			}
		})
	}
	wg.Wait()
}

func once(t *testing.T, s *testServer, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.taken, n)
	require.Len(t, s.seen, n)
	seen := map[string]bool{}
	for _, id := range ids(s.taken) {
		seen[id] = true
	}
	require.Len(t, seen, n, "each exactly once")
}

func TestH4ABurstGoesOverFewSessionsEachKeptForSeveralMails(t *testing.T) {
	s := bearing(t, 5, 0)
	burst(t, s.client(t, mail.Sessions{}), 300)
	once(t, s, 300)
	_, sessions, peak, refused := s.counts()
	require.LessOrEqual(t, peak, mail.DefaultSessions)
	require.Zero(t, refused)
	require.LessOrEqual(t, sessions, 2*mail.DefaultSessions, "%d", sessions)
}

func TestH4ASessionIsKeptForSoManyMailsAndNotLonger(t *testing.T) {
	s := listen(t, nil)
	burst(t, s.client(t, mail.Sessions{Most: 2, Mails: 10}), 100)
	once(t, s, 100)
	_, sessions, peak, _ := s.counts()
	require.GreaterOrEqual(t, sessions, 10)
	require.LessOrEqual(t, sessions, 11)
	require.LessOrEqual(t, peak, 2)
}

func TestH4AServerThatBearsFewerSessionsThanConfiguredIsSpared(t *testing.T) {
	s := bearing(t, 1, time.Millisecond)
	burst(t, s.client(t, mail.Sessions{Most: 4}), 60)
	once(t, s, 60)
	_, _, _, refused := s.counts()
	require.LessOrEqual(t, refused, 3, "one try for each session that it does not bear")
}

func TestH4AServerThatTakesOneMailASessionIsServed(t *testing.T) {
	s := listen(t, script{"END": {"250 close"}})
	burst(t, s.client(t, mail.Sessions{}), 20)
	once(t, s, 20)
}

func TestH4AnIdleSessionIsClosed(t *testing.T) {
	s := listen(t, nil)
	c := s.client(t, mail.Sessions{Idle: time.Millisecond})
	sent(t, c, sample)
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.open == 0 && s.verbs[len(s.verbs)-1] == "QUIT"
	}, time.Minute, time.Millisecond)
	sent(t, c, sample)
}

func TestH4WhoWaitsForASessionGivesUpWithItsContext(t *testing.T) {
	s := listen(t, script{"END": {"hang"}})
	c := s.client(t, mail.Sessions{Most: 1})
	c.Grace(50 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for n := range 5 {
		wg.Go(func() {
			if _, err := c.Send(ctx, numbered(n)); err == nil {
				t.Error("it can not have been taken")
			}
		})
	}
	require.Eventually(t, func() bool { _, seen := s.mails(); return len(seen) == 1 }, time.Minute, time.Millisecond)
	cancel()
	_ = s.Close()
	wg.Wait()
	_, seen := s.mails()
	require.Len(t, seen, 1)
}

func TestH4WhenNoSessionCanBeOpenedAllWhoWaitAreTold(t *testing.T) {
	s := listen(t, nil)
	c := s.client(t, mail.Sessions{Most: 1})
	_ = s.Close()
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if _, err := c.Send(t.Context(), numbered(n)); err == nil {
				t.Error("nothing listens")
			}
		})
	}
	wg.Wait()
}

func TestH5TheWireIsASCII(t *testing.T) {
	s := listen(t, nil)
	c, err := mail.NewSMTP("smtp+insecure://"+s.Addr().String(), "Töcsin <tocsin@bücher.example>", mail.Sessions{}, now)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	m := sample
	m.To = "ops@例え.テスト"
	sent(t, c, m)
	taken, _ := s.mails()
	parsed, _ := decode(t, []byte(taken[0]))
	require.Equal(t, "<ops@xn--r8jz45g.xn--zckzah>", parsed.Header.Get("To"))
	require.Contains(t, parsed.Header.Get("From"), "<tocsin@xn--bcher-kva.example>")
	require.Contains(t, parsed.Header.Get("Message-ID"), "@xn--bcher-kva.example>")
	for _, b := range []byte(taken[0]) {
		require.Less(t, b, byte(0x80))
	}
}
