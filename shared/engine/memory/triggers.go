package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"tocsin/shared/activity"
	"tocsin/shared/trigger"
)

// Triggers keeps triggers and what they remember.
type Triggers struct{ e *Engine }

// Triggers returns the triggers.
func (e *Engine) Triggers() *Triggers { return &Triggers{e} }

var _ trigger.Store = (*Triggers)(nil)

// copyOfTrigger is a trigger with its number, which JSON leaves out.
func copyOfTrigger(t trigger.Trigger) trigger.Trigger {
	number := t.Number
	t = clone(t)
	t.Number = number
	return t
}

// Create stores a new trigger and what is written with it.
func (s *Triggers) Create(_ context.Context, t trigger.Trigger, joins []string, r activity.Record) error {
	defer s.e.lock()()
	k := key{t.Tenant, t.ID}
	if s.e.triggers[k].ID != "" {
		return fmt.Errorf("create trigger %s: %w", t.ID, trigger.ErrConflict)
	}
	if err := s.there(t, joins); err != nil {
		return err
	}
	s.e.triggers[k] = copyOfTrigger(t)
	return s.e.record(r)
}

// there fails unless all integrations are there.
func (s *Triggers) there(t trigger.Trigger, integrations []string) error {
	for _, id := range integrations {
		if _, ok := s.e.integrations[key{t.Tenant, id}]; !ok {
			return fmt.Errorf("trigger %s: %w", t.ID, trigger.ErrGone)
		}
	}
	return nil
}

// at fails unless the trigger has that revision.
func (s *Triggers) at(tenant, id string, revision int64) error {
	t, ok := s.e.triggers[key{tenant, id}]
	switch {
	case !ok:
		return fmt.Errorf("trigger %s: %w", id, trigger.ErrNotFound)
	case t.Revision != revision:
		return fmt.Errorf("trigger %s: %w", id, trigger.ErrConflict)
	}
	return nil
}

// Update replaces the trigger whose revision is the one before.
func (s *Triggers) Update(_ context.Context, t trigger.Trigger, joins []string, r activity.Record) error {
	defer s.e.lock()()
	if err := cmp.Or(s.at(t.Tenant, t.ID, t.Revision-1), s.there(t, joins)); err != nil {
		return err
	}
	t.Number = s.e.triggers[key{t.Tenant, t.ID}].Number
	s.e.triggers[key{t.Tenant, t.ID}] = copyOfTrigger(t)
	return s.e.record(r)
}

// Delete removes the trigger of that revision with its state.
func (s *Triggers) Delete(_ context.Context, tenant, id string, revision int64, r activity.Record) error {
	defer s.e.lock()()
	if err := s.at(tenant, id, revision); err != nil {
		return err
	}
	delete(s.e.triggers, key{tenant, id})
	delete(s.e.states, key{tenant, id})
	delete(s.e.firings, key{tenant, id})
	return s.e.record(r)
}

// Seed stores the triggers of a new account, once.
func (s *Triggers) Seed(_ context.Context, tenant string, list []trigger.Trigger, e activity.Entry) error {
	defer s.e.lock()()
	if s.e.seeded[tenant] {
		return nil
	}
	s.e.seeded[tenant] = true
	s.e.activity = append(s.e.activity, clone(e))
	for _, t := range list {
		s.e.triggers[key{t.Tenant, t.ID}] = copyOfTrigger(t)
	}
	return nil
}

// Get returns one trigger.
func (s *Triggers) Get(_ context.Context, tenant, id string) (trigger.Trigger, error) {
	defer s.e.lock()()
	t, ok := s.e.triggers[key{tenant, id}]
	if !ok {
		return t, fmt.Errorf("read trigger %s: %w", id, trigger.ErrNotFound)
	}
	return copyOfTrigger(t), nil
}

// List returns a tenant's triggers.
func (s *Triggers) List(_ context.Context, tenant string) (list []trigger.Trigger, seeded bool, err error) {
	defer s.e.lock()()
	for k, t := range s.e.triggers {
		if k.tenant == tenant {
			list = append(list, copyOfTrigger(t))
		}
	}
	slices.SortFunc(list, func(a, b trigger.Trigger) int { return cmp.Compare(a.ID, b.ID) })
	return list, s.e.seeded[tenant], nil
}

// Active is List.
func (s *Triggers) Active(ctx context.Context, tenant string) ([]trigger.Trigger, bool, error) {
	return s.List(ctx, tenant)
}

// States returns what triggers remember.
func (s *Triggers) States(_ context.Context, tenant string, ids []string) ([]trigger.State, error) {
	defer s.e.lock()()
	out := make([]trigger.State, len(ids))
	for n, id := range ids {
		out[n] = trigger.State{Tenant: tenant, Trigger: id}
		if st, ok := s.e.states[key{tenant, id}]; ok {
			out[n].Version, out[n].Body = st.Version, slices.Clone(st.Body)
		}
	}
	return out, nil
}

// Firings returns when a trigger went off.
func (s *Triggers) Firings(_ context.Context, q trigger.FiringQuery) (out []trigger.Firings, err error) {
	defer s.e.lock()()
	for _, f := range slices.Backward(s.e.firings[key{q.Tenant, q.Trigger}]) {
		if (q.Before == "" || f.Place < q.Before) && len(out) < q.Limit {
			out = append(out, f)
		}
	}
	return out, nil
}
