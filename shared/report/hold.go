package report

import (
	"context"
	"log/slog"
	"time"

	"tocsin/shared/cache"
	"tocsin/shared/destination"
	"tocsin/shared/hold"
)

// Releaser lets go what is held for the integrations of a tenant: what rules hold still is held on.
type Releaser interface {
	ReleaseAll(ctx context.Context, tenant string) error
}

// checkHold says what is wrong with the rules of a tenant.
func checkHold(r hold.Rules, now time.Time) destination.InvalidParameters {
	problems := hold.Check(r, "hold", true, now)
	if r.Mute != nil || r.OwnOnly {
		problems.Addf("hold", "is of an integration only")
	}
	return problems
}

// release lets go what other rules held. What it can not do now is done when the hold that was ends: then whoever
// holds looks at the rules again.
func (s *Service) release(ctx context.Context, tenant string) {
	if s.Held == nil {
		return
	}
	if err := s.Held.ReleaseAll(ctx, tenant); err != nil {
		s.Log.Warn("let go what is held for a tenant", "tenant", tenant, "error", err.Error())
	}
}

// Holds knows the rules of tenants by which what is sent waits: see package hold. It is safe for concurrent use.
type Holds struct {
	Store SettingsReader
	Now   func() time.Time
	Log   *slog.Logger

	known cache.Aging[string, hold.Rules]
}

// holdsGood is how long rules that were read hold: new ones hold a minute after they were set.
const holdsGood = time.Minute

// Hold are the rules of the tenant: none where they can not be read now. What is sent too early is better than what is
// missed.
func (h *Holds) Hold(ctx context.Context, tenant string) hold.Rules {
	now := h.Now()
	if had, ok := h.known.Get(tenant, now, holdsGood); ok {
		return had
	}
	r, err := h.Fresh(ctx, tenant)
	if err != nil {
		h.Log.Warn("read the quiet hours of a tenant", "tenant", tenant, "error", err.Error())
		return hold.Rules{}
	}
	return r
}

// Fresh reads the rules, and remembers them.
func (h *Holds) Fresh(ctx context.Context, tenant string) (hold.Rules, error) {
	s, err := h.Store.Settings(ctx, tenant)
	if err != nil {
		return hold.Rules{}, err
	}
	h.known.Keep(tenant, s.Hold, h.Now(), mostTenants)
	return s.Hold, nil
}
