package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/engine/memory/listed"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/report/calendar"
)

// Integrations keeps integrations.
type Integrations struct {
	e *Engine
	listed.Of
}

// Integrations returns the integrations.
func (e *Engine) Integrations() *Integrations {
	s := &Integrations{e: e}
	s.Of = s.where
	return s
}

// copyOf is an integration with its mark and number, which JSON leaves out.
func copyOf(i integration.Integration) integration.Integration {
	failing, number := i.Failing, i.Number
	if i = clone(i); failing != nil {
		mark := *failing
		i.Failing = &mark
	}
	i.Number = number
	return i
}

// Create stores a new integration and what is written with it.
func (s *Integrations) Create(_ context.Context, i integration.Integration, r activity.Record) error {
	defer s.e.lock()()
	k := key{i.Tenant, i.ID}
	if s.e.integrations[k].ID != "" {
		return fmt.Errorf("create integration %s: %w", i.ID, integration.ErrConflict)
	}
	s.e.putIntegration(i, nil)
	return s.e.record(r)
}

func (e *Engine) putIntegration(i integration.Integration, failing *integration.Failing) {
	i.Failing = failing
	e.integrations[key{i.Tenant, i.ID}] = copyOf(i)
	frequencies := calendar.FrequenciesOf(func(t event.Type) bool {
		_, ok := i.Subscribed(t)
		return ok && i.Enabled()
	})
	e.subscribe(i.Tenant, i.ID, i.UpdatedAt, frequencies)
}

// Update replaces the integration whose revision is the one before.
func (s *Integrations) Update(_ context.Context, i integration.Integration, r activity.Record) error {
	defer s.e.lock()()
	was, err := s.e.integrationAt(i.Tenant, i.ID, i.Revision-1)
	if err != nil {
		return err
	}
	failing := was.Failing
	if !i.Enabled() || i.Window != was.Window {
		failing = nil
	}
	i.Number = was.Number
	s.e.putIntegration(i, failing)
	return s.e.record(r)
}

// integrationAt is an integration of that revision.
func (e *Engine) integrationAt(tenant, id string, revision int64) (integration.Integration, error) {
	i, ok := e.integrations[key{tenant, id}]
	switch {
	case !ok:
		return i, fmt.Errorf("integration %s: %w", id, integration.ErrNotFound)
	case i.Revision != revision:
		return i, fmt.Errorf("integration %s: %w", id, integration.ErrConflict)
	}
	return i, nil
}

// Mark sets the mark where there is none, and takes it away where there is one.
func (s *Integrations) Mark(_ context.Context, tenant, id string, window int64, f *integration.Failing,
	r activity.Record) error {
	defer s.e.lock()()
	i, ok := s.e.integrations[key{tenant, id}]
	if !ok || i.Window != window || !i.Enabled() || (i.Failing == nil) != (f != nil) {
		return fmt.Errorf("mark integration %s: %w", id, integration.ErrConflict)
	}
	i.Failing = f
	s.e.integrations[key{tenant, id}] = copyOf(i)
	return s.e.record(r)
}

// Delete removes the integration of that revision.
func (s *Integrations) Delete(_ context.Context, tenant, id string, revision int64, r activity.Record) error {
	defer s.e.lock()()
	return s.e.deleteIntegration(tenant, id, revision, r)
}

// DeleteUnused does so unless a trigger notifies it.
func (s *Integrations) DeleteUnused(_ context.Context, tenant, id string, revision int64, r activity.Record) error {
	defer s.e.lock()()
	if _, err := s.e.integrationAt(tenant, id, revision); err != nil {
		return err
	}
	for k, t := range s.e.triggers {
		if k.tenant == tenant && slices.Contains(t.Notifies(), id) {
			return fmt.Errorf("integration %s: %w", id, integration.ErrUsed)
		}
	}
	return s.e.deleteIntegration(tenant, id, revision, r)
}

func (e *Engine) deleteIntegration(tenant, id string, revision int64, r activity.Record) error {
	if _, err := e.integrationAt(tenant, id, revision); err != nil {
		return err
	}
	delete(e.integrations, key{tenant, id})
	e.subscribe(tenant, id, time.Time{}, nil)
	return e.record(r)
}

// Get returns one integration.
func (s *Integrations) Get(_ context.Context, tenant, id string) (integration.Integration, error) {
	defer s.e.lock()()
	i, ok := s.e.integrations[key{tenant, id}]
	if !ok {
		return i, fmt.Errorf("read integration %s: %w", id, integration.ErrNotFound)
	}
	return copyOf(i), nil
}

// where returns the integrations that a test says, in the order of tenants and ids.
func (s *Integrations) where(test func(integration.Integration) bool) (out []integration.Integration) {
	defer s.e.lock()()
	for _, i := range s.e.integrations {
		if test(i) {
			out = append(out, copyOf(i))
		}
	}
	slices.SortFunc(out, func(a, b integration.Integration) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Several returns those of the keys that there are.
func (s *Integrations) Several(_ context.Context, keys []integration.Key) ([]integration.Integration, error) {
	return s.where(func(i integration.Integration) bool {
		return slices.Contains(keys, integration.Key{Tenant: i.Tenant, ID: i.ID})
	}), nil
}

// Marked returns the failing ones of all tenants.
func (s *Integrations) Marked(context.Context) ([]integration.Integration, error) {
	return s.where(func(i integration.Integration) bool { return i.Failing != nil }), nil
}

// Bound returns those of a system with that name among their bindings.
func (s *Integrations) Bound(_ context.Context, system, binding string) ([]integration.Integration, error) {
	return s.where(func(i integration.Integration) bool {
		return i.System == system && slices.Contains(i.Bindings, binding)
	}), nil
}

// Enabled returns a tenant's integrations that events are sent for.
func (s *Integrations) Enabled(_ context.Context, tenant string) ([]integration.Integration, error) {
	return s.where(func(i integration.Integration) bool { return i.Tenant == tenant && i.SentFor() }), nil
}
