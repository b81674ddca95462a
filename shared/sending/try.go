package sending

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/logsample"
	"tocsin/shared/notification"
	"tocsin/shared/sending/fit"
	"tocsin/shared/sending/parts"
)

// Bounds of one attempt at a delivery. What is left then waits for the next attempt, which uses up no wait of the
// cycles if something arrived.
const (
	// tryMost is how long after its beginning an attempt still starts requests. With the budget of a Sender and the
	// longest request (180 s) it stays below the time of the function (300 s).
	tryMost = 50 * time.Second
	// tryRequests bounds the requests.
	tryRequests = 256
	// patience is how many refusals an attempt bears while nothing arrives: all that 32 events can cause, so that the
	// good ones of them arrive at once wherever they are, and not so many that wrong settings cost a request for each
	// event of thousands.
	patience = 64
	// refusingPatience is that with a system that lately refused all: halving would only multiply the requests to it.
	refusingPatience = 4
	// mailPatience is how many receivers in a row an attempt tries whose mails the service refuses without saying that
	// it is about them. One may be all that it refuses: another domain ("relaying denied"), a greylist. Three in a row
	// are the service itself. A receiver for whom it gives no answer counts as two, because each can last as long as a
	// timeout.
	mailPatience = 3
)

// try is one attempt at a delivery of several parts. It sends each run of events, or each receiver's mail, that is not
// over yet. Where the receiver refuses a run for what it holds or for its size, the run is halved until the bad record
// stands alone: the others arrive in the same attempt, and the bad one alone goes through the cycles. The failure of
// one part ends nothing; a failure of the system ends the attempt (of a mail service: see mailPatience).
type try struct {
	sender        *Sender
	r             *Target
	d             *delivery.Delivery
	a             *attempt
	lane          delivery.Lane
	notifications []notification.Notification
	start         time.Time

	parts  parts.List
	begun  bool // parts holds only what belongs to this attempt's place
	names  int  // receivers in all; 0 of runs
	mails  bool // they are receivers of mails
	todo   []parts.Span
	waits  time.Duration // the longest RetryAfter of a part
	failed *failure      // the last

	had                        bool // parts had arrived before
	requests, arrived, refused int
	halved                     []refusal
	taken                      []refusal // runs that arrived, with their sizes
	odd                        bool      // the last refusal was of a run that can not be halved
	doubt                      bool
	words                      string // of a success
	strikes                    int    // receivers in a row whom the mail service refused: see mailPatience
	struck                     *destination.Verdict

	fit    fit.Fit
	ended  *destination.Verdict // what ended the attempt early
	gaveUp bool                 // the system refuses all
	full   bool                 // out of time or requests
}

// failure is an answer for the log.
type failure struct {
	status int
	answer string
	gone   bool
}

type refusal struct {
	parts.Span
	bytes, status int
}

// begin takes over what is stored. What was given up is tried again when a person sends a dead delivery again.
func (t *try) begin() {
	again, arrived := t.d.Replayed()
	if arrived || len(t.d.Events) != t.d.Count && slices.ContainsFunc(t.d.Parts, delivery.Part.Run) {
		return // the numbers of events do not hold where some are kept no more
	}
	for _, p := range t.d.Parts {
		if again && p.State == delivery.PartRefused {
			p.State = delivery.PartFailed
		}
		t.parts = append(t.parts, p)
	}
}

func (s *Sender) try(
	r *Target, d *delivery.Delivery, a *attempt, l delivery.Lane, ns []notification.Notification,
	start time.Time, f fit.Fit,
) *try {
	return &try{sender: s, r: r, d: d, a: a, lane: l, notifications: ns, start: start, fit: f}
}

// finish runs the attempt to its end. Where its context ends before, the delivery takes what has arrived along.
func (t *try) finish(ctx context.Context, first []destination.Request) (result, error) {
	if err := t.run(ctx, first); err != nil {
		if t.arrived > 0 {
			t.d.Parts = t.parts.Stored(len(t.notifications))
		}
		return result{kept: t.arrived > 0}, err
	}
	return t.result(), nil
}

// run sends what is left, first being the requests of the whole where they are written already. The error is that of
// the ended context.
func (t *try) run(ctx context.Context, first []destination.Request) error {
	for len(t.todo) > 0 && t.ended == nil {
		s := t.next()
		requests := first
		if first = nil; requests == nil {
			var err error
			if requests, err = t.sender.encode(t.r, t.d, s, t.notifications, t.start); err != nil {
				t.unwritten(s, err)
				continue
			}
		}
		if err := t.send(ctx, s, requests); err != nil {
			return err
		}
	}
	return nil
}

// unwritten deals with events for which no request can be made: alone they fail, as one part.
func (t *try) unwritten(s parts.Span, err error) {
	var notReady *destination.NotReady
	switch {
	case errors.As(err, &notReady):
		t.ended = &destination.Verdict{Reason: notReady.Reason, Ours: notReady.Ours}
	case s.Len() > 1:
		t.halve(s)
	default:
		alike := logsample.Kind{Group: t.d.Tenant + " " + t.d.Integration, Class: "encode"}
		t.sender.lines.Add(t.sender.Log, t.sender.Now(), slog.LevelError, alike, "encode delivery",
			"tenant", t.d.Tenant, "integration", t.d.Integration, "delivery", t.d.ID, "error",
			t.r.redact.Text(err.Error()))
		t.failed = &failure{}
		t.parts.Note(delivery.Part{From: s.From, To: s.To, State: delivery.PartFailed,
			Reason: t.reason(unwritable(t.r, err))})
	}
}

// unwritable is the reason of events that can not be written for their system.
func unwritable(r *Target, err error) string {
	return "this message could not be written for " + r.opened.System.Title + ": " + err.Error()
}

func (t *try) reason(s string) string { return cut.Keep(t.r.redact.Text(s), parts.MaxReason) }

// fail keeps the last answer that was a failure: the log shows it.
func (t *try) fail() { t.failed = &failure{t.a.Status, t.a.Answer, t.a.Gone} }

// send sends the requests of a span.
func (t *try) send(ctx context.Context, s parts.Span, requests []destination.Request) error {
	if len(requests) == 0 {
		// nothing of it is for this system
		t.parts.Note(delivery.Part{From: s.From, To: s.To, State: delivery.PartDelivered})
		return nil
	}
	spans, ok := parts.Runs(s, requests)
	if !ok {
		return t.sendLoose(ctx, requests)
	}
	key := parts.Place(requests[0])
	t.settle(func(p delivery.Part) bool { return p.Run() && (p.Key == key || p.Key == "") })
	for n, q := range requests {
		w := spans[n]
		if t.parts.Over(w) {
			continue
		}
		if cuts := t.parts.Cuts(w); len(cuts) > 0 {
			t.push(w, cuts)
			continue
		}
		if limit := t.fit.Limit; limit > 0 && len(q.Body) > limit && w.Len() > 1 {
			t.slice(w, (len(q.Body)+limit-1)/limit)
			continue
		}
		verdict, ok, err := t.request(ctx, q)
		if err != nil || !ok {
			return err
		}
		t.judge(w, key, len(q.Body), verdict)
		if t.ended != nil {
			return nil
		}
	}
	return nil
}

// settle drops, once, what is stored of other places and receivers.
func (t *try) settle(mine func(delivery.Part) bool) {
	if !t.begun {
		t.begun = true
		t.parts = slices.DeleteFunc(t.parts, func(p delivery.Part) bool { return !mine(p) })
		t.had = slices.ContainsFunc(t.parts, func(p delivery.Part) bool { return p.State == delivery.PartDelivered })
	}
}

// request sends one request; ok is false when there is no time for it.
func (t *try) request(ctx context.Context, q destination.Request) (v destination.Verdict, ok bool, err error) {
	if t.requests > 0 && (t.requests >= tryRequests || t.sender.Now().Sub(t.start) >= tryMost) {
		t.full, t.ended = true, &destination.Verdict{Reason: "the rest is sent with the next attempt"}
		return v, false, nil
	}
	t.requests++
	v, err = t.sender.request(ctx, t.r, q, t.a)
	return v, err == nil, err
}

// took notes a success.
func (t *try) took(v destination.Verdict) {
	t.arrived++
	if v.Reason != "" {
		t.words = v.Reason
	}
	t.sender.fits.Takes(t.lane, t.start)
}
