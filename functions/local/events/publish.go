package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/plaintext"
)

// Bounds of publishing. Amazon EventBridge, PutEvents: a call has at most 10 entries and 256 KB.
const (
	maxEntries = 10
	maxCall    = 256 << 10
	maxFile    = 64 << 20 // bytes
	maxAnswer  = 1 << 20
	maxTries   = 5
	callTime   = 30 * time.Second
)

func publish() commandline.Command {
	s := remote.New()
	var region string
	return commandline.Command{
		Name: "publish", Takes: "FILE...", Least: 1, Most: -1,
		Summary: "publish the entries of files (- is the standard input) as the platform does, with PutEvents",
		Help: `A file is a list of entries, one call ({"Entries": [...]}) or an entry a line. The call is signed with the
publisher's key pair of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, where they are set: tocsin publisher-key
makes one. An API token publishes nothing. Entries that are over what their tenant may publish are sent again alone,
in their order. It ends with 2 when an entry was refused. What it prints of an entry is the id of its event, for tocsin
events show; the EventId that -json has too is that of PutEvents, by which no event is found.`,
		Examples: []string{"tocsin events publish events/vulnerability.json",
			"tocsin events sample vuln | tocsin events publish -"},
		Flags: func(f *flag.FlagSet) {
			f.StringVar(&s.EventsURL, "events-url", "", "where events are published (default "+
				remote.DefaultEventsURL+", or TOCSIN_EVENTS_URL)")
			f.StringVar(&region, "region", "", "the region that is signed (default AWS_REGION, or us-east-1)")
			f.BoolVar(&s.JSON, "json", false, "print a line of JSON for each entry")
		},
		Run: func(ctx context.Context, files []string) error {
			if err := s.Resolve(); err != nil {
				return err
			}
			var entries []json.RawMessage
			for _, file := range files {
				more, err := read(ctx, s.In, file)
				if err != nil {
					return err
				}
				entries = append(entries, more...)
			}
			p, err := newPublisher(s, region)
			if err != nil {
				return err
			}
			return p.all(ctx, entries)
		},
	}
}

// read reads the entries of a file.
func read(ctx context.Context, in io.Reader, file string) (entries []json.RawMessage, err error) {
	name := "the standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in, name = f, file
	}
	raw, err := commandline.Await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(in, maxFile+1)) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("read %s: it has more than %d MiB", name, maxFile>>20)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		var value json.RawMessage
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read %s: it is no JSON after byte %d: %w", name, decoder.InputOffset(), err)
		}
		var list []json.RawMessage
		var call struct{ Entries []json.RawMessage }
		switch {
		case json.Unmarshal(value, &list) == nil:
			entries = append(entries, list...)
		case json.Unmarshal(value, &call) == nil && call.Entries != nil:
			entries = append(entries, call.Entries...)
		default:
			entries = append(entries, value)
		}
	}
	for n, e := range entries {
		var object map[string]json.RawMessage
		if json.Unmarshal(e, &object) != nil {
			return nil, fmt.Errorf("read %s: entry %d is no object with Source, DetailType and Detail", name, n+1)
		}
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("read %s: it holds no entry", name)
	}
	return entries, nil
}

// publisher makes PutEvents calls.
type publisher struct {
	*remote.Session
	http   *http.Client
	signer *v4.Signer
	keys   aws.Credentials
	region string
	pause  func(context.Context, time.Duration) error
}

func newPublisher(s *remote.Session, region string) (*publisher, error) {
	u, err := url.Parse(s.EventsURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("-events-url must be where events are published, such as " + remote.DefaultEventsURL)
	}
	p := &publisher{Session: s, region: region, pause: remote.Sleep,
		http: &http.Client{Timeout: callTime, CheckRedirect: client.Stay},
		keys: aws.Credentials{AccessKeyID: s.Getenv("AWS_ACCESS_KEY_ID"),
			SecretAccessKey: s.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: s.Getenv("AWS_SESSION_TOKEN")}}
	if p.region == "" {
		p.region = s.Getenv("AWS_REGION")
	}
	if p.region == "" {
		p.region = "us-east-1"
	}
	if p.keys.AccessKeyID != "" {
		p.signer = v4.NewSigner()
	}
	return p, nil
}

// result is what became of an entry.
type result struct {
	EventID string `json:"EventId,omitempty"`
	// DetailID is the id of the event, in its detail, which the program knows it by: EventId is that of the entry.
	DetailID     string `json:"DetailId,omitempty"`
	ErrorCode    string `json:"ErrorCode,omitempty"`
	ErrorMessage string `json:"ErrorMessage,omitempty"`
}

// all publishes entries, call by call.
func (p *publisher) all(ctx context.Context, entries []json.RawMessage) error {
	kept, refused := 0, 0
	for done := 0; done < len(entries); {
		size, end := 0, done
		for end < len(entries) && end-done < maxEntries && (end == done || size+len(entries[end]) <= maxCall) {
			size += len(entries[end])
			end++
		}
		results, err := p.call(ctx, entries[done:end])
		identify(results, entries[done:end])
		if err != nil {
			for n, r := range results {
				if r.EventID != "" {
					p.tell(done+n+1, r)
					kept++
				}
			}
			done := fmt.Sprintf("%d of %d entries were published before", kept, len(entries))
			if errors.Is(err, errUnanswered) {
				done += ", and those of the call that was under way may be too"
			}
			return &commandline.Stopped{Err: fmt.Errorf("publish: %w", err), Done: done}
		}
		for n, r := range results {
			if r.ErrorCode == "" {
				kept++
			} else {
				refused++
			}
			p.tell(done+n+1, r)
		}
		done = end
	}
	if !p.JSON {
		fmt.Fprintf(p.Out, "%d of %d entries are published.", kept, len(entries))
		if kept > 0 {
			fmt.Fprint(p.Out, " `tocsin events show EVENT` says what becomes of one.")
		}
		fmt.Fprintln(p.Out)
	}
	if refused > 0 {
		return &commandline.Exit{Code: commandline.ExitNo}
	}
	return nil
}

// tell tells what became of an entry.
func (p *publisher) tell(n int, r result) {
	switch {
	case p.JSON:
		_ = p.PrintLine(r) // who reads has gone away if this fails
	case r.ErrorCode != "":
		fmt.Fprintf(p.Err, "entry %d was refused: %s: %s\n", n, plaintext.Line(r.ErrorCode),
			plaintext.Line(r.ErrorMessage))
	case r.DetailID != "":
		fmt.Fprintf(p.Out, "entry %d is event %s\n", n, plaintext.Line(r.DetailID))
	}
}

// identify notes the ids of the events that entries hold. What can not be read has none: it becomes a dead letter.
func identify(results []result, entries []json.RawMessage) {
	for n := range results {
		var entry struct{ Detail string }
		var detail struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(entries[n], &entry) == nil && json.Unmarshal([]byte(entry.Detail), &detail) == nil {
			results[n].DetailID = detail.ID
		}
	}
}

// call makes one call, and makes it again where nothing was kept for now. Entries that are to come again by themselves
// (they are over what their tenant may publish) are sent again alone, in their order, before what follows them. Beside
// an error, those that were kept have their EventId.
func (p *publisher) call(ctx context.Context, entries []json.RawMessage) ([]result, error) {
	out := make([]result, len(entries))
	left := make([]int, len(entries)) // of entries
	for n := range left {
		left[n] = n
	}
	for try := 1; ; try++ {
		body, err := json.Marshal(map[string]any{"Entries": chosen(entries, left)})
		if err != nil {
			return out, err
		}
		results, wait, err := p.once(ctx, body)
		switch before := len(left); {
		case err != nil && (wait == 0 || try == maxTries):
			return out, err
		case err != nil:
		case len(results) != before:
			return out, fmt.Errorf("the answer of %s tells of %d entries, not of %d", p.EventsURL, len(results), before)
		default:
			if left = settle(out, left, results); len(left) < before {
				try = 1 // it goes on, however slowly
			}
			if len(left) == 0 || try == maxTries {
				return out, nil // which says of each what became of it
			}
			wait = time.Second << (try - 1)
			err = fmt.Errorf("%d of the entries are to be sent again: %s", len(left),
				strings.TrimSuffix(commandline.Clean(out[left[0]].ErrorMessage), "."))
		}
		fmt.Fprintf(p.Err, "%s; trying again in %s\n", err, wait)
		if err := p.pause(ctx, wait); err != nil {
			return out, err
		}
	}
}

// chosen are the entries at the places.
func chosen(entries []json.RawMessage, places []int) []json.RawMessage {
	out := make([]json.RawMessage, len(places))
	for n, place := range places {
		out[n] = entries[place]
	}
	return out
}

// again are the codes of entries that may be sent again. Amazon EventBridge, API reference, "PutEventsResultEntry".
var again = map[string]bool{"ThrottlingException": true, "InternalFailure": true}

// settle notes the results of the entries at the places, and returns the places of those that may be sent again.
func settle(out []result, places []int, results []result) (left []int) {
	for n, place := range places {
		if out[place] = results[n]; again[results[n].ErrorCode] {
			left = append(left, place)
		}
	}
	return left
}

// errUnanswered: a call was given up that may have been taken.
var errUnanswered = errors.New("the call was under way")

// once makes a call once; a wait says that it may be made again.
func (p *publisher) once(ctx context.Context, body []byte) (results []result, wait time.Duration, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(p.EventsURL, "/")+"/",
		bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	q.Header.Set("Content-Type", "application/x-amz-json-1.1")
	q.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	if p.signer != nil {
		sum := sha256.Sum256(body)
		err := p.signer.SignHTTP(ctx, p.keys, q, hex.EncodeToString(sum[:]), "events", p.region, time.Now())
		if err != nil {
			return nil, 0, fmt.Errorf("sign the call: %w", err)
		}
	}
	r, err := p.http.Do(q)
	if err != nil && ctx.Err() != nil {
		return nil, 0, fmt.Errorf("%w: %w", errUnanswered, ctx.Err())
	}
	var call *url.Error
	var to *client.Elsewhere
	switch {
	case errors.As(err, &to):
		return nil, 0, to
	case errors.As(err, &call):
		return nil, 0, fmt.Errorf("no answer from %s: %w: is Tocsin running there? -events-url or TOCSIN_EVENTS_URL "+
			"names another address", call.URL, call.Err)
	case err != nil:
		return nil, 0, err
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil && ctx.Err() != nil {
		return nil, 0, fmt.Errorf("%w: %w", errUnanswered, ctx.Err())
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the answer: %w", err)
	}
	if r.StatusCode != http.StatusOK {
		var refusal struct {
			Type    string `json:"__type"`
			Message string
		}
		_ = json.Unmarshal(raw, &refusal) // what is no JSON has no words
		if r.StatusCode == http.StatusTooManyRequests || r.StatusCode >= http.StatusInternalServerError {
			seconds, _ := strconv.Atoi(r.Header.Get("Retry-After"))
			wait = min(max(time.Duration(seconds)*time.Second, time.Second), time.Minute)
		}
		if refusal.Type == "" && wait == 0 { // of a Console, or of a page
			return nil, 0, fmt.Errorf("answered %d, and that is no answer to PutEvents: is -events-url the address "+
				"where events are published?", r.StatusCode)
		}
		return nil, wait, fmt.Errorf("answered %d: %s", r.StatusCode,
			commandline.Clean(strings.TrimSpace(refusal.Type+" "+refusal.Message)))
	}
	var answer struct{ Entries []result }
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, 0, fmt.Errorf("read the answer of %s: %w", p.EventsURL, err)
	}
	return answer.Entries, 0, nil
}
