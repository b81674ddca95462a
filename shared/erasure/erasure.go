// Package erasure is what is done when a tenant leaves: all that is kept of it is exported, for it to take along, and
// then erased, with a count for each table. Both are for the platform's operators.
package erasure

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"tocsin/shared/activity"
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

// Source reads all that is kept of a tenant: table by table, each row as JSON.
type Source interface {
	Export(ctx context.Context, tenant string, row func(table string, body json.RawMessage) error) error
}

// Store removes it.
type Store interface {
	// Erase removes what is kept of a tenant, in steps; each of them can be done again. What comes in meanwhile may be
	// left.
	Erase(ctx context.Context, tenant string) (Counts, error)
}

// Service erases tenants.
type Service struct {
	Store Store
	// Log gets the one entry that stays, which names no person.
	Log    activity.Appender
	Now    func() time.Time
	NewID  func() string // of entries
	Logger *slog.Logger
}

// passes is how often a tenant is gone through: what was on its way when a pass began is found by the next.
const passes = 5

// Erase removes all that is kept of a tenant, until nothing is found, and notes in the tenant's activity log that it
// was done and how many rows of each table it took. A second call finds that entry alone. After an error or a crash it
// is called again, and goes on. Errors: ErrName, ErrStillComing.
func (s *Service) Erase(ctx context.Context, of string) (Counts, error) {
	sum := Counts{}
	if !tenant.Valid(of) {
		return sum, fmt.Errorf("erase tenant %q: %w", of, ErrName)
	}
	for range passes {
		found, err := s.Store.Erase(ctx, of)
		if sum.add(found); err != nil {
			return sum, fmt.Errorf("erase tenant %s: %w: try again, it goes on where it was", of, err)
		}
		if found.Total() > 0 {
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

// readme explains an export to who opens it.
const readme = `What Tocsin kept of tenant %s on %s.

Each file is a table: one row a line, as JSON. Times of the columns are Unix nanoseconds in UTC where they are numbers
and no file says otherwise; "data" of a file is base64. Left out are the secrets of integrations, and what is kept of
passwords, tokens and sessions in their place: their digests.

`

// Export writes all that is kept of a tenant as a ZIP archive of JSON lines.
func Export(ctx context.Context, source Source, of string, now time.Time, to io.Writer) (Counts, error) {
	rows := Counts{}
	if !tenant.Valid(of) {
		return rows, fmt.Errorf("export tenant %q: %w", of, ErrName)
	}
	z := zip.NewWriter(to)
	var file io.Writer
	open := ""
	create := func(name string) (io.Writer, error) {
		return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: now})
	}
	err := source.Export(ctx, of, func(table string, body json.RawMessage) (err error) {
		if table != open {
			if rows[table] > 0 {
				return fmt.Errorf("table %s comes twice", table)
			}
			if file, err = create(table + ".jsonl"); err != nil {
				return err
			}
			open = table
		}
		rows[table]++
		_, err = file.Write(append(slices.Clip(body), '\n'))
		return err
	})
	if err == nil {
		if file, err = create("README.txt"); err == nil {
			_, err = fmt.Fprintf(file, readme, of, now.UTC().Format(time.RFC3339))
		}
	}
	for _, table := range slices.Sorted(maps.Keys(rows)) {
		if err == nil {
			_, err = fmt.Fprintf(file, "%s.jsonl: %d\n", table, rows[table])
		}
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return rows, fmt.Errorf("export tenant %s: %w", of, err)
	}
	return rows, nil
}
