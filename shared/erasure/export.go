package erasure

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/tenant"
)

// Kept reports whether anything is kept of a tenant. Error: ErrName.
func Kept(ctx context.Context, source Source, of string) (bool, error) {
	if !tenant.Valid(of) {
		return false, fmt.Errorf("export tenant %q: %w", of, ErrName)
	}
	found := errors.New("found")
	err := each(ctx, source, of, func(Row) error { return found })
	if errors.Is(err, found) {
		return true, nil
	}
	if err != nil {
		err = fmt.Errorf("look for what is kept of tenant %s: %w", of, err)
	}
	return false, err
}

// Export reads a page of what is kept of a tenant, and notes in the tenant's activity log who began to read. With a
// person it is the rows alone that name the person. Errors: ErrName, ErrPerson.
func (s *Service) Export(ctx context.Context, by activity.Actor, of string, person Person,
	after string) (rows []Row, next string, err error) {
	if !tenant.Valid(of) {
		return nil, "", fmt.Errorf("export tenant %q: %w", of, ErrName)
	}
	source, err := person.Of(s.Source)
	if err != nil {
		return nil, "", fmt.Errorf("export a person of tenant %s: %w", of, err)
	}
	if after == "" {
		if kept, err := Kept(ctx, s.Source, of); err != nil || !kept {
			return nil, "", err // no log of a tenant that nobody knows is begun
		}
		if err := s.NoteExport(ctx, by, of, person); err != nil {
			return nil, "", err
		}
	}
	if rows, next, err = source.Page(ctx, of, after); err != nil {
		return nil, "", fmt.Errorf("export tenant %s: %w", of, err)
	}
	return rows, next, nil
}

// NoteExport notes in the tenant's activity log who exports it. A person who was erased has the pseudonym there: the
// address would be found again after the erasure.
func (s *Service) NoteExport(ctx context.Context, by activity.Actor, of string, person Person) error {
	by.Tenant = of
	var changes []activity.Change
	if len(person) > 0 {
		name, err := s.logged(ctx, of, person)
		if err != nil {
			return fmt.Errorf("look whether a person of tenant %s was erased, to note the export: %w", of, err)
		}
		changes = []activity.Change{{Field: "person", After: name}}
	}
	if err := s.Log.Append(ctx, activity.Entry{ID: s.NewID(), At: s.Now(), Actor: by, Object: activity.Tenant,
		ObjectID: of, Action: activity.Export, Changes: changes}); err != nil {
		return fmt.Errorf("note that tenant %s is exported: %w", of, err)
	}
	return nil
}

// logged is what the log calls a person: the pseudonym where an erasure of them is known, else the address.
func (s *Service) logged(ctx context.Context, of string, person Person) (string, error) {
	if _, err := s.Jobs.Job(ctx, pseudonymsKey); errors.Is(err, ErrNotFound) {
		return person[0], nil // nobody was erased here, and to look makes no secret
	}
	name, err := s.pseudonymOf(ctx, of, person)
	if err != nil {
		return "", err
	}
	switch _, err = s.Jobs.Job(ctx, Job{Tenant: of, Pseudonym: name}.Key()); {
	case errors.Is(err, ErrNotFound):
		return person[0], nil
	case err != nil:
		return "", err
	}
	return name, nil
}

// each visits all rows.
func each(ctx context.Context, source Source, of string, visit func(Row) error) error {
	for after := ""; ; {
		rows, next, err := source.Page(ctx, of, after)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := visit(r); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

// readme explains an export to who opens it.
const readme = `What Tocsin kept of %s on %s.

Each file is a table: one row a line, as JSON. Times of the columns are Unix nanoseconds in UTC where they are numbers
and no file says otherwise; "data" of a file is base64. Left out are the secrets of integrations, and what is kept of
passwords, tokens and sessions in their place: their digests.

`

// Whose says whose the rows of a source are, to a person; person "" = all of the tenant's.
func Whose(of, person string) string {
	if person == "" {
		return "tenant " + of
	}
	return person + " in tenant " + of
}

// Archive writes the rows of a source as a ZIP archive of JSON lines: all that is kept of a tenant, or what names a
// person of it.
func Archive(ctx context.Context, source Source, of, person string, now time.Time, to io.Writer) (Counts, error) {
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
	err := each(ctx, source, of, func(r Row) (err error) {
		if r.Table != open {
			if rows[r.Table] > 0 {
				return fmt.Errorf("table %s comes twice", r.Table)
			}
			if file, err = create(r.Table + ".jsonl"); err != nil {
				return err
			}
			open = r.Table
		}
		rows[r.Table]++
		_, err = file.Write(append(slices.Clip(r.Body), '\n'))
		return err
	})
	if err == nil {
		if file, err = create("README.txt"); err == nil {
			_, err = fmt.Fprintf(file, readme, Whose(of, person), now.UTC().Format(time.RFC3339))
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
