package sending

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/logsample"
	"tocsin/shared/notification"
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

// result is what an attempt came to.
type result struct {
	destination.Verdict // of the delivery; RetryAfter is the longest of all parts
	mark                delivery.Mark
	quiet               time.Duration // how long the system wants no requests at all
	slow                bool          // it is a rate that it asks for
	final               bool          // no later attempt can do better
	resume              bool          // parts arrived and the rest was only not reached: it uses up no wait
}

// try is one attempt at a delivery of several parts. It sends each run of events, or each receiver's mail, that is not
// over yet. Where the receiver refuses a run for what it holds or for its size, the run is halved until the bad record
// stands alone: the others arrive in the same attempt, and the bad one alone goes through the cycles. The failure of
// one part ends nothing; a failure of the system ends the attempt (of a mail service: see mailPatience).
type try struct {
	c             *Sender
	r             *Target
	d             *delivery.Delivery
	a             *delivery.Attempt
	lane          delivery.Lane
	notifications []notification.Notification
	start         time.Time

	parts  ledger
	begun  bool // parts holds only what belongs to this attempt's place
	names  int  // receivers in all; 0 of runs
	mails  bool // they are receivers of mails
	todo   []span
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

	fit    fit
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
	span
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

func (c *Sender) try(
	r *Target, d *delivery.Delivery, a *delivery.Attempt, l delivery.Lane, ns []notification.Notification,
	start time.Time, f fit,
) *try {
	return &try{c: c, r: r, d: d, a: a, lane: l, notifications: ns, start: start, fit: f}
}

// finish runs the attempt to its end. Where its context ends before, the delivery takes what has arrived along.
func (t *try) finish(ctx context.Context, first []destination.Request) (result, error) {
	if err := t.run(ctx, first); err != nil {
		if t.arrived > 0 {
			t.d.Parts, t.d.Kept = t.parts.stored(len(t.notifications)), true
		}
		return result{}, err
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
			if requests, err = t.c.encode(t.r, t.d, s, t.notifications, t.start); err != nil {
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

// next takes a run off the list: what failed alone before comes last, and after a record that was refused alone, while
// nothing has arrived, the largest comes first, because most likely the system takes that.
func (t *try) next() span {
	best := len(t.todo) - 1
	for n := len(t.todo) - 1; n >= 0; n-- {
		s, b := t.todo[n], t.todo[best]
		switch failed, worse := t.parts.failed(s), t.parts.failed(b); {
		case failed != worse:
			if worse {
				best = n
			}
		case t.odd && t.arrived == 0 && s.len() > b.len():
			best = n
		}
	}
	s := t.todo[best]
	t.todo = slices.Delete(t.todo, best, best+1)
	return s
}

// push lists the pieces of a span, so that the first is next.
func (t *try) push(s span, cuts []int) {
	to := s.to
	for _, at := range slices.Backward(cuts) {
		t.todo = append(t.todo, span{at, to})
		to = at
	}
	t.todo = append(t.todo, span{s.from, to})
}

// halve lists both halves.
func (t *try) halve(s span) { t.push(s, []int{s.from + s.len()/2}) }

// slice lists pieces of about equal weight, so many that each should fit.
func (t *try) slice(s span, pieces int) {
	total := 0
	for _, e := range t.d.Events[s.from:s.to] {
		total += len(e.Data) + delivery.EnvelopeOverhead
	}
	var cuts []int
	sum := 0
	for n := s.from; n < s.to-1; n++ {
		sum += len(t.d.Events[n].Data) + delivery.EnvelopeOverhead
		if sum*pieces >= total*(len(cuts)+1) && len(cuts) < pieces-1 {
			cuts = append(cuts, n+1)
		}
	}
	if len(cuts) == 0 {
		cuts = []int{s.from + s.len()/2}
	}
	t.push(s, cuts)
}

// unwritten deals with events for which no request can be made: alone they fail, as one part.
func (t *try) unwritten(s span, err error) {
	var notReady *destination.NotReady
	switch {
	case errors.As(err, &notReady):
		t.ended = &destination.Verdict{Reason: notReady.Reason}
	case s.len() > 1:
		t.halve(s)
	default:
		alike := logsample.Kind{Group: t.d.Tenant + " " + t.d.Integration, Class: "encode"}
		t.c.lines.Add(t.c.Log, t.c.Now(), slog.LevelError, alike, "encode delivery",
			"tenant", t.d.Tenant, "integration", t.d.Integration, "delivery", t.d.ID, "error",
			t.r.redact.Text(err.Error()))
		t.failed = &failure{}
		t.parts.note(delivery.Part{From: s.from, To: s.to, State: delivery.PartFailed,
			Reason: t.reason(unwritable(t.r, err))})
	}
}

// unwritable is the reason of events that can not be written for their system.
func unwritable(r *Target, err error) string {
	return "this message could not be written for " + r.opened.System.Title + ": " + err.Error()
}

func (t *try) reason(s string) string { return cut.Keep(t.r.redact.Text(s), maxPartReason) }

// fail keeps the last answer that was a failure: the log shows it.
func (t *try) fail() { t.failed = &failure{t.a.Status, t.a.Answer, t.a.Gone} }

// send sends the requests of a span.
func (t *try) send(ctx context.Context, s span, requests []destination.Request) error {
	if len(requests) == 0 {
		// nothing of it is for this system
		t.parts.note(delivery.Part{From: s.from, To: s.to, State: delivery.PartDelivered})
		return nil
	}
	spans, ok := runs(s, requests)
	if !ok {
		return t.sendLoose(ctx, requests)
	}
	key := place(requests[0])
	t.settle(func(p delivery.Part) bool { return p.Run() && (p.Key == key || p.Key == "") })
	for n, q := range requests {
		w := spans[n]
		if t.parts.over(w) {
			continue
		}
		if cuts := t.parts.cuts(w); len(cuts) > 0 {
			t.push(w, cuts)
			continue
		}
		if limit := t.fit.limit; limit > 0 && len(q.Body) > limit && w.len() > 1 {
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
	if t.requests > 0 && (t.requests >= tryRequests || t.c.Now().Sub(t.start) >= tryMost) {
		t.full, t.ended = true, &destination.Verdict{Reason: "the rest is sent with the next attempt"}
		return v, false, nil
	}
	t.requests++
	v, err = t.c.request(ctx, t.r, q, t.a)
	return v, err == nil, err
}

// judge notes the answer to the request of a run.
func (t *try) judge(w span, key string, size int, v destination.Verdict) {
	p := delivery.Part{Key: key, From: w.from, To: w.to, State: delivery.PartFailed, Status: t.a.Status,
		Reason: t.reason(v.Reason)}
	if v.Delivered {
		t.took(v)
		t.taken = append(t.taken, refusal{w, size, t.a.Status})
		p.State, p.Reason = delivery.PartDelivered, ""
		t.parts.note(p)
		return
	}
	t.fail()
	alone := w.len() == 1
	switch {
	case v.Unread && !alone:
		t.halved = append(t.halved, refusal{w, size, t.a.Status})
		t.halve(w)
	case v.Unread || v.Apart:
		t.waits = max(t.waits, v.RetryAfter)
		t.parts.note(p)
	default:
		t.parts.note(p)
		t.ended = &v
		return
	}
	if !v.Unread {
		return
	}
	t.odd, t.doubt = alone, true
	bears := patience
	if !t.fit.refusing.IsZero() {
		bears = refusingPatience
	}
	if t.refused++; t.arrived == 0 && !t.had && t.refused >= bears {
		t.gaveUp, t.ended = true, &v
	}
}

// took notes a success.
func (t *try) took(v destination.Verdict) {
	t.arrived++
	if v.Reason != "" {
		t.words = v.Reason
	}
	t.c.fits.takes(t.lane, t.start)
}

// sendLoose sends requests that are no runs of events: mails, each to one receiver.
func (t *try) sendLoose(ctx context.Context, requests []destination.Request) error {
	names := keys(requests)
	t.names, t.mails = len(requests), requests[0].Mail != nil
	t.settle(func(p delivery.Part) bool { return !p.Run() && slices.Contains(names, p.Key) })
	old := t.parts
	t.parts = make(ledger, 0, len(requests)) // in the order of the requests
	for _, k := range names {
		if p := old.find(k); p != nil {
			t.parts = append(t.parts, *p)
		}
	}
	defer func() { t.parts.sort(names) }()
	for _, n := range t.parts.untriedFirst(names) {
		q := requests[n]
		p := t.parts.find(names[n])
		v, ok, err := t.request(ctx, q)
		if err != nil || !ok {
			return err
		}
		if p == nil {
			t.parts = append(t.parts, delivery.Part{Key: names[n]})
			p = &t.parts[len(t.parts)-1]
		}
		t.judgeLoose(p, q, v)
		if t.ended != nil {
			return nil
		}
	}
	if v := t.struck; v != nil && (v.Pace || t.arrived == 0 && !t.had) { // else it took the mails of others
		t.ended = v
	}
	return nil
}

// judgeLoose notes the answer to one receiver's request.
func (t *try) judgeLoose(p *delivery.Part, q destination.Request, v destination.Verdict) {
	p.Status, p.Reason, p.State = t.a.Status, t.reason(v.Reason), delivery.PartFailed
	if q.Mail != nil {
		p.Name = q.Mail.To
	}
	switch {
	case v.Delivered && q.Mail != nil && t.a.Status == destination.MailNotSent:
		p.State = delivery.PartSkipped
		return
	case v.Delivered:
		t.took(v)
		t.strikes, t.struck = 0, nil
		p.State, p.Reason = delivery.PartDelivered, ""
		return
	}
	t.fail()
	switch {
	case v.Permanent && q.Mail != nil:
		p.State = delivery.PartRefused
	case v.Apart, v.Unread:
		t.waits = max(t.waits, v.RetryAfter)
		t.doubt = t.doubt || v.Unread && !v.Apart
	case q.Mail == nil:
		t.ended = &v
	default:
		t.waits = max(t.waits, v.RetryAfter)
		t.struck = &v
		if t.strikes++; t.a.Status == 0 {
			t.strikes++
		}
		if t.strikes >= mailPatience {
			t.ended = &v
		}
	}
}

// result sums the attempt up.
func (t *try) result() result {
	t.learn()
	tally := t.tally()
	out := result{Verdict: destination.Verdict{Delivered: t.ended == nil && tally.open == 0, RetryAfter: t.waits}}
	switch {
	case t.full:
		out.resume = t.arrived > 0
	case t.gaveUp:
	case t.ended != nil:
		out.RetryAfter = max(out.RetryAfter, t.ended.RetryAfter)
		out.quiet, out.slow = quiet(*t.ended, t.a.Status), slow(*t.ended, t.a.Status)
		out.resume = t.ended.Pace && t.arrived > 0
	}
	out.mark = t.mark()
	if out.Delivered && tally.arrived == 0 && tally.refused > 0 {
		out.Delivered, out.final = false, true // nobody got it, and nobody will
	}
	out.Reason = t.tell(tally)
	if t.d.Parts = t.parts.stored(len(t.notifications)); out.Delivered && tally.arrived == tally.all {
		t.d.Parts = nil // all arrived: the state says it
	}
	for _, p := range t.parts {
		if out.Delivered && p.State == delivery.PartDelivered { // and not that of one who was not sent it
			t.a.Status = p.Status
		}
	}
	if t.a.Answer, t.a.Gone = "", false; !out.Delivered && t.failed != nil {
		t.a.Status, t.a.Answer, t.a.Gone = t.failed.status, t.failed.answer, t.failed.gone
	}
	return out
}

func (t *try) mark() delivery.Mark {
	switch {
	case t.mails && (t.arrived > 0 || t.had): // a service that takes the mails of others is a working one
	case t.ended != nil && !t.full && !t.gaveUp && !t.ended.Pace && !t.ended.Ours && !(t.r.Mails() && t.a.Status == 0):
		return delivery.Ill
	}
	switch {
	case t.arrived > 0:
		return delivery.Well
	case t.doubt && !t.had:
		return delivery.Doubtful
	}
	return delivery.Silent
}

// learn remembers what size went through where a larger one did not: of runs that were refused and arrived in pieces,
// so that it was not for what they hold, and of those that were refused with 413.
func (t *try) learn() {
	if t.gaveUp {
		t.c.fits.refuses(t.lane, t.c.Now())
	}
	limit, refused := 0, 0
	for _, h := range t.halved {
		if h.status != http.StatusRequestEntityTooLarge && !t.whole(h.span) {
			continue
		}
		went := 0
		for _, r := range t.taken {
			if r.from >= h.from && r.to <= h.to && r.bytes < h.bytes {
				went = max(went, r.bytes)
			}
		}
		if limit = max(limit, went); went > 0 && (refused == 0 || h.bytes < refused) {
			refused = h.bytes
		}
	}
	if limit > 0 {
		t.c.fits.learn(t.lane, limit, refused, t.c.Now())
	}
}

// whole reports whether the span arrived in this attempt.
func (t *try) whole(s span) bool {
	at := s.from
	for range t.taken {
		for _, r := range t.taken {
			if r.from == at {
				at = r.to
			}
		}
		if at >= s.to {
			return true
		}
	}
	return false
}

// tally counts receivers, or events.
type tally struct{ all, arrived, refused, skipped, failed, open int }

func (t *try) tally() tally {
	out := tally{all: t.names}
	if t.names == 0 {
		out.all = len(t.notifications)
	}
	for _, p := range t.parts {
		n := max(1, p.To-p.From)
		switch p.State {
		case delivery.PartDelivered:
			out.arrived += n
		case delivery.PartRefused:
			out.refused += n
		case delivery.PartSkipped:
			out.skipped += n
		default:
			out.failed += n
		}
	}
	out.open = out.all - out.arrived - out.refused - out.skipped
	return out
}

// told is how many single outcomes a reason lists.
const told = 3

// tell says what the attempt came to, for a person.
func (t *try) tell(sum tally) string {
	if sum.arrived == sum.all {
		if t.words == "" && len(t.halved) > 0 {
			return fmt.Sprintf("it went in %d smaller requests, because the receiver refused it as one (%s)",
				len(t.taken), destination.StatusText(t.halved[0].status))
		}
		return t.words
	}
	if t.ended != nil && (t.gaveUp || sum.arrived == 0 && sum.refused == 0 && sum.skipped == 0 && len(t.parts) < 2) {
		return t.ended.Reason
	}
	var said []string
	more := 0
	for _, p := range t.exceptions() {
		if len(said) == told {
			more++
			continue
		}
		said = append(said, p)
	}
	if t.ended == nil && sum.arrived == 0 && len(said) == 1 && sum.all == 1 {
		for _, p := range t.parts {
			return p.Reason
		}
	}
	unit := "%d of %d got it"
	switch {
	case t.names == 0:
		unit = "%d of %d events arrived"
	case !t.mails:
		unit = "%d of %d requests arrived"
	}
	out := fmt.Sprintf(unit, sum.arrived, sum.all)
	if len(said) > 0 {
		out += "; " + strings.Join(said, "; ")
	}
	if more > 0 {
		out += fmt.Sprintf("; and %d more", more)
	}
	if t.ended != nil {
		out += "; then: " + t.ended.Reason
	}
	return out
}

// exceptions say of each part that did not arrive why; runs with the same reason are told together.
func (t *try) exceptions() []string {
	var out []string
	counts := map[string]int{}
	last := ""
	if t.ended != nil {
		last = t.reason(t.ended.Reason) // told at the end
	}
	for _, p := range t.parts {
		switch {
		case p.State == delivery.PartDelivered || p.State == delivery.PartFailed && t.ended != nil && p.Reason == last:
		case p.Run():
			if counts[p.Reason] == 0 {
				out = append(out, p.Reason)
			}
			counts[p.Reason] += p.To - p.From
		case p.State == delivery.PartSkipped:
			out = append(out, p.Whom()+" was not sent it: "+p.Reason)
		case p.State == delivery.PartRefused:
			out = append(out, p.Whom()+" was refused: "+p.Reason)
		default:
			out = append(out, p.Whom()+" did not: "+p.Reason)
		}
	}
	for n, reason := range out {
		if count := counts[reason]; count > 0 {
			out[n] = fmt.Sprintf("%d did not: %s", count, reason)
		}
	}
	return out
}
