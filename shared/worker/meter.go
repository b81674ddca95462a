package worker

import (
	"context"
	"net/http"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/metrics"
	"tocsin/shared/sending"
)

// meter adds what a batch of outcomes came to, once they are written.
func meter(ctx context.Context, sink metrics.Sink, batch []outcome) {
	if sink == nil {
		return
	}
	var b metrics.Batch
	for n := range batch {
		batch[n].meter(&b)
	}
	if !b.Empty() {
		sink.Add(ctx, &b)
	}
}

// meter adds one outcome.
func (o *outcome) meter(b *metrics.Batch) {
	d := &o.after.Delivery
	switch {
	case o.barrier != nil || o.after.Kept: // nothing was decided
		return
	case o.ended:
		b.Count(metrics.Dead, 1, o.system, metrics.EndedOff)
		return
	case len(d.Attempts) == 0:
		return
	}
	a := &d.Attempts[len(d.Attempts)-1]
	b.Count(metrics.Attempts, 1, o.system)
	b.Time(metrics.AttemptTime, a.Took, o.system)
	if !a.Delivered {
		b.Count(metrics.Failed, 1, o.system, causeOf(&o.after, a, o.mails))
	}
	switch d.State {
	case delivery.Dead:
		b.Count(metrics.Dead, 1, o.system, metrics.EndedTries)
	case delivery.Delivered:
		b.Count(metrics.Delivered, 1, o.system)
		if took, ok := latency(d); ok {
			b.Time(metrics.Latency, took, o.system)
		}
	}
}

// latency is the time from the arrival of a delivery's oldest event to the answer that confirmed it, if that is the
// first that did. What was held came when it was to come: how long that took says nothing of how fast anybody is.
func latency(d *delivery.Delivery) (took time.Duration, ok bool) {
	if len(d.Attempts) == 0 || d.Held != nil {
		return 0, false
	}
	before, last := d.Attempts[:len(d.Attempts)-1], d.Attempts[len(d.Attempts)-1]
	if slices.ContainsFunc(before, func(a delivery.Attempt) bool { return a.Delivered }) {
		return 0, false
	}
	return last.At.Add(last.Took).Sub(d.CreatedAt), true
}

// causeOf is why an attempt failed. The codes of a mail server are others than those of HTTP: 4xx is a fault for now,
// 5xx a refusal (RFC 5321, section 4.2.1).
func causeOf(o *sending.Outcome, a *delivery.Attempt, mails bool) string {
	status := a.Status
	if mails {
		switch status / 100 {
		case 4:
			status = http.StatusServiceUnavailable
		case 5:
			status = http.StatusBadRequest
		}
	}
	switch {
	case o.Own:
		return metrics.CauseOwn
	case o.Fault:
		return metrics.CauseDeployment
	case a.Gone:
		return metrics.CauseGone
	case o.Slow || status == http.StatusTooManyRequests:
		return metrics.CauseRateLimited
	case status == 0:
		return metrics.CauseNoAnswer
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return metrics.CauseUnauthorized
	case status >= 500:
		return metrics.CauseServerError
	case status >= 400:
		return metrics.CauseRefused
	case status >= 300:
		return metrics.CauseRedirected
	}
	return metrics.CauseNotConfirmed
}
