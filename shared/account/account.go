package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/event"
	"tocsin/shared/mail/address"
)

// Person is somebody who may sign in. A person of two tenants is known twice.
type Person struct {
	Tenant     string
	ClientName string // the tenant's company name
	Email      string // as it was written; one mailbox is one person, however it is written
	Name       string
	Role       access.Role
	Disabled   bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Revision   int64 // of the stored person; 0 = new
}

// Address is the form of the address by which people are told apart.
func (p Person) Address() string { return address.Canonical(p.Email) }

// Principal is the person as a session keeps them.
func (p Person) Principal() access.Principal {
	return access.Principal{Tenant: p.Tenant, Home: p.Tenant, ClientName: p.ClientName, Role: p.Role, Email: p.Email,
		Name: p.Name, Subject: p.Email}
}

// Limits of what is said of a person, in characters: of names as of an integration's (product facts: silent), of a
// tenant as far as a row's key goes on every engine.
const (
	maxName   = 200
	maxTenant = 100
)

// Errors of people.
var (
	ErrUnknown  = errors.New("this person is not known")
	ErrExists   = errors.New("this person is known already")
	ErrChanged  = errors.New("this person was changed meanwhile: try again")
	ErrDisabled = errors.New("this person is disabled")
)

// Store keeps people, by tenant and Address.
type Store interface {
	// Get reads one. Error: ErrUnknown.
	Get(ctx context.Context, tenant, address string) (Person, error)
	// Find reads those with an address, one of each tenant, in the order of the tenants.
	Find(ctx context.Context, address string) ([]Person, error)
	// List reads all, in the order of tenant and address.
	List(ctx context.Context) ([]Person, error)
	// Save writes one whose stored revision is Revision-1, and the entries of it: a first one has 1. Errors: ErrExists
	// for a first one, ErrChanged for another.
	Save(ctx context.Context, p Person, entries ...activity.Entry) error
}

// Credentials are what people are signed in by: sessions, and tokens of their own.
type Credentials interface {
	// EndAll ends those of a person, and returns how many.
	EndAll(ctx context.Context, tenant, email string) (int, error)
}

// Service keeps the people.
type Service struct {
	Store Store
	Links *Links
	Ends  []Credentials // what ends when a person is disabled, or gets another role
	Now   func() time.Time
	NewID func() string // of entries of the activity log
	Log   *slog.Logger
}

// Add makes a person known. Errors: ErrExists, or what is wrong with the person.
func (s *Service) Add(ctx context.Context, p Person) (Person, error) {
	if err := p.check(); err != nil {
		return p, err
	}
	if event.KnownTenant(p.Tenant) != p.Tenant { // one that was added before can be changed
		return p, fmt.Errorf("the tenant %q is one that no event can be of: it must have up to %d printable ASCII "+
			"characters, and no space", p.Tenant, maxTenant)
	}
	if p.ClientName == "" {
		p.ClientName = s.clientName(ctx, p.Tenant)
	}
	p.Disabled, p.Revision, p.CreatedAt = false, 1, s.Now().UTC()
	p.UpdatedAt = p.CreatedAt
	if err := s.Store.Save(ctx, p, s.entry(p, activity.Create, changes(Person{}, p))); err != nil {
		return p, fmt.Errorf("add %s of tenant %s: %w", p.Email, p.Tenant, err)
	}
	s.Log.Info("a person was added", "tenant", p.Tenant, "person", p.Email, "role", string(p.Role))
	return p, nil
}

// clientName is what the other people of a tenant say; "" where there are none.
func (s *Service) clientName(ctx context.Context, tenant string) string {
	all, err := s.Store.List(ctx)
	for _, p := range all {
		if err == nil && p.Tenant == tenant && p.ClientName != "" {
			return p.ClientName
		}
	}
	return ""
}

// One finds a person by the address, and by the tenant where it is not "". Errors: ErrUnknown, or that several tenants
// have the person.
func (s *Service) One(ctx context.Context, tenant, email string) (Person, error) {
	found, err := s.Store.Find(ctx, address.Canonical(email))
	if err != nil {
		return Person{}, err
	}
	var match, tenants = []Person{}, []string{}
	for _, p := range found {
		if tenant == "" || p.Tenant == tenant {
			match, tenants = append(match, p), append(tenants, p.Tenant)
		}
	}
	switch {
	case len(match) == 1:
		return match[0], nil
	case len(match) > 1:
		return Person{}, fmt.Errorf("%s is a person of the tenants %s: name one with -tenant", email,
			strings.Join(tenants, ", "))
	case tenant != "":
		return Person{}, fmt.Errorf("%s of tenant %s: %w", email, tenant, ErrUnknown)
	}
	return Person{}, fmt.Errorf("%s: %w", email, ErrUnknown)
}

// Change applies a change to a person as they are stored. Where it takes something away (the role is another one, the
// person is disabled) all that signs them in ends: their sessions, tokens and links.
func (s *Service) Change(ctx context.Context, p Person, change func(*Person)) (Person, error) {
	was, err := s.Store.Get(ctx, p.Tenant, p.Address())
	if err != nil {
		return p, fmt.Errorf("change %s of tenant %s: %w", p.Email, p.Tenant, err)
	}
	next := was
	change(&next)
	next.Tenant, next.Email = was.Tenant, was.Email
	if err := next.check(); err != nil {
		return was, err
	}
	if next != was {
		next.Revision, next.UpdatedAt = was.Revision+1, s.Now().UTC()
		if err := s.Store.Save(ctx, next, s.entry(next, action(was, next), changes(was, next))); err != nil {
			return was, fmt.Errorf("change %s of tenant %s: %w", p.Email, p.Tenant, err)
		}
		s.Log.Info("a person was changed", "tenant", next.Tenant, "person", next.Email, "role", string(next.Role),
			"disabled", next.Disabled)
	}
	if next.Disabled || next.Role != was.Role {
		return next, s.end(ctx, next)
	}
	return next, nil
}

// action is what a change did.
func action(was, next Person) activity.Action {
	switch {
	case next.Disabled && !was.Disabled:
		return activity.Disable
	case was.Disabled && !next.Disabled:
		return activity.Enable
	}
	return activity.Update
}

// changes are the fields that differ.
func changes(was, next Person) (out []activity.Change) {
	for _, f := range []struct{ field, before, after string }{
		{"role", string(was.Role), string(next.Role)},
		{"name", was.Name, next.Name},
		{"client_name", was.ClientName, next.ClientName},
	} {
		if f.before != f.after {
			out = append(out, activity.Change{Field: f.field, Before: f.before, After: f.after})
		}
	}
	return out
}

// entry is what the activity log says of a change. Who made it has the machine: a command has no person.
func (s *Service) entry(p Person, a activity.Action, changed []activity.Change) activity.Entry {
	return activity.Entry{
		ID: s.NewID(), At: p.UpdatedAt,
		Actor:  activity.Actor{Tenant: p.Tenant, ClientName: p.ClientName, Source: access.FromPlatform},
		Object: activity.User, ObjectID: p.Address(), ObjectName: p.Email, Action: a, Changes: changed,
	}.Bounded()
}

// end ends what signs a person in.
func (s *Service) end(ctx context.Context, p Person) error {
	err := s.Links.Drop(ctx, p)
	for _, c := range s.Ends {
		_, failed := c.EndAll(ctx, p.Tenant, p.Email)
		err = errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("end the sessions of %s of tenant %s: %w", p.Email, p.Tenant, err)
	}
	return nil
}

// Whose is Links.Whose, and Use is Links.Use.
func (s *Service) Whose(ctx context.Context, code string) (Person, error) {
	return s.Links.Whose(ctx, code)
}

// Use uses a link up.
func (s *Service) Use(ctx context.Context, code string) (Person, error) {
	return s.Links.Use(ctx, code)
}

// Confirm looks whether a person who has just been signed in may be: who was disabled or got another role in that
// moment may have been signed in after their sessions ended, so those end again. Error: ErrDisabled, ErrUnknown.
func (s *Service) Confirm(ctx context.Context, p Person) error {
	now, err := s.Store.Get(ctx, p.Tenant, p.Address())
	switch {
	case err == nil && now.Disabled:
		err = ErrDisabled
	case err == nil && now.Role != p.Role:
		err = ErrChanged
	}
	if err != nil {
		return errors.Join(err, s.end(ctx, p))
	}
	return nil
}

// Admit looks whether somebody whom an identity provider has just signed in may be. Who is disabled here may not, and
// what has begun ends; who is not known here is the provider's alone. Error: ErrDisabled.
func (s *Service) Admit(ctx context.Context, tenant, email string) error {
	p, err := s.Store.Get(ctx, tenant, address.Canonical(email))
	switch {
	case errors.Is(err, ErrUnknown):
		return nil
	case err == nil && p.Disabled:
		return errors.Join(ErrDisabled, s.end(ctx, p))
	}
	return err
}

// Check says what is wrong with a person.
func (p Person) Check() error { return p.check() }

// check is Check, and brings the person into the form that is kept.
func (p *Person) check() error {
	email, err := address.Parse(p.Email)
	if err != nil {
		return fmt.Errorf("%q %w", p.Email, err)
	}
	p.Email = email
	if p.Tenant == "" || p.Tenant == "*" || !plain(p.Tenant, maxTenant) {
		return fmt.Errorf("the tenant %q is not right: it must have 1 to %d characters, no space at its ends, and not "+
			"be *", p.Tenant, maxTenant)
	}
	if !plain(p.Name, maxName) || !plain(p.ClientName, maxName) {
		return fmt.Errorf("a name is at most %d characters, without a line break or a space at its ends", maxName)
	}
	if p.Role = access.ParseRole(string(p.Role)); !p.Role.Known() {
		return fmt.Errorf("%q is no role: choose one of %s", string(p.Role), strings.Join(Roles(), ", "))
	}
	return nil
}

// Roles are the names that are offered; the platform's codes are taken as well.
func Roles() (names []string) {
	for _, r := range []access.Role{access.Administrator, access.Analyst, access.ReadOnly, access.APIDeveloper,
		access.Deploy, access.GlobalAdministrator, access.GlobalAnalyst, access.GlobalReadOnly, access.Operator} {
		names = append(names, string(r))
	}
	return names
}

// plain reports whether a text is one line of at most so many characters.
func plain(text string, limit int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= limit && strings.TrimSpace(text) == text &&
		!strings.ContainsFunc(text, unicode.IsControl)
}
