package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/event"
)

// Commands keeps what triggers ask of the platform.
type Commands struct{ e *Engine }

// Commands returns the commands.
func (e *Engine) Commands() *Commands { return &Commands{e} }

var _ command.Store = (*Commands)(nil)

// List answers a query.
func (s *Commands) List(_ context.Context, q command.Query) (out []command.Command, err error) {
	defer s.e.lock()()
	for k, c := range s.e.commands {
		if k.tenant == q.Tenant && (q.Before == "" || c.Place() < q.Before) &&
			(q.State == "" || c.State() == q.State) && (q.Trigger == "" || c.Data.TriggerID == q.Trigger) {
			out = append(out, clone(c))
		}
	}
	slices.SortFunc(out, func(a, b command.Command) int { return cmp.Compare(b.Place(), a.Place()) })
	return out[:min(q.Limit, len(out))], nil
}

// Several returns those that are there.
func (s *Commands) Several(_ context.Context, tenant string, ids []string) (out []command.Command, err error) {
	defer s.e.lock()()
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if c, ok := s.e.commands[key{tenant, id}]; ok {
			out = append(out, clone(c))
		}
	}
	return out, nil
}

// Acknowledge notes what became of a command.
func (s *Commands) Acknowledge(_ context.Context, id string, o command.Outcome, e activity.Entry) (command.Command,
	error) {
	defer s.e.lock()()
	k := key{e.Tenant, id}
	before, ok := s.e.commands[k]
	if !ok {
		return before, fmt.Errorf("acknowledge command %s: %w", id, command.ErrNotFound)
	}
	c, changed, err := before.Next(o, e.Who(), e.At)
	if err != nil {
		return command.Command{}, fmt.Errorf("acknowledge command %s: %w", id, err)
	}
	if changed {
		e.Changes = o.Changes(before)
		s.e.commands[k] = c
		s.e.activity = append(s.e.activity, clone(e.Bounded()))
		if o.Taken() {
			delete(s.e.untaken, key{c.Tenant, string(c.Kind)})
		}
	}
	return clone(c), nil
}

// Overdue lists pending commands that are not marked.
func (s *Commands) Overdue(_ context.Context, until time.Time, limit int) (out []command.Command, err error) {
	defer s.e.lock()()
	for _, c := range s.e.commands {
		if c.State() == command.Pending && c.OverdueAt.IsZero() && !c.At.After(until) {
			out = append(out, clone(c))
		}
	}
	slices.SortFunc(out, func(a, b command.Command) int { return cmp.Compare(a.Place(), b.Place()) })
	return out[:min(limit, len(out))], nil
}

// MarkOverdue marks a command, and publishes the notice where it is the first of its kind.
func (s *Commands) MarkOverdue(_ context.Context, c command.Command, notice event.Event, until time.Time) (bool,
	error) {
	defer s.e.lock()()
	k, kind := key{c.Tenant, c.ID}, key{c.Tenant, string(c.Kind)}
	stored, ok := s.e.commands[k]
	if !ok || stored.State() != command.Pending || !stored.OverdueAt.IsZero() {
		return false, nil
	}
	stored.OverdueAt = c.OverdueAt
	s.e.commands[k] = stored
	if told, ok := s.e.untaken[kind]; ok && told.until.After(c.OverdueAt) {
		return false, nil
	}
	s.e.untaken[kind] = untaken{stored, until}
	return true, s.e.publish(notice)
}

// untaken is what a tenant was told of.
type untaken struct {
	command.Command
	until time.Time
}

// Untaken lists what the tenant was told of.
func (s *Commands) Untaken(_ context.Context, tenant string, now time.Time) (out []command.Command, err error) {
	defer s.e.lock()()
	for k, u := range s.e.untaken {
		if k.tenant == tenant && u.until.After(now) {
			out = append(out, clone(u.Command))
		}
	}
	slices.SortFunc(out, func(a, b command.Command) int { return cmp.Compare(a.Kind, b.Kind) })
	return out, nil
}
