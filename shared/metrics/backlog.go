package metrics

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Backlog counts what waits, for the whole deployment. It may read all that waits, a part at a time: nobody waits for
// it.
type Backlog interface {
	// Lanes visits each integration for which something waits.
	Lanes(ctx context.Context, visit func(Lane) error) error
	// Inbox is how many events wait for fan-out, and when the oldest came; zero for none.
	Inbox(ctx context.Context) (count int, oldest time.Time, err error)
	// States counts the integrations.
	States(ctx context.Context) ([]States, error)
}

// Lane is what waits for one integration.
type Lane struct {
	Tenant, Integration string
	Waiting             int // to be sent, for a batch window or for a retry
	Held                int // by quiet hours or a mute
	// First is when the oldest came, or was let go, of those that wait for their first request; zero for none. What is
	// sent again by hand is not looked at: it has no time of its own.
	First time.Time
	// Due is when the first retry was or is due, or the first batch window closes; zero for none.
	Due time.Time
}

// States is how many integrations of a system are in a state.
type States struct {
	System, State string
	Count         int
}

// Sampler counts what waits, now and then.
type Sampler struct {
	Backlog  Backlog
	Registry *Registry
	// System is that of an integration, and how long its batch window is; "" when it is gone.
	System func(ctx context.Context, tenant, integration string) (system string, window time.Duration, err error)
	Now    func() time.Time
	Log    *slog.Logger

	mu    sync.Mutex
	began time.Time // when Run did; zero where nothing runs
	last  *sample
}

// sample is what one count came to.
type sample struct {
	at      time.Time
	took    time.Duration
	inbox   int
	oldest  time.Time
	systems map[string]*waiting
	states  []States
}

type waiting struct {
	count, held int
	due         time.Time // the earliest; zero for none
}

const (
	// sampleEvery is the shortest time between two counts.
	sampleEvery = 10 * time.Second
	// sampleShare bounds what counting costs: a count that takes a second is made every 50 seconds.
	sampleShare = 50
)

// Run counts until the context ends.
func (s *Sampler) Run(ctx context.Context) {
	s.mu.Lock()
	s.began = s.Now()
	s.mu.Unlock()
	for {
		took, err := s.Sample(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("count what waits, for metrics: trying again", "error", err.Error())
		}
		select {
		case <-time.After(max(sampleEvery, sampleShare*took)):
		case <-ctx.Done():
			return
		}
	}
}

// Sample counts once.
func (s *Sampler) Sample(ctx context.Context) (took time.Duration, err error) {
	begin := time.Now()
	next := &sample{at: s.Now(), systems: map[string]*waiting{}}
	defer func() { took = time.Since(begin) }()
	if next.states, err = s.Backlog.States(ctx); err != nil {
		return 0, err
	}
	for _, st := range next.states {
		s.Registry.Expect(st.System)
		next.of(st.System)
	}
	if next.inbox, next.oldest, err = s.Backlog.Inbox(ctx); err != nil {
		return 0, err
	}
	err = s.Backlog.Lanes(ctx, func(l Lane) error {
		system, window, err := s.System(ctx, l.Tenant, l.Integration)
		if err != nil {
			return err
		}
		w := next.of(system)
		w.count += l.Waiting
		w.held += l.Held
		if !l.First.IsZero() {
			w.since(l.First.Add(window))
		}
		if !l.Due.IsZero() {
			w.since(l.Due)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	next.took = time.Since(begin)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = next
	return 0, nil
}

func (s *sample) of(system string) *waiting {
	if s.systems[system] == nil {
		s.systems[system] = &waiting{}
	}
	return s.systems[system]
}

func (w *waiting) since(due time.Time) {
	if w.due.IsZero() || due.Before(w.due) {
		w.due = due
	}
}

// Collect tells what the last count came to. Before the first one there is its age alone, from the beginning of Run on:
// a count that never succeeds is missed.
func (s *Sampler) Collect(_ context.Context, g *Gathering) {
	s.mu.Lock()
	last, began := s.last, s.began
	s.mu.Unlock()
	if last == nil {
		if !began.IsZero() {
			g.Set(SampleAge, max(0, s.Now().Sub(began).Seconds()))
		}
		return
	}
	g.Set(SampleAge, max(0, s.Now().Sub(last.at).Seconds()))
	g.Set(SampleTime, last.took.Seconds())
	g.Set(Inbox, float64(last.inbox))
	g.Set(InboxAge, ago(last.oldest, last.at))
	for system, w := range last.systems {
		g.Set(Waiting, float64(w.count), system)
		g.Set(Held, float64(w.held), system)
		g.Set(Overdue, ago(w.due, last.at), system)
	}
	for _, st := range last.states {
		g.Set(Integrations, float64(st.Count), st.System, st.State)
	}
}

// ago is how many seconds a time is past; 0 of none, and of one to come.
func ago(at, now time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(0, now.Sub(at).Seconds())
}
