package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/gofrs/flock"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/ready"
)

// Options of Open. The zero value is for production.
type Options struct {
	// MaxPages bounds the file, in pages of 4 KiB, for tests of a full disk; 0 = no bound.
	MaxPages int
	Log      *slog.Logger // nil = none
	// LeastBlock is from how many deliveries of one fan-out to one integration on they share a row, for tests, in which
	// few are made at once; 0 = from where it costs less.
	LeastBlock int
	// RewriteLog does what rewrite does, on a disk that a test can break; nil = on the real one.
	RewriteLog func(path string) error
	// Share is how many events of one tenant may wait in the line that all tenants share; 0 = eventbus.DefaultShare.
	Share int
	// KeepLayout refuses a file of an older release, which would get this one's layout: OlderError.
	KeepLayout bool
	// ClearLimit is as clearLimit, for tests; 0 = that.
	ClearLimit int64
	// DiskFree is what is free on the disk of a folder, for tests; nil = what the system says.
	DiskFree func(folder string) (free uint64, ok bool)
	// Steps is how many steps of the schema are known, for tests of what an earlier program does; 0 = all.
	Steps int
}

// ErrInUse: another process has the state file.
var ErrInUse = errors.New("in use by another process")

// applicationID marks our files in SQLite's header: "Tocs".
const applicationID = 0x546f6373

// checkLimit is the size up to which a file is checked page by page at the start (about 1 s for this size).
const checkLimit = 512 << 20 // bytes

// poolSize is how many connections read beside the writer.
const poolSize = 4

// File is the open state file.
type File struct {
	path    string
	lock    *flock.Flock
	writer  *Writer
	readers chan *driver.Conn
	log     *slog.Logger

	begun, ended atomic.Int64 // writes of Write: see Quiet
	overwriting  atomic.Int64 // how many are in Overwriting
	clearLimit   int64        // bytes
	diskFree     func(folder string) (free uint64, ok bool)
}

// Open opens the state file and makes a new one where there is none; the folder too. It is the only process that may:
// a second one gets an error. A file that is damaged, is not Tocsin's, or was written by a newer release is an error
// that says so, and stays as it is.
func Open(ctx context.Context, path string, o Options) (*File, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := hold(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, lock: lock, log: o.Log, clearLimit: cmp.Or(o.ClearLimit, clearLimit),
		diskFree: o.DiskFree}
	if f.diskFree == nil {
		f.diskFree = diskFree
	}
	if err := f.open(ctx, o); err != nil {
		return nil, errors.Join(f.told(err), f.closeAll())
	}
	return f, nil
}

func (f *File) open(ctx context.Context, o Options) error {
	if err := errors.Join(keepPages(), keepPlans()); err != nil {
		return err
	}
	size, err := size(f.path)
	if err != nil {
		return err
	}
	if err := mendRights(f.path); err != nil {
		return err
	}
	if o.RewriteLog == nil {
		o.RewriteLog = rewrite
	}
	if err := o.RewriteLog(f.path + "-wal"); err != nil {
		return fmt.Errorf("write the log of the state file anew: %w", err)
	}
	conn, err := f.connect(driver.OpenReadWrite | driver.OpenCreate)
	if err != nil {
		return f.damaged(err)
	}
	f.writer = newWriter(conn)
	if err := f.check(conn, size); err != nil {
		return err
	}
	if size == 0 {
		if err := f.shrinkable(conn, size, convertLimit); err != nil {
			return err
		}
	}
	if err := f.migrate(ctx, conn, o); err != nil {
		return err
	}
	if err := f.shrinkable(conn, size, convertLimit); err != nil {
		f.log.Warn("the state file stays as it is", "error", err.Error()) // a full disk: it is usable all the same
	}
	if o.MaxPages > 0 {
		if err := sqlitex.ExecuteTransient(conn, fmt.Sprintf("PRAGMA max_page_count = %d", o.MaxPages),
			nil); err != nil {
			return fmt.Errorf("bound the state file %s: %w", f.path, err)
		}
	}
	f.readers = make(chan *driver.Conn, poolSize)
	for range poolSize {
		r, err := f.connect(driver.OpenReadWrite)
		if err != nil {
			return f.damaged(err)
		}
		f.readers <- r
	}
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

func (f *File) connect(flags driver.OpenFlags) (*driver.Conn, error) {
	conn, err := driver.OpenConn(f.path, flags|driver.OpenWAL)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{
		"PRAGMA synchronous = FULL", "PRAGMA temp_store = MEMORY",
		whereFree,
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
func (f *File) check(conn *driver.Conn, size int64) error {
	if size == 0 {
		return nil
	}
	id, err := Number(conn, "PRAGMA application_id")
	if err != nil {
		return f.damaged(err)
	}
	tables, err := Number(conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return f.damaged(err)
	}
	if id == 0 && tables == 0 {
		return nil // a start that was killed before its first commit
	}
	if id != applicationID {
		return fmt.Errorf("%s is an SQLite file of another program: name another file for the state", f.path)
	}
	if size > checkLimit {
		f.log.Info("state file is not checked: it is too large for that", "path", f.path, "bytes", size)
		return nil
	}
	verdict, err := Text(conn, "PRAGMA quick_check(1)")
	if err != nil {
		return f.damaged(err)
	}
	if verdict != "ok" {
		return f.damaged(errors.New(verdict))
	}
	return nil
}

func (f *File) damaged(err error) error {
	if full := f.told(err); errors.Is(full, ready.ErrNoRoom) {
		return full // it is whole
	}
	return fmt.Errorf("the state file %s can not be read; it was left as it is: restore it from a backup, or move it "+
		"away to begin anew: %w", f.path, err)
}

// Begin lets the writer begin. load and reload read what the engine remembers of the file: both run now, and reload
// runs on the writer again whenever writes were undone.
func (f *File) Begin(load, reload func(*Writer) error) error {
	for _, read := range []func(*Writer) error{load, reload} {
		if err := read(f.writer); err != nil {
			return errors.Join(f.damaged(err), f.closeAll())
		}
	}
	f.writer.reload = reload
	go f.writer.run()
	return nil
}

// Close finishes the writes that were handed in, and closes the file.
func (f *File) Close() error {
	f.writer.stop()
	return f.closeAll()
}

func (f *File) closeAll() error {
	var errs []error
	if f.readers != nil {
		for range len(f.readers) {
			errs = append(errs, (<-f.readers).Close())
		}
	}
	if f.writer != nil {
		errs = append(errs, f.writer.Conn.Close())
	}
	errs = append(errs, f.lock.Unlock())
	return errors.Join(errs...)
}

// Query runs a statement on a connection of the readers.
func (f *File) Query(ctx context.Context, sql string, bind func(*driver.Stmt), row func(*driver.Stmt) error) error {
	return f.Reading(ctx, func(conn *driver.Conn) error { return Each(conn, sql, bind, row) })
}

// Reading lends a connection of the readers. They are in a channel and not in a sqlitex.Pool: that one starts a
// goroutine for each loan, to interrupt it, which costs 5 µs and 5 allocations. Fan-out lends several times a batch.
func (f *File) Reading(ctx context.Context, use func(*driver.Conn) error) error {
	select {
	case conn := <-f.readers:
		defer func() { f.readers <- conn }()
		return use(conn)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ReadingAtOnce is Reading for several statements that see the file at one time.
func (f *File) ReadingAtOnce(ctx context.Context, use func(*driver.Conn) error) error {
	return f.Reading(ctx, func(conn *driver.Conn) error {
		if err := Each(conn, "BEGIN", nil, nil); err != nil {
			return err
		}
		err := use(conn)
		return errors.Join(err, Each(conn, "ROLLBACK", nil, nil)) // nothing was written
	})
}

// Chunk is how many rows one transaction of Chunks removes: others get their turn in between.
const Chunk = 1000

// Chunks repeats a removal of at most Chunk rows until it finds less.
func (f *File) Chunks(ctx context.Context, sql string, bind func(*driver.Stmt)) (removed int, err error) {
	for {
		n := 0
		if err := f.Write(ctx, func(w *Writer) error {
			if err := w.Do(sql, bind); err != nil {
				return err
			}
			n = w.Conn.Changes()
			return nil
		}); err != nil {
			return removed, err
		}
		if removed += n; n < Chunk {
			return removed, nil
		}
	}
}

// Write hands an operation to the writer and waits until it is durable: all of it or nothing. The context bounds only
// how long it waits to begin.
func (f *File) Write(ctx context.Context, run func(*Writer) error) error {
	f.begun.Add(1)
	defer f.ended.Add(1)
	return f.told(f.writer.write(ctx, false, run))
}

// WriteRepeatable is Write for an operation that may be run twice, the first time undone: it begins by forgetting what
// it noted outside of the file. The operations of the hot path are.
func (f *File) WriteRepeatable(ctx context.Context, run func(*Writer) error) error {
	return f.told(f.writer.write(ctx, true, run))
}

// Quiet counts the operations of Write that were begun, and reports whether all of them have ended: what is known of
// the file holds while the count stays, but for what WriteRepeatable does.
func (f *File) Quiet() (writes int64, quiet bool) {
	ended := f.ended.Load() // first: one that begins in between is counted as not ended
	writes = f.begun.Load()
	return writes, writes == ended
}

// Generation counts the commits of the writer: a reader can tell whether anything changed meanwhile.
func (f *File) Generation() int64 { return f.writer.generation.Load() }

// Log is where the engine writes its log.
func (f *File) Log() *slog.Logger { return f.log }
