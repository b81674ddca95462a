// Package fit remembers what systems take: how large a request, and with which features.
package fit

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

// Fit is what one integration's system takes.
type Fit struct {
	Limit    int       // bytes of a request's body that went through; 0 = not known
	Refusing time.Time // until when the system is taken to refuse all; zero = it is not
	refused  int       // bytes of the smallest body that was refused
	until    time.Time
}

// Memory is what systems take, so that a batch is cut before it is sent rather than refused first. It is this
// process's memory and can be lost: another process is refused once and learns the same. The zero value is ready; safe
// for concurrent use.
type Memory struct {
	some atomic.Bool // whether there is any: healthy lanes pay for no lock
	mu   sync.Mutex
	by   map[delivery.Lane]Fit
}

// Of is what is known of an integration's system at now.
func (f *Memory) Of(l delivery.Lane, now time.Time) Fit {
	if !f.some.Load() {
		return Fit{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.by[l]
	if !ok {
		return Fit{}
	}
	k = k.at(now)
	f.keep(l, k)
	return k
}

// at is the fit after some time.
func (k Fit) at(now time.Time) Fit {
	for k.Limit > 0 && !now.Before(k.until) {
		if k.Limit *= 2; k.Limit >= k.refused {
			k.Limit, k.refused = 0, 0
		}
		k.until = k.until.Add(fitHold)
	}
	if !now.Before(k.Refusing) {
		k.Refusing = time.Time{}
	}
	return k
}

// Learn notes that limit bytes went through and refused bytes did not.
func (f *Memory) Learn(l delivery.Lane, limit, refused int, now time.Time) {
	f.change(l, now, func(k *Fit) { k.Limit, k.refused, k.until = limit, refused, now.Add(fitHold) })
}

// Refuses notes that the system takes nothing of what it is sent.
func (f *Memory) Refuses(l delivery.Lane, now time.Time) {
	f.change(l, now, func(k *Fit) { k.Refusing = now.Add(fitHold) })
}

// Takes notes that it took something.
func (f *Memory) Takes(l delivery.Lane, now time.Time) {
	if !f.Of(l, now).Refusing.IsZero() {
		f.change(l, now, func(k *Fit) { k.Refusing = time.Time{} })
	}
}

func (f *Memory) change(l delivery.Lane, now time.Time, how func(*Fit)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[delivery.Lane]Fit{}
	}
	for other, k := range maps.Clone(f.by) { // few lanes are ever here
		f.keep(other, k.at(now))
	}
	k := f.by[l]
	how(&k)
	f.keep(l, k)
}

// keep stores a fit that says something; mu is held.
func (f *Memory) keep(l delivery.Lane, k Fit) {
	if k.Limit == 0 && k.Refusing.IsZero() {
		delete(f.by, l)
	} else {
		f.by[l] = k
	}
	f.some.Store(len(f.by) > 0)
}
