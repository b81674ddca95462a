package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/atomicfile"
)

// busyLimit is how long a snapshot waits for a program that starts or stops, which may have the file to itself.
const busyLimit = 10 * time.Second

// Snapshot is a state file as it was at one moment, for reading alone: a running program's, which goes on writing
// meanwhile, a stopped one's, or a copy. It takes no lock: that one keeps a second engine away, whose leases would be
// in its own memory, and a snapshot hands nothing out.
type Snapshot struct {
	path   string
	conn   *driver.Conn
	layout int64
}

// Look opens a snapshot. All that was committed before the call is in it.
func Look(path string) (*Snapshot, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("look at the state file: %w", err)
	}
	s := &Snapshot{path: path}
	conn, err := driver.OpenConn(path, driver.OpenReadOnly)
	if err != nil {
		return nil, s.unreadable(err)
	}
	s.conn = conn
	conn.SetBusyTimeout(busyLimit)
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// begin makes the snapshot: it stands from the first read on.
func (s *Snapshot) begin() error {
	for _, sql := range []string{"PRAGMA temp_store = MEMORY", "BEGIN"} {
		if err := sqlitex.ExecuteTransient(s.conn, sql, nil); err != nil {
			return s.unreadable(err)
		}
	}
	tables, err := Number(s.conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return s.unreadable(err)
	}
	id, err := Number(s.conn, "PRAGMA application_id")
	if err != nil {
		return s.unreadable(err)
	}
	if id != applicationID {
		what := "is an SQLite file of another program"
		if tables == 0 {
			what = "holds nothing yet"
		}
		return fmt.Errorf("%s %s: name the state file", s.path, what)
	}
	if s.layout, err = Number(s.conn, "PRAGMA user_version"); err != nil {
		return s.unreadable(err)
	}
	return nil
}

func (s *Snapshot) unreadable(err error) error {
	return fmt.Errorf("the state file %s can not be read: %w", s.path, err)
}

// Close ends the snapshot.
func (s *Snapshot) Close() error { return s.conn.Close() }

// Layout is the number of the file's schema.
func (s *Snapshot) Layout() int { return int(s.layout) }

// Known says whether this release knows all that the file can have. Error: NewerError.
func (s *Snapshot) Known() error {
	knows, err := Layout()
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	if s.Layout() > knows {
		return NewerError{s.path, s.Layout(), knows}
	}
	return nil
}

// Current says whether an older release wrote the file, with tables that this one has no more. Error: OlderError.
func (s *Snapshot) Current() error {
	writes, err := Layout()
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	if s.Layout() < writes {
		return OlderError{s.path, s.Layout(), writes}
	}
	return nil
}

// Layout is the number of the schema that this release writes, and the highest that it reads.
func Layout() (int, error) {
	steps, err := migrations()
	return len(steps), err
}

// copyStep is how many pages of 4 KiB are copied between two looks at the context.
const copyStep = 256

// CopyTo writes the snapshot to a new file, which is on disk when it returns. A program that writes meanwhile is not
// held up (docs/measurements.md); its log grows until the copy is made.
func (s *Snapshot) CopyTo(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make the copy of the state: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	to, err := driver.OpenConn(path, driver.OpenReadWrite)
	if err != nil {
		return fmt.Errorf("make the copy of the state %s: %w", path, err)
	}
	if err := errors.Join(s.copy(ctx, to), to.Close()); err != nil {
		return fmt.Errorf("copy the state file %s to %s: %w", s.path, path, err)
	}
	return syncFile(path)
}

func (s *Snapshot) copy(ctx context.Context, to *driver.Conn) error {
	for _, sql := range []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"} { // it is synced at its end
		if err := sqlitex.ExecuteTransient(to, sql, nil); err != nil {
			return err
		}
	}
	run, err := driver.NewBackup(to, "main", s.conn, "main")
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		if err = ctx.Err(); err != nil {
			break
		}
		more, err = run.Step(copyStep)
	}
	if err = errors.Join(err, run.Close()); err != nil {
		return err
	}
	// One file, with nothing beside it: the program makes it what it needs when it opens it.
	return sqlitex.ExecuteTransient(to, "PRAGMA journal_mode = DELETE", nil)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Check looks at every page and every index.
func (s *Snapshot) Check() error {
	return s.check("PRAGMA integrity_check(1)")
}

// QuickCheck looks at every page, and not at what the indexes say.
func (s *Snapshot) QuickCheck() error {
	return s.check("PRAGMA quick_check(1)")
}

func (s *Snapshot) check(pragma string) error {
	verdict, err := Text(s.conn, pragma)
	if err != nil {
		return s.unreadable(err)
	}
	if verdict != "ok" {
		return s.unreadable(errors.New(verdict))
	}
	return nil
}

// Reading lends the snapshot's connection.
func (s *Snapshot) Reading(use func(*driver.Conn) error) error { return use(s.conn) }

// Each reads rows of the snapshot.
func (s *Snapshot) Each(sql string, row func(*driver.Stmt) error) error {
	if err := Each(s.conn, sql, nil, row); err != nil {
		return s.unreadable(err)
	}
	return nil
}

// Hold keeps every other process from opening a state file as its engine, and makes its folder where there is none.
// Error: ErrInUse.
func Hold(path string) (release func() error, err error) {
	lock, err := hold(path)
	if err != nil {
		return nil, err
	}
	return lock.Unlock, nil
}

func hold(path string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the state file: %w", err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the state file %s: %w", path, err)
	}
	if !held {
		return nil, fmt.Errorf(
			"the state file %s is %w: stop that one first, or name another file", path, ErrInUse)
	}
	// A command of root's must not leave a lock that the program's own user can not take.
	if err := atomicfile.Inherit(path + ".lock"); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the state file %s: %w", path, err), lock.Unlock())
	}
	return lock, nil
}
