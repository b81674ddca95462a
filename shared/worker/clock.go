package worker

import "time"

const (
	// clockLook is how often the clock is looked at: what is due is sent so soon after a machine has slept.
	clockLook = time.Second
	// clockStep is what a clock must have gone back by at once for anybody to care; less delays by less.
	clockStep = 2 * time.Second
	// longestWait is more than any delivery waits: the longest of the cycles and of Retry-After is 30 min, the longest
	// span of a file an hour. What is due later was made by a clock that has been set since.
	longestWait = 2 * time.Hour
	// anyTime makes whatever is due so late due at once.
	anyTime = 50 * 365 * 24 * time.Hour
)

// clock tells how far the time of day went back, by a clock that never does.
type clock struct {
	day    time.Time // without its monotonic part
	steady time.Time
}

func newClock(now time.Time) clock { return clock{now.Round(0), time.Now()} }

// wentBack is how far the time of day went back since the last call; 0 when it did not. What was made by the new time
// of day before the call is taken for old, and sent early: so it is called often.
func (c *clock) wentBack(now time.Time) time.Duration {
	was, steady := *c, time.Now()
	c.day, c.steady = now.Round(0), steady
	return max(0, steady.Sub(was.steady)-c.day.Sub(was.day))
}
