package egress

import (
	"context"
	"sync"
)

// attention has a connection interrupted when the caller goes whose request it carries. A caller that sends one request
// after the other, as a worker does, stays registered at its context meanwhile: for each request that would be two
// allocations, and a lock that all its requests share.
type attention struct {
	interrupt func() // ends what waits for the connection

	mu     sync.Mutex
	gone   <-chan struct{} // the last caller's Done
	again  bool            // that one had the request before, too
	listen *listen         // nil: nothing is registered
	busy   bool            // a request is on its way
	cut    bool            // and was interrupted
}

// listen is a registration at a context. It is the key by which one that comes late knows that it is over.
type listen struct{ stop func() bool }

// begin pays attention to the caller until done: interrupt is called once at most, while the request is on its way.
func (a *attention) begin(caller context.Context) {
	gone := caller.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy, a.cut, a.again = true, false, a.gone == gone
	if !a.again {
		a.drop()
	}
	a.gone = gone
	if gone == nil || a.listen != nil {
		return
	}
	own := &listen{}
	a.listen = own
	own.stop = context.AfterFunc(caller, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.listen != own {
			return
		}
		if a.listen = nil; a.busy {
			a.cut = true
			a.interrupt()
		}
	})
}

// done ends that, and reports whether nothing was interrupted.
func (a *attention) done() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy = false; !a.again {
		a.drop()
	}
	return !a.cut
}

// end forgets the caller.
func (a *attention) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop()
}

// drop ends the registration; mu is held.
func (a *attention) drop() {
	if a.listen != nil {
		a.listen.stop()
		a.listen = nil
	}
}
