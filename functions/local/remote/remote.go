// Package remote is what the commands have in common that call the API of an installation: where it is, who calls, and
// how an answer is read and shown.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/client"
	"tocsin/shared/version"
)

// Session is one call of a command, with what it has of the world.
type Session struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string

	URL, Tenant string
	Token       string
	// EventsURL is where events are published.
	EventsURL string
	// JSON asks for the API's own answers.
	JSON bool

	tokenFile, file string
}

// New is a session of the process.
func New() *Session {
	return &Session{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
}

// Defaults of addresses: a program on this machine.
const (
	DefaultURL       = "http://localhost:8080"
	DefaultEventsURL = "http://localhost:8081"
)

// Flags are those of each command that calls the API.
func (s *Session) Flags(f *flag.FlagSet) {
	s.Connection(f)
	f.BoolVar(&s.JSON, "json", false, "print JSON: what the API answers")
}

// Connection are the flags that say where the API is, and who calls.
func (s *Session) Connection(f *flag.FlagSet) {
	f.StringVar(&s.URL, "url", "", "the address of the Console (default "+DefaultURL+", or TOCSIN_URL)")
	f.StringVar(&s.Tenant, "tenant", "", "the linked tenant that a global role acts for (default: the token's own)")
	f.StringVar(&s.Token, "token", "", "an API token; better in the environment's TOCSIN_TOKEN, "+
		"because every user of this machine can read a command line")
	f.StringVar(&s.tokenFile, "token-file", "", "a file with the token (or TOCSIN_TOKEN_FILE)")
	f.StringVar(&s.file, "config", "", "a file with url, token or token_file, tenant and events_url (default "+
		"TOCSIN_CONFIG, or tocsin/client.yaml in the folder of your settings)")
}

// Resolve finds the address and the token: flags go before the environment, and that before the file.
func (s *Session) Resolve() error {
	if s.Token != "" {
		fmt.Fprintln(s.Err, "warning: the token is in the command line, where every user of this machine can read it: "+
			"give it as TOCSIN_TOKEN or with -token-file")
	}
	kept, err := s.read()
	if err != nil {
		return err
	}
	s.URL = or(s.URL, s.Getenv("TOCSIN_URL"), kept.URL, DefaultURL)
	s.EventsURL = or(s.EventsURL, s.Getenv("TOCSIN_EVENTS_URL"), kept.EventsURL, DefaultEventsURL)
	s.Tenant = or(s.Tenant, kept.Tenant)
	if s.Token == "" {
		s.Token, err = s.token(kept)
	}
	s.Token = strings.TrimSpace(s.Token)
	if err == nil && strings.ContainsFunc(s.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the token holds a space, or a character that no token has")
	}
	return err
}

// token is the nearest that is not on the command line. A file that a flag names goes before the environment.
func (s *Session) token(kept settings) (string, error) {
	file := s.tokenFile
	if file == "" {
		if t := s.Getenv("TOCSIN_TOKEN"); t != "" {
			return t, nil
		}
		file = s.Getenv("TOCSIN_TOKEN_FILE")
	}
	if file == "" && kept.Token != "" {
		return kept.Token, nil
	}
	if file = or(file, kept.TokenFile); file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return string(raw), nil
}

func or(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// WarnOfPlainText tells when a token would go to another machine without TLS.
func (s *Session) WarnOfPlainText() {
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "http" && !Loopback(u.Hostname()) {
		fmt.Fprintf(s.Err, "warning: the token goes to %s without TLS, where everybody on the way can read it\n",
			u.Host)
	}
}

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// API is the API of an installation, as somebody calls it.
type API struct {
	Server string
	token  string
	http   *patient
}

// API finds the installation and the token.
func (s *Session) API() (*API, error) {
	if err := s.Resolve(); err != nil {
		return nil, err
	}
	if s.Token == "" {
		return nil, errors.New("an API token is needed: give it as TOCSIN_TOKEN (the Console makes one, and on the " +
			"machine of the installation `tocsin token create NAME -state FILE`)")
	}
	base, err := url.Parse(strings.TrimSuffix(s.URL, "/"))
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" {
		return nil, errors.New("the address must be that of the Console, such as https://tocsin.example.com")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the address must hold no user, query or fragment")
	}
	s.WarnOfPlainText()
	return &API{Server: base.String() + "/", token: s.Token,
		http: &patient{err: s.Err, http: &http.Client{Timeout: callTime, CheckRedirect: client.Stay}}}, nil
}

// Do makes a call, with a request of one of the functions New…Request of package client: with those alone the program
// is 0.3 MB smaller than with its Client, whose methods the linker keeps all.
func (a *API) Do(q *http.Request) (*http.Response, error) {
	q.Header.Set("Authorization", "Bearer "+a.token)
	q.Header.Set("User-Agent", "tocsin/"+version.Number)
	r, err := a.http.Do(q)
	var call *url.Error
	var to *client.Elsewhere
	switch {
	case errors.As(err, &to):
		return nil, to
	case errors.As(err, &call):
		return nil, fmt.Errorf("%w from %s: %w: is Tocsin running there? -url or TOCSIN_URL names another address",
			ErrNoAnswer, call.URL, call.Err)
	}
	return r, err
}

// TenantParameter is the parameter of each operation by which a global role acts for a linked tenant.
func (s *Session) TenantParameter() *client.Tenant {
	if s.Tenant == "" {
		return nil
	}
	return &s.Tenant
}

// Bounds of a call.
const (
	callTime  = 2 * time.Minute // a test may wait for several systems' answers
	maxAnswer = 64 << 20        // bytes
	maxTries  = 5
)

// ErrNoAnswer: nobody answered at the address.
var ErrNoAnswer = errors.New("no answer")

// Ask makes a call and reads its answer: its body, and the object in it. Or it says why there is none.
func Ask(ctx context.Context, a *API, object any) func(*http.Request, error) (body []byte, err error) {
	return func(q *http.Request, err error) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		r, err := a.Do(q.WithContext(ctx))
		if err != nil {
			return nil, err
		}
		defer r.Body.Close()
		body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		if r.StatusCode > 299 {
			return nil, Refusal(r, body)
		}
		if err := json.Unmarshal(body, object); err != nil {
			return nil, noAnswer(r)
		}
		return body, nil
	}
}

// Refusal is why the API refused, in its own words.
func Refusal(r *http.Response, body []byte) error {
	var p client.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status == 0 {
		return noAnswer(r)
	}
	return errors.New(commandline.Clean(p.Error()))
}

func noAnswer(r *http.Response) error {
	switch r.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w of the API: what stands before it answered %d: is Tocsin running there?", ErrNoAnswer,
			r.StatusCode)
	}
	return fmt.Errorf("answered %d, and that is no answer of the API: is -url the address of the Console?",
		r.StatusCode)
}

// Print writes an answer of the API as JSON.
func (s *Session) Print(body []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(body), "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := s.Out.Write(out.Bytes())
	return err
}

// PrintList writes a list as JSON, or for a person as a table: a header and rows, each with tabs between its columns.
func (s *Session) PrintList(list any, header string, rows []string) error {
	if s.JSON {
		body, err := json.Marshal(list)
		if err != nil {
			return err
		}
		return s.Print(body)
	}
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	for _, row := range append([]string{header}, rows...) {
		fmt.Fprintln(w, row)
	}
	return w.Flush()
}

// PrintLine writes an object as a line of JSON.
func (s *Session) PrintLine(object any) error {
	out := json.NewEncoder(s.Out)
	out.SetEscapeHTML(false)
	return out.Encode(object)
}

// Time reads a time: of RFC 3339, a day, or how long ago it is.
func Time(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		t := now.Add(-ago).UTC().Truncate(time.Second)
		return &t, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return &t, nil
		}
	}
	return nil, fmt.Errorf("%q is no time: write 2026-03-01T09:00:00Z, 2026-03-01, or how long ago, such as 90m", text)
}

// Sleep waits, as long as the context lasts.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
