package delivery

import (
	"crypto/sha256"
	"time"
)

// Fallback says where the events of a dead delivery went instead: to the integration that its own names for that.
type Fallback struct {
	Integration string `json:"integration"`
	// Delivery is the one that was made there; "" = none was, and Why says why.
	Delivery string      `json:"delivery,omitempty"`
	Why      NotFallback `json:"why,omitempty"`
	// Made is the new delivery, which is written with the dead one: see worker.OutcomeWriter. It is not kept here.
	Made *Delivery `json:"-"`
}

// NotFallback is why no delivery was made to a fallback.
type NotFallback string

// The reasons.
const (
	FallbackDeleted  NotFallback = "deleted"  // the fallback is there no more
	FallbackDisabled NotFallback = "disabled" // it is disabled
	// FallbackDirect: the events are for this integration alone: a report that it ordered, or a test.
	FallbackDirect NotFallback = "direct"
	// FallbackOnce: the delivery came by fallback itself. Events fall back once: so there are no loops, however
	// integrations are changed meanwhile, and what died twice is found in one place.
	FallbackOnce NotFallback = "once"
)

// NotFallbacks lists the reasons.
func NotFallbacks() []NotFallback {
	return []NotFallback{FallbackDeleted, FallbackDisabled, FallbackDirect, FallbackOnce}
}

// From says whose events a delivery has by fallback: those of another integration, which they could not be delivered
// to.
type From struct {
	Integration string `json:"integration"`
	Name        string `json:"name"` // of the integration, as it was then
	// Delivery is the dead one; "" = there is none: the integration was disabled when the events came.
	Delivery string `json:"delivery,omitempty"`
	Reason   string `json:"reason"` // why they could not be delivered, in English
}

// FallbackID is the id of the delivery that an integration gets of a dead one: the same however often it is made.
func FallbackID(dead Delivery, integration string) string {
	h := sha256.New()
	for _, s := range []string{"fallback", dead.Integration, dead.ID, integration} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return DerivedID(dead.CreatedAt, h.Sum(nil))
}

// DigestFallback is of deliveries that people read: what falls back from one integration within a minute is one message
// for them, else an outage of one system would be a storm in another. See FallbackDigest.
const DigestFallback = "fallback"

// FallbackSpan is how long such deliveries wait for company.
const FallbackSpan = time.Minute

// HeldByFallback is Held.By of those that wait for it.
const HeldByFallback = "fallback"

// FallbackDigest is DigestFallback with the integration that the events come from, as rows keep it: those of two
// integrations are two messages.
func FallbackDigest(integration string) string { return DigestFallback + "/" + integration }

// Undelivered are the places of the events that no attempt delivered: all of them, unless some have arrived as runs of
// their own.
func (d *Delivery) Undelivered() []int {
	out := make([]int, 0, len(d.Events))
	runs := len(d.Events) == d.Count && d.Digest == ""
	for n := range d.Events {
		arrived := false
		for _, p := range d.Parts {
			arrived = arrived || runs && p.Run() && p.State == PartDelivered && p.From <= n && n < p.To
		}
		if !arrived {
			out = append(out, n)
		}
	}
	return out
}
