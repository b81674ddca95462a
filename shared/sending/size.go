package sending

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/shared/delivery"
)

// fitHold is how long a lane keeps to the size that went through after a larger request was refused. Then it tries
// twice as much, for as long again, until it has come back to what was refused.
const fitHold = 30 * time.Minute

// fit is what one integration's system takes.
type fit struct {
	limit    int // bytes of a request's body that went through; 0 = not known
	refused  int // bytes of the smallest body that was refused
	until    time.Time
	refusing time.Time // until when the system is taken to refuse all; zero = it is not
}

// fits remembers what systems take, so that a batch is cut before it is sent rather than refused first. It is this
// process's memory and can be lost: another process is refused once and learns the same. The zero value is ready; safe
// for concurrent use.
type fits struct {
	some atomic.Bool // whether there is any: healthy lanes pay for no lock
	mu   sync.Mutex
	by   map[delivery.Lane]fit
}

// of is what is known of an integration's system at now.
func (f *fits) of(l delivery.Lane, now time.Time) fit {
	if !f.some.Load() {
		return fit{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.by[l]
	if !ok {
		return fit{}
	}
	k = k.at(now)
	f.keep(l, k)
	return k
}

// at is the fit after some time.
func (k fit) at(now time.Time) fit {
	for k.limit > 0 && !now.Before(k.until) {
		if k.limit *= 2; k.limit >= k.refused {
			k.limit, k.refused = 0, 0
		}
		k.until = k.until.Add(fitHold)
	}
	if !now.Before(k.refusing) {
		k.refusing = time.Time{}
	}
	return k
}

// learn notes that limit bytes went through and refused bytes did not.
func (f *fits) learn(l delivery.Lane, limit, refused int, now time.Time) {
	f.change(l, now, func(k *fit) { k.limit, k.refused, k.until = limit, refused, now.Add(fitHold) })
}

// refuses notes that the system takes nothing of what it is sent.
func (f *fits) refuses(l delivery.Lane, now time.Time) {
	f.change(l, now, func(k *fit) { k.refusing = now.Add(fitHold) })
}

// takes notes that it took something.
func (f *fits) takes(l delivery.Lane, now time.Time) {
	if !f.of(l, now).refusing.IsZero() {
		f.change(l, now, func(k *fit) { k.refusing = time.Time{} })
	}
}

func (f *fits) change(l delivery.Lane, now time.Time, how func(*fit)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[delivery.Lane]fit{}
	}
	for other, k := range maps.Clone(f.by) { // few lanes are ever here
		f.keep(other, k.at(now))
	}
	k := f.by[l]
	how(&k)
	f.keep(l, k)
}

// keep stores a fit that says something; mu is held.
func (f *fits) keep(l delivery.Lane, k fit) {
	if k.limit == 0 && k.refusing.IsZero() {
		delete(f.by, l)
	} else {
		f.by[l] = k
	}
	f.some.Store(len(f.by) > 0)
}
