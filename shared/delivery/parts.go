package delivery

// Part is what became of one part of a delivery that travels as several requests: of one receiver of a mail, or of a
// run of the delivery's events. A delivery that goes through as one request has none; its state says it all.
//
// A part that is done stays done: no retry, no replay of a dead delivery, no restart and no change of the integration
// sends it again, unless it goes to another place since (another URL, chat or bucket). A receiver who was removed from
// the integration has no part any more; one who was added gets what is not over yet, so that a mistyped address can be
// corrected and its delivery sent again.
type Part struct {
	// Key tells parts apart: destination.Request.Part, or a digest of where a run of events goes.
	Key string `json:"key"`
	// Name is a receiver's address, "" of a run of events.
	Name string `json:"name,omitempty"`
	// The part holds the delivery's events From up to, not including, To, counted from 0; all events of a digest are
	// one. Both are 0 of a receiver.
	From  int       `json:"from,omitempty"`
	To    int       `json:"to,omitempty"`
	State PartState `json:"state"`
	// Status of the answer, 0 when there was none.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// PartState is the state of a part.
type PartState string

// The states of a part.
const (
	PartWaiting   PartState = "waiting"   // it was not tried yet; never stored, see Delivery.Outcomes
	PartDelivered PartState = "delivered" // it arrived
	PartFailed    PartState = "failed"    // it goes through the cycles, or went until the delivery died
	PartRefused   PartState = "refused"   // its receiver was refused for good (destination.Verdict.Permanent)
	PartSkipped   PartState = "skipped"   // it is not to be sent: the receiver unsubscribed, or is undeliverable
)

// Over reports whether nothing more is to be sent.
func (p Part) Over() bool { return p.State != PartFailed && p.State != PartWaiting }

// Run reports whether the part is a run of events.
func (p Part) Run() bool { return p.To > 0 }

// Outcomes are the delivery's parts in their order, the runs of events that were not tried yet among them; none where
// one request was all.
func (d Delivery) Outcomes() []Part {
	var out []Part
	at := 0
	for _, p := range d.Parts {
		if p.Run() && p.From > at {
			out = append(out, Part{Key: p.Key, From: at, To: p.From, State: PartWaiting})
		}
		at = max(at, p.To)
		out = append(out, p)
	}
	if all := d.Messages(); at > 0 && at < all {
		out = append(out, Part{Key: d.Parts[0].Key, From: at, To: all, State: PartWaiting})
	}
	return out
}

func (p Part) Whom() string {
	if p.Name != "" {
		return p.Name
	}
	return "one"
}
