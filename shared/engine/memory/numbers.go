package memory

import (
	"cmp"
	"context"
	"fmt"

	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// NextNumber draws a number.
func (s *Integrations) NextNumber(context.Context) (int64, error) {
	defer s.e.lock()()
	s.e.lastIntegration++
	return s.e.lastIntegration, nil
}

// GiveNumber gives an integration a number unless it has one.
func (s *Integrations) GiveNumber(_ context.Context, tenant, id string, number int64) (int64, error) {
	defer s.e.lock()()
	i, ok := s.e.integrations[key{tenant, id}]
	if !ok {
		return 0, fmt.Errorf("give integration %s a number: %w", id, integration.ErrNotFound)
	}
	i.Number = cmp.Or(i.Number, number)
	s.e.integrations[key{tenant, id}] = i
	return i.Number, nil
}

// ByNumber finds an integration.
func (s *Integrations) ByNumber(_ context.Context, number int64) (integration.Key, error) {
	for _, i := range s.where(func(i integration.Integration) bool { return number != 0 && i.Number == number }) {
		return integration.Key{Tenant: i.Tenant, ID: i.ID}, nil
	}
	return integration.Key{}, fmt.Errorf("find integration number %d: %w", number, integration.ErrNotFound)
}

// NextNumber draws a number.
func (s *Triggers) NextNumber(context.Context) (int64, error) {
	defer s.e.lock()()
	s.e.lastTrigger++
	return s.e.lastTrigger, nil
}

// GiveNumber gives a trigger a number unless it has one.
func (s *Triggers) GiveNumber(_ context.Context, tenant, id string, number int64) (int64, error) {
	defer s.e.lock()()
	t, ok := s.e.triggers[key{tenant, id}]
	if !ok {
		return 0, fmt.Errorf("give trigger %s a number: %w", id, trigger.ErrNotFound)
	}
	t.Number = cmp.Or(t.Number, number)
	s.e.triggers[key{tenant, id}] = t
	return t.Number, nil
}

// ByNumber finds a trigger.
func (s *Triggers) ByNumber(_ context.Context, number int64) (tenant, id string, err error) {
	defer s.e.lock()()
	for k, t := range s.e.triggers {
		if number != 0 && t.Number == number {
			return k.tenant, k.id, nil
		}
	}
	return "", "", fmt.Errorf("find trigger number %d: %w", number, trigger.ErrNotFound)
}
