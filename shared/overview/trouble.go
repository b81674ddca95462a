package overview

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// Cause is why an integration needs a person.
type Cause string

// The causes, the worst first.
const (
	Disabled Cause = "disabled" // the platform disabled it: it kept failing
	Lost     Cause = "lost"     // its secrets can not be read any more
	Missing  Cause = "missing"  // the deployment lacks what its system needs
	Failing  Cause = "failing"  // most of its requests fail
	Away     Cause = "away"     // its secrets can not be read at the moment
	NotSent  Cause = "not_sent" // it works, and some deliveries died
)

func (c Cause) rank() int {
	return slices.Index([]Cause{Disabled, Lost, Missing, Failing, Away, NotSent}, c)
}

// Trouble is an integration that needs a person.
type Trouble struct {
	Integration integration.Integration
	Cause       Cause
	Since       time.Time     // zero when that is not known
	Answer      health.Answer // what its system said last, where that is the cause
	Reason      string        // in words, where there is one beside
	Waiting     integration.Waiting
	NotSent     int // deliveries that are dead, up to integration.WaitingLimit
}

// retried is how long before its last attempt a delivery was made that died: package retry.
const retried = time.Hour

// trouble looks what of an integration needs a person, and adds what waits to its line. A person who disabled it knows.
func (r *Reader) trouble(ctx context.Context, o *Overview, l *Line, points []health.Point) (*Trouble, error) {
	i := l.Integration
	t := Trouble{Integration: i}
	dead := o.From.Add(-retried) // since when what died is counted
	system, _, _ := r.Systems.Lookup(i.System)
	_, err := r.Integrations.Masked(ctx, i)
	unreadable := integration.Unreadable(err)
	switch {
	case !i.Enabled() && i.Off.By == integration.ByPerson:
		return nil, nil
	case !i.Enabled():
		t.Cause, t.Since, t.Reason = Disabled, i.Off.At, i.Off.Reason
		if i.Off.Answer != nil {
			t.Answer = *i.Off.Answer
		}
		dead = i.Off.At.Add(-health.DefaultSpan - retried)
	case unreadable == integration.LostSecrets:
		t.Cause, t.Reason = Lost, unreadable
	case unreadable != "":
		t.Cause, t.Reason = Away, unreadable
	case system.Missing != "":
		t.Cause, t.Reason = Missing, system.Missing
	case i.State() == integration.StateFailing:
		t.Cause, t.Since, t.Answer = Failing, i.Failing.Since, lastAnswer(points, i.Failing.Answer)
		dead = i.Failing.Since.Add(-retried)
	case l.Dead > 0:
		t.Cause, t.Answer = NotSent, lastAnswer(points, health.Answer{})
	}
	if r.Backlog == nil {
		if t.Cause == "" {
			return nil, nil
		}
		return &t, nil
	}
	if i.Enabled() {
		if t.Waiting, err = r.Backlog.CountWaiting(ctx, i.Tenant, i.ID, integration.WaitingLimit); err != nil {
			return nil, fmt.Errorf("count what waits for integration %s: %w", i.ID, err)
		}
		l.Waiting, l.More = t.Waiting.Count, t.Waiting.Count >= integration.WaitingLimit
	}
	if t.Cause == "" {
		return nil, nil
	}
	if t.NotSent, err = r.Backlog.CountDead(ctx, i.Tenant, i.ID, dead, integration.WaitingLimit); err != nil {
		return nil, fmt.Errorf("count what was not sent to integration %s: %w", i.ID, err)
	}
	if t.Cause == NotSent && t.NotSent == 0 {
		return nil, nil // it was sent again
	}
	return &t, nil
}

// lastAnswer is that to the newest failure; other where the counters know none.
func lastAnswer(points []health.Point, other health.Answer) health.Answer {
	for _, p := range slices.Backward(points) {
		if p.Failures > 0 && p.Answer != (health.Answer{}) {
			return p.Answer
		}
	}
	return other
}
