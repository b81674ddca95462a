// Package erasure is what is done when a tenant leaves: all that is kept of it is exported, for it to take along, and
// then erased, with a count for each table. One person of a tenant is exported and erased likewise. All of it is for
// the platform's operators.
package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/tenant"
)

// ErrStillComing: while a tenant was erased, more of it came in, again and again.
var ErrStillComing = errors.New("events of the tenant still come in, or somebody of it is still at work: stop its " +
	"publishers, and erase it again")

// ErrName: it is not the id of a tenant.
var ErrName = tenant.ErrName

// Counts are rows, by table.
type Counts map[string]int

// Total is the rows of all tables.
func (c Counts) Total() (n int) {
	for _, rows := range c {
		n += rows
	}
	return n
}

func (c Counts) add(other Counts) {
	for table, n := range other {
		c[table] += n
	}
}

// Row is one of what is kept, without what is secret in it.
type Row struct {
	Table string          `json:"table"`
	Body  json.RawMessage `json:"row"`
}

// Source reads all that is kept of a tenant, table by table.
type Source interface {
	// Page reads rows after a place, "" = from the first on. next is the place to go on at, "" = that was all. A page
	// may have no row and others may follow it.
	Page(ctx context.Context, tenant, after string) (rows []Row, next string, err error)
}

// Store removes it.
type Store interface {
	// Erase removes a part of what is kept of a tenant, from a place on, "" = from the beginning of a pass; each part
	// can be done again. next is the place to go on at, "" = the pass is over. What comes in meanwhile may be left.
	Erase(ctx context.Context, tenant, from string) (rows Counts, next string, err error)
	// ErasePerson removes in the same way what is one person's own: what they are told, their sessions and tokens,
	// mails to them. In what else names them it puts the pseudonym, and counts it by Pseudonymous. What it can not
	// change, and still names them, it counts by table: the pass is not the last. What the parameters of integrations
	// say it leaves to Integrations.
	ErasePerson(ctx context.Context, tenant string, w pseudonym.Writer, from string) (rows Counts, next string,
		err error)
}

// Clearer is a Store whose storage may hold copies of what it removed.
type Clearer interface {
	// Clear removes those. todo says what somebody has to do so that they go, "" = nothing.
	Clear(ctx context.Context) (todo string)
}

// Clear is what follows an erasure. todo says what somebody has to do so that no copy of what was removed is left in
// the storage, "" = nothing.
func (s *Service) Clear(ctx context.Context) (todo string) {
	if c, ok := s.Store.(Clearer); ok {
		return c.Clear(ctx)
	}
	return ""
}

// Pseudonymous is what rows of a table are counted as that stay, under a pseudonym.
func Pseudonymous(table string) string { return table + " (under the pseudonym)" }

// Service erases tenants and people.
type Service struct {
	Store  Store
	Source Source
	Jobs   Jobs // of those that the API asks for
	// Integrations are asked where a person's erasure begins.
	Integrations Integrations
	// Log gets the one entry that stays, which names no person.
	Log    activity.Appender
	Now    func() time.Time
	NewID  func() string // of entries
	Logger *slog.Logger
	// Settle is how long what is on its way may take: requests that are being sent, messages of queues. A job looks
	// once more after that.
	Settle time.Duration
	// Wake has somebody look for jobs now; nil = they do so by themselves.
	Wake func()
}

// passes is how often a tenant is gone through: what was on its way when a pass began is found by the next.
const passes = 5

// Erase removes all that is kept of a tenant, until nothing is found, and notes in the tenant's activity log that it
// was done and how many rows of each table it took. Clear is to follow. A second call finds that entry alone. After an
// error or a crash it is called again, and goes on. Errors: ErrName, ErrStillComing.
func (s *Service) Erase(ctx context.Context, of string) (Counts, error) {
	sum := Counts{}
	if !tenant.Valid(of) {
		return sum, fmt.Errorf("erase tenant %q: %w", of, ErrName)
	}
	for range passes {
		found, err := s.pass(ctx, of, sum)
		if err != nil {
			return sum, fmt.Errorf("erase tenant %s: %w: try again, it goes on where it was", of, err)
		}
		if found > 0 {
			continue
		}
		if err := s.Log.Append(ctx, s.entry(of, sum)); err != nil {
			return sum, fmt.Errorf("note that tenant %s was erased: %w", of, err)
		}
		s.Logger.Info("tenant erased", "tenant", of, "rows", sum.Total())
		return sum, nil
	}
	return sum, fmt.Errorf("erase tenant %s: %w", of, ErrStillComing)
}

// pass goes through all once, and adds what it removed to the sum.
func (s *Service) pass(ctx context.Context, of string, sum Counts) (found int, err error) {
	for from := ""; ; {
		rows, next, err := s.Store.Erase(ctx, of, from)
		sum.add(rows)
		if found += rows.Total(); err != nil || next == "" {
			return found, err
		}
		from = next
	}
}

// entry tells of an erasure without a person in it.
func (s *Service) entry(of string, rows Counts) activity.Entry {
	e := activity.Entry{ID: s.NewID(), At: s.Now(), Actor: activity.System(of), Object: activity.Tenant, ObjectID: of,
		Action: activity.Erase}
	for _, table := range slices.Sorted(maps.Keys(rows)) {
		if rows[table] > 0 {
			e.Changes = append(e.Changes, activity.Change{Field: table, Before: strconv.Itoa(rows[table])})
		}
	}
	return e.Bounded()
}
