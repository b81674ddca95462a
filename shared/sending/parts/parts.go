// Package parts tells the parts of one delivery apart: runs of its events, and its receivers.
package parts

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
)

// Span is a run of a delivery's events, of which a digest has one.
type Span struct{ From, To int }

// Len is the number of events.
func (s Span) Len() int { return s.To - s.From }

// ID is the stable id of the requests that carry the span: the delivery's own for the whole. A part of it needs one of
// its own, or a receiver that drops repeats would drop all parts but the first.
func (s Span) ID(d *delivery.Delivery, all int) string {
	if s.From == 0 && s.To == all {
		return d.ID
	}
	return d.ID + "-" + strconv.Itoa(s.From) + "-" + strconv.Itoa(s.To)
}

// Runs says which events of the span each request carries; false when the requests do not say.
func Runs(s Span, requests []destination.Request) ([]Span, bool) {
	if len(requests) == 1 && requests[0].Part == "" {
		return []Span{s}, true
	}
	out := make([]Span, len(requests))
	at := s.From
	for n, q := range requests {
		if q.Holds <= 0 || q.Part != "" {
			return nil, false
		}
		out[n] = Span{at, at + q.Holds}
		at += q.Holds
	}
	return out, at == s.To
}

// Place is where a request goes, as a digest: addresses can be secrets.
func Place(q destination.Request) string { return digest(cmp.Or(q.Where, q.URL)) }

func digest(of ...string) string {
	h := sha256.New()
	for _, s := range of {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
}

// Keys name requests that are no runs of events.
func Keys(requests []destination.Request) []string {
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

// List keeps the parts of a delivery during an attempt: runs in the order of the events, receivers in that of the
// requests.
type List []delivery.Part

// Find returns the part of a key, nil when there is none.
func (l List) Find(key string) *delivery.Part {
	for n := range l {
		if l[n].Key == key && !l[n].Run() {
			return &l[n]
		}
	}
	return nil
}

// UntriedFirst lists the places of the requests whose parts are not over, those that failed before last: so one
// receiver whom the service refuses costs the others one attempt at most.
func (l List) UntriedFirst(keys []string) []int {
	var untried, failed []int
	for n, k := range keys {
		switch p := l.Find(k); {
		case p == nil:
			untried = append(untried, n)
		case !p.Over():
			failed = append(failed, n)
		}
	}
	return append(untried, failed...)
}

// Sort puts receivers in the order of the requests.
func (l List) Sort(keys []string) {
	at := make(map[string]int, len(keys))
	for n, k := range keys {
		at[k] = n
	}
	slices.SortStableFunc(l, func(a, b delivery.Part) int { return at[a.Key] - at[b.Key] })
}

// Note writes what became of a run. Neighbours that arrived become one, so that what is stored stays small.
func (l *List) Note(p delivery.Part) {
	kept := slices.DeleteFunc(*l, func(o delivery.Part) bool { return o.Run() && o.From < p.To && p.From < o.To })
	at, _ := slices.BinarySearchFunc(kept, p.From, func(o delivery.Part, from int) int { return o.From - from })
	kept = slices.Insert(kept, at, p)
	joins := func(n int) bool {
		a, b := kept[n], kept[n+1]
		return a.State == delivery.PartDelivered && b.State == delivery.PartDelivered && a.Key == b.Key &&
			a.To == b.From
	}
	for _, n := range []int{at, at - 1} {
		if n >= 0 && n+1 < len(kept) && joins(n) {
			kept[n].To = kept[n+1].To
			kept = slices.Delete(kept, n+1, n+2)
		}
	}
	*l = kept
}

// Over reports whether all of the span is done with.
func (l List) Over(s Span) bool {
	at := s.From
	for _, p := range l {
		if p.Over() && p.From <= at && p.To > at {
			at = p.To
		}
	}
	return at >= s.To
}

// Failed reports whether the span, alone, failed at an earlier attempt.
func (l List) Failed(s Span) bool {
	return slices.ContainsFunc(l, func(p delivery.Part) bool {
		return p.State == delivery.PartFailed && p.From == s.From && p.To == s.To
	})
}

// Cuts are the bounds of parts within the span.
func (l List) Cuts(s Span) (out []int) {
	for _, p := range l {
		for _, at := range []int{p.From, p.To} {
			if at > s.From && at < s.To && !slices.Contains(out, at) {
				out = append(out, at)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Stored is what of the parts is worth a place in the delivery's row: nothing where one request is all.
func (l List) Stored(events int) []delivery.Part {
	if len(l) == 0 || len(l) == 1 && l[0].From == 0 && l[0].To == events && !l[0].Over() {
		return nil
	}
	return l[:min(len(l), maxParts)]
}

// maxParts bounds what is stored of one delivery. Of more runs the last ones are forgotten, and sent again if they
// were done.
const maxParts = 512

// MaxReason bounds the reason of one part, in bytes. A mail has up to 50 parts (email's maxItems), and their reasons
// are alike.
const MaxReason = 256
