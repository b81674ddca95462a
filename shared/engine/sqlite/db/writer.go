package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/metrics"
	"tocsin/shared/ready"
)

// groupLimit is how many operations share one transaction.
const groupLimit = 256

// A commit costs as much as some hundred rows. While several writers are about, the writer waits a moment for more of
// them to come along; a lone one never waits.
const (
	busyGroup = 3 // operations of the last group
	groupWait = time.Millisecond
)

// errClosed answers a write after Close.
var errClosed = errors.New("the state file is closed")

// Writer is the one goroutine that writes, and its connection. What an operation is given is for its time alone.
type Writer struct {
	Conn *driver.Conn
	ops  chan *operation
	done chan struct{}
	once sync.Once
	quit chan struct{}

	// reload reads anew what is remembered of the file, after writes were undone; see File.Begin.
	reload func(*Writer) error
	// committed is what to do once the transaction is committed: see OnCommit.
	committed []func()
	// generation counts commits, so that a reader can tell whether anything changed meanwhile.
	generation atomic.Int64

	counted sync.Mutex
	counts  Counts
}

// Counts are what the writer has done since the start.
type Counts struct {
	Took, Group metrics.Distribution // of a transaction: seconds, and its operations
	Failed      int                  // transactions that were undone as a whole
}

// broken reports whether an error is the disk's, and not that of what an operation wanted.
func broken(err error) bool {
	switch driver.ErrCode(err).ToPrimary() {
	case driver.ResultFull, driver.ResultIOErr, driver.ResultReadOnly, driver.ResultCorrupt, driver.ResultNoMem:
		return true
	}
	return false
}

// told says of a write that found no room what to do: SQLite's own words tell nobody.
func (f *File) told(err error) error {
	if err == nil || errors.Is(err, ready.ErrNoRoom) {
		return err
	}
	if code := driver.ErrCode(err); code.ToPrimary() != driver.ResultFull && code != driver.ResultIOErrSHMSize {
		return err // SHMSIZE: no room for the file beside the log (tocsin.db-shm), which an opening makes
	}
	return fmt.Errorf("%w (%s): make room on its disk, or move the state to a larger one: %w", ready.ErrNoRoom, f.path,
		err)
}

// note counts one transaction.
func (w *Writer) note(took time.Duration, operations int, failed bool) {
	w.counted.Lock()
	defer w.counted.Unlock()
	w.counts.Took.Observe(took.Seconds())
	w.counts.Group.Observe(float64(operations))
	if failed {
		w.counts.Failed++
	}
}

// operation is a write: all of it or nothing.
type operation struct {
	run        func(*Writer) error
	repeatable bool // see File.WriteRepeatable
	done       chan error
}

func newWriter(conn *driver.Conn) *Writer {
	return &Writer{Conn: conn, ops: make(chan *operation, groupLimit), done: make(chan struct{}), quit: make(
		chan struct{}),
		reload: func(*Writer) error { return nil }}
}

// write hands an operation over and waits until it is durable. The context bounds only how long it waits to begin: an
// operation that was begun is finished, and its outcome told.
func (w *Writer) write(ctx context.Context, repeatable bool, run func(*Writer) error) error {
	op := &operation{run: run, repeatable: repeatable, done: make(chan error, 1)}
	select {
	case <-w.quit:
		return errClosed
	default:
	}
	select {
	case w.ops <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	select {
	case err := <-op.done:
		return err
	case <-w.done:
		select {
		case err := <-op.done:
			return err
		default:
			return errClosed
		}
	}
}

func (w *Writer) stop() {
	w.once.Do(func() { close(w.quit) })
	<-w.done
}

func (w *Writer) run() {
	defer close(w.done)
	group := make([]*operation, 0, groupLimit)
	busy := false
	for {
		group = group[:0]
		select {
		case op := <-w.ops:
			group = append(group, op)
		case <-w.quit:
			if len(w.ops) == 0 {
				return
			}
		}
		if busy {
			time.Sleep(groupWait)
		}
		for more := true; more && len(group) < groupLimit; {
			select {
			case op := <-w.ops:
				group = append(group, op)
			default:
				more = false
			}
		}
		busy = len(group) >= busyGroup
		w.commit(group)
	}
}

// commit runs a group in one transaction and tells each operation its outcome. An operation that fails is undone
// alone; when the transaction as a whole fails, every operation of it has.
func (w *Writer) commit(group []*operation) {
	if len(group) == 0 {
		return
	}
	outcome := make([]error, len(group))
	begin := time.Now()
	err := w.together(group, outcome)
	w.note(time.Since(begin), len(group), err != nil && (len(group) > 1 || outcome[0] == nil || broken(err)))
	if err != nil {
		if !w.Conn.AutocommitEnabled() {
			_ = w.Exec("ROLLBACK") // what failed is told; the transaction is void in any case
		}
		if e := w.reload(w); e != nil {
			err = errors.Join(err, e)
		}
	}
	if err == nil {
		for _, do := range w.committed {
			do()
		}
	}
	clear(w.committed)
	w.generation.Add(1)
	for i, op := range group {
		if err != nil && outcome[i] == nil {
			outcome[i] = err
		}
		op.done <- outcome[i]
	}
}

// together runs a group. For a savepoint SQLite copies each page that its operation changes, of which a group of hot
// operations changes the same few: a group of repeatable ones does without, until one of them fails.
func (w *Writer) together(group []*operation, outcome []error) error {
	for _, op := range group {
		if !op.repeatable {
			return w.transaction(group, outcome, true)
		}
	}
	err := w.transaction(group, outcome, false)
	failed := slices.ContainsFunc(outcome, func(err error) bool { return err != nil }) // else the commit did
	if !failed || len(group) == 1 || w.Conn.AutocommitEnabled() {
		return err // SQLite gave up the whole transaction: a full disk
	}
	if e := w.Exec("ROLLBACK"); e != nil {
		return errors.Join(err, e)
	}
	if err := w.reload(w); err != nil {
		return err
	}
	clear(outcome)
	return w.transaction(group, outcome, true)
}

// transaction runs a group in one transaction. With savepoints an operation that fails is undone alone; without, or
// when it is alone, its error ends the transaction.
func (w *Writer) transaction(group []*operation, outcome []error, savepoints bool) error {
	if err := w.Exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	w.committed = w.committed[:0]
	if len(group) == 1 || !savepoints {
		for i, op := range group {
			if outcome[i] = op.run(w); outcome[i] != nil {
				return outcome[i]
			}
		}
		return w.end()
	}
	for i, op := range group {
		if err := w.Exec("SAVEPOINT op"); err != nil {
			return fmt.Errorf("savepoint: %w", err)
		}
		earlier := len(w.committed)
		if outcome[i] = op.run(w); outcome[i] != nil {
			if w.Conn.AutocommitEnabled() {
				return outcome[i] // SQLite gave up the whole transaction: a full disk
			}
			if err := w.Exec("ROLLBACK TO op"); err != nil {
				return fmt.Errorf("roll back: %w", err)
			}
			w.committed = w.committed[:earlier]
			if err := w.reload(w); err != nil {
				return err
			}
		}
		if err := w.Exec("RELEASE op"); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	return w.end()
}

func (w *Writer) end() error {
	if err := w.Exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// OnCommit has the writer do something once the transaction of an operation is committed, before anybody is told of it:
// in the order of the operations, and not at all for what is undone.
func (w *Writer) OnCommit(do func()) { w.committed = append(w.committed, do) }

// Exec runs a statement without parameters.
func (w *Writer) Exec(sql string) error { return Each(w.Conn, sql, nil, nil) }

// Do runs one prepared statement.
func (w *Writer) Do(sql string, bind func(*driver.Stmt)) error { return Each(w.Conn, sql, bind, nil) }
