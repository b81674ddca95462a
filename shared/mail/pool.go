package mail

import (
	"context"
	"sync"
	"time"
)

// crowded is how long fewer sessions are opened after the server has turned one away.
const crowded = time.Minute

// pool keeps the sessions of one mail server. Mails that wait for one are served in the order in which they came. It
// is safe for concurrent use.
type pool struct {
	bounds Sessions
	open   func(ctx context.Context) (*session, error)

	mu      sync.Mutex
	idle    []*session // the one used last is the last
	taken   int        // sessions that are in use or being opened
	fewer   int        // how many the server bears; 0 = as many as bounds says
	until   time.Time  // when fewer ends
	waiting []chan slot
}

// slot is what a mail that waits is given: a session, permission to open one (neither), or the error that all get.
type slot struct {
	session *session
	err     error
}

// take returns a session for one mail, to be given back. Waiting for it is bounded by ctx alone.
func (p *pool) take(ctx context.Context) (*session, error) {
	for {
		s, err := p.slot(ctx)
		if s != nil || err != nil {
			return s, err
		}
		if s, err = p.open(ctx); err == nil {
			return s, nil
		}
		if !p.refused(ctx, err) {
			return nil, err
		}
	}
}

// slot waits for a session or for permission to open one: then both results are nil.
func (p *pool) slot(ctx context.Context) (*session, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.taken++
		p.mu.Unlock()
		s.timer.Stop()
		return s, nil
	}
	if p.taken < p.most() {
		p.taken++
		p.mu.Unlock()
		return nil, nil
	}
	mine := make(chan slot, 1)
	p.waiting = append(p.waiting, mine)
	p.mu.Unlock()
	select {
	case t := <-mine:
		return t.session, t.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	for i, w := range p.waiting {
		if w == mine {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			p.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	p.mu.Unlock()
	if t := <-mine; t.err == nil { // its turn came at the same moment
		p.give(t.session)
	}
	return nil, ctx.Err()
}

// most is how many sessions may be open; mu is held.
func (p *pool) most() int {
	if p.fewer > 0 && time.Now().Before(p.until) {
		return min(p.fewer, p.bounds.Most)
	}
	p.fewer = 0
	return p.bounds.Most
}

// give takes a session back, nil for one that could not be opened, and lets the next mail have its turn.
func (p *pool) give(s *session) {
	if s != nil && (s.broken || s.mails >= p.bounds.Mails) {
		go func() { // the mail need not wait, and the server counts the session until it has ended
			s.close()
			p.give(nil)
		}()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s == nil {
		p.taken--
		if len(p.waiting) > 0 && p.taken < p.most() {
			p.taken++
			p.next(slot{})
		}
		return
	}
	if len(p.waiting) > 0 {
		p.next(slot{session: s})
		return
	}
	p.taken--
	p.idle = append(p.idle, s)
	s.timer = time.AfterFunc(p.bounds.Idle, func() { p.expire(s) })
}

// next gives the mail that waits longest its turn; mu is held.
func (p *pool) next(t slot) {
	p.waiting[0] <- t
	p.waiting = p.waiting[1:]
}

// refused settles that a session could not be opened. It reports whether the mail is to wait for one of the others:
// the server has answered that it bears no more. Where there are no others everyone who waits is told: each would
// wait as long as this one did.
func (p *pool) refused(ctx context.Context, err error) (wait bool) {
	code, replied := replyCode(err)
	p.mu.Lock()
	others := p.taken - 1
	wait = replied && code >= 400 && code < 500 && others > 0 && ctx.Err() == nil
	if wait {
		p.fewer, p.until = others, time.Now().Add(crowded)
	}
	var told []chan slot
	if !wait && others == 0 && len(p.idle) == 0 && ctx.Err() == nil {
		told, p.waiting = p.waiting, nil
	}
	p.mu.Unlock()
	p.give(nil)
	for _, w := range told {
		w <- slot{err: err}
	}
	return wait
}

// expire closes a session that nothing has used for a while.
func (p *pool) expire(s *session) {
	p.mu.Lock()
	for i, other := range p.idle {
		if other == s {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			p.mu.Unlock()
			s.close()
			return
		}
	}
	p.mu.Unlock()
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, s := range idle {
		s.timer.Stop()
		s.close()
	}
}
