// Package credential keeps the short-lived credentials that requests to a system need, and asks for them.
package credential

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"tocsin/shared/destination"
	"tocsin/shared/sending/reachability"
	"tocsin/shared/step"
)

// early is how long before its end a credential is not used any more: a request on its way must arrive in time. It is a
// tenth of a life that is shorter than ten times that: a token of a minute serves more than one request, too.
const early = time.Minute

// held is a credential with the time until which it is used.
type held struct {
	destination.Credential
	until time.Time
}

// Transport sends one request and returns the answer, as sending.Transport does.
type Transport interface {
	Do(ctx context.Context, r destination.Request) (destination.Response, error)
}

// Cache keeps the credentials of one integration at one revision. The zero value is empty.
type Cache struct {
	asking singleflight.Group // many requests at once ask once

	mu   sync.Mutex
	held map[string]held
}

// take returns the credential of the key if it is still good.
func (p *Cache) take(key string, now time.Time) (destination.Credential, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.held[key]
	return c.Credential, ok && now.Before(c.until)
}

func (p *Cache) put(key string, c destination.Credential, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[string]held{}
	}
	p.held[key] = held{c, c.Expires.Add(-min(early, c.Expires.Sub(now)/10))}
}

// Drop forgets a credential that was refused, unless another has taken its place.
func (p *Cache) Drop(key string, c destination.Credential) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key].Credential == c {
		delete(p.held, key)
	}
}

// Granted is what asking for a credential came to. The answer itself is not kept, whatever it was.
type Granted struct {
	Credential destination.Credential
	Verdict    destination.Verdict // Delivered when there is a credential
	Status     int
	Lost       string // the host that could not be reached, perhaps by our own fault: see reachability.Lost
}

// Get returns a good credential for the authorizer: a held one, or one asked for now (fresh). An error is that of the
// ended context.
func (p *Cache) Get(ctx context.Context, via Transport, now func() time.Time, g destination.Authorizer) (got Granted,
	fresh bool, err error) {
	key := g.Key()
	if kept, ok := p.take(key, now()); ok {
		return Granted{Credential: kept, Verdict: destination.Delivered()}, false, nil
	}
	// Who asks first asks for all, so his end must not be that of the others. The way out bounds the time.
	shared := context.WithoutCancel(ctx)
	select {
	case out := <-p.asking.DoChan(key, func() (any, error) { return p.ask(shared, via, now, g), nil }):
		return out.Val.(Granted), true, nil
	case <-ctx.Done():
		return Granted{}, false, ctx.Err()
	}
}

func (p *Cache) ask(ctx context.Context, via Transport, now func() time.Time, g destination.Authorizer) Granted {
	if kept, ok := p.take(g.Key(), now()); ok { // another call has just ended
		return Granted{Credential: kept, Verdict: destination.Delivered()}
	}
	if why := probe(ctx, via, now, g); why != "" {
		return Granted{Verdict: destination.Verdict{Reason: why}}
	}
	q, err := g.Ask(ctx, now())
	if err != nil {
		return Granted{Verdict: destination.Verdict{Reason: err.Error(), Ours: true}}
	}
	response, err := via.Do(ctx, q)
	if err != nil {
		unsent := reachability.Unsent(err)
		unsent.Reason = "no credential: " + unsent.Reason
		return Granted{Verdict: unsent, Lost: reachability.Lost(err, q)}
	}
	at := now()
	response.At = at
	out := Granted{Status: response.Status}
	if out.Credential, out.Verdict = g.Read(response, at); !out.Verdict.Delivered {
		step.Failed(ctx, step.Credential)
		return out
	}
	step.Done(ctx, step.Credential)
	p.put(g.Key(), out.Credential, at)
	return out
}

// probe says why a credential that could be had must not be used, "" for all others. What can not be found out now is
// no reason: the request for the credential itself then tells why.
func probe(ctx context.Context, via Transport, now func() time.Time, g destination.Authorizer) string {
	asked, ok := g.(destination.Prober)
	if !ok {
		return ""
	}
	q, err := asked.Probe(ctx, now())
	if err != nil {
		return ""
	}
	response, err := via.Do(ctx, q)
	if err != nil {
		return ""
	}
	return asked.Open(response)
}
