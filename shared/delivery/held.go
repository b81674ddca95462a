package delivery

import (
	"context"
	"time"

	"tocsin/shared/event"
)

// Held says what holds a delivery back, and until when: it is Pending meanwhile, with Until as its Due. It stays when
// the delivery was let go, for those who ask why it came so late; Until is the moment of that where it ended early.
type Held struct {
	By     string    `json:"by"` // what holds it: see hold.By
	Until  time.Time `json:"until"`
	Zone   string    `json:"zone,omitempty"`   // in which a person said when it ends, "" = in none
	Tenant bool      `json:"tenant,omitempty"` // the rule is the tenant's, not the integration's own
	// Merge: those of an integration that are let go together become one delivery, as far as it has room. Where it is
	// not set each goes as it is.
	Merge bool `json:"merge,omitempty"`
	// Join: it goes as it is, and may become one message for people with others where more are let go together than
	// their storm guard lets through.
	Join bool `json:"join,omitempty"`
	// Gathers is when it would have been told if nothing held it then: it gathers until that moment, which may still
	// come. Zero = it did not gather.
	Gathers time.Time `json:"gathers,omitzero"`
	// Guard is how many such messages are sent at once, 0 = as many as there are. A Holding says it; it is not kept.
	Guard int `json:"-"`
}

// HeldByGathering is Held.By of what nothing holds any more and that still gathers: the rules were changed meanwhile.
const HeldByGathering = "gathering"

// HeldAtMost bounds how long a delivery is held, however often its hold is made longer: what is kept of it and of its
// events is kept for longer than that.
const HeldAtMost = 31 * 24 * time.Hour

// Holder knows what holds deliveries back at this moment.
type Holder interface {
	// Holding reads what holds the deliveries to an integration; nil = nothing does, and also where it is disabled or
	// gone: what waits for it ends.
	Holding(ctx context.Context, tenant, integration string) (Holding, error)
}

// Holding says what holds a delivery of some kinds of events at a moment, now or later, and until when; the zero value
// = nothing does. Merge, Join and Gathers are not its business.
type Holding func(kinds []event.Kind, at time.Time) Held

// HoldingOf asks a Holder, of whom there may be none.
func HoldingOf(ctx context.Context, h Holder, tenant, integration string) (Holding, error) {
	if h == nil {
		return nil, nil
	}
	return h.Holding(ctx, tenant, integration)
}

// keeps tells whether a delivery that is held stays so at a moment, and by what. That is decided by the rules as they
// are then, and not as they were when it came: a hold can end early, and be made longer. What gathers does so to its
// end, whatever else is looked at, and what counts is whether it is held then.
func (h Holding) keeps(d Delivery, now time.Time) (held Held, ok bool) {
	if h == nil {
		return held, false
	}
	end, at := d.Held.Gathers, now
	if end.After(now) {
		at = end
	}
	held = h(d.Kinds, at)
	if d.Held.By == HeldByFallback && !held.Until.After(d.Due) {
		guard := held.Guard
		held = *d.Held
		held.Guard = guard
		return held, d.Due.After(now)
	}
	held.Merge, held.Join, held.Gathers = d.Held.Merge, d.Held.Join, end
	if held = held.AtMost(d.CreatedAt); end.After(now) && !held.Until.After(end) {
		held.By, held.Until, held.Zone, held.Tenant = HeldByGathering, end, "", false
	}
	return held, held.Until.After(now)
}

// WasHeld reports whether something holds or held a delivery that does not only gather.
func (d *Delivery) WasHeld() bool { return d.Held != nil && d.Held.By != HeldByGathering }

// AtMost is what holds a delivery that was made at a time, for no longer than anything is held.
func (h Held) AtMost(created time.Time) Held {
	if last := created.Add(HeldAtMost); h.Until.After(last) {
		h.Until = last
	}
	h.Until = h.Until.UTC()
	return h
}

// ended is what held a delivery that is let go at a moment.
func (h Held) ended(now time.Time) *Held {
	if now.Before(h.Until) {
		h.Until = now.UTC()
	}
	return &h
}

// LetGo is what is to be done with deliveries of one integration that are held.
type LetGo struct {
	// Off are put off: their Held and Due are what they are from now on. One that stays as it is is not among them.
	Off []Delivery
	// Alone go as they are, with the Held that they have here; each of Merged goes as one, under the id of its first
	// and with its Digest and Held: see Coalesce.
	Alone  []Delivery
	Merged [][]Windowed
	// Next is when the next of those that stay is to be looked at; zero = none stays.
	Next time.Time
}

// LetGo decides on deliveries that are held, given oldest first. size is that of one's events in bytes: see Size.
func (h Holding) LetGo(held []Delivery, now time.Time, size func(Delivery) int) (out LetGo) {
	var merged []Windowed
	messages := 0 // of those that the storm guard counts
	for _, d := range held {
		to, ok := h.keeps(d, now)
		guard := to.Guard
		to.Guard = 0
		switch {
		case ok:
			if to != *d.Held || !to.Until.Equal(d.Due) {
				d.Held, d.Due = &to, to.Until
				out.Off = append(out.Off, d)
			}
			if out.Next.IsZero() || to.Until.Before(out.Next) {
				out.Next = to.Until
			}
		case d.Held.Merge:
			merged = append(merged, Windowed{ID: d.ID, Count: d.Count, Size: size(d), Digest: d.Digest,
				Held: d.Held.ended(now)})
		case d.Held.Join && guard > 0 && messages >= guard:
			merged = append(merged, Windowed{ID: d.ID, Count: d.Count, Size: size(d), Digest: d.Held.By,
				Held: d.Held.ended(now)})
		default:
			if d.Held.Join {
				messages++
			}
			d.Held = d.Held.ended(now)
			out.Alone = append(out.Alone, d)
		}
	}
	out.Merged = Coalesce(merged)
	return out
}
