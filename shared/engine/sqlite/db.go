package sqlite

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/trigger"
)

//go:embed schema.sql
var schema1 string

//go:embed reports.sql
var schemaReports string

//go:embed gather.sql
var schemaGather string

//go:embed triggers.sql
var schemaTriggers string

//go:embed schedule.sql
var schemaSchedule string

//go:embed mails.sql
var schemaMails string

//go:embed health.sql
var schemaHealth string

//go:embed commands.sql
var schemaCommands string

// migrations take a file from version i to i+1. A release only ever appends.
var migrations = []string{
	schema1,
	schemaReports,
	schemaGather,
	schemaTriggers,
	schemaSchedule,
	schemaMails,
	schemaHealth,
	schemaCommands,
}

// applicationID marks our files in SQLite's header: "Tocs".
const applicationID = 0x546f6373

// checkLimit is the size up to which a file is checked page by page at the start (about 1 s for this size).
const checkLimit = 512 << 20 // bytes

// readers is how many connections read beside the writer.
const readers = 4

// Options of Open. The zero value is for production.
type Options struct {
	// MaxPages bounds the file, in pages of 4 KiB, for tests of a full disk; 0 = no bound.
	MaxPages int
	Log      *slog.Logger // nil = none
}

// DB is the open state file.
type DB struct {
	path   string
	lock   *flock.Flock
	writer *writer
	read   chan *driver.Conn
	log    *slog.Logger

	arrived chan struct{} // see Arrived

	mu      sync.Mutex
	enabled enabledCache
	watched map[string][]trigger.Trigger // of tenants that were seeded
	lanes   lanes
	fanout  int64 // progress.fanout
	events  eventCache
	leases  leases
	gathers gathers
}

// Open opens the state file and makes a new one where there is none; the folder too. It is the only process that may:
// a second one gets an error. A file that is damaged, is not Tocsin's, or was written by a newer release is an error
// that says so, and stays as it is.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the state file: %w", err)
	}
	db := &DB{path: path, log: o.Log, arrived: make(chan struct{}, 1)}
	db.lock = flock.New(path+".lock", flock.SetPermissions(0o600))
	held, err := db.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the state file %s: %w", path, err)
	}
	if !held {
		return nil, fmt.Errorf(
			"the state file %s is in use by another process: stop that one first, or name another file", path)
	}
	if err := db.open(ctx, o); err != nil {
		return nil, errors.Join(err, db.closeAll())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, o Options) error {
	size, err := size(db.path)
	if err != nil {
		return err
	}
	conn, err := db.connect(driver.OpenReadWrite | driver.OpenCreate)
	if err != nil {
		return db.damaged(err)
	}
	db.writer = newWriter(conn)
	if err := db.check(conn, size); err != nil {
		return err
	}
	if size == 0 {
		if err := db.shrinkable(conn, size, convertLimit); err != nil {
			return err
		}
	}
	if err := db.migrate(conn); err != nil {
		return err
	}
	if err := db.shrinkable(conn, size, convertLimit); err != nil {
		db.log.Warn("the state file stays as it is", "error", err.Error()) // a full disk: it is usable all the same
	}
	if o.MaxPages > 0 {
		if err := sqlitex.ExecuteTransient(conn, fmt.Sprintf("PRAGMA max_page_count = %d", o.MaxPages),
			nil); err != nil {
			return fmt.Errorf("bound the state file %s: %w", db.path, err)
		}
	}
	db.read = make(chan *driver.Conn, readers)
	for range readers {
		r, err := db.connect(driver.OpenReadWrite)
		if err != nil {
			return db.damaged(err)
		}
		db.read <- r
	}
	if err := db.load(ctx); err != nil {
		return db.damaged(err)
	}
	go db.writer.run()
	return nil
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		// The file may hold customers' events: nobody else is to read it.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return 0, fmt.Errorf("make the state file: %w", err)
		}
		return 0, f.Close()
	}
	if err != nil {
		return 0, fmt.Errorf("look at the state file: %w", err)
	}
	return info.Size(), nil
}

func (db *DB) connect(flags driver.OpenFlags) (*driver.Conn, error) {
	conn, err := driver.OpenConn(db.path, flags|driver.OpenWAL)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{
		"PRAGMA synchronous = FULL", "PRAGMA temp_store = MEMORY",
		"PRAGMA cache_size = -8192",            // KiB
		"PRAGMA wal_autocheckpoint = 4000",     // pages: 16 MiB
		"PRAGMA journal_size_limit = 67108864", // bytes
	} {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// check refuses what is not a healthy state file of this program.
func (db *DB) check(conn *driver.Conn, size int64) error {
	if size == 0 {
		return nil
	}
	id, err := number(conn, "PRAGMA application_id")
	if err != nil {
		return db.damaged(err)
	}
	tables, err := number(conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return db.damaged(err)
	}
	if id == 0 && tables == 0 {
		return nil // a start that was killed before its first commit
	}
	if id != applicationID {
		return fmt.Errorf("%s is an SQLite file of another program: name another file for the state", db.path)
	}
	if size > checkLimit {
		db.log.Info("state file is not checked: it is too large for that", "path", db.path, "bytes", size)
		return nil
	}
	verdict, err := text(conn, "PRAGMA quick_check(1)")
	if err != nil {
		return db.damaged(err)
	}
	if verdict != "ok" {
		return db.damaged(errors.New(verdict))
	}
	return nil
}

func (db *DB) damaged(err error) error {
	return fmt.Errorf("the state file %s can not be read; it was left as it is: restore it from a backup, or move it "+
		"away to begin anew: %w", db.path, err)
}

func (db *DB) migrate(conn *driver.Conn) error {
	version, err := number(conn, "PRAGMA user_version")
	if err != nil {
		return db.damaged(err)
	}
	if version > int64(len(migrations)) {
		return fmt.Errorf(
			"the state file %s was written by a newer release (schema %d, this one knows %d): start that release",
			db.path, version, len(migrations))
	}
	for v := int(version); v < len(migrations); v++ {
		script := fmt.Sprintf("%s;\nPRAGMA application_id = %d;\nPRAGMA user_version = %d;", migrations[v],
			applicationID, v+1)
		if err := sqlitex.ExecuteScript(conn, script, nil); err != nil {
			return fmt.Errorf("bring the state file %s to schema %d: %w", db.path, v+1, err)
		}
	}
	return nil
}

// load reads what is kept in memory.
func (db *DB) load(ctx context.Context) error {
	conn := db.writer.conn
	var err error
	if db.fanout, err = number(conn, "SELECT value FROM progress WHERE name = 'fanout'"); err != nil {
		return err
	}
	if err := db.writer.loadSeq(); err != nil {
		return err
	}
	db.enabled = enabledCache{}
	db.watched = map[string][]trigger.Trigger{}
	db.lanes = newLanes()
	db.leases = newLeases()
	if err := db.loadGathers(ctx); err != nil {
		return err
	}
	return db.query(ctx, "SELECT ref, tenant, integration FROM lanes", nil, func(s *driver.Stmt) error {
		db.lanes.add(s.ColumnInt64(0), laneKey{s.ColumnText(1), s.ColumnText(2)})
		return nil
	})
}

// Close finishes the writes that were handed in, and closes the file.
func (db *DB) Close() error {
	db.writer.stop()
	return db.closeAll()
}

func (db *DB) closeAll() error {
	var errs []error
	if db.read != nil {
		for range len(db.read) {
			errs = append(errs, (<-db.read).Close())
		}
	}
	if db.writer != nil {
		errs = append(errs, db.writer.conn.Close())
	}
	errs = append(errs, db.lock.Unlock())
	return errors.Join(errs...)
}

// query runs a statement on a connection of the readers.
func (db *DB) query(ctx context.Context, sql string, bind func(*driver.Stmt), row func(*driver.Stmt) error) error {
	return db.reading(ctx, func(conn *driver.Conn) error { return each(conn, sql, bind, row) })
}

// reading lends a connection of the readers.
func (db *DB) reading(ctx context.Context, use func(*driver.Conn) error) error {
	select {
	case conn := <-db.read:
		defer func() { db.read <- conn }()
		return use(conn)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// each runs a prepared statement and visits its rows.
func each(conn *driver.Conn, sql string, bind func(*driver.Stmt), row func(*driver.Stmt) error) error {
	s, err := conn.Prepare(sql)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }() // repeats the error of Step
	if bind != nil {
		bind(s)
	}
	for {
		more, err := s.Step()
		if err != nil || !more {
			return err
		}
		if row != nil {
			if err := row(s); err != nil {
				return err
			}
		}
	}
}

func number(conn *driver.Conn, sql string) (n int64, err error) {
	err = each(conn, sql, nil, func(s *driver.Stmt) error {
		n = s.ColumnInt64(0)
		return nil
	})
	return n, err
}

func text(conn *driver.Conn, sql string) (t string, err error) {
	err = each(conn, sql, nil, func(s *driver.Stmt) error {
		t = s.ColumnText(0)
		return nil
	})
	return t, err
}

// blob copies a column.
func blob(s *driver.Stmt, col int) []byte {
	b := make([]byte, s.ColumnLen(col))
	s.ColumnBytes(col, b)
	return b
}
