package parts

import (
	"fmt"

	"tocsin/shared/delivery"
)

// Count counts receivers, or events, by what became of them.
func (l List) Count() (arrived, refused, skipped, failed int) {
	for _, p := range l {
		n := max(1, p.To-p.From)
		switch p.State {
		case delivery.PartDelivered:
			arrived += n
		case delivery.PartRefused:
			refused += n
		case delivery.PartSkipped:
			skipped += n
		default:
			failed += n
		}
	}
	return arrived, refused, skipped, failed
}

// Exceptions say of each part that did not arrive why, but of those that failed for the reason last; runs with the same
// reason are told together.
func (l List) Exceptions(last string) []string {
	var out []string
	counts := map[string]int{}
	for _, p := range l {
		switch {
		case p.State == delivery.PartDelivered || p.State == delivery.PartFailed && last != "" && p.Reason == last:
		case p.Run():
			if counts[p.Reason] == 0 {
				out = append(out, p.Reason)
			}
			counts[p.Reason] += p.To - p.From
		case p.State == delivery.PartSkipped:
			out = append(out, p.Whom()+" was not sent it: "+p.Reason)
		case p.State == delivery.PartRefused:
			out = append(out, p.Whom()+" was refused: "+p.Reason)
		default:
			out = append(out, p.Whom()+" did not: "+p.Reason)
		}
	}
	for n, reason := range out {
		if count := counts[reason]; count > 0 {
			out[n] = fmt.Sprintf("%d did not: %s", count, reason)
		}
	}
	return out
}
