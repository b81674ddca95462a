package overview

import (
	"cmp"
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
	Held     Cause = "held"     // its system asked to be sent less
	NotSent  Cause = "not_sent" // it works, and some deliveries died
)

func (c Cause) rank() int {
	return slices.Index([]Cause{Disabled, Lost, Missing, Failing, Away, Held, NotSent}, c)
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

// trouble looks what of an integration needs a person. answer is that to the newest failure; zero where none is known.
func (r *Reader) trouble(ctx context.Context, o *Overview, l *Line, answer health.Answer) (*Trouble, error) {
	t := &Trouble{Integration: l.Integration, Waiting: l.Waiting}
	dead := r.cause(ctx, o, t, l, answer)
	switch {
	case t.Cause == "":
		return nil, nil
	case r.Backlog == nil:
		return t, nil
	}
	i := l.Integration
	var err error
	if t.NotSent, err = r.Backlog.CountDead(ctx, i.Tenant, i.ID, dead, integration.WaitingLimit); err != nil {
		return nil, fmt.Errorf("count what was not sent to integration %s: %w", i.ID, err)
	}
	if t.Cause == NotSent && t.NotSent == 0 {
		return nil, nil // it was sent again
	}
	return t, nil
}

// cause says why an integration needs a person, and since when what died is of that. A person who disabled it knows.
func (r *Reader) cause(ctx context.Context, o *Overview, t *Trouble, l *Line, answer health.Answer) (dead time.Time) {
	i := t.Integration
	dead = o.From.Add(-retried)
	if !i.Enabled() {
		if i.Off.By == integration.ByPerson {
			return dead
		}
		t.Cause, t.Since, t.Reason = Disabled, i.Off.At, i.Off.Reason
		if i.Off.Answer != nil {
			t.Answer = *i.Off.Answer
		}
		return i.Off.At.Add(-health.DefaultSpan - retried)
	}
	opens, away := r.Integrations.Opens(ctx, i)
	system, _, _ := r.Systems.Lookup(i.System)
	switch {
	case away != nil:
		t.Cause, t.Reason = Away, integration.AwaySecrets
		return dead
	case !opens:
		t.Cause, t.Reason = Lost, integration.LostSecrets
		return dead
	case system.Missing != "":
		t.Cause, t.Reason = Missing, system.Missing
		return dead
	case i.State() == integration.StateFailing:
		t.Cause, t.Since, t.Answer = Failing, i.Failing.Since, cmp.Or(answer, i.Failing.Answer)
		return i.Failing.Since.Add(-retried)
	}
	switch {
	case !l.spared.IsZero():
		t.Cause, t.Waiting.Next = Held, l.spared
	case l.Dead > 0:
		t.Cause, t.Answer = NotSent, answer
	}
	return dead
}
