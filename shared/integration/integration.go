package integration

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"tocsin/shared/event"
)

// Errors of a Store. Wrap them; callers use errors.Is.
var (
	// ErrNotFound: the tenant has no such integration. Another tenant's id is not found either.
	ErrNotFound = errors.New("integration not found")
	// ErrConflict: the integration changed since it was read.
	ErrConflict = errors.New("integration was changed by someone else")
)

// Integration is one connection of a tenant to a system.
type Integration struct {
	ID         string
	Tenant     string
	ClientName string // the tenant's company name, for messages about this integration
	System     string
	Name       string
	// Off is nil while the integration is enabled.
	Off *Off
	// Subscriptions holds the active ones only.
	Subscriptions []Subscription
	// Parameters without the secrets; Sealed holds those, encrypted by the key ring.
	Parameters json.RawMessage
	Sealed     []byte
	// Bindings are the names under which Store.Bound finds the integration, whoever its tenant is. Only systems that call
	// us have any: see Service.
	Bindings []string
	// Revision counts changes from 1; it is the ETag.
	Revision int64
	// Window numbers the health windows: each enabling starts a new one (design, step 5).
	Window    int64
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
}

// Off says who switched an integration off, when and why.
type Off struct {
	By     Actor     `json:"by"`
	Person string    `json:"person,omitempty"` // who, when By is ByPerson
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
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
}

// Enabled reports whether events are delivered.
func (i Integration) Enabled() bool { return i.Off == nil }

// Subscribed reports whether the integration receives events of the type.
func (i Integration) Subscribed(t event.Type) (Subscription, bool) {
	for _, s := range i.Subscriptions {
		if s.Event == t {
			return s, true
		}
	}
	return Subscription{}, false
}

// Store keeps integrations. Every method but Bound is for one tenant; implementations are safe for concurrent use.
type Store interface {
	// Create stores a new integration together with its announcement: both or neither.
	Create(ctx context.Context, i Integration, announce event.Event) error
	// Update replaces the stored integration if its revision is still i.Revision-1, together with the
	// announcement. Errors: ErrNotFound, ErrConflict.
	Update(ctx context.Context, i Integration, announce event.Event) error
	// Delete removes the integration if its revision is still the given one, together with the announcement.
	// What waits for it is dead-lettered by delivery. Errors: ErrNotFound, ErrConflict.
	Delete(ctx context.Context, tenant, id string, revision int64, announce event.Event) error
	// Get returns one integration. Error: ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Integration, error)
	// List returns the tenant's integrations in the order of their ids, which is that of their creation: at most
	// limit of those whose id is greater than after.
	List(ctx context.Context, tenant, after string, limit int) ([]Integration, error)
	// Bound returns the integrations of all tenants that belong to the system and have the name among their bindings.
	Bound(ctx context.Context, system, binding string) ([]Integration, error)
	// Enabled returns all enabled integrations of the tenant. It is called for every batch of events:
	// implementations may answer from memory as long as a change shows within a second.
	Enabled(ctx context.Context, tenant string) ([]Integration, error)
}

// KeyRing seals secrets. The context (tenant and id) is authenticated: a sealed value opens only where it belongs.
type KeyRing interface {
	Seal(ctx context.Context, plain, context []byte) ([]byte, error)
	Open(ctx context.Context, sealed, context []byte) ([]byte, error)
}
