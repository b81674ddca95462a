package crashtest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Fault is what happens at a call.
type Fault int

// The faults.
const (
	Kill      Fault = iota // the process ends, perhaps within a write; what it wrote is there
	PowerLoss              // so does the machine: of what was not synced any part may be there
	Full                   // there is no more room, until Repair
	Failing                // each call fails, until Repair; of what was not synced any part may be lost
)

// sector is what a disk writes as a whole, in bytes.
const sector = 512

// Disk is one folder.
type Disk struct {
	dir   string
	r     *rand.Rand
	calls atomic.Int64

	mu    sync.Mutex
	files map[string]*file
	left  int // calls until the fault; 0 = there is none
	fault Fault
	dead  bool // the process is over
	full  bool
	fails bool
	lying bool
}

// file is what a name stands for.
type file struct {
	there   bool // while the machine runs
	linked  bool // the name stands for it on the disk
	before  []byte
	named   bool // it stood for before until then
	durable []byte
	pending []change // since it was synced
	size    int64    // while the machine runs
	// folder: the next sync is of the folder too, as SQLite's first sync of a journal or log that it has opened is.
	folder bool
}

// change is a write, or with no data a truncation.
type change struct {
	at   int64
	data []byte
}

var (
	disksMu sync.Mutex
	disks   = map[string]*Disk{} // by folder
)

// New makes a disk of a folder. Its own randomness decides what is lost. Close it at the end.
func New(dir string, r *rand.Rand) (*Disk, error) {
	if err := register(); err != nil {
		return nil, err
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("make a disk for tests: %w", err)
	}
	d := &Disk{dir: dir, r: r, files: map[string]*file{}}
	disksMu.Lock()
	defer disksMu.Unlock()
	if disks[dir] != nil {
		return nil, fmt.Errorf("make a disk for tests: there is one of %s", dir)
	}
	disks[dir] = d
	return d, nil
}

// Dir is a folder for a disk, in memory where there is room for it there: what is proved does not rest on it.
func Dir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tocsin-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Close ends the disk; its folder is a folder again.
func (d *Disk) Close() {
	disksMu.Lock()
	defer disksMu.Unlock()
	delete(disks, d.dir)
}

// of is the disk of a file, nil = it is on none.
func of(path string) *Disk {
	disksMu.Lock()
	defer disksMu.Unlock()
	return disks[filepath.Dir(path)]
}

// Calls is how many calls that change something there were.
func (d *Disk) Calls() int { return int(d.calls.Load()) }

// Break makes the nth call from now that changes something meet a fault.
func (d *Disk) Break(n int, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.fault = n, f
}

// Broken reports whether a fault has happened that is not over.
func (d *Disk) Broken() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead || d.full || d.fails
}

// Over reports whether the process is: Kill or PowerLoss has happened.
func (d *Disk) Over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// Fault is the last one that was planned.
func (d *Disk) Fault() Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault
}

// Dir is its folder.
func (d *Disk) Dir() string { return d.dir }

// Repair ends a fault of Full or Failing, and takes back one that has not happened.
func (d *Disk) Repair() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.fails, d.left = false, false, 0
}

// Lie makes syncs do nothing from now on, and say that they did.
func (d *Disk) Lie() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lying = true
}

// Stop ends the process now: what it still asks fails.
func (d *Disk) Stop(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dead {
		d.fault, d.dead = f, true
	}
}

// Start is the next start of process or machine, when nothing has a file of the folder open any more: its files are
// what the fault left of them.
func (d *Disk) Start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead && d.fault == PowerLoss {
		for _, path := range slices.Sorted(maps.Keys(d.files)) { // in one order, for the sake of the randomness
			if err := d.restore(path, d.files[path]); err != nil {
				return fmt.Errorf("restart the disk %s: %w", d.dir, err)
			}
		}
		// The index of a log is in memory that is shared; it is gone with the machine.
		old, err := filepath.Glob(filepath.Join(d.dir, "*-shm"))
		if err != nil {
			return err
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		d.files = map[string]*file{}
	}
	d.left, d.dead, d.full, d.fails = 0, false, false, false
	return nil
}

func (d *Disk) restore(path string, f *file) error {
	content, there := d.remains(f)
	if !there {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return os.WriteFile(path, content, 0o600)
}

// remains is what a name stands for after the power failed.
func (d *Disk) remains(f *file) (content []byte, there bool) {
	if f.there && f.linked || f.there && d.r.IntN(2) == 0 {
		return d.torn(f), true
	}
	if f.there || !f.linked || d.r.IntN(2) == 0 { // a name that was not made or not removed durably
		return f.before, f.named
	}
	return nil, false
}

// torn is a file with any part of what was not synced.
func (d *Disk) torn(f *file) []byte {
	content := append([]byte(nil), f.durable...)
	for _, c := range f.pending {
		switch d.r.IntN(3) {
		case 0: // lost
		case 1:
			content = apply(content, c)
		default:
			for _, part := range sectors(c) {
				if d.r.IntN(2) == 0 {
					content = apply(content, part)
				}
			}
		}
	}
	return content
}

// sectors cuts a write where a disk may cut it.
func sectors(c change) (out []change) {
	for len(c.data) > 0 {
		n := min(len(c.data), sector-int(c.at%sector))
		out = append(out, change{c.at, c.data[:n]})
		c = change{c.at + int64(n), c.data[n:]}
	}
	return out
}

func apply(content []byte, c change) []byte {
	end := c.at + int64(len(c.data))
	if c.data == nil && c.at < int64(len(content)) {
		return content[:c.at]
	}
	if grow := end - int64(len(content)); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	copy(content[c.at:], c.data)
	return content
}

// What the files of SQLite tell it.

// opened notes that a file was opened, which may have made it.
func (d *Disk) opened(path string, existed bool) (*file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[path]
	switch {
	case f == nil && existed:
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f = &file{there: true, linked: true, durable: content, size: int64(len(content))}
	case f == nil:
		f = &file{there: true}
	case !f.there:
		content, there := d.remains(f)
		f = &file{there: true, before: content, named: there}
	}
	f.folder = strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-journal")
	d.files[path] = f
	return f, nil
}

// outcome is what becomes of a call.
type outcome int

const (
	fine    outcome = iota
	refused         // it does nothing, and fails
	partly          // it does a part, and fails
	noRoom          // it does a part, and says that there is no room
)

// meet counts a call that changes something and says what becomes of it.
func (d *Disk) meet(grows bool) outcome {
	d.calls.Add(1)
	if d.left > 0 {
		if d.left--; d.left == 0 {
			switch d.fault {
			case Full:
				d.full = true
			case Failing:
				d.fails = true
			default:
				d.dead = true
				return partly
			}
		}
	}
	switch {
	case d.dead, d.fails:
		return refused
	case d.full && grows:
		return noRoom
	}
	return fine
}

// write tells how much of a write is to be done, and what to answer.
func (d *Disk) write(f *file, at int64, data []byte) (n int, o outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	end := at + int64(len(data))
	o = d.meet(end > f.size)
	switch n = len(data); o {
	case fine:
	case refused:
		return 0, o
	case noRoom:
		if n = int(max(0, min(f.size-at, int64(n)))); n == 0 && len(data) > sector {
			n = d.r.IntN(len(data)/sector) * sector
		}
	case partly:
		if n = d.r.IntN(len(data) + 1); d.fault == PowerLoss {
			n = len(data) // torn is what decides
		}
	}
	if n > 0 {
		f.pending = append(f.pending, change{at, append([]byte{}, data[:n]...)})
		f.size = max(f.size, at+int64(n))
	}
	return n, o
}

// Rewrite writes a file anew as it is, and syncs it: db.Options.RewriteLog.
func (d *Disk) Rewrite(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := d.opened(path, true)
	if err != nil {
		return err
	}
	if _, o := d.write(f, 0, content); o != fine {
		return fmt.Errorf("write %s: the disk is broken", path)
	}
	if d.sync(f) != fine {
		return fmt.Errorf("sync %s: the disk is broken", path)
	}
	return nil
}

// link makes durable what its name stands for.
func (f *file) link() { f.linked, f.before, f.named = true, nil, false }

func (d *Disk) truncate(f *file, size int64) outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.meet(size > f.size)
	if o == fine || o == partly {
		f.pending = append(f.pending, change{at: size})
		f.size = size
	}
	return o
}

func (d *Disk) sync(f *file) outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.meet(false)
	switch {
	case d.lying:
	case o == fine:
		for _, c := range f.pending {
			f.durable = apply(f.durable, c)
		}
		f.pending = nil
		f.link()
		if f.folder {
			f.folder = false
			for _, other := range d.files {
				other.link()
			}
		}
	case d.fails:
		// A kernel gives up what it could not write, and the next sync says nothing of it.
		f.durable, f.pending = d.torn(f), nil
	}
	return o
}

func (d *Disk) remove(path string, durably bool) outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.meet(false)
	f := d.files[path]
	if f == nil || o == refused {
		return o
	}
	if f.linked {
		f.before, f.named = d.torn(f), true
	}
	f.there, f.linked, f.durable, f.pending, f.size = false, true, nil, nil, 0
	if durably && o == fine {
		f.link()
	}
	return o
}
