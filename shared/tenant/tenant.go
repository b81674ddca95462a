// Package tenant keeps which tenants are linked to a technical tenant, and decides for which tenant a caller acts: a
// global role of a technical tenant reaches the linked ones, a plain role its own tenant only (product facts, section
// 7). The platform's operators set the links. A tenant may be linked to several technical tenants; links do not chain.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/event"
)

// Errors. Wrap them; callers use errors.Is.
var (
	ErrNotFound = errors.New("tenant is not linked")
	ErrSelf     = errors.New("a tenant can not be linked to itself")
	ErrName     = errors.New("not the id of a tenant")
)

// Link is one linked tenant.
type Link struct {
	Technical  string    `json:"technical"`             // the technical tenant
	Tenant     string    `json:"tenant"`                // the linked one
	ClientName string    `json:"client_name,omitempty"` // its company name, for the Console
	LinkedAt   time.Time `json:"linked_at"`
	LinkedBy   string    `json:"linked_by,omitempty"` // an operator's address
}

// Store keeps links. Implementations are safe for concurrent use.
type Store interface {
	// Link adds a link, or replaces the one of the two tenants, with the entries of it.
	Link(ctx context.Context, l Link, entries ...activity.Entry) error
	// Unlink removes a link, with the entries of it. Error: ErrNotFound.
	Unlink(ctx context.Context, technical, tenant string, entries ...activity.Entry) error
	// Get returns a link; it sees every change that was made before. Error: ErrNotFound.
	Get(ctx context.Context, technical, tenant string) (Link, error)
	// List returns the links of a technical tenant in the order of the linked ones: at most limit of those after.
	List(ctx context.Context, technical, after string, limit int) ([]Link, error)
}

// Service changes links and applies them.
type Service struct {
	Store Store
	Now   func() time.Time
	NewID func() string // of entries of the activity log
	Log   *slog.Logger
}

// maxClientName is in bytes, as in events.
const maxClientName = 256

// Valid reports whether a text can be the id of a tenant.
func Valid(id string) bool {
	return id != "" && id != access.EveryLinked && event.KnownTenant(id) == id
}

// Link links a tenant. Errors: ErrName, ErrSelf.
func (s *Service) Link(ctx context.Context, by activity.Actor, technical, tenant, clientName string) (Link, error) {
	l := Link{Technical: technical, Tenant: tenant, ClientName: strings.TrimSpace(clientName),
		LinkedAt: s.Now().UTC().Truncate(time.Second), LinkedBy: by.Who()}
	switch {
	case !Valid(technical) || !Valid(tenant):
		return l, fmt.Errorf("link tenant %q to %q: %w", tenant, technical, ErrName)
	case technical == tenant:
		return l, fmt.Errorf("link tenant %q: %w", tenant, ErrSelf)
	case len(l.ClientName) > maxClientName:
		return l, fmt.Errorf("link tenant %q: its company name is over %d bytes: %w", tenant, maxClientName, ErrName)
	}
	if err := s.Store.Link(ctx, l, s.entries(by, activity.Link, l)...); err != nil {
		return l, err
	}
	s.Log.Info("tenant linked", "technical", technical, "tenant", tenant, "by", by.Who())
	return l, nil
}

// Unlink ends a link: from the next call on nobody of the technical tenant acts for the other. Error: ErrNotFound.
func (s *Service) Unlink(ctx context.Context, by activity.Actor, technical, tenant string) error {
	entries := s.entries(by, activity.Unlink, Link{Technical: technical, Tenant: tenant})
	if err := s.Store.Unlink(ctx, technical, tenant, entries...); err != nil {
		return err
	}
	s.Log.Info("tenant unlinked", "technical", technical, "tenant", tenant, "by", by.Who())
	return nil
}

// entries are those of a change in the logs of both tenants: in each, somebody gained or lost its reach.
func (s *Service) entries(by activity.Actor, action activity.Action, l Link) (out []activity.Entry) {
	for _, of := range []string{l.Technical, l.Tenant} {
		by.Tenant, by.ClientName = of, ""
		out = append(out, activity.Entry{ID: s.NewID(), At: s.Now(), Actor: by, Object: activity.LinkedTenant,
			ObjectID: l.Tenant, ObjectName: l.ClientName, Action: action,
			Changes: []activity.Change{{Field: "technical_tenant", After: l.Technical}}}.Bounded())
	}
	return out
}

// List returns a page of the tenants that are linked to one.
func (s *Service) List(ctx context.Context, technical, after string, limit int) ([]Link, error) {
	return s.Store.List(ctx, technical, after, limit)
}

// NotForYouError refuses to act for a tenant. It says the same of a tenant that is not linked and of one that does not
// exist.
type NotForYouError struct{ Reason string }

func (e *NotForYouError) Error() string { return e.Reason }

// Act is the caller acting for a tenant; "" is the home tenant, or the only one that an API token reaches. A nil
// Service knows no links. Error: *NotForYouError.
func (s *Service) Act(ctx context.Context, p access.Principal, tenant string) (access.Principal, error) {
	if p.Home == "" {
		p.Home = p.Tenant
	}
	if tenant == "" {
		var err error
		if tenant, err = implied(p); err != nil {
			return p, err
		}
	}
	switch {
	case tenant != p.Home && !p.Role.Global():
		return p, &NotForYouError{"only a global role acts for another tenant than its own; your role is " +
			p.Role.Words()}
	case !p.Reaches(tenant):
		return p, &NotForYouError{"this API token is not for that tenant"}
	case tenant == p.Home:
		return p.AtHome(), nil
	}
	l, err := s.get(ctx, p.Home, tenant)
	if errors.Is(err, ErrNotFound) {
		return p, &NotForYouError{"that tenant is not linked to yours"}
	}
	if err != nil {
		return p, err
	}
	p.HomeName = p.AtHome().ClientName
	p.Tenant, p.ClientName = tenant, l.ClientName
	return p, nil
}

func (s *Service) get(ctx context.Context, technical, tenant string) (Link, error) {
	if s == nil || !Valid(tenant) {
		return Link{}, ErrNotFound
	}
	return s.Store.Get(ctx, technical, tenant)
}

// implied is the tenant of a call that names none.
func implied(p access.Principal) (string, error) {
	switch {
	case p.Reaches(p.Home):
		return p.Home, nil
	case len(p.Reach) == 1:
		return p.Reach[0], nil
	}
	return "", &NotForYouError{"this API token is for several tenants, and not for your own: name one with " +
		"?tenant="}
}
