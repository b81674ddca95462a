// Package listening is `tocsin listen`: a receiver of webhooks on this machine, which verifies and prints what comes.
package listening

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/httpserver"
)

// Group has the command.
func Group() commandline.Group {
	return commandline.Group{Name: "listen", Summary: "print what a webhook gets, and verify it",
		Commands: []commandline.Command{listen()}}
}

func listen() commandline.Command {
	s := remote.New()
	r := &receiver{Session: s, now: time.Now}
	var at, secretFile, publicKey string
	var flags *flag.FlagSet
	return commandline.Command{
		Summary: "print what a webhook gets, and verify its signatures, until Ctrl-C",
		Help: `It listens on this machine alone. Start Tocsin with -allow and the address, and add a Webhook with
http://ADDRESS/. The integration's signing_secret (whsec_…) comes from TOCSIN_SIGNING_SECRET or a file, its
public_key (whpk_…) from a flag. With either a request is answered 401 that is not signed with it, is older or
newer than 5 minutes, or was altered.`,
		Examples: []string{"tocsin listen", "tocsin listen -public-key whpk_… -json",
			"TOCSIN_SIGNING_SECRET=whsec_… tocsin listen -at 127.0.0.1:9000 -count 1"},
		Flags: func(f *flag.FlagSet) {
			f.StringVar(&at, "at", "127.0.0.1:9000", "the address to listen at; port 0 takes a free one")
			f.StringVar(&secretFile, "secret-file", "", "a file with the signing secret (or TOCSIN_SIGNING_SECRET)")
			f.StringVar(&publicKey, "public-key", "", "the public key of the integration's key pair")
			f.IntVar(&r.status, "answer", http.StatusNoContent, "the status to answer with: 503 shows the retries")
			f.IntVar(&r.most, "count", 0, "end after so many requests, with 2 when one of them did not hold")
			f.BoolVar(&s.JSON, "json", false, "print a line of JSON for each request")
			flags = f
		},
		Run: func(ctx context.Context, _ []string) (err error) {
			if r.status < http.StatusOK || r.status > 599 {
				return errors.New("-answer must be a status from 200 to 599")
			}
			if r.most < 0 {
				return fmt.Errorf("-count is %d: it must be 0 or more", r.most)
			}
			secret := s.Getenv("TOCSIN_SIGNING_SECRET")
			if secretFile != "" {
				raw, err := os.ReadFile(secretFile)
				if err != nil {
					return fmt.Errorf("read the signing secret: %w", err)
				}
				secret = string(raw)
			}
			secret = strings.TrimSpace(secret)
			if err := unverifying(flags, secret, publicKey); err != nil {
				return err
			}
			if r.keys, err = ReadKeys(secret, publicKey); err != nil {
				return err
			}
			return r.serve(ctx, at)
		},
	}
}

// unverifying refuses flags by which somebody wants signatures verified and which give nothing to do so with, as an
// empty file or an empty variable of a shell: every request would be taken.
func unverifying(flags *flag.FlagSet, secret, publicKey string) (err error) {
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "secret-file" && secret == "" {
			err = fmt.Errorf("-secret-file %q holds no signing secret: nothing would be verified", f.Value)
		}
		if f.Name == "public-key" && publicKey == "" {
			err = errors.New("-public-key is empty: nothing would be verified")
		}
	})
	return err
}

// maxBody bounds a request, and what it is when it is unpacked, in bytes.
const maxBody = 32 << 20

// receiver prints what comes.
type receiver struct {
	*remote.Session
	keys         Keys
	status, most int
	now          func() time.Time

	mu       sync.Mutex
	got, bad int
	done     context.CancelFunc
}

func (r *receiver) serve(ctx context.Context, at string) error {
	host, _, err := net.SplitHostPort(at)
	if err != nil || !remote.Loopback(host) {
		return fmt.Errorf("-at %q: must be an address of this machine, such as 127.0.0.1:9000", at)
	}
	l, err := httpserver.Listen(at, "at")
	if err != nil {
		return err
	}
	waiting, done := context.WithCancel(ctx)
	defer done()
	r.done = done
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	fmt.Fprintf(r.Err, "listening at http://%s/ (start Tocsin with -allow %s)\n", l.Addr(), l.Addr())
	select {
	case err := <-ended:
		return fmt.Errorf("listen on %s: %w", l.Addr(), err)
	case <-waiting.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = server.Shutdown(stopping) // who still sends after that is cut off
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return &commandline.Exit{Code: commandline.ExitInterrupted}
	}
	if r.bad > 0 {
		return &commandline.Exit{Code: commandline.ExitNo}
	}
	return nil
}

// received is a request as a line of JSON.
type received struct {
	At       time.Time         `json:"at"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
	Verdict  Verdict           `json:"verification"`
	Answered int               `json:"answered"`
	Body     any               `json:"body"`
}

// told are the headers that are printed: others can hold secrets.
var told = []string{"Content-Type", "Content-Encoding", "User-Agent", "Webhook-Id", "Webhook-Timestamp",
	"Webhook-Signature", "Traceparent"}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		http.Error(w, "the body can not be read", http.StatusBadRequest)
		return
	}
	now := r.now()
	got := received{At: now.UTC(), Method: q.Method, Path: q.URL.RequestURI(), Headers: map[string]string{},
		Verdict: r.keys.Verify(q.Header, body, now), Answered: r.status}
	for _, name := range told {
		if v := q.Header.Get(name); v != "" {
			got.Headers[strings.ToLower(name)] = v
		}
	}
	got.Body = readable(q.Header.Get("Content-Encoding"), body)
	if got.Verdict.Refused() {
		got.Answered = http.StatusUnauthorized
	}
	w.WriteHeader(got.Answered)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most > 0 && r.got >= r.most { // it came while the last one was answered
		return
	}
	r.print(got)
	if got.Verdict.Refused() {
		r.bad++
	}
	if r.got++; r.got == r.most {
		r.done()
	}
}

// readable is a body as JSON, or as a text.
func readable(encoding string, body []byte) any {
	if encoding == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			if plain, err := io.ReadAll(io.LimitReader(z, maxBody)); err == nil {
				body = plain
			}
		}
	}
	if json.Valid(body) {
		return json.RawMessage(body)
	}
	return string(body)
}

func (r *receiver) print(got received) {
	if r.JSON {
		_ = r.PrintLine(got) // who reads has gone away if this fails
		return
	}
	fmt.Fprintf(r.Out, "%s %s %s: %s; answered %d\n", got.At.Local().Format(time.DateTime), got.Method,
		commandline.Clean(got.Path), got.Verdict, got.Answered)
	for _, name := range told {
		if v := got.Headers[strings.ToLower(name)]; v != "" {
			fmt.Fprintf(r.Out, "  %s: %s\n", name, commandline.Clean(v))
		}
	}
	text, _ := got.Body.(string)
	if raw, ok := got.Body.(json.RawMessage); ok {
		var pretty bytes.Buffer
		_ = json.Indent(&pretty, raw, "  ", "  ") // it was valid
		text = pretty.String()
	}
	fmt.Fprintf(r.Out, "\n  %s\n\n", commandline.Clean(text))
}
