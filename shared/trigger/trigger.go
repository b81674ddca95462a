package trigger

import (
	"context"
	"errors"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/trace"
)

// Errors of a Store. Wrap them; callers use errors.Is.
var (
	// ErrNotFound: the tenant has no such trigger. Another tenant's id is not found either.
	ErrNotFound = errors.New("trigger not found")
	// ErrConflict: the trigger changed since it was read.
	ErrConflict = errors.New("trigger was changed by someone else")
	// ErrGone: an integration that the trigger begins to notify was deleted.
	ErrGone = errors.New("an integration of the trigger was deleted")
	// ErrStale: a state changed since it was read. Evaluate the batch again.
	ErrStale = errors.New("the state of a trigger was changed by another worker")
)

// Limits of one tenant's triggers. The product facts, 4.4 and 4.10, know the numbers of filters and actions alone.
const (
	MaxTriggers     = 100
	MaxThresholds   = 60 // of those, with a threshold: each has a state, which a batch of events reads and writes
	MaxActions      = 4
	MaxIntegrations = 20 // of an action
	maxName         = 200
	MaxComment      = 1000
	MinLockTime     = 300 // seconds
)

// Trigger is a condition with its reactions.
type Trigger struct {
	ID         string          `json:"id"`
	Tenant     string          `json:"tenant"`
	Number     int64           `json:"-"`                     // as integration.Integration's; 0 = it has none yet
	ClientName string          `json:"client_name,omitempty"` // the tenant's company name, for its messages
	Name       string          `json:"name"`
	Comment    string          `json:"comment,omitempty"`
	Off        bool            `json:"off,omitempty"`
	Default    bool            `json:"default,omitempty"` // one of a new account's (facts, 4.8)
	Template   TemplateID      `json:"template_id"`
	Filters    []filter.Filter `json:"filters,omitempty"`
	Threshold  *Threshold      `json:"threshold,omitempty"`
	Actions    []Action        `json:"actions"`
	// Revision counts changes from 1; it is the ETag. Epoch counts those after which counting begins anew.
	Revision int64 `json:"revision"`
	Epoch    int64 `json:"epoch"`
	// Since is when the trigger was made, enabled, or given what it counts now: events that the bus took before, and
	// that are counted only now, are not for it. Zero for the triggers of a new account, and for one from before it was
	// kept.
	Since     time.Time `json:"since,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by,omitempty"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by,omitempty"` // "" = from before it was kept
}

// Threshold: the trigger fires when more than Count fall into Period seconds (facts, 4.3: only `gt`).
type Threshold struct {
	Period int64 `json:"period"`
	Count  int64 `json:"count"`
}

// Action is a reaction.
type Action struct {
	ID           ActionID `json:"id"`
	Integrations []string `json:"integration_ids,omitempty"` // of Notify
	// LockTime of Denylist and Graylist in seconds; event.Forever at the most.
	LockTime int64 `json:"lock_time,omitempty"`
}

// Notifies are the integrations that the trigger notifies, each once.
func (t Trigger) Notifies() (ids []string) {
	for _, a := range t.Actions {
		for _, id := range a.Integrations {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// Writer takes the changes of triggers. Each is stored together with its record, which is its announcement and its
// entry of the activity log: all or nothing. joins are the integrations that the trigger begins to notify: those that
// it names and the stored one did not. All of them are there when it is stored, and of a change that joins an
// integration and an integration.Writer's DeleteUnused of that at the same time, one is refused.
type Writer interface {
	// Create stores a new trigger, findable by its Number. Errors: ErrConflict when the id exists, ErrGone.
	Create(ctx context.Context, t Trigger, joins []string, r activity.Record) error
	// Update replaces the stored trigger if its revision is still t.Revision-1. The stored Number stays as it is.
	// Errors: ErrNotFound, ErrConflict, ErrGone.
	Update(ctx context.Context, t Trigger, joins []string, r activity.Record) error
	// Delete removes the trigger, and its state sooner or later, if its revision is still the given one.
	// Errors: ErrNotFound, ErrConflict.
	Delete(ctx context.Context, tenant, id string, revision int64, r activity.Record) error
}

// Numbers are the ids of the platform's own API: as integration.Numbers. A trigger of a new account has none before it
// is asked for.
type Numbers interface {
	// NextNumber returns a number that it never returned before and that is greater than all that it did.
	NextNumber(ctx context.Context) (int64, error)
	// GiveNumber gives a trigger a number of NextNumber unless it has one, and returns the one that it has. The
	// revision stays. Error: ErrNotFound.
	GiveNumber(ctx context.Context, tenant, id string, number int64) (int64, error)
	// ByNumber finds the trigger that has the number. Error: ErrNotFound.
	ByNumber(ctx context.Context, number int64) (tenant, id string, err error)
}

// Seeder stores the triggers of new accounts.
type Seeder interface {
	// Seed stores the triggers of a new account with the entry of it, unless it was done for the tenant before; then it
	// does nothing.
	Seed(ctx context.Context, tenant string, list []Trigger, e activity.Entry) error
}

// Reader reads the triggers of one tenant.
type Reader interface {
	// Get returns one trigger. Error: ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Trigger, error)
	// List returns all triggers of the tenant in the order of their ids; seeded says whether Seed was done.
	List(ctx context.Context, tenant string) (list []Trigger, seeded bool, err error)
}

// Counter is what counting reads.
type Counter interface {
	// Active is List for fan-out, which asks for every batch: implementations may answer from memory as long as a
	// change shows within a second.
	Active(ctx context.Context, tenant string) (list []Trigger, seeded bool, err error)
	// States returns the states of triggers, in their order; one that is not there is zero but for its names.
	States(ctx context.Context, tenant string, ids []string) ([]State, error)
}

// Store keeps triggers. Each reader takes a part of it; an engine implements all. Implementations are safe for
// concurrent use.
type Store interface {
	Writer
	Seeder
	Reader
	Counter
	Numbers
	FiringReader
}

// State is what a trigger with a threshold remembers. Only Evaluator reads the body.
type State struct {
	Tenant  string
	Trigger string
	// Version counts writes; 0 = there is none yet.
	Version int64
	Body    []byte
	// Expires is when a store may forget the state.
	Expires time.Time
}

// Outcome is what a batch of events means to the triggers. It is a part of fanout.Intake, or of counting.Outcome
// where an engine counts apart: who takes that writes the states and the events to publish, all or nothing.
type Outcome struct {
	// States are the new ones, each under the version that it was read with: the store makes it the next one, and the
	// whole Intake fails with ErrStale where another was written since.
	States []State
	// Publish are events for the bus.
	Publish []event.Event
	// Spans begin the traces of what is published. They are to be recorded once it is written.
	Spans []trace.Span
	// Firings are what those came of: one element for each trigger that went off.
	Firings []Firings
}

// Empty reports whether there is nothing to write.
func (o Outcome) Empty() bool { return len(o.States) == 0 && len(o.Publish) == 0 }
