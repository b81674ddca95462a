package sending

import (
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
)

// result is what an attempt came to.
type result struct {
	destination.Verdict // of the delivery; RetryAfter is the longest of all parts
	mark                Mark
	quiet               time.Duration // how long the system wants no requests at all
	slow                bool          // it is a rate that it asks for
	final               bool          // no later attempt can do better
	own                 bool          // see Outcome.Own
	resume              bool          // parts arrived and the rest was only not reached: it uses up no wait
	lost                bool          // events are kept no longer, and only the others were sent
	kept                bool          // it broke off, and the delivery's parts say what had arrived
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
		out.Ours = t.ended.Ours
		out.RetryAfter = max(out.RetryAfter, t.ended.RetryAfter)
		out.quiet, out.slow = quiet(*t.ended, t.a.Status), slow(*t.ended, t.a.Status)
		out.resume = t.ended.Pace && t.arrived > 0
	}
	out.mark = t.mark()
	if out.Delivered && tally.arrived == 0 && tally.refused > 0 {
		out.Delivered, out.final = false, true // nobody got it, and nobody will
	}
	out.Reason = t.tell(tally)
	if t.d.Parts = t.parts.Stored(len(t.notifications)); out.Delivered && tally.arrived == tally.all {
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

func (t *try) mark() Mark {
	switch {
	case t.mails && (t.arrived > 0 || t.had): // a service that takes the mails of others is a working one
	case t.ended != nil && !t.full && !t.gaveUp && !t.ended.Pace && !t.ended.Ours && !(t.r.Mails() && t.a.Status == 0):
		return Ill
	}
	switch {
	case t.arrived > 0:
		return Well
	case t.doubt && !t.had:
		return Doubtful
	}
	return Silent
}
