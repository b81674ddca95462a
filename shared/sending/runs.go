package sending

import (
	"net/http"
	"slices"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/sending/parts"
)

// next takes a run off the list: what failed alone before comes last, and after a record that was refused alone, while
// nothing has arrived, the largest comes first, because most likely the system takes that.
func (t *try) next() parts.Span {
	best := len(t.todo) - 1
	for n := len(t.todo) - 1; n >= 0; n-- {
		s, b := t.todo[n], t.todo[best]
		switch failed, worse := t.parts.Failed(s), t.parts.Failed(b); {
		case failed != worse:
			if worse {
				best = n
			}
		case t.odd && t.arrived == 0 && s.Len() > b.Len():
			best = n
		}
	}
	s := t.todo[best]
	t.todo = slices.Delete(t.todo, best, best+1)
	return s
}

// push lists the pieces of a span, so that the first is next.
func (t *try) push(s parts.Span, cuts []int) {
	to := s.To
	for _, at := range slices.Backward(cuts) {
		t.todo = append(t.todo, parts.Span{From: at, To: to})
		to = at
	}
	t.todo = append(t.todo, parts.Span{From: s.From, To: to})
}

// halve lists both halves.
func (t *try) halve(s parts.Span) { t.push(s, []int{s.From + s.Len()/2}) }

// slice lists pieces of about equal weight, so many that each should fit.
func (t *try) slice(s parts.Span, pieces int) {
	total := 0
	for _, e := range t.d.Events[s.From:s.To] {
		total += len(e.Data) + delivery.EnvelopeOverhead
	}
	var cuts []int
	sum := 0
	for n := s.From; n < s.To-1; n++ {
		sum += len(t.d.Events[n].Data) + delivery.EnvelopeOverhead
		if sum*pieces >= total*(len(cuts)+1) && len(cuts) < pieces-1 {
			cuts = append(cuts, n+1)
		}
	}
	if len(cuts) == 0 {
		cuts = []int{s.From + s.Len()/2}
	}
	t.push(s, cuts)
}

// judge notes the answer to the request of a run.
func (t *try) judge(w parts.Span, key string, size int, v destination.Verdict) {
	p := delivery.Part{Key: key, From: w.From, To: w.To, State: delivery.PartFailed, Status: t.a.Status,
		Reason: t.reason(v.Reason)}
	if v.Delivered {
		t.took(v)
		t.taken = append(t.taken, refusal{w, size, t.a.Status})
		p.State, p.Reason = delivery.PartDelivered, ""
		t.parts.Note(p)
		return
	}
	t.fail()
	alone := w.Len() == 1
	switch {
	case v.Unread && !alone:
		t.halved = append(t.halved, refusal{w, size, t.a.Status})
		t.halve(w)
	case v.Unread || v.Apart:
		t.waits = max(t.waits, v.RetryAfter)
		t.parts.Note(p)
	default:
		t.parts.Note(p)
		t.ended = &v
		return
	}
	if !v.Unread {
		return
	}
	t.odd, t.doubt = alone, true
	bears := patience
	if !t.fit.Refusing.IsZero() {
		bears = refusingPatience
	}
	if t.refused++; t.arrived == 0 && !t.had && t.refused >= bears {
		t.gaveUp, t.ended = true, &v
	}
}

// learn remembers what size went through where a larger one did not: of runs that were refused and arrived in pieces,
// so that it was not for what they hold, and of those that were refused with 413.
func (t *try) learn() {
	if t.gaveUp {
		t.sender.fits.Refuses(t.lane, t.sender.Now())
	}
	limit, refused := 0, 0
	for _, h := range t.halved {
		if h.status != http.StatusRequestEntityTooLarge && !t.whole(h.Span) {
			continue
		}
		went := 0
		for _, r := range t.taken {
			if r.From >= h.From && r.To <= h.To && r.bytes < h.bytes {
				went = max(went, r.bytes)
			}
		}
		if limit = max(limit, went); went > 0 && (refused == 0 || h.bytes < refused) {
			refused = h.bytes
		}
	}
	if limit > 0 {
		t.sender.fits.Learn(t.lane, limit, refused, t.sender.Now())
	}
}

// whole reports whether the span arrived in this attempt.
func (t *try) whole(s parts.Span) bool {
	at := s.From
	for range t.taken {
		for _, r := range t.taken {
			if r.From == at {
				at = r.To
			}
		}
		if at >= s.To {
			return true
		}
	}
	return false
}
