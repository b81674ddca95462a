package sqlite

import (
	"context"
	"fmt"
	"time"

	"tocsin/shared/retention"
)

// Prune removes ended deliveries, and the events that nothing refers to any more, once they are older than keep;
// counters once no rule reads them; references of objects once they are over or their
// integration was deleted; dead letters and commands as deliveries; reports and daily totals as package report
// says, the activity log as package activity says; API tokens and sessions that have ended. It returns how many rows it
// removed. What a tenant chose to keep for less than that goes earlier: see package retention.
func (s *DB) Prune(ctx context.Context, now time.Time, keep time.Duration) (removed int, err error) {
	before := now.Add(-keep)
	for _, old := range []struct {
		what   string
		remove func() (int, error)
	}{
		{"deliveries", func() (int, error) { return s.deliveries.Prune(ctx, before) }},
		{"events", func() (int, error) { return s.deliveries.PruneEvents(ctx, before) }},
		{"what tenants keep no longer", func() (int, error) { return s.pruneChosen(ctx, now, keep) }},
		{"dead letters", func() (int, error) { return s.deliveries.PruneDeadLetters(ctx, before) }},
		{"commands", func() (int, error) { return s.Commands().Prune(ctx, before, now) }},
		{"firings of triggers", func() (int, error) { return s.triggers.PruneFirings(ctx, before) }},
		{"references", func() (int, error) { return s.References().Prune(ctx, now) }},
		{"counters", func() (int, error) { return s.Counters().Prune(ctx, now) }},
		{"daily totals", func() (int, error) { return s.DailyTotals().Prune(ctx, now) }},
		{"activity", func() (int, error) { return s.ActivityLog().Prune(ctx, now) }},
		{"reports", func() (int, error) { return s.Reports().Prune(ctx, now) }},
		{"API tokens", func() (int, error) { return s.Tokens().Prune(ctx, now) }},
		{"erasures", func() (int, error) { return s.Erasures().Prune(ctx, now) }},
		{"sessions", func() (int, error) { return s.Sessions().Prune(ctx, now) }},
	} {
		n, err := old.remove()
		if removed += n; err != nil {
			return removed, fmt.Errorf("remove old %s: %w", old.what, err)
		}
	}
	return removed, s.file.Shrink(ctx)
}

// pruneChosen removes what tenants chose to keep for less than the installation does.
func (s *DB) pruneChosen(ctx context.Context, now time.Time, keep time.Duration) (int, error) {
	settings, err := s.Reports().Retentions(ctx)
	if err != nil {
		return 0, err
	}
	most, chosen := retention.Setting{}.For(keep), map[string]retention.Kept{}
	for tenant, setting := range settings {
		if kept := setting.For(keep); kept != most {
			chosen[tenant] = kept
		}
	}
	return s.deliveries.PruneChosen(ctx, now, chosen)
}
