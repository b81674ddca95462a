package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"tocsin/shared/activity"
	"tocsin/shared/command"
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

// Acknowledge notes who took a command first.
func (s *Commands) Acknowledge(_ context.Context, id string, e activity.Entry) (command.Command, error) {
	defer s.e.lock()()
	c, ok := s.e.commands[key{e.Tenant, id}]
	if !ok {
		return c, fmt.Errorf("acknowledge command %s: %w", id, command.ErrNotFound)
	}
	if c.State() == command.Pending {
		c.AcknowledgedAt, c.AcknowledgedBy = e.At.UTC(), e.Who()
		s.e.commands[key{e.Tenant, id}] = c
		s.e.activity = append(s.e.activity, clone(e))
	}
	return clone(c), nil
}
