// Command drivers measures what a file costs that events are appended to in groups, each group durable before the next:
// SQLite by three drivers, as the state file has it (write-ahead log, synchronous=FULL), and a plain log of records.
// With -tags cgo_driver it has SQLite in C too, which needs a compiler.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"
	"time"

	ncruces "github.com/ncruces/go-sqlite3"
	zombiezen "zombiezen.com/go/sqlite"
)

// event is a row: as long as those of the benchmarks.
var event = bytes.Repeat([]byte("x"), 232)

const (
	table = "CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, " +
		"detail BLOB NOT NULL, trace TEXT)"
	insert = "INSERT INTO events (seq, at, kind, detail, trace) VALUES (?, ?, ?, ?, ?)"
	kind   = "new_hits"
)

var pragmas = []string{"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"}

// file appends the events of a group, from a number on.
type file interface {
	append(first, count int64) error
	close() error
}

var opens = map[string]func(path string) (file, error){"zombiezen": openZombiezen, "ncruces": openNcruces, "log": openLog}

func main() {
	rows := flag.Int64("rows", 200_000, "events")
	group := flag.Int64("group", 50, "events of a transaction")
	rounds := flag.Int("rounds", 3, "by turns; the smallest counts")
	flag.Parse()
	best := map[string]time.Duration{}
	for range *rounds {
		for name, open := range opens {
			took, err := measure(open, *rows, *group)
			if err != nil {
				fmt.Fprintln(os.Stderr, name, err)
				os.Exit(1)
			}
			if was, ok := best[name]; !ok || took < was {
				best[name] = took
			}
		}
	}
	for name, took := range best {
		fmt.Printf("%-10s %5.2f µs of CPU an event\n", name, float64(took.Nanoseconds())/1e3/float64(*rows))
	}
}

// measure is the CPU that the process took.
func measure(open func(string) (file, error), rows, group int64) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "drivers")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	f, err := open(filepath.Join(dir, "file"))
	if err != nil {
		return 0, err
	}
	before := used()
	for n := int64(1); n <= rows; n += group {
		if err := f.append(n, group); err != nil {
			return 0, err
		}
	}
	return used() - before, f.close()
}

func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type byZombiezen struct {
	*zombiezen.Conn
	begin, row, commit *zombiezen.Stmt
}

func openZombiezen(path string) (file, error) {
	c, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	if err != nil {
		return nil, err
	}
	for _, sql := range append(pragmas, table) {
		if _, err := c.Prep(sql).Step(); err != nil {
			return nil, err
		}
		if err := c.Prep(sql).Reset(); err != nil {
			return nil, err
		}
	}
	return byZombiezen{c, c.Prep("BEGIN IMMEDIATE"), c.Prep(insert), c.Prep("COMMIT")}, nil
}

func (f byZombiezen) append(first, count int64) error {
	if err := step(f.begin); err != nil {
		return err
	}
	for n := first; n < first+count; n++ {
		f.row.BindInt64(1, n)
		f.row.BindInt64(2, time.Now().UnixNano())
		f.row.BindText(3, kind)
		f.row.BindBytes(4, event)
		f.row.BindNull(5)
		if err := step(f.row); err != nil {
			return err
		}
	}
	return step(f.commit)
}

func step(s *zombiezen.Stmt) error {
	if _, err := s.Step(); err != nil {
		return err
	}
	return s.Reset()
}

func (f byZombiezen) close() error { return f.Close() }

type byNcruces struct {
	*ncruces.Conn
	row *ncruces.Stmt
}

func openNcruces(path string) (file, error) {
	c, err := ncruces.Open("file:" + path)
	if err != nil {
		return nil, err
	}
	for _, sql := range append(pragmas, table) {
		if err := c.Exec(sql); err != nil {
			return nil, err
		}
	}
	row, _, err := c.Prepare(insert)
	return byNcruces{c, row}, err
}

func (f byNcruces) append(first, count int64) error {
	if err := f.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for n := first; n < first+count; n++ {
		for _, err := range []error{f.row.BindInt64(1, n), f.row.BindInt64(2, time.Now().UnixNano()),
			f.row.BindText(3, kind), f.row.BindBlob(4, event), f.row.BindNull(5), f.row.Exec()} {
			if err != nil {
				return err
			}
		}
	}
	return f.Exec("COMMIT")
}

func (f byNcruces) close() error { return errors.Join(f.row.Close(), f.Close()) }

// byLog is a record after the other, each with its length and a checksum, and one sync for a group.
type byLog struct {
	*os.File
	buffer []byte
}

func openLog(path string) (file, error) {
	f, err := os.Create(path)
	return &byLog{File: f}, err
}

func (f *byLog) append(first, count int64) error {
	f.buffer = f.buffer[:0]
	for n := first; n < first+count; n++ {
		from := len(f.buffer)
		f.buffer = binary.LittleEndian.AppendUint64(f.buffer, 0)
		f.buffer = binary.AppendVarint(f.buffer, n)
		f.buffer = binary.AppendVarint(f.buffer, time.Now().UnixNano())
		f.buffer = append(append(f.buffer, kind...), 0)
		f.buffer = append(f.buffer, event...)
		record := f.buffer[from+8:]
		binary.LittleEndian.PutUint32(f.buffer[from:], uint32(len(record)))
		binary.LittleEndian.PutUint32(f.buffer[from+4:], crc32.ChecksumIEEE(record))
	}
	if _, err := f.Write(f.buffer); err != nil {
		return err
	}
	return f.Sync()
}

func (f *byLog) close() error { return f.File.Close() }
