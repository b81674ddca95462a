package waiting

import "time"

// Windows remembers when the batch window of each integration's oldest waiting delivery closes, so that the leases of
// the others need not look.
type Windows map[int64]time.Time

// Add remembers a window that is not yet known of.
func (w Windows) Add(ref int64, due time.Time) {
	if was, ok := w[ref]; !ok || due.Before(was) {
		w[ref] = due
	}
}

// Closed lists the integrations with a batch window that is closed at now, and when the next one closes.
func (w Windows) Closed(now time.Time) (closed []int64, next time.Time) {
	for ref, due := range w {
		if !due.After(now) {
			closed = append(closed, ref)
		} else if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return closed, next
}
