// Package listed lists integrations for the engine in memory.
package listed

import (
	"context"

	"tocsin/shared/integration"
)

// Of returns the integrations that a test says, in the order of tenants and ids.
type Of func(test func(integration.Integration) bool) []integration.Integration

// List returns a page of them.
func (of Of) List(ctx context.Context, tenant, after string, limit int) ([]integration.Integration, error) {
	return of.Find(ctx, tenant, after, limit, func(integration.Outline) bool { return true })
}

// Find returns a page of those whose outline matches.
func (of Of) Find(_ context.Context, tenant, after string, limit int,
	matches func(integration.Outline) bool) ([]integration.Integration, error) {
	var found []integration.Integration
	for _, i := range of(func(i integration.Integration) bool { return i.Tenant == tenant && i.ID > after }) {
		if len(found) < limit && matches(i.Outline()) {
			found = append(found, i)
		}
	}
	return found, nil
}

// Count counts a tenant's integrations.
func (of Of) Count(_ context.Context, tenant string) (integration.Counts, error) {
	return integration.CountAll(of(func(i integration.Integration) bool { return i.Tenant == tenant })), nil
}
