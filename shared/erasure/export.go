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

// Export reads a page of what is kept of a tenant, and notes in the tenant's activity log who began to read. With a
// person it is the rows alone that name the person. Error: ErrName.
func (s *Service) Export(ctx context.Context, by activity.Actor, of string, person Person,
	after string) (rows []Row, next string, err error) {
	if !tenant.Valid(of) {
		return nil, "", fmt.Errorf("export tenant %q: %w", of, ErrName)
	}
	if after == "" {
		if err := s.Log.Append(ctx, s.ExportEntry(by, of, person)); err != nil {
			return nil, "", fmt.Errorf("note that tenant %s is exported: %w", of, err)
		}
	}
	if rows, next, err = person.Of(s.Source).Page(ctx, of, after); err != nil {
		return nil, "", fmt.Errorf("export tenant %s: %w", of, err)
	}
	return rows, next, nil
}

// ExportEntry tells of an export.
func (s *Service) ExportEntry(by activity.Actor, of string, person Person) activity.Entry {
	by.Tenant = of
	var changes []activity.Change
	if len(person) > 0 {
		changes = []activity.Change{{Field: "person", After: person[0]}}
	}
	return activity.Entry{ID: s.NewID(), At: s.Now(), Actor: by, Object: activity.Tenant, ObjectID: of,
		Action: activity.Export, Changes: changes}
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
const readme = `What Tocsin kept of tenant %s on %s.

Each file is a table: one row a line, as JSON. Times of the columns are Unix nanoseconds in UTC where they are numbers
and no file says otherwise; "data" of a file is base64. Left out are the secrets of integrations, and what is kept of
passwords, tokens and sessions in their place: their digests.

`

// Archive writes all that is kept of a tenant as a ZIP archive of JSON lines.
func Archive(ctx context.Context, source Source, of string, now time.Time, to io.Writer) (Counts, error) {
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
