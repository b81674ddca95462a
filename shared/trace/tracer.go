package trace

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Kind says what a span is to other spans (OpenTelemetry, "SpanKind"). The numbers are those of OTLP.
type Kind uint64

// The kinds.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
	Producer Kind = 4
	Consumer Kind = 5
)

// Attribute says something of a span: its value is a text, an int64 or a bool.
type Attribute struct {
	Name  string
	Value any
}

// Span is something that took time.
type Span struct {
	Context
	Parent     [8]byte // zero of the first span of a trace
	Name       string
	Kind       Kind
	Start, End time.Time
	Attributes []Attribute
	Links      Links
	// Error says that it failed, in a word of ours; "" = it did not.
	Error string
}

// Tracer records spans and sends them to a receiver of OTLP. A nil one records nothing. Make it with New.
type Tracer struct {
	config Config
	client *http.Client
	log    *slog.Logger

	mu      sync.Mutex
	waiting []Span
	lost    int           // for which there was no room
	full    chan struct{} // signalled when there is a batch
	away    atomic.Bool   // the receiver did not answer
}

// queueLimit and batchLimit are those that OpenTelemetry's own batch processor begins with.
const (
	queueLimit = 2048
	batchLimit = 512
)

// Record takes a span that ended. It never waits: where the receiver is away for long, spans are lost, and a line of
// the log says how many.
func (t *Tracer) Record(s Span) {
	if t == nil || !s.Recorded() {
		return
	}
	t.mu.Lock()
	if len(t.waiting) < queueLimit {
		t.waiting = append(t.waiting, s)
	} else {
		t.lost++
	}
	many := len(t.waiting) >= batchLimit
	t.mu.Unlock()
	if many {
		select {
		case t.full <- struct{}{}:
		default:
		}
	}
}

// Call is the context of a call that came in with this traceparent, "" for none: the new span's, whose parent is the
// caller's. It is decided by the caller where it did, else by the ratio.
func (t *Tracer) Call(traceparent string) (c Context, parent [8]byte) {
	if t == nil {
		return Context{}, parent
	}
	of, sampled, ok := parse(traceparent)
	if ok && !sampled && t.config.ParentBased {
		return Context{}, parent
	}
	decided := ok && t.config.ParentBased
	if !ok {
		of = Context{}
		_, _ = rand.Read(of.Trace[:]) // never fails
	}
	if !decided && !within(of.Trace, t.config.Ratio) {
		return Context{}, parent
	}
	c.Trace = of.Trace
	_, _ = rand.Read(c.Span[:])
	return c, of.Span
}

// Published is what is kept with an event that was published within a span, or outside of all that are recorded.
// header is the TraceHeader of its entry, which goes before; "" for none.
func (t *Tracer) Published(within Context, header string) Parent {
	if t == nil {
		return ""
	}
	if p := FromXRay(header); p != "" {
		return p
	}
	if !within.Recorded() {
		return Unfollowed
	}
	return Parent(within.String())
}

// FromXRay is what a tracing header of AWS X-Ray says; "" when it decides nothing.
func FromXRay(header string) Parent {
	if header == "" {
		return ""
	}
	c, sampled, decided, ok := parseXRay(header)
	switch {
	case !ok || !decided:
		return ""
	case !sampled || c.Span == [8]byte{}:
		return Unfollowed
	}
	return Parent(c.String())
}

// Event is the context whose child the first span of an event is. Where nobody decided, the event's id does: then the
// span is zero, and the first span has no parent.
func (t *Tracer) Event(p Parent, tenant, id string) Context {
	switch {
	case t == nil || p == Unfollowed:
		return Context{}
	case p != "":
		c := p.context()
		if c.Recorded() && !t.config.ParentBased && !within(c.Trace, t.config.Ratio) {
			return Context{}
		}
		return c
	}
	c := Context{Trace: ofEvent(tenant, id)}
	if !within(c.Trace, t.config.Ratio) {
		return Context{}
	}
	return c
}

// ofEvent is the trace of an event that nobody decided about.
func ofEvent(tenant, id string) [16]byte { return [16]byte(digest("event", tenant, id)) }

// Child is the context of a step in a trace that is named by ids: the same ids, the same span.
func (c Context) Child(step string, ids ...string) Context {
	if !c.Recorded() {
		return Context{}
	}
	c.Span = [8]byte(digest(append(ids, step, string(c.Trace[:]))...))
	return c
}

// digest is of at least 16 bytes.
func digest(parts ...string) []byte {
	h := sha256.New()
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}
