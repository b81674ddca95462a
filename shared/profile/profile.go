package profile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/event"
	"tocsin/shared/mail/address"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/timezone"
	"tocsin/shared/wording"
)

// Errors of a Store. Wrap them; callers use errors.Is.
var (
	ErrNotFound = errors.New("person not found")
	// ErrConflict: the notifications changed since they were read.
	ErrConflict = errors.New("notifications were changed meanwhile")
)

// ErrNoRole: nobody has said yet what role a person has, so that nothing can be chosen. Only a sign-in of the person,
// or upstream, says it: an API token can have a lower one.
var ErrNoRole = errors.New("your role is not known here yet, because only an API token of yours was used: sign in to " +
	"the Console once, then repeat this")

// NotAllowedError: a person chose to be told of what the role may not see. It is never empty.
type NotAllowedError []string

func (e NotAllowedError) Error() string {
	return "your role may not be told of " + strings.Join(e, ", ")
}

// Profile is a person and what that person is told by mail.
type Profile struct {
	ID         string `json:"id"`
	Tenant     string `json:"tenant"`
	ClientName string `json:"client_name,omitempty"`
	Email      string `json:"email"`
	Name       string `json:"name,omitempty"`
	// Language is that of what the person is sent; "" = the tenant's.
	Language wording.Language `json:"language,omitempty"`
	// Zone is that of the times in what the person is sent and in the Console; "" = the tenant's in mails, and the
	// browser's in the Console.
	Zone string `json:"time_zone,omitempty"`
	// Choices are what the person chose; what is sent of it is Told.
	Choices Choices `json:"choices"`
	// Role is the newest that we were told, and RoleAt when that held; "" = nobody said: nothing that is chosen is sent
	// until somebody does.
	Role      access.Role `json:"role,omitempty"`
	RoleAt    time.Time   `json:"role_at,omitzero"`
	Revision  int64       `json:"revision"` // counts changes from 1
	UpdatedAt time.Time   `json:"updated_at"`
}

// Choices are what a person can be told of; the names are those of the product facts, 5.3, "stored as".
type Choices struct {
	ReportDaily   bool `json:"report_daily"`
	ReportWeekly  bool `json:"report_weekly"`
	ReportMonthly bool `json:"report_monthly"`
	System        bool `json:"system"`
	Vuln          bool `json:"vuln"`
	Scope         bool `json:"scope"`
	// The digests have the names of their event types. Choices without them have none.
	IssuesDaily   bool `json:"daily_security_issues" required:"false"`
	CriticalDaily bool `json:"daily_critical_security_issues" required:"false"`
	SurfaceWeekly bool `json:"aasm_report" required:"false"`
	APIHourly     bool `json:"api_discovery_hourly_changes_report" required:"false"`
	APIDaily      bool `json:"api_discovery_daily_changes_report" required:"false"`
}

// Default is what a new person is told of (facts, 5.3: the pictures show the first three; of the digests those of
// issues and the statistics are on, those of APIs off).
var Default = Choices{ReportWeekly: true, ReportMonthly: true, System: true, IssuesDaily: true, CriticalDaily: true,
	SurfaceWeekly: true}

// Allowed is what a role may be told of: what a person may be sent is bounded by what the role may see (product facts,
// section 7). A role that is not known may be told of nothing.
func Allowed(r access.Role) Choices {
	events := r.May(access.OwnProfile) && r.May(access.ViewEvents)
	return Choices{
		ReportDaily: events, ReportWeekly: events, ReportMonthly: events, Vuln: events, Scope: events,
		IssuesDaily: events, CriticalDaily: events, SurfaceWeekly: events, APIHourly: events, APIDaily: events,
		System: r.May(access.OwnProfile) && len(systemKinds(r)) > 0,
	}
}

// systemRights are the rights by which a person sees what the system-related events are about.
var systemRights = map[event.Kind]access.Right{
	event.CreateUser: access.ViewUsers, event.UpdateUser: access.ViewUsers, event.DeleteUser: access.ViewUsers,
	event.CreateIntegration: access.ViewIntegrations, event.UpdateIntegration: access.ViewIntegrations,
	event.EnableIntegration:  access.ViewIntegrations,
	event.DisableIntegration: access.ViewIntegrations, event.DeleteIntegration: access.ViewIntegrations,
	event.IntegrationBroken:  access.ViewIntegrations,
	event.IntegrationFailing: access.ViewIntegrations, event.IntegrationWorking: access.ViewIntegrations,
	event.AddressUndeliverable: access.ViewIntegrations, event.CommandNotTaken: access.ViewTriggers,
	event.CreateApplication: access.ViewApplications, event.UpdateApplication: access.ViewApplications,
	event.DeleteApplication: access.ViewApplications, event.APISpecUpdateFailed: access.ViewApplications,
}

// systemKinds are the system-related events that a role may be told of, in the order of their names.
func systemKinds(r access.Role) []event.Kind {
	var out []event.Kind
	for kind, right := range systemRights {
		if r.May(right) {
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// fields are the names of the choices and their values.
func (c *Choices) fields() []struct {
	name string
	on   *bool
} {
	return []struct {
		name string
		on   *bool
	}{
		{"report_daily", &c.ReportDaily}, {"report_weekly", &c.ReportWeekly}, {"report_monthly", &c.ReportMonthly},
		{"system", &c.System}, {"vuln", &c.Vuln}, {"scope", &c.Scope}, {string(event.IssuesDaily), &c.IssuesDaily},
		{string(event.CriticalDaily), &c.CriticalDaily}, {string(event.SurfaceWeekly), &c.SurfaceWeekly},
		{string(event.APIHourly), &c.APIHourly}, {string(event.APIDaily), &c.APIDaily},
	}
}

// Within are those of the choices that another allows.
func (c Choices) Within(allowed Choices) Choices {
	for i, f := range c.fields() {
		*f.on = *f.on && *allowed.fields()[i].on
	}
	return c
}

// Told is what the person is told of: what was chosen, as far as the role may see it.
func (p Profile) Told() Choices { return p.Choices.Within(Allowed(p.Role)) }

// Kinds are the only events of a type that the person is told of; nil = all of them.
func (p Profile) Kinds(t event.Type) []event.Kind {
	if t == event.System {
		return systemKinds(p.Role)
	}
	return nil
}

// MayBeTold reports whether the person's role may see what an event tells of, chosen or not.
func (p Profile) MayBeTold(e event.Event) bool {
	t := e.Type()
	if t == event.TokenExpiry {
		return p.Role.May(access.PersonalTokens)
	}
	if !slices.Contains(Allowed(p.Role).Types(), t) {
		return false
	}
	kinds := p.Kinds(t)
	return kinds == nil || slices.Contains(kinds, e.Kind)
}

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
		{c.IssuesDaily, []event.Type{event.IssuesDaily}},
		{c.CriticalDaily, []event.Type{event.CriticalDaily}},
		{c.SurfaceWeekly, []event.Type{event.SurfaceWeekly}},
		{c.APIHourly, []event.Type{event.APIHourly}},
		{c.APIDaily, []event.Type{event.APIDaily}},
		{c.System, []event.Type{event.System}},
		{c.Vuln, []event.Type{event.VulnHigh, event.VulnMedium, event.VulnLow, event.IssueCritical, event.IssueHigh,
			event.IssueMedium, event.IssueLow, event.IssueInfo}},
		{c.Scope, []event.Type{event.Scope}},
	} {
		if line.on {
			out = append(out, line.types...)
		}
	}
	return out
}

// Reports are those of the schedule that the choices have.
func (c Choices) Reports() []calendar.Frequency {
	chosen := c.Types()
	return calendar.FrequenciesOf(func(t event.Type) bool { return slices.Contains(chosen, t) })
}

// Store keeps people. Implementations are safe for concurrent use.
type Store interface {
	// Get returns one person. Error: ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Profile, error)
	// Several returns those of the people that there are, of any tenants, in no order.
	Several(ctx context.Context, keys []Key) ([]Profile, error)
	// Save inserts a person of revision 1, or replaces the one whose revision is p.Revision-1, together with the
	// subscriptions of report.Store.Due. Errors: ErrConflict, also when a person of revision 1 exists or one of a
	// later revision does not. The entries are those of a change that a person made.
	Save(ctx context.Context, p Profile, entries ...activity.Entry) error
	// Delete forgets a person and the subscriptions; it is no error when there is none.
	Delete(ctx context.Context, tenant, id string) error
	// List returns the people of a tenant in the order of their ids: at most limit of those whose id is greater than
	// after.
	List(ctx context.Context, tenant, after string, limit int) ([]Profile, error)
}

// Key names a person.
type Key struct{ Tenant, ID string }

// ID is the id of a person: made of the address, so that a person is the same at every sign-in.
func ID(email string) string {
	sum := sha256.Sum256([]byte(address.Canonical(email)))
	return report.PersonPrefix + hex.EncodeToString(sum[:10])
}

// Names are the texts by which what is kept names a person: the address as it is given, as it is told apart and as
// people write it, the id.
func Names(email string) []string {
	return []string{strings.TrimSpace(email), address.Canonical(email), address.Readable(email), ID(email)}
}

// Person is who is signed in. Role held at the time At, which is the token's; zero = it is not known.
type Person struct {
	activity.Actor
	Role access.Role
	At   time.Time
}

// Holdings are what ends with a person's role: API tokens.
type Holdings interface {
	// PersonChanged is told before the change is kept, so that nothing outlives it; role "" = the person was deleted.
	PersonChanged(ctx context.Context, tenant, email string, role access.Role) error
}

// Service reads and changes people's notifications.
type Service struct {
	Store    Store
	Holdings Holdings // nil = people hold nothing here
	Now      func() time.Time
	NewID    func() string
	Log      *slog.Logger
}

// ErrNoAddress: the token names no address that mail can go to.
var (
	// ErrLanguage: the product does not speak it.
	ErrLanguage = errors.New("must be en, ja or empty")
)

// ErrNoAddress: there is nothing to send to.
var ErrNoAddress = errors.New("your account has no e-mail address")

// AddressError is ErrNoAddress with the reason why mail can not go to the address of the token.
type AddressError struct{ Address, Reason string }

func (e *AddressError) Error() string { return e.Address + " " + e.Reason }

// Is makes it one of ErrNoAddress.
func (e *AddressError) Is(target error) bool { return target == ErrNoAddress }

// Read returns the person's notifications and changes nothing: one who is new has the default ones.
// Error: ErrNoAddress.
func (s *Service) Read(ctx context.Context, who Person) (Profile, error) {
	if err := who.check(); err != nil {
		return Profile{}, err
	}
	p, err := s.Store.Get(ctx, who.Tenant, ID(who.Email))
	if errors.Is(err, ErrNotFound) {
		return s.first(who), nil
	}
	if err == nil {
		p.learn(who)
	}
	return p, err
}

// Get returns one person of the tenant. Error: ErrNotFound.
func (s *Service) Get(ctx context.Context, tenant, id string) (Profile, error) {
	return s.Store.Get(ctx, tenant, id)
}

// List returns the people of the tenant in the order of their ids: at most limit of those whose id is greater than
// after.
func (s *Service) List(ctx context.Context, tenant, after string, limit int) ([]Profile, error) {
	return s.Store.List(ctx, tenant, after, limit)
}

// check reports whether mail can go to the person.
func (who Person) check() error {
	if who.Email == "" {
		return ErrNoAddress
	}
	if _, err := address.Parse(who.Email); err != nil {
		return &AddressError{who.Email, err.Error()}
	}
	return nil
}

// known returns the person's notifications, and keeps what is new: the person, or a role.
func (s *Service) known(ctx context.Context, who Person) (Profile, error) {
	if err := who.check(); err != nil {
		return Profile{}, err
	}
	for {
		p, err := s.Store.Get(ctx, who.Tenant, ID(who.Email))
		switch {
		case errors.Is(err, ErrNotFound):
			p, err = s.begin(ctx, who)
		case err == nil && p.learn(who):
			if err = s.changed(ctx, p.Tenant, p.Email, p.Role); err == nil {
				p, err = s.save(ctx, p)
			}
		}
		if !errors.Is(err, ErrConflict) { // of two requests of one person
			return p, err
		}
	}
}

// changed tells the holdings of a person's new role.
func (s *Service) changed(ctx context.Context, tenant, email string, role access.Role) error {
	if s.Holdings == nil {
		return nil
	}
	if err := s.Holdings.PersonChanged(ctx, tenant, email, role); err != nil {
		return fmt.Errorf("end what %s of tenant %s holds beyond the role: %w", ID(email), tenant, err)
	}
	return nil
}

// first is a person who is new.
func (s *Service) first(who Person) Profile {
	return Profile{
		ID: ID(who.Email), Tenant: who.Tenant, ClientName: who.ClientName, Email: who.Email, Name: who.Name,
		Choices: Default, Role: who.Role, RoleAt: who.At, Revision: 1, UpdatedAt: s.Now().UTC(),
	}
}

func (s *Service) begin(ctx context.Context, who Person) (Profile, error) {
	p := s.first(who)
	err := s.Store.Save(ctx, p)
	if err == nil {
		s.Log.Info("person known", "tenant", p.Tenant, "person", p.ID)
	}
	return p, err
}

// learn takes over a role, unless what is known is newer: a token lives on after the role that it names. A token that
// does not say from when it is may take rights away only. It reports whether that changes anything.
func (p *Profile) learn(who Person) bool {
	older := who.At.Before(p.RoleAt)
	if who.At.IsZero() {
		older = p.Role != "" && Allowed(who.Role) != Allowed(who.Role).Within(Allowed(p.Role))
	}
	if who.Role == "" || who.Role == p.Role || older {
		return false
	}
	p.Role = who.Role
	if !who.At.IsZero() {
		p.RoleAt = who.At
	}
	return true
}

// Know notes a person who signed in, or whom upstream tells of, and the role. Nobody is noted whose role may be told of
// nothing. Error: ErrNoAddress.
func (s *Service) Know(ctx context.Context, who Person) error {
	if who.Role != "" && Allowed(who.Role) == (Choices{}) {
		if _, err := s.Store.Get(ctx, who.Tenant, ID(who.Email)); err != nil {
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		}
	}
	_, err := s.known(ctx, who)
	return err
}

// Set replaces the person's choices if the revision is the given one; revision 0 takes any.
// Errors: ErrNoAddress, ErrConflict, ErrNoRole, NotAllowedError.
func (s *Service) Set(ctx context.Context, who Person, choices Choices, revision int64) (Profile, error) {
	return s.SetIn(ctx, who, choices, Reading{}, revision)
}

// Reading is how a person reads; nil = as it was, and "" = as the tenant does.
type Reading struct {
	Language *wording.Language
	Zone     *string
}

func (r Reading) check() error {
	if l := r.Language; l != nil && *l != "" && !l.Valid() {
		return ErrLanguage
	}
	if z := r.Zone; z != nil && *z != "" {
		return timezone.Check(*z)
	}
	return nil
}

// set changes a person, and notes what it changed.
func (r Reading) set(p *Profile, e *activity.Entry) {
	if l := r.Language; l != nil && *l != p.Language {
		e.Changes = append(e.Changes, activity.Change{Field: "language", Before: string(p.Language), After: string(*l)})
		p.Language = *l
	}
	if z := r.Zone; z != nil && *z != p.Zone {
		e.Changes = append(e.Changes, activity.Change{Field: "time_zone", Before: p.Zone, After: *z})
		p.Zone = *z
	}
}

// SetIn is Set with how the person reads. Errors: ErrLanguage and timezone.Err too.
func (s *Service) SetIn(ctx context.Context, who Person, choices Choices, r Reading, revision int64) (Profile, error) {
	if err := r.check(); err != nil {
		return Profile{}, err
	}
	for {
		p, err := s.known(ctx, who)
		if err != nil {
			return p, err
		}
		if revision != 0 && p.Revision != revision {
			return p, fmt.Errorf("set the notifications of %s: %w", p.ID, ErrConflict)
		}
		if err := allowed(choices, p.Role); err != nil {
			return p, err
		}
		e := s.entry(who.Actor, p, choices)
		p.Choices, p.Name, p.ClientName = choices, who.Name, who.ClientName
		r.set(&p, &e)
		p, err = s.save(ctx, p, e)
		if revision == 0 && errors.Is(err, ErrConflict) {
			continue
		}
		return p, err
	}
}

func allowed(c Choices, r access.Role) error {
	within := c.Within(Allowed(r))
	var not NotAllowedError
	for i, f := range c.fields() {
		if *f.on && !*within.fields()[i].on {
			not = append(not, f.name)
		}
	}
	switch {
	case len(not) == 0:
		return nil
	case r == "":
		return ErrNoRole
	}
	return not
}

// Unsubscribe switches all of a person's notifications off, and returns what was on: the person followed the link of a
// mail. It is no error when the person has gone.
func (s *Service) Unsubscribe(ctx context.Context, tenant, id string) (before Choices, err error) {
	err = s.byMail(ctx, tenant, id, func(p Profile) (Choices, bool) {
		before = p.Choices
		return Choices{}, p.Choices != (Choices{})
	})
	return before, err
}

// resubscribe switches on again what Unsubscribe switched off, unless the person has chosen something since.
func (s *Service) resubscribe(ctx context.Context, tenant, id string, choices Choices) error {
	return s.byMail(ctx, tenant, id, func(p Profile) (Choices, bool) { return choices, p.Choices == (Choices{}) })
}

// byMail changes a person's choices for who has a mail to that person.
func (s *Service) byMail(ctx context.Context, tenant, id string, change func(Profile) (Choices, bool)) error {
	for {
		p, err := s.Store.Get(ctx, tenant, id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		choices, ok := change(p)
		if !ok {
			return nil
		}
		who := activity.Actor{Tenant: tenant, Email: p.Email, Name: p.Name, Source: access.FromMail}
		e := s.entry(who, p, choices)
		p.Choices = choices
		if _, err = s.save(ctx, p, e); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// entry is the entry of the activity log about new choices.
func (s *Service) entry(who activity.Actor, p Profile, choices Choices) activity.Entry {
	return activity.Entry{ID: s.NewID(), At: s.Now(), Actor: who, Object: activity.Profile, ObjectID: p.ID,
		ObjectName: p.Email, Action: activity.Update, Changes: activity.Diff(p.Choices, choices)}.Bounded()
}

func (s *Service) save(ctx context.Context, p Profile, entries ...activity.Entry) (Profile, error) {
	p.Revision++
	p.UpdatedAt = s.Now().UTC()
	if err := s.Store.Save(ctx, p, entries...); err != nil {
		return p, fmt.Errorf("save the notifications of %s: %w", p.ID, err)
	}
	s.Log.Info("personal notifications set", "tenant", p.Tenant, "person", p.ID, "revision", p.Revision)
	return p, nil
}

// Observe learns from upstream's events of people who came, went, and got another role.
func (s *Service) Observe(ctx context.Context, e event.Event) error {
	u := event.Data[event.UserData](e).User
	if u.Email == "" {
		return nil
	}
	if e.Kind == event.DeleteUser {
		if err := s.changed(ctx, e.Tenant, u.Email, ""); err != nil {
			return err
		}
		return s.Store.Delete(ctx, e.Tenant, ID(u.Email))
	}
	who := Person{At: e.Time, Actor: activity.Actor{Tenant: e.Tenant, ClientName: e.ClientName, Email: u.Email,
		Name: u.Name}}
	if u.Role != "" {
		who.Role = access.RoleOfTitle(u.Role)
	}
	err := s.Know(ctx, who)
	if errors.Is(err, ErrNoAddress) {
		return nil // upstream's own accounts may have none
	}
	return err
}

// ZoneOf is the zone that somebody reads times in, "" = none was chosen, or nothing is known of the person.
func (s *Service) ZoneOf(ctx context.Context, tenant, email string) (string, error) {
	p, err := s.Store.Get(ctx, tenant, ID(email))
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the time zone of person %s: %w", ID(email), err)
	}
	return p.Zone, nil
}
