package profile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/mail/address"
	"tocsin/shared/report"
)

// Errors of a Store. Wrap them; callers use errors.Is.
var (
	ErrNotFound = errors.New("person not found")
	// ErrConflict: the notifications changed since they were read.
	ErrConflict = errors.New("notifications were changed meanwhile")
)

// Profile is a person and what that person is told by mail.
type Profile struct {
	ID         string    `json:"id"`
	Tenant     string    `json:"tenant"`
	ClientName string    `json:"client_name,omitempty"`
	Email      string    `json:"email"`
	Name       string    `json:"name,omitempty"`
	Choices    Choices   `json:"choices"`
	Revision   int64     `json:"revision"` // counts changes from 1
	UpdatedAt  time.Time `json:"updated_at"`
}

// Choices are what a person can be told of; the names are those of the product facts, 5.3, "stored as".
type Choices struct {
	ReportDaily   bool `json:"report_daily"`
	ReportWeekly  bool `json:"report_weekly"`
	ReportMonthly bool `json:"report_monthly"`
	System        bool `json:"system"`
	Vuln          bool `json:"vuln"`
	Scope         bool `json:"scope"`
}

// Default is what a new person is told of (facts, 5.3: the pictures show these three).
var Default = Choices{ReportWeekly: true, ReportMonthly: true, System: true}

// Types are the event types of the choices, in the order of a form.
func (c Choices) Types() []event.Type {
	var out []event.Type
	for _, line := range []struct {
		on    bool
		types []event.Type
	}{
		{c.ReportDaily, []event.Type{event.ReportDaily}},
		{c.ReportWeekly, []event.Type{event.ReportWeekly}},
		{c.ReportMonthly, []event.Type{event.ReportMonthly}},
		{c.System, []event.Type{event.System}},
		{c.Vuln, []event.Type{event.VulnHigh, event.VulnMedium, event.VulnLow, event.IssueCritical, event.IssueHigh, event.IssueMedium, event.IssueLow, event.IssueInfo}},
		{c.Scope, []event.Type{event.Scope}},
	} {
		if line.on {
			out = append(out, line.types...)
		}
	}
	return out
}

// Reports are the report frequencies of the choices.
func (c Choices) Reports() []report.Frequency {
	var out []report.Frequency
	for f, on := range map[report.Frequency]bool{report.Daily: c.ReportDaily, report.Weekly: c.ReportWeekly, report.Monthly: c.ReportMonthly} {
		if on {
			out = append(out, f)
		}
	}
	return out
}

// Store keeps people. Implementations are safe for concurrent use.
type Store interface {
	// Get returns one person. Error: ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Profile, error)
	// Save inserts a person of revision 1, or replaces the one whose revision is p.Revision-1, together with the
	// subscriptions of report.Store.Due. Errors: ErrConflict, also when a person of revision 1 exists or one of a
	// later revision does not.
	Save(ctx context.Context, p Profile) error
	// Delete forgets a person and the subscriptions; it is no error when there is none.
	Delete(ctx context.Context, tenant, id string) error
	// List returns the people of a tenant in the order of their ids: at most limit of those whose id is greater than after.
	List(ctx context.Context, tenant, after string, limit int) ([]Profile, error)
}

// ID is the id of a person: made of the address, so that a person is the same at every sign-in.
func ID(email string) string {
	sum := sha256.Sum256([]byte(address.Canonical(email)))
	return report.PersonPrefix + hex.EncodeToString(sum[:10])
}

// Person is who is signed in.
type Person struct{ Tenant, ClientName, Email, Name string }

// Service reads and changes people's notifications.
type Service struct {
	Store Store
	Now   func() time.Time
	Log   *slog.Logger
}

// ErrNoAddress: the token names no address that mail can go to.
var ErrNoAddress = errors.New("your account has no e-mail address")

// AddressError is ErrNoAddress with the reason why mail can not go to the address of the token.
type AddressError struct{ Address, Reason string }

func (e *AddressError) Error() string { return e.Address + " " + e.Reason }

// Is makes it one of ErrNoAddress.
func (e *AddressError) Is(target error) bool { return target == ErrNoAddress }

// Read returns the person's notifications; one who is new gets the default ones. Error: ErrNoAddress.
func (s *Service) Read(ctx context.Context, who Person) (Profile, error) {
	if who.Email == "" {
		return Profile{}, ErrNoAddress
	}
	if _, err := address.Parse(who.Email); err != nil {
		return Profile{}, &AddressError{who.Email, err.Error()}
	}
	p, err := s.Store.Get(ctx, who.Tenant, ID(who.Email))
	if !errors.Is(err, ErrNotFound) {
		return p, err
	}
	p = Profile{
		ID: ID(who.Email), Tenant: who.Tenant, ClientName: who.ClientName, Email: who.Email, Name: who.Name, Choices: Default, Revision: 1, UpdatedAt: s.Now().UTC(),
	}
	if err = s.Store.Save(ctx, p); errors.Is(err, ErrConflict) { // two requests of one new person
		return s.Store.Get(ctx, who.Tenant, p.ID)
	}
	if err == nil {
		s.Log.Info("person known", "tenant", p.Tenant, "person", p.ID)
	}
	return p, err
}

// Set replaces the person's choices if the revision is the given one; revision 0 takes any.
// Errors: ErrNoAddress, ErrConflict.
func (s *Service) Set(ctx context.Context, who Person, choices Choices, revision int64) (Profile, error) {
	for {
		p, err := s.Read(ctx, who)
		if err != nil {
			return p, err
		}
		if revision != 0 && p.Revision != revision {
			return p, fmt.Errorf("set the notifications of %s: %w", p.ID, ErrConflict)
		}
		p.Choices, p.Name, p.ClientName = choices, who.Name, who.ClientName
		p, err = s.save(ctx, p)
		if revision == 0 && errors.Is(err, ErrConflict) {
			continue
		}
		return p, err
	}
}

// Leave switches all of a person's notifications off: the person followed the link of a mail. It is no error when the
// person has gone.
func (s *Service) Leave(ctx context.Context, tenant, id string) error {
	for {
		p, err := s.Store.Get(ctx, tenant, id)
		if errors.Is(err, ErrNotFound) || err == nil && p.Choices == (Choices{}) {
			return nil
		}
		if err != nil {
			return err
		}
		p.Choices = Choices{}
		if _, err = s.save(ctx, p); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

func (s *Service) save(ctx context.Context, p Profile) (Profile, error) {
	p.Revision++
	p.UpdatedAt = s.Now().UTC()
	if err := s.Store.Save(ctx, p); err != nil {
		return p, fmt.Errorf("save the notifications of %s: %w", p.ID, err)
	}
	s.Log.Info("personal notifications set", "tenant", p.Tenant, "person", p.ID, "revision", p.Revision)
	return p, nil
}

// Observe learns from upstream's events of people who came and went.
func (s *Service) Observe(ctx context.Context, e event.Event) error {
	u := event.Data[event.UserData](e).User
	if u.Email == "" {
		return nil
	}
	if e.Kind == event.DeleteUser {
		return s.Store.Delete(ctx, e.Tenant, ID(u.Email))
	}
	_, err := s.Read(ctx, Person{Tenant: e.Tenant, ClientName: e.ClientName, Email: u.Email, Name: u.Name})
	if errors.Is(err, ErrNoAddress) {
		return nil // upstream's own accounts may have none
	}
	return err
}
