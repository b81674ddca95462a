// Package retry holds the three cycles in which a failed delivery is sent again (product facts, section 3). The
// waits stand here and nowhere else: the embedded engine takes its due times from Next, and on AWS the state
// machine asks the same function before each of its waits.
package retry

import "time"

// Cycle is a run of waits, one before each repeat.
type Cycle []time.Duration

// Cycles are the product's, one after another without a pause.
func Cycles() []Cycle {
	const s, m = time.Second, time.Minute
	return []Cycle{
		{1 * s, 3 * s, 5 * s, 10 * s, 10 * s},
		{0, 1 * s, 3 * s, 5 * s, 30 * s},
		{1 * m, 1 * m, 3 * m, 5 * m, 10 * m, 30 * m},
	}
}

// MaxRetryAfter caps a system's own Retry-After (design: 30 min).
const MaxRetryAfter = 30 * time.Minute

// Schedule is a sequence of waits. Its zero value is the product's.
type Schedule struct {
	// Faster divides every wait, for a demonstration; 0 and 1 leave the waits as they are.
	Faster float64
}

var waits = func() []time.Duration {
	var all []time.Duration
	for _, c := range Cycles() {
		all = append(all, c...)
	}
	return all
}()

// Attempts is how often a delivery is sent in all: once, and once after each wait.
func (Schedule) Attempts() int { return len(waits) + 1 }

// Next is the wait after the failures-th failure of a delivery in a row (1 = the first request failed). A longer
// retryAfter lengthens the wait up to MaxRetryAfter and never shortens it. ok is false when the cycles are over
// and the delivery is to be kept as a dead letter.
func (s Schedule) Next(failures int, retryAfter time.Duration) (wait time.Duration, ok bool) {
	if failures < 1 || failures > len(waits) {
		return 0, false
	}
	wait = max(waits[failures-1], min(retryAfter, MaxRetryAfter))
	if s.Faster > 1 {
		wait = time.Duration(float64(wait) / s.Faster)
	}
	return wait, true
}

// Position names the wait after the failures-th failure: cycle 1 to 3, and the wait's place in it from 1.
// Both are 0 when there is no such wait.
func Position(failures int) (cycle, wait int) {
	for i, c := range Cycles() {
		if failures >= 1 && failures <= len(c) {
			return i + 1, failures
		}
		failures -= len(c)
	}
	return 0, 0
}
