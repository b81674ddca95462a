package sending

import (
	"context"
	"sync"
	"time"

	"tocsin/shared/step"
)

// TestStep is something that happened while a test ran.
type TestStep struct {
	step.Step
	Message int           // of the test's messages, from 0 on
	Of      int           // how many there are
	Summary string        // of the message
	After   time.Duration // since the message was begun
}

// The steps of a message around those of its requests.
const (
	MessageBegun step.Kind = "begun"
	MessageEnded step.Kind = "ended" // Failed: it did not arrive
)

// steps collects what the requests of one message tell, from several goroutines, and tells it in order: each kind once
// for a request.
type steps struct {
	tell func(TestStep)
	now  func() time.Time
	at   TestStep

	mu    sync.Mutex
	begun time.Time
	told  map[step.Kind]bool
	ended bool
}

// begin starts the steps of a message; the context carries them to what sends it.
func (s *steps) begin(ctx context.Context) context.Context {
	if s.tell == nil {
		return ctx
	}
	s.begun, s.told = s.now(), map[step.Kind]bool{}
	s.add(step.Step{Kind: MessageBegun})
	return step.With(ctx, s.add)
}

// end is the last step: an address that lost the race for the connection may tell of itself later.
func (s *steps) end(delivered bool) {
	if s.tell == nil {
		return
	}
	s.add(step.Step{Kind: MessageEnded, Failed: !delivered})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

func (s *steps) add(one step.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.told[one.Kind] && !one.Failed {
		return
	}
	s.told[one.Kind] = true
	if one.Kind == step.Answered {
		clear(s.told) // what follows is another request
	}
	next := s.at
	next.Step, next.After = one, s.now().Sub(s.begun)
	s.tell(next)
}
