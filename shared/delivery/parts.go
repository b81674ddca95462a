package delivery

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"

	"tocsin/shared/destination"
)

// Part is what became of one part of a delivery that travels as several requests: of one receiver of a mail, or of a
// run of the delivery's events. A delivery that goes through as one request has none; its state says it all.
//
// A part that is done stays done: no retry, no replay of a dead delivery, no restart and no change of the integration
// sends it again, unless it goes to another place since (another URL, chat or bucket). A receiver who was removed from
// the integration has no part any more; one who was added gets what is not over yet, so that a mistyped address can be
// corrected and its delivery sent again.
type Part struct {
	// Key tells parts apart: destination.Request.Part, or a digest of where a run of events goes.
	Key string `json:"key"`
	// Name is a receiver's address, "" of a run of events.
	Name string `json:"name,omitempty"`
	// The part holds the delivery's events From up to, not including, To, counted from 0. Both are 0 of a receiver.
	From  int       `json:"from,omitempty"`
	To    int       `json:"to,omitempty"`
	State PartState `json:"state"`
	// Status of the answer, 0 when there was none.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// PartState is the state of a part.
type PartState string

// The states of a part.
const (
	PartWaiting   PartState = "waiting"   // it was not tried yet; never stored, see Delivery.Outcomes
	PartDelivered PartState = "delivered" // it arrived
	PartFailed    PartState = "failed"    // it goes through the cycles, or went until the delivery died
	PartRefused   PartState = "refused"   // its receiver was refused for good (destination.Verdict.Permanent)
	PartSkipped   PartState = "skipped"   // it is not to be sent: the receiver unsubscribed, or is undeliverable
)

// over reports whether nothing more is to be sent.
func (p Part) over() bool { return p.State != PartFailed && p.State != PartWaiting }

// run reports whether the part is a run of events.
func (p Part) run() bool { return p.To > 0 }

// maxPartReason is in bytes. A mail has up to 50 parts (email's maxItems), and their reasons are alike.
const maxPartReason = 256

// maxParts bounds what is stored of one delivery. Of more runs the last ones are forgotten, and sent again if they
// were done.
const maxParts = 512

// Outcomes are the delivery's parts in their order, the runs of events that were not tried yet among them; none where
// one request was all.
func (d Delivery) Outcomes() []Part {
	var out []Part
	at := 0
	for _, p := range d.Parts {
		if p.run() && p.From > at {
			out = append(out, Part{Key: p.Key, From: at, To: p.From, State: PartWaiting})
		}
		at = max(at, p.To)
		out = append(out, p)
	}
	if at > 0 && at < d.Count {
		out = append(out, Part{Key: d.Parts[0].Key, From: at, To: d.Count, State: PartWaiting})
	}
	return out
}

// span is a run of a delivery's events.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }

// id is the stable id of the requests that carry the span: the delivery's own for the whole. A part of it needs one of
// its own, or a receiver that drops repeats would drop all parts but the first.
func (s span) id(d *Delivery) string {
	if s.from == 0 && s.to == len(d.Events) {
		return d.ID
	}
	return d.ID + "-" + strconv.Itoa(s.from) + "-" + strconv.Itoa(s.to)
}

// runs says which events of the span each request carries; false when the requests do not say.
func runs(s span, requests []destination.Request) ([]span, bool) {
	if len(requests) == 1 && requests[0].Part == "" {
		return []span{s}, true
	}
	out := make([]span, len(requests))
	at := s.from
	for n, q := range requests {
		if q.Holds <= 0 || q.Part != "" {
			return nil, false
		}
		out[n] = span{at, at + q.Holds}
		at += q.Holds
	}
	return out, at == s.to
}

// place is where a request goes, as a digest: addresses can be secrets.
func place(q destination.Request) string { return digest(cmp.Or(q.Where, q.URL)) }

func digest(of ...string) string {
	h := sha256.New()
	for _, s := range of {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
}

// keys name requests that are no runs of events.
func keys(requests []destination.Request) []string {
	out := make([]string, len(requests))
	seen := make(map[string]int, len(requests))
	for n, q := range requests {
		k := q.Part
		if k == "" {
			k = digest(cmp.Or(q.Where, q.URL), string(q.Body))
		}
		if seen[k]++; seen[k] > 1 { // the same once more is meant
			k += "#" + strconv.Itoa(seen[k])
		}
		out[n] = k
	}
	return out
}

// ledger keeps the parts of a delivery during an attempt: runs in the order of the events, receivers in that of the
// requests.
type ledger []Part

// find returns the part of a key, nil when there is none.
func (l ledger) find(key string) *Part {
	for n := range l {
		if l[n].Key == key && !l[n].run() {
			return &l[n]
		}
	}
	return nil
}

// untriedFirst lists the places of the requests whose parts are not over, those that failed before last: so one
// receiver whom the service refuses costs the others one attempt at most.
func (l ledger) untriedFirst(keys []string) []int {
	var untried, failed []int
	for n, k := range keys {
		switch p := l.find(k); {
		case p == nil:
			untried = append(untried, n)
		case !p.over():
			failed = append(failed, n)
		}
	}
	return append(untried, failed...)
}

// sort puts receivers in the order of the requests.
func (l ledger) sort(keys []string) {
	at := make(map[string]int, len(keys))
	for n, k := range keys {
		at[k] = n
	}
	slices.SortStableFunc(l, func(a, b Part) int { return at[a.Key] - at[b.Key] })
}

// note writes what became of a run. Neighbours that arrived become one, so that what is stored stays small.
func (l *ledger) note(p Part) {
	kept := slices.DeleteFunc(*l, func(o Part) bool { return o.run() && o.From < p.To && p.From < o.To })
	at, _ := slices.BinarySearchFunc(kept, p.From, func(o Part, from int) int { return o.From - from })
	kept = slices.Insert(kept, at, p)
	joins := func(n int) bool {
		a, b := kept[n], kept[n+1]
		return a.State == PartDelivered && b.State == PartDelivered && a.Key == b.Key && a.To == b.From
	}
	for _, n := range []int{at, at - 1} {
		if n >= 0 && n+1 < len(kept) && joins(n) {
			kept[n].To = kept[n+1].To
			kept = slices.Delete(kept, n+1, n+2)
		}
	}
	*l = kept
}

// over reports whether all of the span is done with.
func (l ledger) over(s span) bool {
	at := s.from
	for _, p := range l {
		if p.over() && p.From <= at && p.To > at {
			at = p.To
		}
	}
	return at >= s.to
}

// failed reports whether the span, alone, failed at an earlier attempt.
func (l ledger) failed(s span) bool {
	return slices.ContainsFunc(l, func(p Part) bool {
		return p.State == PartFailed && p.From == s.from && p.To == s.to
	})
}

// cuts are the bounds of parts within the span.
func (l ledger) cuts(s span) (out []int) {
	for _, p := range l {
		for _, at := range []int{p.From, p.To} {
			if at > s.from && at < s.to && !slices.Contains(out, at) {
				out = append(out, at)
			}
		}
	}
	slices.Sort(out)
	return out
}

// stored is what of the parts is worth a place in the delivery's row: nothing where one request is all.
func (l ledger) stored(events int) []Part {
	if len(l) == 0 || len(l) == 1 && l[0].From == 0 && l[0].To == events && !l[0].over() {
		return nil
	}
	return l[:min(len(l), maxParts)]
}
