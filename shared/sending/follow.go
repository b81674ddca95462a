package sending

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/sending/parts"
	"tocsin/shared/sending/reference"
)

const (
	// makingLimit is how long one delivery alone may make the thing: longer than an attempt lasts. After it another
	// delivery of the object looks for the thing and, where there is none, makes it.
	makingLimit = 5 * time.Minute
	// findAfter is how long after a lost answer the thing is looked for: some systems list it a little later.
	findAfter = 10 * time.Second
	// makingWait is how long an event waits while another of its object is being sent.
	makingWait = 2 * time.Second
)

// following is one attempt at an event of an object at a system that keeps one thing of it: an issue, a record, an
// incident. The first event makes it, later ones are added to it. Systems call it by an id of their own (Follower), or
// by a key of ours (Keyed), for which all events are one request.
//
// Whose turn it is claims the object first, under a version, so that of two workers with events of one object one
// makes the thing or changes it, and the other waits and then adds to it. An event that is older than one which was
// sent (Told) changes nothing any more: it is told where the system has a place for that, and it makes nothing of what
// is closed by now. So the thing stands as the newest event says, in whatever order they are sent.
//
// An attempt at making the thing whose answer was lost leaves its claim: the retry looks for the thing at the system
// and makes it only if it is not there. So one object has one thing, but where
//   - the system does not list within findAfter what it made just before its answer was lost, or Find can not see it
//     (see the system's package), or
//   - an attempt outlives makingLimit and still makes the thing, which the deadlines of requests forbid, or
//   - the reference was forgotten (reference.Keep) and Find does not list old things.
//
// A comment can be there twice: where its answer was lost it is added again. Where an event is several requests (a
// comment, and a transition), those that were done are not sent again. A reference is of the place that the
// integration goes to: one that moved to another system begins anew there.
type following struct {
	sender   *Sender
	r        *Target
	f        destination.Follower // nil of a system that is Keyed
	d        *delivery.Delivery
	a        *attempt
	n        notification.Notification
	lane     delivery.Lane
	object   event.Object
	how      destination.Following
	key      string // of the reference: the object, at the place that it goes to now
	told     reference.Told
	now      time.Time
	requests []destination.Request // that make the thing

	known    reference.Reference
	version  int64
	outdated bool // a later event of the object was sent before
	asked    bool // the system was asked something
}

// follow begins one, nil when the delivery is not such a one.
func (s *Sender) follow(r *Target, d *delivery.Delivery, a *attempt, ns []notification.Notification,
	requests []destination.Request, now time.Time) *following {
	if !keeps(r.destination) || s.References == nil || len(ns) != 1 || len(requests) != 1 || ns[0].Test {
		return nil
	}
	o, ok := ns[0].Event.Object()
	if !ok {
		return nil
	}
	f, follows := r.destination.(destination.Follower)
	how := destination.Following{TellsClosed: true}
	if follows {
		if how, follows = f.Following(s.target(r, d, now)); !follows {
			return nil
		}
	}
	if how.TellsClosed && d.From == nil && r.Integration.OnlyEnds(ns[0].Event) {
		how.TellsClosed = false // it came for what may have been told, and is no news by itself
	}
	return &following{sender: s, r: r, f: f, d: d, a: a, n: ns[0], object: o, how: how, requests: requests, now: now,
		key: o.Key + " " + parts.Place(requests[0]), told: reference.ToldOf(d.ID, ns[0].Event, o.Step),
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
	if m := w.known.Maker; m != "" && m != w.d.ID && w.now.Sub(w.known.Since) < makingLimit {
		return busy(), makingWait, nil
	}
	w.outdated = w.known.Last.Compare(w.told) > 0
	switch {
	case w.outdated && (w.f == nil || w.known.ID == "" && w.known.Last.Step == event.Closed):
		return w.leave(), 0, nil
	case w.f == nil:
		return w.set(ctx)
	case w.known.ID != "":
		v, wait, err := w.change(ctx)
		if err != nil || !v.Missing {
			return v, wait, err
		}
		if w.outdated {
			return w.leave(), 0, w.release(ctx, false)
		}
		w.known = reference.Reference{Last: w.known.Last} // gone at the system: a new one takes its place
	}
	return w.make(ctx)
}

// leave is the verdict on an event that comes too late to change anything.
func (w *following) leave() destination.Verdict {
	v := destination.Delivered()
	v.Reason = "a later event of the same object was sent before: this one changes nothing any more"
	w.a.Followed = &delivery.Followed{}
	return v
}

// claim takes the turn; false where another attempt was quicker.
func (w *following) claim(ctx context.Context, r reference.Reference) (ok bool, err error) {
	r.Maker, r.Since, r.Expires = w.d.ID, w.now, w.now.Add(reference.Keep)
	err = w.swap(ctx, r)
	if errors.Is(err, reference.ErrChanged) {
		return false, nil
	}
	return err == nil, err
}

// set makes the request of a system that keeps its things by a key of ours. Sent twice it says the same, so that
// nothing has to be kept of one whose answer was lost.
func (w *following) set(ctx context.Context) (destination.Verdict, time.Duration, error) {
	if ok, err := w.claim(ctx, reference.Reference{Last: w.known.Last}); !ok {
		return busy(), makingWait, err
	}
	v, err := w.request(ctx, w.requests[0])
	return v, 0, errors.Join(err, w.release(context.WithoutCancel(ctx), v.Delivered))
}

// change adds to the thing.
func (w *following) change(ctx context.Context) (destination.Verdict, time.Duration, error) {
	claim := reference.Reference{ID: w.known.ID, Doers: w.known.Underway(), Last: w.known.Last}
	if ok, err := w.claim(ctx, claim); !ok {
		return busy(), makingWait, err
	}
	v, err := w.add(ctx, w.known.ID)
	return v, 0, err
}

func busy() destination.Verdict {
	return destination.Verdict{Ours: true,
		Reason: "another event of the same object is being sent: this one follows it"}
}

// make looks for the thing and makes it.
func (w *following) make(ctx context.Context) (destination.Verdict, time.Duration, error) {
	lost := w.known.Begun // of an attempt of this delivery or of one that was given up
	begun := lost
	if lost.IsZero() {
		begun = w.now
	}
	if ok, err := w.claim(ctx, reference.Reference{Begun: begun, Last: w.known.Last}); !ok {
		return busy(), makingWait, err
	}
	if !lost.IsZero() || w.how.Lists {
		found, err := w.request(ctx, w.f.Find(w.target(), w.n, lost))
		if err != nil || !found.Delivered {
			if err == nil && lost.IsZero() { // it is known that nothing was made
				err = w.release(ctx, false)
			}
			return found, 0, err
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
		return v, 0, w.keep(ctx, reference.Reference{ID: v.Reference}, true)
	case v.Delivered || w.unsure():
		return v, findAfter, nil
	}
	return v, 0, w.release(ctx, false)
}

// unsure says that the thing may have been made though the answer was no success: there was none, or it came from
// something before or within a system that failed.
func (w *following) unsure() bool { return w.a.Status == 0 || w.a.Status >= 500 || w.a.broken }

// take goes on with what was found.
func (w *following) take(ctx context.Context, id string, lost bool) (destination.Verdict, time.Duration, error) {
	made := lost && w.n.Step() == event.Opened
	w.known = reference.Reference{ID: id, Last: w.known.Last}
	if err := w.keep(ctx, w.known, made); err != nil {
		return destination.Verdict{}, 0, err
	}
	if made {
		w.a.Followed = &delivery.Followed{Made: true}
		v := destination.Delivered() // by the attempt whose answer was lost
		v.Reason = "it had arrived at an earlier attempt, whose answer was lost"
		return v, 0, nil
	}
	return w.change(ctx)
}

// add sends the event to the thing, and keeps how far that came.
func (w *following) add(ctx context.Context, id string) (destination.Verdict, error) {
	requests, err := w.f.Follow(w.target(), w.n, id)
	if err != nil {
		return destination.Verdict{Reason: unwritable(w.r, err)}, nil
	}
	w.a.Followed = &delivery.Followed{Reference: id, Outdated: w.outdated}
	before := w.known.Of(w.d.ID)
	done, end := before.Rest(len(requests))
	apart, left := destination.Delivered(), 0
	for first := done; done < end; done++ {
		if w.outdated && requests[done].Newest {
			continue
		}
		v, err := w.step(ctx, requests[done], done)
		switch {
		case err != nil:
			how := reference.Doer{Done: done}
			if left > 0 {
				how.Done = left - 1 // it is tried again with those behind it
			}
			if done == first {
				how = before
			}
			return v, errors.Join(err, w.added(context.WithoutCancel(ctx), id, how, false))
		case v.Delivered && left == 0:
			apart.Reason = cmp.Or(v.Reason, apart.Reason) // what became of the thing
			continue
		case v.Delivered:
			continue
		case v.Apart && !v.Missing && left == 0 && done+1 < end: // the others do not wait for it
			apart, left = v, done+1
			continue
		case v.Missing:
			return v, nil // another takes its place, under this claim
		case done == first:
			return v, w.added(ctx, id, before, false)
		case left == 0:
			return v, w.added(ctx, id, reference.Doer{Done: done}, false)
		default:
			return v, w.added(ctx, id, reference.Doer{Left: left}, false)
		}
	}
	return apart, w.added(ctx, id, reference.Doer{Left: left}, left == 0)
}

// added notes how far this delivery came, and gives the turn back.
func (w *following) added(ctx context.Context, id string, how reference.Doer, told bool) error {
	others := slices.DeleteFunc(w.known.Underway(), func(o reference.Doer) bool { return o.Delivery == w.d.ID })
	if how.Done > 0 || how.Left > 0 {
		how.Delivery = w.d.ID
		others = append(others, how)
	}
	return w.keep(ctx, reference.Reference{ID: id, Doers: others[max(0, len(others)-reference.MaxDoers):]}, told)
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

// keep notes what the thing is called, and that the event was told. What another attempt noted meanwhile stays.
func (w *following) keep(ctx context.Context, r reference.Reference, told bool) error {
	r.Expires, r.Last = w.now.Add(reference.Keep), w.last(told)
	err := w.swap(ctx, r)
	if errors.Is(err, reference.ErrChanged) {
		return nil
	}
	return err
}

// last is the newest event that was told, with this one where it was.
func (w *following) last(told bool) reference.Told {
	if told && w.told.Compare(w.known.Last) > 0 {
		return w.told
	}
	return w.known.Last
}

// release gives the claim back where nothing was made that has an id.
func (w *following) release(ctx context.Context, told bool) error {
	if w.last(told) != (reference.Told{}) {
		return w.keep(ctx, reference.Reference{}, told)
	}
	if err := w.swap(ctx, reference.Reference{}); err != nil && !errors.Is(err, reference.ErrChanged) {
		return err
	}
	return nil
}

func (w *following) swap(ctx context.Context, r reference.Reference) error {
	next, err := w.sender.References.Swap(ctx, w.lane, w.key, w.version, r)
	if err != nil {
		return fmt.Errorf("note what integration %s has of %s: %w", w.d.Integration, w.object.Key, err)
	}
	w.version = next
	return nil
}
