package report

import (
	"context"
	"log/slog"
	"time"

	"tocsin/shared/cache"
	"tocsin/shared/report/calendar"
	"tocsin/shared/retention"
	"tocsin/shared/timezone"
)

// Retentions knows how long is kept what comes for each tenant. It is safe for concurrent use.
type Retentions struct {
	Store SettingsReader
	Most  time.Duration // what the installation keeps
	Now   func() time.Time
	Log   *slog.Logger

	known cache.Aging[string, retention.Setting]
}

// retentionGood is how long a setting that was read holds: a new one holds a minute after it was set.
const retentionGood = time.Minute

// Kept is how long: as the installation where it can not be read now. What is kept too long is better than what is
// missed.
func (r *Retentions) Kept(ctx context.Context, tenant string) retention.Kept {
	now := r.Now()
	had, ok := r.known.Get(tenant, now, retentionGood)
	if !ok {
		s, err := r.Store.Settings(ctx, tenant)
		if err != nil {
			r.Log.Warn("read how long a tenant's events are kept", "tenant", tenant, "error", err.Error())
			return retention.Setting{}.For(r.Most)
		}
		had = s.Retention
		r.known.Keep(tenant, had, now, mostTenants)
	}
	return had.For(r.Most)
}

// Kept is how long is kept what comes for the tenant of the settings.
func (s *Service) Kept(v Settings) retention.Kept { return v.Retention.For(s.EventsKept) }

// Since is the first day that a report by filters can be made of, for the tenant of the settings.
func (s *Service) Since(v Settings) calendar.Day {
	return calendar.DayOf(v.Retention.Since(s.Now(), s.EventsKept, s.EndsWritten), timezone.Open(v.Zone)).Add(1)
}

// Leaves is until when what was written before a choice of fewer days is there at the latest; zero = it has gone, or
// goes within the hour.
func (s *Service) Leaves(v Settings) time.Time {
	if until := v.Retention.Until; s.EndsWritten && until.After(s.Now()) {
		return until
	}
	return time.Time{}
}
