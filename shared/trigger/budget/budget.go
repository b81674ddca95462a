// Package budget bounds the time that the URI patterns of a tenant's triggers take.
//
// They run in the same process as every other tenant's events. Go's regular expressions take time in proportion to the
// length of the text times the size of the compiled program (package regexp), and the size can be large: `.{0,900}` is
// 1,800 instructions. So there are three bounds: of what is saved, of what one match may take, and of what a tenant may
// take.
package budget

import (
	"time"

	"tocsin/shared/cache"
)

const (
	// maxMatch bounds one match, in instructions times bytes: a tenth of a second. Only what an earlier release saved
	// can be larger; on a URI that is too long for it a trigger is not evaluated.
	maxMatch = 4_000_000

	// burst is the time that a tenant's URI patterns may take at once, and perSecond how much of it comes back in a
	// second. It is per process: a fan-out function of AWS, or the one machine.
	burst     = 250 * time.Millisecond
	perSecond = 50 * time.Millisecond
	// lookEvery is how often the clock is read while patterns are matched, in instructions times bytes.
	lookEvery = 50_000
)

// meter is what is left of a tenant's time.
type meter struct {
	left time.Duration
	at   time.Time
}

// Meters are those of all tenants.
type Meters struct {
	of cache.LRU[string, meter]
}

// maxMeters bounds the tenants whose meters are remembered; a full one is as good as none.
const maxMeters = 10_000

// Open begins an evaluation of a tenant.
func (m *Meters) Open(tenant string, now time.Time, clock func() time.Time) *Evaluation {
	v, ok := m.of.Get(tenant)
	switch elapsed := now.Sub(v.at); {
	case !ok || elapsed < 0:
		v.left = burst
	case elapsed < burst*time.Second/perSecond:
		v.left = min(burst, v.left+elapsed*perSecond/time.Second)
	default:
		v.left = burst
	}
	v.at = now
	return &Evaluation{meter: v, clock: clock}
}

// Close notes what an evaluation left.
func (m *Meters) Close(tenant string, t *Evaluation) {
	if !t.used {
		return
	}
	t.look()
	m.of.Keep(tenant, t.meter, maxMeters)
}

// Evaluation is the evaluation of one tenant's part of a batch.
type Evaluation struct {
	meter
	clock   func() time.Time
	began   time.Time
	running bool
	used    bool
	steps   int
	// Skipped: something was not matched since the flag was put down.
	Skipped bool
}

// Begin starts the clock.
func (t *Evaluation) Begin() {
	t.began, t.running, t.used = t.clock(), true, true
}

// End stops the clock.
func (t *Evaluation) End() {
	t.look()
	t.running = false
}

// look takes what has passed off the meter.
func (t *Evaluation) look() {
	if !t.running {
		return
	}
	now := t.clock()
	t.left -= now.Sub(t.began)
	t.began, t.steps = now, 0
}

// May reports whether a match of so many steps may be made now. Where it may not, the evaluation remembers that it
// skipped one.
func (t *Evaluation) May(steps int) bool {
	if t.steps += steps; t.steps >= lookEvery {
		t.look()
	}
	if t.left <= 0 || steps > maxMatch {
		t.Skipped = true
		return false
	}
	return true
}

// Spent reports whether nothing is left.
func (t *Evaluation) Spent() bool { return t.left <= 0 }
