package token

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/mail/address"
	"tocsin/shared/plaintext"
	"tocsin/shared/tenant"
)

// InvalidError says what is wrong with a token that was asked for.
type InvalidError struct{ Field, Reason string }

func (e *InvalidError) Error() string { return e.Field + " " + e.Reason }

// NotAllowedError says why the caller may not make such a token.
type NotAllowedError struct{ Reason string }

func (e *NotAllowedError) Error() string { return e.Reason }

// Links knows which tenants are linked to one.
type Links interface {
	Get(ctx context.Context, technical, tenant string) (tenant.Link, error)
}

// Service makes, lists and revokes tokens.
type Service struct {
	Store  Store
	Links  Links     // nil: no tenants are linked here
	Random io.Reader // crypto/rand.Reader
	Now    func() time.Time
	NewID  func() string
	Log    *slog.Logger
}

// Order is a token that is asked for.
type Order struct {
	Name      string
	Kind      Kind
	Role      string    // "" = the caller's
	Tenants   []string  // none = the caller's own
	ExpiresAt time.Time // zero = never
}

// Make makes a token, and returns its secret: it is kept nowhere. Errors: *InvalidError, *NotAllowedError.
func (s *Service) Make(ctx context.Context, p access.Principal, o Order) (t Token, secret string, err error) {
	if t, err = s.fill(ctx, p, o); err != nil {
		return Token{}, "", err
	}
	if err := s.room(ctx, p.Home); err != nil {
		return Token{}, "", err
	}
	raw := make([]byte, secretBytes)
	if _, err := io.ReadFull(s.Random, raw); err != nil {
		return Token{}, "", fmt.Errorf("make an API token: %w", err)
	}
	secret = base64.StdEncoding.EncodeToString(raw)
	t.Digest = Digest(secret)
	if err := s.Store.Create(ctx, t, s.entry(activity.ActorOf(p), activity.Create, t, changes(t))); err != nil {
		return Token{}, "", err
	}
	s.Log.Info("API token made", "tenant", t.Tenant, "token", t.ID, "kind", t.Kind, "role", t.Role, "by", t.CreatedBy)
	return t, secret, nil
}

// fill checks what is asked for.
func (s *Service) fill(ctx context.Context, p access.Principal, o Order) (Token, error) {
	t := Token{
		ID: s.NewID(), Tenant: p.Home, ClientName: p.AtHome().ClientName, Name: strings.TrimSpace(o.Name),
		Kind: o.Kind, CreatedAt: s.Now().UTC().Truncate(time.Second), CreatedBy: activity.ActorOf(p).Who(),
		ExpiresAt: o.ExpiresAt, Revision: 1,
	}
	if p.Tenant != p.Home {
		return t, &NotAllowedError{"API tokens are made in your own tenant: leave tenant out of the call, and name " +
			"the linked tenants in tenants"}
	}
	if t.Name == "" || utf8.RuneCountInString(t.Name) > maxName || plaintext.Line(t.Name) != t.Name {
		return t, &InvalidError{"name", fmt.Sprintf("must have 1 to %d characters, on one line", maxName)}
	}
	switch {
	case o.Kind != Personal && o.Kind != Shared:
		return t, &InvalidError{"kind", "must be personal or shared"}
	case o.Kind == Personal && !p.May(access.PersonalTokens):
		return t, notFor(p, access.PersonalTokens)
	case o.Kind == Shared && !p.May(access.SharedTokens):
		return t, notFor(p, access.SharedTokens)
	case o.Kind == Personal && p.Email == "" && p.Source == access.FromAPIToken:
		return t, &NotAllowedError{"a shared API token is nobody's: it makes no personal ones"}
	case o.Kind == Personal && p.Email == "":
		return t, &NotAllowedError{"your account has no e-mail address, which personal API tokens are kept by"}
	case o.Kind == Personal:
		t.Email, t.PersonName = p.Email, p.Name
	}
	if err := t.chooseRole(p, o.Role); err != nil {
		return t, err
	}
	if err := s.chooseTenants(ctx, &t, p, o.Tenants); err != nil {
		return t, err
	}
	return t, s.checkExpiry(ctx, t, p)
}

func notFor(p access.Principal, right access.Right) error {
	return &NotAllowedError{right.Words() + " are for " + right.Holders() + " only; your role is " + p.Role.Words()}
}

// chooseRole takes the role that is asked for, unless it is above the maker's.
func (t *Token) chooseRole(p access.Principal, asked string) error {
	t.Role = p.Role
	if asked != "" {
		t.Role = access.ParseRole(asked)
	}
	switch {
	case !t.Role.Known():
		return &InvalidError{"role", "is not known"}
	case t.Kind == Shared && t.Role == access.Operator:
		return &InvalidError{"role", "can not be operator: a shared token has a role of the tenant"}
	case !t.Role.Within(p.Role):
		return &NotAllowedError{"the role " + t.Role.Name() + " is above yours, which is " + p.Role.Name()}
	}
	return nil
}

// chooseTenants takes the tenants that are asked for, unless the maker does not reach one.
func (s *Service) chooseTenants(ctx context.Context, t *Token, p access.Principal, asked []string) error {
	if len(asked) == 0 {
		asked = []string{p.Home}
	}
	if len(asked) > maxTenants {
		return &InvalidError{"tenants", fmt.Sprintf("must be at most %d: `*` stands for all that are linked",
			maxTenants)}
	}
	t.Tenants = slices.Compact(slices.Sorted(slices.Values(asked)))
	for _, id := range t.Tenants {
		switch {
		case !p.Reaches(id):
			return &NotAllowedError{"your own API token is not for all of these tenants"}
		case id == p.Home:
			continue
		case !p.Role.Global() || !t.Role.Global():
			return &InvalidError{"tenants", "can name other tenants than your own for a global role only"}
		case id == access.EveryLinked:
			continue
		}
		err := tenant.ErrNotFound
		if s.Links != nil && tenant.Valid(id) {
			_, err = s.Links.Get(ctx, p.Home, id)
		}
		if errors.Is(err, tenant.ErrNotFound) {
			return &InvalidError{"tenants", "names one that is not linked to yours"}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkExpiry: a token that was made with another one does not outlive it.
func (s *Service) checkExpiry(ctx context.Context, t Token, p access.Principal) error {
	if !t.ExpiresAt.IsZero() && (!t.ExpiresAt.After(s.Now()) || t.ExpiresAt.Year() > 9999) {
		return &InvalidError{"expires_at", "must be in the future"}
	}
	if p.TokenID == "" {
		return nil
	}
	own, err := s.Store.Get(ctx, p.Home, p.TokenID)
	if err != nil {
		return err
	}
	if !own.ExpiresAt.IsZero() && (t.ExpiresAt.IsZero() || t.ExpiresAt.After(own.ExpiresAt)) {
		return &NotAllowedError{"an API token makes none that outlives it: yours expires at " +
			own.ExpiresAt.UTC().Format(time.RFC3339)}
	}
	return nil
}

// page is how many tokens are read at once.
const page = 100

// each calls with the tokens of a tenant, the newest first, until told to stop.
func (s *Service) each(ctx context.Context, tenant, before string, call func(Token) (more bool, err error)) error {
	for {
		found, err := s.Store.List(ctx, tenant, before, page)
		if err != nil {
			return err
		}
		for _, t := range found {
			if more, err := call(t); err != nil || !more {
				return err
			}
			before = t.ID
		}
		if len(found) < page {
			return nil
		}
	}
}

func (s *Service) room(ctx context.Context, tenant string) error {
	n := 0
	err := s.each(ctx, tenant, "", func(Token) (bool, error) {
		n++
		return n < MaxTokens, nil
	})
	if err == nil && n >= MaxTokens {
		return &NotAllowedError{fmt.Sprintf("your tenant has %d API tokens already, which is the most: revoke some; "+
			"they go after 30 days", MaxTokens)}
	}
	return err
}

// visible reports whether the caller may see and revoke a token: one's own, or all of the tenant.
func visible(p access.Principal, t Token) bool {
	return p.May(access.SharedTokens) || t.Kind == Personal && p.Email != "" && p.Tenant == p.Home &&
		address.Canonical(t.Email) == address.Canonical(p.Email)
}

// List returns the tokens that the caller may see, the newest first: at most limit of those before.
func (s *Service) List(ctx context.Context, p access.Principal, before string, limit int) (out []Token, err error) {
	err = s.each(ctx, p.Tenant, before, func(t Token) (bool, error) {
		if visible(p, t) {
			out = append(out, t)
		}
		return len(out) < limit, nil
	})
	return out, err
}

// Revoke ends a token at once; one that was revoked stays as it is. Error: ErrNotFound.
func (s *Service) Revoke(ctx context.Context, p access.Principal, id string) (Token, error) {
	for {
		t, err := s.Store.Get(ctx, p.Tenant, id)
		if err == nil && !visible(p, t) {
			err = fmt.Errorf("API token %s: %w", id, ErrNotFound)
		}
		if err != nil || !t.RevokedAt.IsZero() {
			return t, err
		}
		t, err = s.end(ctx, activity.ActorOf(p), t, ByHand)
		if !errors.Is(err, ErrConflict) {
			return t, err
		}
	}
}

func (s *Service) end(ctx context.Context, by activity.Actor, t Token, why Ended) (Token, error) {
	t.RevokedAt, t.RevokedBy, t.Ended, t.Revision = s.Now().UTC().Truncate(time.Second), by.Who(), why, t.Revision+1
	if err := s.Store.Save(ctx, t, s.entry(by, activity.Revoke, t, []activity.Change{{Field: "state",
		Before: string(Active), After: string(why)}})); err != nil {
		return t, err
	}
	s.Log.Info("API token ended", "tenant", t.Tenant, "token", t.ID, "why", why, "by", by.Who())
	return t, nil
}

// PersonChanged ends the personal tokens that go beyond a person's new role; "" = the person was disabled or removed.
func (s *Service) PersonChanged(ctx context.Context, tenantID, email string, role access.Role) error {
	why := RoleLost
	if role == "" {
		why = PersonGone
	}
	_, err := s.endOf(ctx, tenantID, email, why, func(t Token) bool {
		return !role.May(access.PersonalTokens) || !t.Role.Within(role)
	})
	return err
}

// EndAll ends the personal tokens of a person who was disabled or got another role, and returns how many.
func (s *Service) EndAll(ctx context.Context, tenantID, email string) (int, error) {
	return s.endOf(ctx, tenantID, email, PersonChanged, func(Token) bool { return true })
}

// endOf ends those of a person's tokens that a test says.
func (s *Service) endOf(ctx context.Context, tenantID, email string, why Ended,
	ends func(Token) bool) (ended int, err error) {
	by := activity.System(tenantID)
	err = s.each(ctx, tenantID, "", func(t Token) (bool, error) {
		for {
			if t.Kind != Personal || t.State(s.Now()) != Active ||
				address.Canonical(t.Email) != address.Canonical(email) || !ends(t) {
				return true, nil
			}
			_, err := s.end(ctx, by, t, why)
			if err == nil {
				ended++
			}
			if !errors.Is(err, ErrConflict) {
				return true, err
			}
			if t, err = s.Store.Get(ctx, tenantID, t.ID); err != nil {
				return true, err
			}
		}
	})
	return ended, err
}

// entry is what the activity log says of a change.
func (s *Service) entry(by activity.Actor, action activity.Action, t Token, changes []activity.Change) activity.Entry {
	return activity.Entry{ID: s.NewID(), At: s.Now(), Actor: by, Object: activity.APIToken, ObjectID: t.ID,
		ObjectName: t.Name, Action: action, Changes: changes}.Bounded()
}

// changes are what an entry says of a new token.
func changes(t Token) []activity.Change {
	out := []activity.Change{{Field: "kind", After: string(t.Kind)}, {Field: "role", After: string(t.Role)},
		{Field: "tenants", After: strings.Join(t.Tenants, ", ")}}
	if !t.ExpiresAt.IsZero() {
		out = append(out, activity.Change{Field: "expires_at", After: t.ExpiresAt.UTC().Format(time.RFC3339)})
	}
	return out
}
