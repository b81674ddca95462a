package sleep

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Growing are the pauses between tries: first, doubled each time, and most from then on. They are exact. NextBackOff
// tells the next one and never ends: who tries counts the tries.
//
// Only the arithmetic is the library's. Its Retry would hide what the callers decide between two tries: which part of a
// batch is left, and which failure is worth another try.
func Growing(first, most time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: first, Multiplier: 2, MaxInterval: most}
}

// Random are pauses of chance between 0 and twice those of Growing, so that those who got in each other's way do not
// meet again.
func Random(first, most time.Duration) *backoff.ExponentialBackOff {
	b := Growing(first, most)
	b.RandomizationFactor = 1
	return b
}
