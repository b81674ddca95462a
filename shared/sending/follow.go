package sending

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/sending/parts"
)

// following is one attempt at an event of an object at a system that calls what it makes by an id of its own. The first
// event makes the thing (an issue, a record), later ones are added to it.
//
// Who wants to make the thing claims that first, under a version, so that of two workers with events of one object one
// makes it and the other waits and then adds to it. An attempt whose answer was lost leaves its claim: the retry looks
// for the thing at the system and makes it only if it is not there. So one object has one thing, but where
//   - the system does not list within findAfter what it made just before its answer was lost, or Find can not see it
//     (see the system's package), or
//   - an attempt outlives makingLimit and still makes the thing, which the deadlines of requests forbid, or
//   - the reference was forgotten (ReferenceKeep) and Find does not list old things.
//
// A comment can be there twice: where its answer was lost it is added again. Where an event is several requests (a
// comment, and a transition), those that were done are not sent again. A reference is of the place that the
// integration goes to: one that moved to another system begins anew there.
type following struct {
	sender   *Sender
	r        *Target
	f        destination.Follower
	d        *delivery.Delivery
	a        *attempt
	n        notification.Notification
	lane     delivery.Lane
	object   event.Object
	how      destination.Following
	key      string // of the reference: the object, at the place that it goes to now
	now      time.Time
	requests []destination.Request // that make the thing

	known   Reference
	version int64
	asked   bool // the system was asked something
}

// follow begins one, nil when the delivery is not such a one.
func (s *Sender) follow(r *Target, d *delivery.Delivery, a *attempt, ns []notification.Notification,
	requests []destination.Request, now time.Time) *following {
	f, ok := r.destination.(destination.Follower)
	if !ok || s.References == nil || len(ns) != 1 || len(requests) != 1 || ns[0].Test {
		return nil
	}
	how, follows := f.Following(s.target(r, d, now))
	o, ok := ns[0].Event.Object()
	if !ok || !follows {
		return nil
	}
	return &following{sender: s, r: r, f: f, d: d, a: a, n: ns[0], object: o, how: how, requests: requests, now: now,
		key:  o.Key + " " + parts.Place(requests[0]),
		lane: delivery.Lane{Tenant: d.Tenant, Integration: d.Integration}}
}

// send makes the attempt. The error is that of the ended context.
func (w *following) send(ctx context.Context) (result, error) {
	v, wait, err := w.attempt(ctx)
	if cause := ctx.Err(); err != nil && cause != nil {
		return result{}, cause
	}
	if err != nil { // the engine's: nobody's integration is to blame
		v = destination.Verdict{Ours: true, Reason: err.Error()}
	}
	out := single(v, w.a.Status, false)
	out.RetryAfter, out.own = max(out.RetryAfter, wait), !w.asked
	return out, nil
}

// attempt adds to the thing, or makes it.
func (w *following) attempt(ctx context.Context) (v destination.Verdict, wait time.Duration, err error) {
	if w.known, w.version, err = w.sender.References.Reference(ctx, w.lane, w.key); err != nil {
		return v, 0, err
	}
	if w.known.ID != "" {
		v, err := w.add(ctx, w.known.ID)
		if err != nil || !v.Missing {
			return v, 0, err
		}
		w.known = Reference{} // gone at the system: a new one takes its place
	}
	if m := w.known.Maker; m != "" && m != w.d.ID && w.now.Sub(w.known.Since) < makingLimit {
		return busy(), makingWait, nil
	}
	return w.make(ctx)
}

func busy() destination.Verdict {
	return destination.Verdict{Ours: true,
		Reason: "another event of the same object is being sent: this one follows it"}
}

// make looks for the thing and makes it.
func (w *following) make(ctx context.Context) (destination.Verdict, time.Duration, error) {
	lost := w.known.Begun // of an attempt of this delivery or of one that was given up
	claim := Reference{Maker: w.d.ID, Since: w.now, Begun: lost, Expires: w.now.Add(ReferenceKeep)}
	if lost.IsZero() {
		claim.Begun = w.now
	}
	if err := w.swap(ctx, claim); errors.Is(err, ErrReferenceChanged) {
		return busy(), makingWait, nil
	} else if err != nil {
		return destination.Verdict{}, 0, err
	}
	if !lost.IsZero() || w.how.Lists {
		found, err := w.request(ctx, w.f.Find(w.target(), w.n, lost))
		if err != nil || !found.Delivered {
			return found, 0, errors.Join(err, w.release(ctx, err == nil && lost.IsZero()))
		}
		if found.Reference != "" {
			return w.take(ctx, found.Reference, !lost.IsZero())
		}
	}
	if w.n.Step() == event.Closed && !w.how.TellsClosed {
		v := destination.Delivered()
		v.Reason = "there is nothing of it to close"
		w.a.Followed = &delivery.Followed{}
		return v, 0, w.release(ctx, true)
	}
	q := w.requests[0]
	q.Once = true
	w.a.Followed = &delivery.Followed{Made: true}
	v, err := w.request(ctx, q)
	switch {
	case err != nil:
		return v, 0, err // the claim stays: what became of the request is not known
	case v.Delivered && v.Reference != "":
		return v, 0, w.keep(ctx, Reference{ID: v.Reference})
	case v.Delivered || w.unsure():
		return v, findAfter, nil
	}
	return v, 0, w.release(ctx, true)
}

// unsure says that the thing may have been made though the answer was no success: there was none, or it came from
// something before or within a system that failed.
func (w *following) unsure() bool { return w.a.Status == 0 || w.a.Status >= 500 || w.a.broken }

// take goes on with what was found.
func (w *following) take(ctx context.Context, id string, lost bool) (destination.Verdict, time.Duration, error) {
	w.known = Reference{}
	if err := w.keep(ctx, Reference{ID: id}); err != nil {
		return destination.Verdict{}, 0, err
	}
	if lost && w.n.Step() == event.Opened {
		w.a.Followed = &delivery.Followed{Made: true}
		v := destination.Delivered() // by the attempt whose answer was lost
		v.Reason = "it had arrived at an earlier attempt, whose answer was lost"
		return v, 0, nil
	}
	v, err := w.add(ctx, id)
	return v, 0, err
}

// add sends the event to the thing, and keeps how far that came.
func (w *following) add(ctx context.Context, id string) (destination.Verdict, error) {
	requests, err := w.f.Follow(w.target(), w.n, id)
	if err != nil {
		return destination.Verdict{Reason: unwritable(w.r, err)}, nil
	}
	w.a.Followed = &delivery.Followed{Reference: id}
	done, end := w.left(len(requests))
	apart, left := destination.Delivered(), 0
	for first := done; done < end; done++ {
		v, err := w.step(ctx, requests[done], done)
		switch {
		case err != nil:
			return v, err
		case v.Delivered && left == 0:
			apart.Reason = cmp.Or(v.Reason, apart.Reason) // what became of the thing
			continue
		case v.Delivered:
			continue
		case v.Apart && !v.Missing && left == 0 && done+1 < end: // the others do not wait for it
			apart, left = v, done+1
			continue
		case done > first && left == 0 && !v.Missing:
			err = w.keep(ctx, Reference{ID: id, Doer: w.d.ID, Done: done})
		}
		return v, err
	}
	if left > 0 {
		return apart, w.keep(ctx, Reference{ID: id, Doer: w.d.ID, Left: left})
	}
	return apart, w.keep(ctx, Reference{ID: id})
}

// left are which of so many requests this delivery still has to make: from one on, up to another.
func (w *following) left(all int) (from, to int) {
	switch k := w.known; {
	case k.Doer != w.d.ID:
		return 0, all
	case k.Left > 0 && k.Left <= all:
		return k.Left - 1, k.Left
	default:
		return min(k.Done, all), all
	}
}

func (w *following) target() destination.Target { return w.sender.target(w.r, w.d, w.now) }

func (w *following) request(ctx context.Context, q destination.Request) (destination.Verdict, error) {
	w.asked = true
	return w.sender.request(ctx, w.r, q, w.a)
}

// step makes one of the requests that add to the thing, and those that its answers ask for.
func (w *following) step(ctx context.Context, q destination.Request, index int) (destination.Verdict, error) {
	v, err := w.request(ctx, q)
	for err == nil && v.Delivered && v.Next != nil {
		w.note(index, *v.Next)
		v, err = w.request(ctx, *v.Next)
	}
	return v, err
}

// keep notes what the thing is called. What another attempt noted meanwhile stays.
func (w *following) keep(ctx context.Context, r Reference) error {
	r.Expires = w.now.Add(ReferenceKeep)
	err := w.swap(ctx, r)
	if errors.Is(err, ErrReferenceChanged) {
		return nil
	}
	return err
}

// release gives the claim back where it is known that nothing was made.
func (w *following) release(ctx context.Context, sure bool) error {
	if !sure {
		return nil
	}
	if err := w.swap(ctx, Reference{}); err != nil && !errors.Is(err, ErrReferenceChanged) {
		return err
	}
	return nil
}

func (w *following) swap(ctx context.Context, r Reference) error {
	next, err := w.sender.References.Swap(ctx, w.lane, w.key, w.version, r)
	if err != nil {
		return fmt.Errorf("note what integration %s has of %s: %w", w.d.Integration, w.object.Key, err)
	}
	w.version = next
	return nil
}
