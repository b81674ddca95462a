package worker

import (
	"context"
	"sync"
)

// turns has events of one object sent one after the other, within this process: the zero value has nothing on its way.
// Who finds an object busy waits, and those behind it in its lane with it, for as long as a request lasts. What other
// processes and retries send is kept apart by sending.Sender, at the price of a retry.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // by object; closed when what is on its way has ended
}

// enter waits for an object's turn; false when the context has ended. "" is always free.
func (t *turns) enter(ctx context.Context, object string) bool {
	for object != "" {
		t.mu.Lock()
		over, busy := t.busy[object]
		if !busy {
			if t.busy == nil {
				t.busy = map[string]chan struct{}{}
			}
			t.busy[object] = make(chan struct{})
			t.mu.Unlock()
			return true
		}
		t.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// leave gives the turn to who waits.
func (t *turns) leave(object string) {
	if object == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.busy[object])
	delete(t.busy, object)
}
