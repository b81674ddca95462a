package db

import (
	"context"
	"embed"
	"fmt"

	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
)

//go:embed schema/*.sql
var schema embed.FS

// migrations take a file from version i to i+1: the files of schema in the order of their numbers. A release only ever
// appends one, and changes none that was released.
func migrations() ([]string, error) {
	files, err := schema.ReadDir("schema") // sorted by name
	if err != nil {
		return nil, err
	}
	out := make([]string, len(files))
	for n, file := range files {
		raw, err := schema.ReadFile("schema/" + file.Name())
		if err != nil {
			return nil, err
		}
		out[n] = string(raw)
	}
	return out, nil
}

// NewerError says that a newer release wrote a state file, which can have what this one does not know.
type NewerError struct {
	Path          string
	Layout, Knows int
}

// Error names the file and both layouts.
func (e NewerError) Error() string {
	return fmt.Sprintf("the state file %s was written by a newer release (layout %d, this one knows %d)", e.Path,
		e.Layout, e.Knows)
}

// OlderError says that an older release wrote a state file: to be opened, it gets this one's layout.
type OlderError struct {
	Path           string
	Layout, Writes int
}

// Error names the file and both layouts.
func (e OlderError) Error() string {
	return fmt.Sprintf("the state file %s was written by an older release (layout %d, this one writes %d)", e.Path,
		e.Layout, e.Writes)
}

func (f *File) migrate(ctx context.Context, conn *driver.Conn, o Options) error {
	steps, err := migrations()
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	if o.Steps > 0 {
		steps = steps[:o.Steps]
	}
	version, err := Number(conn, "PRAGMA user_version")
	if err != nil {
		return f.damaged(err)
	}
	if version > int64(len(steps)) {
		return fmt.Errorf("%w: start that release, or restore a backup that this one made",
			NewerError{f.path, int(version), len(steps)})
	}
	if version == int64(len(steps)) {
		return nil // nothing is written: a start on a full disk succeeds
	}
	if version > 0 && o.KeepLayout {
		return OlderError{f.path, int(version), len(steps)}
	}
	log := f.log.With("path", f.path, "from", version, "to", len(steps))
	if version > 0 { // it is not new
		log.Info("the state file is brought to this release's layout: releases that know less can not open it any more")
	}
	err = sqlitemigration.Migrate(ctx, conn, sqlitemigration.Schema{AppID: applicationID, Migrations: steps})
	if err != nil {
		return fmt.Errorf("bring the state file %s to layout %d: %w", f.path, len(steps), err)
	}
	if version > 0 {
		log.Info("the state file has this release's layout now")
	}
	return nil
}
