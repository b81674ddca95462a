package crashtest_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/engine/sqlite/crashtest"
)

var (
	seeds = flag.Uint64("seeds", 40, "how many seeds TestTheEngineUnderFaults runs")
	first = flag.Uint64("first", 0, "its first seed")
)

// TestTheEngineUnderFaults drives the engine through operations of everybody who uses it, and breaks its disk at any
// call that changes something. Two oracles judge it. One is an engine with a healthy disk, which gets the operations
// that were done: after each fault every row of every table must be the same, so that what was acknowledged is there
// and what was not is there as a whole or not at all. The other is the ledger, in memory, which knows no engine: no
// event is lost, each is carried by one delivery of each receiver, and what was settled is not handed out again.
func TestTheEngineUnderFaults(t *testing.T) {
	seen := tried{counts: map[string]int{}}
	t.Run("seeds", func(t *testing.T) {
		for worker := range uint64(2) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed := *first + worker; seed < *first+*seeds; seed += 2 {
					t.Run(fmt.Sprint(seed), func(t *testing.T) { // each lets go of what it has: there may be many
						require.NoError(t, newWorld(t, seed, &seen, false).run(), "seed %d: go test "+
							"./shared/engine/sqlite/crashtest -run UnderFaults -first %d -seeds 1", seed, seed)
					})
				}
			})
		}
	})
	if *seeds >= 40 {
		for _, what := range []string{"killed", "power lost", "disk full", "disk failing", "in doubt and not done",
			"in doubt and done", "resumed", "sent", "died", "held", "windowed", "replayed",
			"pruned", "erased", "a person was erased", "fell back", "deferred", "moved up"} {
			require.NotZero(t, seen.counts[what], "the seeds do not try: %s", what)
		}
	}
	t.Log(seen.counts)
}

// TestAnEngineOnADiskThatLiesIsFound proves that the test above can fail.
func TestAnEngineOnADiskThatLiesIsFound(t *testing.T) {
	seen, found := tried{counts: map[string]int{}}, 0
	for seed := range uint64(12) {
		if newWorld(t, seed, &seen, true).run() != nil {
			found++
		}
	}
	require.Greater(t, found, 5)
}

// tried counts what was.
type tried struct {
	mu     sync.Mutex
	counts map[string]int
}

func (s *tried) see(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// operation is one, on whatever engine. What it returns is the same on two engines that hold the same.
type operation struct {
	name string
	run  func(db *sqlite.DB) (string, error)
	// several: it is several transactions, and may have been done in part. Then it is done again, and ends where it
	// would have ended.
	several bool
	// done notes what it returned in the ledger, on the engine with the faults.
	done func(out string)
}

// world is that of a seed.
type world struct {
	*testing.T
	seed       uint64
	r          *rand.Rand
	disk       *crashtest.Disk
	path, twin string
	subject    *sqlite.DB
	reference  *sqlite.DB
	now        time.Time
	seen       *tried
	trace      []string
	// doubtful is an operation that failed at a disk that fails: what it wrote may be there after a crash.
	doubtful *operation
	*ledger
}

// problem is what a world found: it is an error, so that a test can ask for one.
type problem struct{ error }

func newWorld(t *testing.T, seed uint64, seen *tried, lying bool) *world {
	w := &world{T: t, seed: seed, r: rand.New(rand.NewPCG(seed, 2020)), now: enginetest.At, seen: seen,
		ledger: newLedger()}
	disk, err := crashtest.New(crashtest.Dir(t), w.r)
	require.NoError(t, err)
	w.disk = disk
	t.Cleanup(disk.Close)
	w.path, w.twin = filepath.Join(disk.Dir(), "state.db"), filepath.Join(crashtest.Dir(t), "state.db")
	if lying {
		disk.Lie()
	}
	return w
}

func (w *world) fail(format string, args ...any) {
	panic(problem{fmt.Errorf("%s\nafter %s", fmt.Sprintf(format, args...), strings.Join(w.trace, " | "))})
}

func (w *world) check(err error, what string) {
	if err != nil {
		w.fail("%s: %v", what, err)
	}
}

// run returns what is wrong.
func (w *world) run() (err error) {
	defer func() {
		if w.subject != nil {
			_ = w.subject.Close()
		}
		if w.reference != nil {
			_ = w.reference.Close()
		}
		w.disk.Close()
		switch p := recover().(type) {
		case nil:
		case problem:
			err = p
		default:
			panic(p)
		}
	}()
	w.begin()
	for range 60 + w.r.IntN(60) {
		if w.r.IntN(12) == 0 {
			w.breakDisk()
		}
		w.now = w.now.Add(time.Duration(w.r.IntN(90)) * time.Second)
		w.step(w.draw())
		if w.r.IntN(4) == 0 && w.disk.Broken() {
			w.repair()
		}
	}
	w.disk.Stop(crashtest.PowerLoss)
	w.recover(nil)
	w.drain()
	w.same("at the end")
	return nil
}

// fresh is a state file that holds nothing yet: most seeds begin with a copy, which is made sooner than a new one.
var fresh = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "tocsin-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "state.db")
	db, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// begin opens the engines; a start of a new file can break as well.
func (w *world) begin() {
	empty, err := fresh()
	w.check(err, "make a file")
	w.check(os.WriteFile(w.twin, empty, 0o600), "copy a file")
	if w.seed%4 == 0 {
		w.breakDisk()
	} else {
		w.check(os.WriteFile(w.path, empty, 0o600), "copy a file")
	}
	if w.subject, err = sqlite.Open(w.Context(), w.path, w.options(w.subject)); err != nil {
		if !w.disk.Broken() {
			w.check(err, "open a new file")
		}
		w.disk.Stop(crashtest.PowerLoss)
		w.check(w.disk.Start(), "restart")
		w.subject, err = sqlite.Open(w.Context(), w.path, w.options(w.subject))
		w.check(err, "open what a broken start left")
	}
	w.reopenReference()
}

// options are those of an engine.
func (w *world) options(db *sqlite.DB) sqlite.Options {
	o := sqlite.Options{LeastBlock: 1 + int(w.seed%3), // some fan-outs make blocks, rows of their own, or both
		Share: []int{1, 2, 3, 0}[w.seed/3%4]} // most tenants soon have their share in the line
	if db == w.subject {
		o.RewriteLog = w.disk.Rewrite
	}
	return o
}

func (w *world) hold() {
	w.subject.Deliveries().SetHolder(w.ledger)
	if w.reference != nil {
		w.reference.Deliveries().SetHolder(w.ledger)
	}
}

// breakDisk plans a fault.
func (w *world) breakDisk() {
	if w.disk.Broken() {
		return
	}
	f := []crashtest.Fault{crashtest.Kill, crashtest.PowerLoss, crashtest.PowerLoss, crashtest.Full,
		crashtest.Failing}[w.r.IntN(5)]
	w.disk.Break(1+w.r.IntN(12), f)
	w.trace = append(w.trace, fmt.Sprintf("FAULT %d", f))
}

func (w *world) repair() {
	w.disk.Repair()
	w.trace = append(w.trace, "REPAIR")
	w.same("after a disk was repaired")
}

// names are those of faults.
var names = map[crashtest.Fault]string{crashtest.Kill: "killed", crashtest.PowerLoss: "power lost",
	crashtest.Full: "disk full", crashtest.Failing: "disk failing"}

// step does an operation.
func (w *world) step(op operation) {
	w.trace = append(w.trace, op.name)
	calls, broken := w.disk.Calls(), w.disk.Broken()
	out, err := op.run(w.subject)
	switch {
	case w.disk.Over():
		w.seen.see(names[w.disk.Fault()])
		w.recover(&op)
	case w.disk.Broken() && err != nil && !domain(err):
		w.seen.see(names[w.disk.Fault()])
		switch {
		case op.several && w.doubtful != nil:
			w.disk.Stop(crashtest.Kill)
			w.recover(&op)
		case op.several:
			w.disk.Repair()
			w.resume(op)
		case w.disk.Fault() == crashtest.Failing && !broken: // the others wrote nothing
			w.doubtful = &op
		}
	default:
		if w.disk.Calls() > calls {
			w.doubtful = nil
		}
		w.agree(op, out, err)
		if op.done != nil && err == nil {
			op.done(out)
		}
	}
}

// agree does an operation that was done on the reference too, and compares what came of it.
func (w *world) agree(op operation, out string, err error) {
	want, wantErr := op.run(w.reference)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		w.fail("%s: %v, and on a healthy disk %v", op.name, err, wantErr)
	}
	if out != want {
		w.fail("%s: %s\nand on a healthy disk\n%s", op.name, out, want)
	}
}

// resume does again what is several transactions, on both.
func (w *world) resume(op operation) {
	w.seen.see("resumed")
	_, err := op.run(w.subject)
	w.check(err, op.name+" again")
	_, err = op.run(w.reference)
	w.check(err, op.name+" on the reference")
	w.same("after " + op.name + " was done again")
}

// recover is the next start after a crash, within which something can break as well. The operation was under way.
func (w *world) recover(op *operation) {
	for again := true; again; {
		_ = w.subject.Close() // the process is over
		w.check(w.disk.Start(), "restart")
		if w.r.IntN(5) == 0 { // within the start, or soon after it
			w.disk.Break(1+w.r.IntN(6), []crashtest.Fault{crashtest.Kill, crashtest.PowerLoss}[w.r.IntN(2)])
		}
		db, err := sqlite.Open(w.Context(), w.path, w.options(w.subject))
		if err == nil {
			w.subject = db
		}
		if again = w.disk.Over(); again {
			w.seen.see("fault within recovery")
			w.trace = append(w.trace, "FAULT WITHIN RECOVERY")
			continue
		}
		w.check(err, "open what a crash left")
	}
	w.trace = append(w.trace, "RESTART")
	w.settleDoubts(op)
	w.hold()
	w.restarted()
}

// settleDoubts finds out whether what was under way was done, and what failed before it.
func (w *world) settleDoubts(op *operation) {
	doubts, err := w.doubts(op)
	w.check(err, "keep the reference")
	if op != nil && op.several {
		w.doubtful = nil
		w.seen.see("resumed")
		w.disk.Repair()
		w.subject.Deliveries().SetHolder(w.ledger)
		_, err := op.run(w.subject)
		w.check(err, op.name+" again")
	}
	got := w.dump(w.path)
	for _, d := range doubts {
		w.check(os.WriteFile(w.twin, d.file, 0o600), "restore the reference")
		w.reopenReference()
		if op != nil && op.several {
			_, _ = op.run(w.reference) // where it fails the reference stays as it was, and is not the same
		}
		if w.dump(w.twin) == got {
			w.decided(d.done)
			return
		}
		w.check(w.reference.Close(), "close the reference")
	}
	w.fail("the state is neither that before what was under way nor that after it:\n%s", w.differences())
}

// doubt is a state that a crash may have left: the file of the reference, and what was done to it of what is in doubt.
type doubt struct {
	file []byte
	done []*operation
}

// doubts closes the reference and returns what a crash may have left. What is one transaction is done on the reference
// while that remembers what the process with the faults remembered when it did it.
func (w *world) doubts(op *operation) ([]doubt, error) {
	whole := op
	if op == nil || op.several {
		whole = w.doubtful
	}
	if whole == nil {
		err := w.reference.Close()
		file, e := os.ReadFile(w.twin)
		return []doubt{{file: file}}, errors.Join(err, e)
	}
	before, err := w.copyOfReference()
	if err != nil {
		return nil, err
	}
	_, _ = whole.run(w.reference) // where it fails the reference stays as it was
	if err := w.reference.Close(); err != nil {
		return nil, err
	}
	after, err := os.ReadFile(w.twin)
	out := []doubt{{file: before}, {file: after, done: []*operation{whole}}}
	if err != nil || w.doubtful == nil || whole == w.doubtful {
		return out, err
	}
	// The next operation writes over what the one in doubt left behind. Where its first write got lost that is there.
	if err := os.WriteFile(w.twin, before, 0o600); err != nil {
		return nil, err
	}
	w.reopenReference()
	_, _ = w.doubtful.run(w.reference)
	if err := w.reference.Close(); err != nil {
		return nil, err
	}
	after, err = os.ReadFile(w.twin)
	return append(out, doubt{file: after, done: []*operation{w.doubtful}}), err
}

func (w *world) copyOfReference() ([]byte, error) {
	s, err := sqlite.Look(w.twin)
	if err != nil {
		return nil, err
	}
	path := w.twin + ".copy"
	defer os.Remove(path)
	if err := errors.Join(s.CopyTo(w.Context(), path), s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func (w *world) reopenReference() {
	var err error
	w.reference, err = sqlite.Open(w.Context(), w.twin, w.options(nil))
	w.check(err, "open the reference")
	w.hold()
}

// decided notes what was found to be done.
func (w *world) decided(done []*operation) {
	w.doubtful = nil
	if len(done) == 0 {
		w.seen.see("in doubt and not done")
	}
	for _, one := range done {
		if one == nil || one.several {
			continue
		}
		if w.seen.see("in doubt and done"); one.done != nil {
			one.done("")
		}
	}
}

// domain reports whether an error is an answer of the engine, which its disk has nothing to do with.
func domain(err error) bool {
	for _, word := range []string{"disk I/O error", "full", "readonly", "unable to open"} {
		if strings.Contains(err.Error(), word) {
			return false
		}
	}
	return !errors.Is(err, context.Canceled)
}

// same compares every row of both.
func (w *world) same(when string) {
	if w.dump(w.path) != w.dump(w.twin) {
		w.fail("%s the state is not what was acknowledged:\n%s", when, w.differences())
	}
}

// dump is a digest of every row, of a file that is whole.
func (w *world) dump(path string) (digest [sha256.Size]byte) {
	h := sha256.New()
	w.rows(path, func(table, row string) { fmt.Fprintln(h, table, row) })
	h.Sum(digest[:0])
	return digest
}

func (w *world) rows(path string, row func(table, row string)) {
	conn, err := driver.OpenConn(path, driver.OpenReadWrite)
	w.check(err, "look into the file")
	defer conn.Close()
	var tables []string
	each := func(sql string, visit func(s *driver.Stmt)) {
		w.check(sqlitex.ExecuteTransient(conn, sql, &sqlitex.ExecOptions{ResultFunc: func(s *driver.Stmt) error {
			visit(s)
			return nil
		}}), sql)
	}
	each("PRAGMA integrity_check", func(s *driver.Stmt) {
		if s.ColumnText(0) != "ok" {
			w.fail("the file is damaged: %s", s.ColumnText(0))
		}
	})
	each("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
		func(s *driver.Stmt) { tables = append(tables, s.ColumnText(0)) })
	for _, table := range tables {
		each("SELECT * FROM "+table, func(s *driver.Stmt) {
			var b strings.Builder
			for n := range s.ColumnCount() {
				value := make([]byte, s.ColumnLen(n))
				s.ColumnBytes(n, value)
				fmt.Fprintf(&b, "%d %q ", s.ColumnType(n), value)
			}
			row(table, b.String())
		})
	}
}

func (w *world) differences() string {
	counts := map[string]int{}
	w.rows(w.path, func(table, row string) { counts[table+" "+row]++ })
	w.rows(w.twin, func(table, row string) { counts[table+" "+row]-- })
	var b strings.Builder
	for row, n := range counts {
		if n != 0 {
			fmt.Fprintf(&b, "%+d %.300s\n", n, row)
		}
	}
	return b.String()
}

// said is what operations return.
func said(v any, err error) (string, error) {
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(v)
	return string(body), err
}
