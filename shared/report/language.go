package report

import (
	"context"
	"log/slog"
	"time"

	"tocsin/shared/cache"
	"tocsin/shared/wording"
)

// Languages knows the language of what is sent on behalf of each tenant. It is safe for concurrent use.
type Languages struct {
	Store SettingsReader
	Now   func() time.Time
	Log   *slog.Logger

	known cache.Aging[string, wording.Language]
}

// SettingsReader reads a tenant's settings.
type SettingsReader interface {
	Settings(ctx context.Context, tenant string) (Settings, error)
}

// A new language holds a minute after it was set; so many tenants are remembered.
const (
	languageGood = time.Minute
	mostTenants  = 10_000
)

// Language is the tenant's: English where none was chosen, or where it can not be read now, which keeps nothing from
// being sent.
func (l *Languages) Language(ctx context.Context, tenant string) wording.Language {
	now := l.Now()
	if had, ok := l.known.Get(tenant, now, languageGood); ok {
		return had
	}
	s, err := l.Store.Settings(ctx, tenant)
	if err != nil {
		l.Log.Warn("read the language of a tenant", "tenant", tenant, "error", err.Error())
		return wording.English
	}
	language := s.Language.Or(wording.English)
	l.known.Keep(tenant, language, now, mostTenants)
	return language
}
