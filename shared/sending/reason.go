package sending

import (
	"fmt"
	"strings"

	"tocsin/shared/destination"
)

// tally counts receivers, or events.
type tally struct{ all, arrived, refused, skipped, failed, open int }

func (t *try) tally() tally {
	out := tally{all: t.names}
	if t.names == 0 {
		out.all = len(t.notifications)
	}
	out.arrived, out.refused, out.skipped, out.failed = t.parts.Count()
	out.open = out.all - out.arrived - out.refused - out.skipped
	return out
}

// told is how many single outcomes a reason lists.
const told = 3

// tell says what the attempt came to, for a person.
func (t *try) tell(sum tally) string {
	if sum.arrived == sum.all {
		if t.words == "" && len(t.halved) > 0 {
			return fmt.Sprintf("it went in %d smaller requests, because the receiver refused it as one (%s)",
				len(t.taken), destination.StatusText(t.halved[0].status))
		}
		return t.words
	}
	if t.ended != nil && (t.gaveUp || sum.arrived == 0 && sum.refused == 0 && sum.skipped == 0 && len(t.parts) < 2) {
		return t.ended.Reason
	}
	var said []string
	more := 0
	last := ""
	if t.ended != nil {
		last = t.reason(t.ended.Reason) // told at the end
	}
	for _, p := range t.parts.Exceptions(last) {
		if len(said) == told {
			more++
			continue
		}
		said = append(said, p)
	}
	if t.ended == nil && sum.arrived == 0 && len(said) == 1 && sum.all == 1 {
		for _, p := range t.parts {
			return p.Reason
		}
	}
	unit := "%d of %d got it"
	switch {
	case t.names == 0:
		unit = "%d of %d events arrived"
	case !t.mails:
		unit = "%d of %d requests arrived"
	}
	out := fmt.Sprintf(unit, sum.arrived, sum.all)
	if len(said) > 0 {
		out += "; " + strings.Join(said, "; ")
	}
	if more > 0 {
		out += fmt.Sprintf("; and %d more", more)
	}
	if t.ended != nil {
		out += "; then: " + t.ended.Reason
	}
	return out
}
