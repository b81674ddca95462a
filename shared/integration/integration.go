package integration

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/health"
	"tocsin/shared/hold"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/wording"
)

// Errors of a Store. Wrap them; callers use errors.Is.
var (
	// ErrNotFound: the tenant has no such integration. Another tenant's id is not found either.
	ErrNotFound = errors.New("integration not found")
	// ErrConflict: the integration changed since it was read.
	ErrConflict = errors.New("integration was changed by someone else")
	// ErrUsed: triggers notify the integration.
	ErrUsed = errors.New("triggers notify the integration")
)

// Integration is one connection of a tenant to a system.
type Integration struct {
	ID     string
	Tenant string
	// Number is how clients of the platform's own API know it: see Numbers. 0 = it has none yet, and gets one with
	// Service.Numbered. No change of the settings takes it away or gives another.
	Number     int64  `json:"-"`
	ClientName string // the tenant's company name, for messages about this integration
	System     string
	Name       string
	// Language is that of what people read of it; "" = the tenant's. Machines get the same in every language.
	Language wording.Language `json:",omitempty"`
	// Zone is that of the times in a person's own mails; nil = the tenant's. No integration is kept with one.
	Zone *time.Location `json:"-"`
	// Rate is kept to by whoever sends.
	Rate Rate `json:",omitempty"`
	// Grouping makes one message of the events of some minutes.
	Grouping Grouping `json:",omitempty"`
	// StormGuard makes one message of what people would have too many of.
	StormGuard StormGuard `json:",omitempty"`
	// Fallback is the integration of the same tenant that gets what can not be delivered to this one; "" = none does.
	Fallback string `json:",omitempty"`
	// MessageTemplate is the title and the text of its messages, where people see one.
	MessageTemplate messagetemplate.Source `json:",omitzero"`
	// Off is nil while the integration is enabled.
	Off *Off
	// Failing is nil while its requests are taken; see State. Store.Mark writes it, and no other method changes it but
	// to take it away: a change of the settings must not race with it.
	Failing *Failing `json:"-"`
	// Subscriptions holds the active ones only.
	Subscriptions []Subscription
	// Filters narrow what it gets of the events that it takes; all must be passed. What a trigger sends to it, and its
	// reports, pass by them.
	Filters []filter.Filter `json:",omitempty"`
	// Hold says when what is sent to it waits, by its own rules; its tenant may have others: see package hold.
	Hold hold.Rules `json:",omitzero"`
	// Parameters without the secrets; Sealed holds those, encrypted by the key ring.
	Parameters json.RawMessage
	Sealed     []byte
	// Bindings are the names under which Store.Bound finds the integration, whoever its tenant is. Only systems that
	// call us have any: see Service.
	Bindings []string
	// Revision counts changes from 1; it is the ETag.
	Revision int64
	// Window numbers the health windows: each enabling starts a new one (design, step 5).
	Window    int64
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
	UpdatedBy string // "" = from before it was kept
	// ParametersAt is when the parameters were changed last: what its system said before is no word on them. Zero =
	// from before it was kept.
	ParametersAt time.Time `json:",omitzero"`
}

// Off says who switched an integration off, when and why.
type Off struct {
	By     Actor     `json:"by"`
	Person string    `json:"person,omitempty"` // who, when By is ByPerson
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	// Answer is what its system said last, when By is ByPlatform.
	Answer *health.Answer `json:"answer,omitempty"`
}

// Why is the reason with what the system said last.
func (o Off) Why() string {
	if o.Answer == nil || o.Answer.Words == "" {
		return o.Reason
	}
	return o.Reason + "; its last answer: " + o.Answer.Words
}

// Ends is why what waits for the integration is not sent, where it is off.
func (o Off) Ends() string {
	if o.By == ByPlatform {
		return "the integration was disabled because it kept failing: " + o.Why()
	}
	return "the integration was disabled"
}

// Failing says since when an enabled integration fails, and what its system said when that was noticed.
type Failing struct {
	Since  time.Time     `json:"since"` // its first failed request
	At     time.Time     `json:"at"`    // when it was noticed
	Answer health.Answer `json:"answer"`
}

// State is how an integration does.
type State string

// The states. A failing integration is enabled: what is sent to it is tried.
const (
	StateOK       State = "ok"
	StateFailing  State = "failing"
	StateDisabled State = "disabled"
)

// State tells how the integration does.
func (i Integration) State() State {
	switch {
	case !i.Enabled():
		return StateDisabled
	case i.Failing != nil:
		return StateFailing
	}
	return StateOK
}

// Actor is who switched an integration off.
type Actor string

// The actors.
const (
	ByPerson   Actor = "person"
	ByPlatform Actor = "platform" // too many failures: see package health
)

// Subscription is one event type that an integration receives.
type Subscription struct {
	Event event.Type `json:"event"`
	// WithHeaders includes the request's headers in hits; only with event.Hits.
	WithHeaders bool `json:"with_headers,omitempty"`
	// Kinds are the only events of the type that a person may be told of; nil = all. An integration that is stored has
	// none.
	Kinds []event.Kind `json:"-"`
}

// Takes reports whether the subscription is for events of a kind of its type.
func (s Subscription) Takes(k event.Kind) bool { return s.Kinds == nil || slices.Contains(s.Kinds, k) }

// Enabled reports whether events are delivered.
func (i Integration) Enabled() bool { return i.Off == nil }

// SentFor reports whether something is sent of the events that the integration takes: to it, or to its fallback.
func (i Integration) SentFor() bool { return i.Enabled() || i.Fallback != "" }

// Subscribed reports whether the integration receives events of the type.
func (i Integration) Subscribed(t event.Type) (Subscription, bool) {
	for _, s := range i.Subscriptions {
		if s.Event == t {
			return s, true
		}
	}
	return Subscription{}, false
}

// Key names an integration.
type Key struct{ Tenant, ID string }

// Writer takes the changes of integrations. Each is stored together with its record, which is its announcement and its
// entry of the activity log: all or nothing.
type Writer interface {
	// Create stores a new integration, findable by its Number.
	Create(ctx context.Context, i Integration, r activity.Record) error
	// Update replaces the stored integration if its revision is still i.Revision-1. The stored Number stays as it is,
	// and so does Failing, which goes when i is disabled or has a new window. Errors: ErrNotFound, ErrConflict.
	Update(ctx context.Context, i Integration, r activity.Record) error
	// Mark sets Failing, or takes it away with nil. It leaves the revision as it is:
	// nobody's edit is in the way of it. Error: ErrConflict when there is nothing to do, because the integration has a
	// mark already, or none, or is disabled, or has another window, or is no more.
	Mark(ctx context.Context, tenant, id string, window int64, f *Failing, r activity.Record) error
	// Delete removes the integration if its revision is still the given one. Triggers that notify it stay.
	// What waits for it is dead-lettered by delivery. Errors: ErrNotFound, ErrConflict.
	Delete(ctx context.Context, tenant, id string, revision int64, r activity.Record) error
	// DeleteUnused is Delete unless a trigger notifies the integration at that moment: see trigger.Writer.
	// Errors: those of Delete, ErrUsed.
	DeleteUnused(ctx context.Context, tenant, id string, revision int64, r activity.Record) error
}

// Reader reads the integrations of one tenant.
type Reader interface {
	// Get returns one integration. Error: ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Integration, error)
	// List returns the tenant's integrations in the order of their ids, which is that of their creation: at most
	// limit of those whose id is greater than after.
	List(ctx context.Context, tenant, after string, limit int) ([]Integration, error)
	// Find is List of those whose outline matches.
	Find(ctx context.Context, tenant, after string, limit int, matches func(Outline) bool) ([]Integration, error)
	// Count counts the tenant's integrations, without reading each.
	Count(ctx context.Context, tenant string) (Counts, error)
}

// Numbers are the ids of the platform's own API: whole numbers from 1, each of one integration, whoever its tenant is.
// A number stays with its integration, and goes to no other when that is deleted.
type Numbers interface {
	// NextNumber returns a number that it never returned before and that is greater than all that it did. One that is
	// not used then is lost.
	NextNumber(ctx context.Context) (int64, error)
	// GiveNumber gives an integration a number of NextNumber unless it has one, and returns the one that it has. It
	// leaves the revision as it is: nobody's edit is in the way of it. Error: ErrNotFound.
	GiveNumber(ctx context.Context, tenant, id string, number int64) (int64, error)
	// ByNumber finds the integration that has the number. Error: ErrNotFound.
	ByNumber(ctx context.Context, number int64) (Key, error)
}

// Finder finds integrations of whatever tenant.
type Finder interface {
	// Marked returns the failing integrations of all tenants: those that Mark set and nothing took away since.
	Marked(ctx context.Context) ([]Integration, error)
	// Bound returns the integrations of all tenants that belong to the system and have the name among their bindings.
	Bound(ctx context.Context, system, binding string) ([]Integration, error)
}

// ServiceStore is the part of a Store that Service works with.
type ServiceStore interface {
	Writer
	Reader
	Finder
	Numbers
}

// Directory is where fan-out and the schedule of reports look receivers up.
type Directory interface {
	// Several returns those of the integrations that there are, of any tenants, in no order.
	Several(ctx context.Context, keys []Key) ([]Integration, error)
	// Enabled returns all integrations of the tenant that events are sent for: those that are enabled, and those that
	// are disabled and have a fallback. It is called for every batch of events: implementations may answer from memory
	// as long as a change shows within a second.
	Enabled(ctx context.Context, tenant string) ([]Integration, error)
}

// Store keeps integrations. Each reader takes a part of it; an engine implements all. Implementations are safe for
// concurrent use.
type Store interface {
	ServiceStore
	Directory
}

// KeyRing seals secrets. The context (tenant, a slash, id: see SealTenant) is authenticated: a sealed value opens only
// where it belongs.
type KeyRing interface {
	Seal(ctx context.Context, plain, context []byte) ([]byte, error)
	Open(ctx context.Context, sealed, context []byte) ([]byte, error)
}
