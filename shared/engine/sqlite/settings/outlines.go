package settings

import (
	"context"
	"fmt"
	"sort"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/integration"
)

// outlinesOf reads what the index has of a tenant's integrations, and nothing of the integrations themselves.
const outlinesOf = `SELECT id, json_extract(CAST(body AS TEXT), '$.System'), json_extract(CAST(body AS TEXT), '$.Name'),
	json_extract(CAST(body AS TEXT), '$.Off') IS NULL, failing IS NOT NULL
	FROM integrations INDEXED BY integrations_outlines WHERE tenant = ? ORDER BY id`

// outlinedTenants bounds the tenants whose outlines are kept in memory, some 100 bytes for each integration: those
// whose people look at their lists.
const outlinedTenants = 100

// outlined are the outlines of a tenant's integrations in the order of their ids, from memory while nothing changed.
func (s *Integrations) outlined(ctx context.Context, tenant string) (out []integration.Outline, err error) {
	s.mu.Lock()
	known, ok := s.outlines.Get(tenant)
	changes := s.changes
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	if err := s.db.Query(ctx, outlinesOf, func(q *driver.Stmt) { q.BindText(1, tenant) }, func(q *driver.Stmt) error {
		o := integration.Outline{ID: q.ColumnText(0), System: q.ColumnText(1), Name: q.ColumnText(2)}
		switch {
		case !q.ColumnBool(3):
			o.State = integration.StateDisabled
		case q.ColumnBool(4):
			o.State = integration.StateFailing
		default:
			o.State = integration.StateOK
		}
		out = append(out, o)
		return nil
	}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == changes { // see Enabled
		s.outlines.Keep(tenant, out, outlinedTenants)
	}
	return out, nil
}

// Find reads a page of those whose outline matches.
func (s *Integrations) Find(ctx context.Context, tenant, after string, limit int,
	matches func(integration.Outline) bool) (out []integration.Integration, err error) {
	all, err := s.outlined(ctx, tenant)
	rest := all[sort.Search(len(all), func(n int) bool { return all[n].ID > after }):]
	for err == nil && len(out) < limit && len(rest) > 0 {
		var found []integration.Key
		for ; len(rest) > 0 && len(out)+len(found) < limit; rest = rest[1:] {
			if matches(rest[0]) {
				found = append(found, integration.Key{Tenant: tenant, ID: rest[0].ID})
			}
		}
		var some []integration.Integration
		some, err = s.Several(ctx, found) // without those that were deleted meanwhile
		if out == nil {
			out = some
		} else {
			out = append(out, some...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look for integrations of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// Count counts a tenant's integrations.
func (s *Integrations) Count(ctx context.Context, tenant string) (c integration.Counts, err error) {
	all, err := s.outlined(ctx, tenant)
	if err != nil {
		return c, fmt.Errorf("count the integrations of tenant %s: %w", tenant, err)
	}
	for _, o := range all {
		c.Add(o.System, o.State, 1)
	}
	return c, nil
}
