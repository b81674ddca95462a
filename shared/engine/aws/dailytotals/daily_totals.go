// Package dailytotals keeps what reports are made of: a journal of entries, and days into which they are compacted.
package dailytotals

import (
	"context"
	"encoding/json"
	"fmt"

	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

var _ report.DailyTotals = (*Store)(nil)

// section visits one section of a range of days, decoded.
func section[S any](ctx context.Context, r *Store, name, tenant string, first, last calendar.Day,
	visit func(calendar.Day, S) error) error {
	err := r.days(ctx, tenant, first, last, name, func(d calendar.Day, raw []byte) error {
		if len(raw) == 0 {
			return nil
		}
		var s S
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("day %s is damaged: %w", d, err)
		}
		return visit(d, s)
	})
	if err != nil {
		return fmt.Errorf("read the %s of tenant %s from %s to %s: %w", name, tenant, first, last, err)
	}
	return nil
}

// Counts visits counts.
func (r *Store) Counts(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(calendar.Day, daily.Count) error) error {
	return section(ctx, r, countsSection, tenant, first, last,
		func(d calendar.Day, s map[daily.Dimension]map[string]int64) error {
			for dimension, values := range s {
				for v, n := range values {
					if err := visit(d, daily.Count{Dimension: dimension, Value: v, N: n}); err != nil {
						return err
					}
				}
			}
			return nil
		})
}

// Attacks visits attacks.
func (r *Store) Attacks(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(calendar.Day, daily.Attack) error) error {
	return section(ctx, r, attacksSection, tenant, first, last, func(d calendar.Day, s []keyedAttack) error {
		for _, k := range s {
			a := k.Attack
			copy(a.Key[:], k.K)
			if err := visit(d, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Incidents visits incidents.
func (r *Store) Incidents(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(daily.Incident) error) error {
	return each(ctx, r, incidentsSection, tenant, first, last, visit)
}

// Vulnerabilities visits vulnerabilities.
func (r *Store) Vulnerabilities(ctx context.Context, tenant string, first, last calendar.Day,
	visit func(daily.Vulnerability) error) error {
	return each(ctx, r, vulnsSection, tenant, first, last, visit)
}

func each[F any](ctx context.Context, r *Store, name, tenant string, first, last calendar.Day,
	visit func(F) error) error {
	return section(ctx, r, name, tenant, first, last, func(_ calendar.Day, s []F) error {
		for _, f := range s {
			if err := visit(f); err != nil {
				return err
			}
		}
		return nil
	})
}
