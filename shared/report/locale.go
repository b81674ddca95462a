package report

import (
	"context"
	"log/slog"
	"time"

	"tocsin/shared/cache"
	"tocsin/shared/timezone"
	"tocsin/shared/wording"
)

// Locales knows the language and the zone of what is sent on behalf of each tenant. It is safe for concurrent use.
type Locales struct {
	Store SettingsReader
	Now   func() time.Time
	Log   *slog.Logger

	known cache.Aging[string, wording.Locale]
}

// SettingsReader reads a tenant's settings.
type SettingsReader interface {
	Settings(ctx context.Context, tenant string) (Settings, error)
}

// ZoneOf reads the name of a tenant's zone from its settings, "" where none was chosen.
func ZoneOf(r SettingsReader) func(ctx context.Context, tenant string) (string, error) {
	return func(ctx context.Context, tenant string) (string, error) {
		s, err := r.Settings(ctx, tenant)
		return s.Zone, err
	}
}

// New settings hold a minute after they were set; so many tenants are remembered.
const (
	localeGood  = time.Minute
	mostTenants = 10_000
)

// Locale is the tenant's: English and DefaultZone where nothing was chosen, or where it can not be read now, which
// keeps nothing from being sent.
func (l *Locales) Locale(ctx context.Context, tenant string) wording.Locale {
	now := l.Now()
	if had, ok := l.known.Get(tenant, now, localeGood); ok {
		return had
	}
	s, err := l.Store.Settings(ctx, tenant)
	if err != nil {
		l.Log.Warn("read the language and the zone of a tenant", "tenant", tenant, "error", err.Error())
		return wording.Locale{Language: wording.English, Zone: timezone.Open("")}
	}
	locale := wording.Locale{Language: s.Language.Or(wording.English), Zone: timezone.Open(s.Zone)}
	l.known.Keep(tenant, locale, now, mostTenants)
	return locale
}
