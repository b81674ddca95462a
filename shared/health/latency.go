package health

import "time"

// latencyBounds divide latencies into classes: each class ends with its bound, the last has none.
var latencyBounds = [...]time.Duration{
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
}

// LatencyClasses is how many classes of latency there are.
const LatencyClasses = len(latencyBounds) + 1

// Latencies counts deliveries by class of latency: the time from the arrival of their oldest event to the answer that
// confirmed them, with all that lies between (a batch window, retries, a replay). What arrived before, and was sent
// once more, is not in it, and neither is what was held: see delivery.Held.
type Latencies [LatencyClasses]int

// Add counts one.
func (l *Latencies) Add(took time.Duration) {
	class := 0
	for class < len(latencyBounds) && took > latencyBounds[class] {
		class++
	}
	l[class]++
}

// Merge adds others.
func (l *Latencies) Merge(others Latencies) {
	for class, n := range others {
		l[class] += n
	}
}

// Count is how many there are.
func (l *Latencies) Count() (n int) {
	for _, m := range l {
		n += m
	}
	return n
}

// Percentile tells within which bounds the latency lies that so many percent do not exceed: it is more than the one,
// zero in the lowest class, and at most the other, zero in the highest, which has no bound. ok is false where there are
// none.
func (l *Latencies) Percentile(percent int) (more, most time.Duration, ok bool) {
	count := l.Count()
	if count <= 0 {
		return 0, 0, false
	}
	rank := max(1, (count*percent+99)/100)
	for class, n := range l {
		if rank -= n; rank > 0 {
			continue
		}
		if class > 0 {
			more = latencyBounds[class-1]
		}
		if class < len(latencyBounds) {
			most = latencyBounds[class]
		}
		break
	}
	return more, most, true
}
