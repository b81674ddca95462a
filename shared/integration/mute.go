package integration

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/hold"
)

// Releaser lets go what is held for an integration: what its rules hold still is held on.
type Releaser interface {
	Release(ctx context.Context, tenant, integration string) error
}

// Mute holds what comes for the integration for some hours. One that is muted is muted anew. It is not disabled: its
// health, its tests and its reports go on.
// Errors: ErrNotFound, ErrConflict, InvalidError.
func (s *Service) Mute(ctx context.Context, who activity.Actor, id string, revision int64, hours int, reason string,
	then hold.Then) (Integration, error) {
	i, err := s.at(ctx, who.Tenant, id, revision)
	if err != nil {
		return Integration{}, fmt.Errorf("mute integration %s: %w", id, err)
	}
	system, err := s.system(i)
	if err != nil {
		return Integration{}, err
	}
	if problems := hold.CheckMute(hours, reason, then, system.Class.Read()); problems != nil {
		return Integration{}, problems
	}
	before, now := i, s.Now().UTC().Truncate(time.Second)
	i.Hold.Mute = &hold.Mute{Until: now.Add(time.Duration(hours) * time.Hour), Reason: strings.TrimSpace(reason),
		By: who.Who(), At: now, Then: then}
	return s.save(ctx, i, change{kind: event.UpdateIntegration, action: activity.Mute, who: &who, before: &before})
}

// Unmute ends a mute at once; it is no error when there is none, and nothing is announced then. Errors: ErrNotFound,
// ErrConflict.
func (s *Service) Unmute(ctx context.Context, who activity.Actor, id string, revision int64) (Integration, error) {
	i, err := s.at(ctx, who.Tenant, id, revision)
	if err != nil {
		return Integration{}, fmt.Errorf("unmute integration %s: %w", id, err)
	}
	if i.Hold.Muted(s.Now()) == nil {
		return i, nil
	}
	before := i
	i.Hold.Mute = nil
	return s.save(ctx, i, change{kind: event.UpdateIntegration, action: activity.Unmute, who: &who, before: &before})
}

// withMute are rules as they are kept: with the mute that there is.
func withMute(r hold.Rules, m *hold.Mute) hold.Rules {
	r.Mute = m
	return r
}

// rules sets those of a patch.
func (s *Service) rules(i *Integration, r *hold.Rules, system destination.System) InvalidError {
	if r == nil {
		return nil
	}
	i.Hold = withMute(*r, i.Hold.Mute)
	return hold.Check(*r, "hold", system.Class.Read(), s.Now())
}

// changedHold lets go what other rules held, and what is held for an integration that was disabled: it ends as what
// waits does.
func (s *Service) changedHold(ctx context.Context, before, now Integration, waits *Waiting) {
	switch {
	case !reflect.DeepEqual(before.Hold, now.Hold):
		s.release(ctx, now)
	case before.Enabled() && !now.Enabled():
		s.endHeld(ctx, now, waits)
	}
}

// endHeld has what is held for an integration that was disabled or deleted looked at anew, where anything is: it ends
// as what waits does. What a fan-out that does not know yet has held since ends when its hold does. waits is nil where
// nobody has counted yet.
func (s *Service) endHeld(ctx context.Context, now Integration, waits *Waiting) {
	if s.Held == nil {
		return
	}
	if waits == nil && s.Backlog != nil {
		if w, err := s.Backlog.CountWaiting(ctx, now.Tenant, now.ID, 1); err == nil {
			waits = &w
		}
	}
	if waits == nil || waits.Held > 0 {
		s.release(ctx, now)
	}
}

// release has what is held for an integration looked at anew. What it can not do now is done when the hold that was
// ends: then whoever holds looks at the rules again.
func (s *Service) release(ctx context.Context, now Integration) {
	if s.Held == nil {
		return
	}
	if err := s.Held.Release(ctx, now.Tenant, now.ID); err != nil {
		s.Log.Warn("let go what is held for an integration", "tenant", now.Tenant, "integration", now.ID, "error",
			err.Error())
	}
}
