package sending

import (
	"context"
	"slices"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/sending/parts"
)

// sendLoose sends requests that are no runs of events: mails, each to one receiver.
func (t *try) sendLoose(ctx context.Context, requests []destination.Request) error {
	names := parts.Keys(requests)
	t.names, t.mails = len(requests), requests[0].Mail != nil
	t.settle(func(p delivery.Part) bool { return !p.Run() && slices.Contains(names, p.Key) })
	old := t.parts
	t.parts = make(parts.List, 0, len(requests)) // in the order of the requests
	for _, k := range names {
		if p := old.Find(k); p != nil {
			t.parts = append(t.parts, *p)
		}
	}
	defer func() { t.parts.Sort(names) }()
	for _, n := range t.parts.UntriedFirst(names) {
		q := requests[n]
		p := t.parts.Find(names[n])
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
