package command

import (
	"time"

	"tocsin/shared/activity"
)

// Outcome is what upstream says of a command.
type Outcome struct {
	State  State  // never Pending
	Reason string // of Failed; of Lifted where there is one
}

// Impossible is an outcome that can not be after another.
type Impossible struct{ From, To State }

// Error says why, and what can be said instead.
func (e *Impossible) Error() string {
	switch {
	case e.To == Lifted && e.From == Failed:
		return "the command failed: there is nothing to lift"
	case e.To == Lifted:
		return "nobody said that the command was taken: acknowledge it before you say that it was lifted"
	case e.From == Lifted:
		return "the command was taken and lifted: it can not fail any more"
	}
	return "the command was taken: it can not fail any more; say that it was lifted when it is undone"
}

// Next is the command after somebody said what became of it. A command goes one way: it may fail, then be taken after
// all, then be lifted. Each is said once: who says it again changes nothing, however late it comes (changed is false).
// Error: *Impossible.
func (c Command) Next(o Outcome, by string, at time.Time) (next Command, changed bool, err error) {
	at = at.UTC()
	switch o.State {
	case Acknowledged:
		if !c.AcknowledgedAt.IsZero() {
			return c, false, nil
		}
		c.AcknowledgedAt, c.AcknowledgedBy = at, by
	case Failed:
		if !c.FailedAt.IsZero() {
			return c, false, nil
		}
		if s := c.State(); s != Pending {
			return c, false, &Impossible{s, Failed}
		}
		c.FailedAt, c.FailedBy, c.Failure = at, by, o.Reason
	case Lifted:
		if !c.LiftedAt.IsZero() {
			return c, false, nil
		}
		if s := c.State(); s != Acknowledged {
			return c, false, &Impossible{s, Lifted}
		}
		c.LiftedAt, c.LiftedBy, c.LiftReason = at, by, o.Reason
	default:
		return c, false, &Impossible{c.State(), o.State}
	}
	return c, true, nil
}

// Taken reports whether an outcome tells that somebody takes commands.
func (o Outcome) Taken() bool { return o.State != Lifted }

// Changes are those that an outcome makes of a command, for the activity log.
func (o Outcome) Changes(before Command) []activity.Change {
	out := []activity.Change{{Field: "state", Before: string(before.State()), After: string(o.State)}}
	if o.Reason != "" {
		out = append(out, activity.Change{Field: "reason", After: o.Reason})
	}
	return out
}
