package sending

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/report"
	"tocsin/shared/retry"
	"tocsin/shared/sending/parts"
	"tocsin/shared/sending/spans"
)

// Send makes one attempt at a delivery and returns it as it is to be settled: delivered, retrying with its next due
// time, or dead. What arrived before is not sent again: see Part. The error is that of a cancelled context: then
// nothing was decided, and the delivery is to be settled as it is where it has kept something (see Outcome.Kept), else
// released.
func (s *Sender) Send(ctx context.Context, r *Target, d delivery.Delivery) (Outcome, error) {
	start := s.Now()
	a := attempt{Attempt: delivery.Attempt{At: start}}
	if d.State == delivery.Retrying {
		a.Waited = d.Planned()
		a.Late = max(0, start.Sub(d.Due))
	}
	result, err := s.send(ctx, r, &d, &a, start)
	if err != nil {
		return Outcome{Delivery: d, Kept: result.kept}, err
	}
	if s.egressGone(ctx, d, a) {
		kept := slices.ContainsFunc(d.Parts, func(p delivery.Part) bool { return p.State == delivery.PartDelivered })
		return Outcome{Delivery: d, Kept: kept}, ErrEgress
	}
	if gone := d.Gone(); gone != "" && result.Delivered {
		result.Reason, result.lost = joined(result.Reason, []string{gone}), true
	}
	a.Took = s.Now().Sub(start)
	a.Delivered = result.Delivered
	a.Reason = cut.Keep(r.redact.Text(joined(result.Reason, a.said)), maxReason)
	before := d.Attempts
	s.conclude(&d, a.Attempt, result)
	span := spans.Of(s.Tracer, &d, start)
	span.Record(s.Tracer, spans.Made{Attempt: a.Attempt, Delivery: &d, Before: before, System: r.Integration.System,
		Mails: r.Mails()})
	return Outcome{Delivery: d, Mark: result.mark, Quiet: result.quiet, Slow: result.slow, Own: result.own,
		Fault: s.fault(d, result), Span: span.Context}, nil
}

func (s *Sender) send(ctx context.Context, r *Target, d *delivery.Delivery, a *attempt, now time.Time) (result,
	error) {
	if len(d.Events) == 0 && d.Count > 0 {
		return result{Verdict: destination.Verdict{Reason: d.Gone()}, final: true, own: true}, nil
	}
	notifications, said, err := s.notifications(ctx, r, *d, d.Attempts, now)
	a.said = said
	if err != nil {
		if cause := ctx.Err(); cause != nil {
			return result{}, cause
		}
		return result{Verdict: destination.Verdict{Reason: err.Error(), Ours: true}}, nil // a report of our own
	}
	lane := delivery.Lane{Tenant: d.Tenant, Integration: d.Integration}
	whole := parts.Span{To: len(notifications)}
	size := s.fits.Of(lane, now)
	requests, err := s.encode(r, d, whole, notifications, now)
	if err == nil && len(requests) == 0 {
		return result{Verdict: destination.Delivered()}, nil
	}
	if w := s.follow(r, d, a, notifications, requests, now); err == nil && w != nil {
		return w.send(ctx)
	}
	if err == nil && len(d.Parts) == 0 && len(requests) == 1 &&
		(size.Limit == 0 || len(requests[0].Body) <= size.Limit) {
		v, err := s.request(ctx, r, requests[0], a)
		if err != nil {
			return result{}, err
		}
		if !v.Unread || whole.Len() < 2 || requests[0].Part != "" {
			if v.Delivered && !size.Refusing.IsZero() {
				s.fits.Takes(lane, now)
			}
			return single(v, a.Status, requests[0].Mail != nil), nil
		}
		t := s.try(r, d, a, lane, notifications, now, size)
		t.begun, t.requests = true, 1
		t.judge(whole, parts.Place(requests[0]), len(requests[0].Body), v)
		return t.finish(ctx, nil)
	}
	t := s.try(r, d, a, lane, notifications, now, size)
	t.begin()
	if err != nil {
		t.unwritten(whole, err)
		return t.finish(ctx, nil)
	}
	t.todo = []parts.Span{whole}
	return t.finish(ctx, requests)
}

// single is the result of a delivery that is one request.
func single(v destination.Verdict, status int, mail bool) result {
	out := result{Verdict: v}
	switch {
	case v.Delivered:
		out.mark = Well
	case v.Permanent && mail:
		out.final = true
	case v.Apart:
	case v.Unread:
		out.mark = Doubtful
	default:
		out.quiet, out.slow = quiet(v, status), slow(v, status)
		// the mail service is ours: when it is away nobody's integration is to blame
		if !v.Pace && !v.Ours && !(mail && status == 0) {
			out.mark = Ill
		}
	}
	return out
}

// encode writes the requests of a run of a delivery's events.
func (s *Sender) encode(r *Target, d *delivery.Delivery, run parts.Span, ns []notification.Notification,
	now time.Time) ([]destination.Request, error) {
	t := s.target(r, d, now)
	t.Delivery = run.ID(d, len(ns))
	return r.destination.Encode(t, ns[run.From:run.To])
}

// account is what an address can leave: an integration, a person's mails, or all reports on demand.
func account(integration string) string {
	if report.KindOf(integration) == report.OrderReceiver {
		return report.OnDemand
	}
	return integration
}

func (s *Sender) target(r *Target, d *delivery.Delivery, now time.Time) destination.Target {
	t := destination.Target{Parameters: r.opened.Parameters, Delivery: d.ID, Now: now,
		TraceParent: spans.Of(s.Tracer, d, now).String()}
	if s.Unsubscribe != nil {
		t.Unsubscribe = func(address string) string {
			return s.Unsubscribe.Link(d.Tenant, account(d.Integration), address)
		}
	}
	return t
}

// notifications are those of an attempt at the given time, after those that were made before; said is why some have our
// words and not those of the integration's message template.
func (s *Sender) notifications(
	ctx context.Context, r *Target, d delivery.Delivery, before []delivery.Attempt, at time.Time,
) (ns []notification.Notification, said []string, err error) {
	hits, _ := r.Integration.Subscribed(event.Hits)
	late, again := d.Late(before, at)
	l := s.locale(ctx, r)
	ns = make([]notification.Notification, len(d.Events))
	for k, e := range d.Events {
		ns[k] = notification.Notification{Event: e, Platform: s.Platform, Headers: hits.WithHeaders, Late: late,
			Again: again, Held: d.WasHeld() && len(before) == 0, Language: l.Language, Zone: l.Zone,
			FellBack: fellBack(d)}
		if e.Kind != event.Report {
			if r.template != nil && !r.joins(d) { // a digest has our words
				said = r.word(&ns[k], said)
			}
			continue
		}
		if s.Reports == nil {
			return nil, nil, errors.New("this deployment makes no reports")
		}
		if ns[k].Report, err = s.Reports.Report(ctx, e, l.Language); err != nil {
			return nil, nil, err
		}
	}
	return r.together(d, ns), said, nil
}

// fellBack says where the events of a delivery come from that is of a fallback.
func fellBack(d delivery.Delivery) *notification.FellBack {
	if d.From == nil {
		return nil
	}
	return &notification.FellBack{Integration: d.From.Integration, Name: d.From.Name, Reason: d.From.Reason}
}

// word gives a notification the words of the message template, and adds why it has ours.
func (r *Target) word(n *notification.Notification, said []string) []string {
	worded, why := r.template.Apply(*n)
	*n = worded
	for _, s := range why {
		if !slices.Contains(said, s) {
			said = append(said, s)
		}
	}
	return said
}

// joined tells a reason and what is said beside it one after the other.
func joined(reason string, said []string) string {
	for _, s := range said {
		if reason != "" {
			reason += "; "
		}
		reason += s
	}
	return reason
}

// conclude moves the delivery to its next state.
func (s *Sender) conclude(d *delivery.Delivery, a delivery.Attempt, r result) {
	d.Attempts = append(slices.Clip(d.Attempts), a)
	if extra := len(d.Attempts) - maxAttempts; extra > 0 {
		d.Attempts = d.Attempts[extra:]
	}
	d.Due, d.Reason = time.Time{}, a.Reason
	if a.Delivered {
		if d.State, d.Failures = delivery.Delivered, 0; r.lost {
			d.State = delivery.Dead
		}
		return
	}
	if !r.resume || d.Failures == 0 {
		d.Failures++
	}
	wait, ok := s.Schedule.Next(d.Failures, r.RetryAfter)
	if !ok || r.final {
		d.State = delivery.Dead
		return
	}
	d.State, d.Due = delivery.Retrying, a.At.Add(a.Took).Add(wait)
}

// quietLeast is how long a system is left alone that asks to slow down and does not say for how long.
const quietLeast = time.Second

// quiet is how long a system wants no requests at all: it told us so with Retry-After, or asked to slow down.
func quiet(v destination.Verdict, status int) time.Duration {
	wait := v.RetryAfter
	if slow(v, status) {
		wait = max(wait, quietLeast)
	}
	return min(wait, retry.MaxRetryAfter)
}

// slow reports whether an answer asks for a lower rate, and not only for a pause: a 503 with Retry-After is a pause.
func slow(v destination.Verdict, status int) bool {
	return v.Pace && status != http.StatusServiceUnavailable
}

// Limits of what the log keeps of a delivery.
const (
	maxAnswer   = 1 << 10 // bytes of an answer
	maxReason   = 1 << 10 // bytes
	maxAttempts = 64      // the newest are kept: three full runs of the cycles
)
