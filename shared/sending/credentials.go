package sending

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"tocsin/shared/destination"
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

// credentialCache keeps the short-lived credentials of a Target: of one integration at one revision. The zero value is
// empty.
type credentialCache struct {
	asking singleflight.Group // many requests at once ask once

	mu   sync.Mutex
	held map[string]held
}

// take returns the credential of the key if it is still good.
func (p *credentialCache) take(key string, now time.Time) (destination.Credential, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.held[key]
	return c.Credential, ok && now.Before(c.until)
}

func (p *credentialCache) put(key string, c destination.Credential, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[string]held{}
	}
	p.held[key] = held{c, c.Expires.Add(-min(early, c.Expires.Sub(now)/10))}
}

// drop forgets a credential that was refused, unless another has taken its place.
func (p *credentialCache) drop(key string, c destination.Credential) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key].Credential == c {
		delete(p.held, key)
	}
}

// granted is what asking for a credential came to. The answer itself is not kept, whatever it was.
type granted struct {
	credential destination.Credential
	verdict    destination.Verdict // Delivered when there is a credential
	status     int
}

// credential returns a good credential for the authorizer: a held one, or one asked for now (fresh). An error is that
// of the ended context.
func (s *Sender) credential(ctx context.Context, r *Target, g destination.Authorizer) (got granted, fresh bool,
	err error) {
	key := g.Key()
	if kept, ok := r.credentials.take(key, s.Now()); ok {
		return granted{credential: kept, verdict: destination.Delivered()}, false, nil
	}
	// Who asks first asks for all, so his end must not be that of the others. The way out bounds the time.
	shared := context.WithoutCancel(ctx)
	select {
	case out := <-r.credentials.asking.DoChan(key, func() (any, error) { return s.ask(shared, r, g), nil }):
		return out.Val.(granted), true, nil
	case <-ctx.Done():
		return granted{}, false, ctx.Err()
	}
}

func (s *Sender) ask(ctx context.Context, r *Target, g destination.Authorizer) granted {
	if kept, ok := r.credentials.take(g.Key(), s.Now()); ok { // another call has just ended
		return granted{credential: kept, verdict: destination.Delivered()}
	}
	if why := s.probe(ctx, g); why != "" {
		return granted{verdict: destination.Verdict{Reason: why}}
	}
	q, err := g.Ask(ctx, s.Now())
	if err != nil {
		return granted{verdict: destination.Verdict{Reason: err.Error(), Ours: true}}
	}
	response, err := s.Transport.Do(ctx, q)
	if err != nil {
		return granted{verdict: destination.Verdict{Reason: "no credential: " + err.Error()}}
	}
	now := s.Now()
	response.At = now
	out := granted{status: response.Status}
	if out.credential, out.verdict = g.Read(response, now); !out.verdict.Delivered {
		step.Failed(ctx, step.Credential)
		return out
	}
	step.Done(ctx, step.Credential)
	r.credentials.put(g.Key(), out.credential, now)
	return out
}

// probe says why a credential that could be had must not be used, "" for all others. What can not be found out now is
// no reason: the request for the credential itself then tells why.
func (s *Sender) probe(ctx context.Context, g destination.Authorizer) string {
	p, ok := g.(destination.Prober)
	if !ok {
		return ""
	}
	q, err := p.Probe(ctx, s.Now())
	if err != nil {
		return ""
	}
	response, err := s.Transport.Do(ctx, q)
	if err != nil {
		return ""
	}
	return p.Open(response)
}
