package db

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const (
	// incremental is SQLite's number for auto_vacuum = INCREMENTAL.
	incremental = 2
	// convertLimit is the size up to which a file of an older release is rewritten at the start so that it can shrink
	// (some seconds for this size, and as much room on the disk again). A larger one is left until `tocsin compact`.
	convertLimit = 256 << 20 // bytes
	// clearLimit is the size up to which the file is rewritten at the end of an erasure: nothing else is written
	// meanwhile (about a second for this size).
	clearLimit = 64 << 20 // bytes
	// shrinkStep is how many pages of 4 KiB one write gives back: some milliseconds, others get their turn in between.
	shrinkStep = 200
	// emptyingLimit is how long the log's readers are waited for when it is to be emptied: nobody writes meanwhile.
	emptyingLimit = time.Second
	// shrinkKeep is how many free pages stay for what comes in next (1 MiB).
	shrinkKeep = 256
)

// shrinkable makes a file give free pages back. Only a file without tables can be told so; any other is rewritten once,
// in one transaction: it is the old one or the new one, whatever happens meanwhile.
func (f *File) shrinkable(conn *driver.Conn, size, limit int64) error {
	mode, err := Number(conn, "PRAGMA auto_vacuum")
	if err != nil || mode == incremental {
		return err
	}
	if size > limit {
		f.log.Warn("the state file does not shrink when old records are removed: it is of an older release and too "+
			"large to be rewritten at a start; stop and run `tocsin compact` once",
			"path", f.path, "bytes", size)
		return nil
	}
	if size > 0 {
		f.log.Info("the state file is rewritten once, so that it can shrink from now on", "path", f.path, "bytes",
			size)
	}
	begin := time.Now()
	if err := f.vacuum(conn); err != nil {
		return fmt.Errorf("rewrite the state file %s so that it can shrink: %w", f.path, err)
	}
	// Who reads an older state, such as a backup, keeps the log; it is emptied after that by itself.
	if err := emptyLog(conn); err != nil && !errors.Is(err, errRead) {
		return fmt.Errorf("rewrite the state file %s so that it can shrink: %w", f.path, err)
	}
	if size > 0 {
		f.log.Info("the state file is rewritten", "took", time.Since(begin).String())
	}
	return nil
}

// vacuum makes the file anew without free pages, so that it can shrink from now on. What is new is in its log. It is
// made in a file without a name beside the state file, which is SQLite's: the folder for temporary files that others
// have can be memory (tmpfs), or have less room.
func (f *File) vacuum(conn *driver.Conn) error {
	if err := f.room(conn); err != nil {
		return err
	}
	folder, err := filepath.Abs(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	run := func(all ...string) error {
		for _, sql := range all {
			if err := sqlitex.ExecuteTransient(conn, sql, nil); err != nil {
				return err
			}
		}
		return nil
	}
	err = run("PRAGMA temp_store_directory = '"+strings.ReplaceAll(folder, "'", "''")+"'", "PRAGMA temp_store = FILE",
		fmt.Sprintf("PRAGMA auto_vacuum = %d", incremental), "VACUUM")
	conn.SetInterrupt(nil) // of Compact
	return errors.Join(err, run("PRAGMA temp_store = MEMORY", "PRAGMA temp_store_directory = ''"))
}

// room refuses where the disk has not enough for a rewriting: what is kept is written twice, into a file of its own and
// into the log, before the file gets smaller.
func (f *File) room(conn *driver.Conn) error {
	var of [3]int64
	for n, what := range []string{"page_count", "freelist_count", "page_size"} {
		var err error
		if of[n], err = Number(conn, "PRAGMA "+what); err != nil {
			return err
		}
	}
	need := uint64(of[0]-of[1]) * uint64(of[2]) * 2
	need += need / 100 // the log has 24 bytes more for each page of 4 KiB
	free, known := f.diskFree(filepath.Dir(f.path))
	if known && free < need {
		return fmt.Errorf("nothing was changed: it needs up to %d MB more on its disk for a while, and %d MB are free "+
			"there: make room first", need/1e6+1, free/1e6)
	}
	return nil
}

// errRead: a reader of an older state keeps the log.
var errRead = errors.New("another process reads it as it was before, such as `tocsin backup` or `tocsin doctor`")

// emptyLog brings the log into the file. Error: errRead.
func emptyLog(conn *driver.Conn) error {
	conn.SetBusyTimeout(emptyingLimit)
	defer conn.SetBlockOnBusy()
	kept, err := Number(conn, "PRAGMA wal_checkpoint(TRUNCATE)") // 1: the wait was in vain
	if kept == 1 || driver.ErrCode(err).ToPrimary() == driver.ResultBusy {
		return errRead
	}
	return err
}

// Compact rewrites the file without its free pages, whatever its size. It needs room on the disk (see room), and some
// 32 MiB of memory.
func (f *File) Compact(ctx context.Context) error {
	return f.Reading(ctx, func(conn *driver.Conn) error {
		conn.SetInterrupt(ctx.Done())
		err := f.vacuum(conn)
		if ctx.Err() != nil && err != nil {
			return fmt.Errorf("rewrite the state file %s: it is as it was: %w", f.path, ctx.Err())
		}
		if err != nil {
			return fmt.Errorf("rewrite the state file %s: %w", f.path, f.told(err))
		}
		err = emptyLog(conn)
		if errors.Is(err, errRead) {
			return fmt.Errorf("the state file %s is rewritten, and not smaller yet: %w; run the command again when "+
				"that has ended", f.path, err)
		}
		if err != nil {
			return fmt.Errorf("bring the rewritten state into the file %s: %w", f.path, f.told(err))
		}
		return nil
	})
}

// What is removed is overwritten with zeros. Everywhere also in pages that become free, which have to be written for
// it; whereFree alone where a page is written anyway, which costs nothing that can be measured.
const (
	everywhere = "PRAGMA secure_delete = ON"
	whereFree  = "PRAGMA secure_delete = FAST"
)

// Overwriting has what is removed meanwhile overwritten in the file, and the log emptied of it at the end. Copies of it
// may be left: see Clear.
func (f *File) Overwriting(ctx context.Context, remove func() error) error {
	set := func(ctx context.Context, more int64) error {
		f.overwriting.Add(more)
		return f.Write(ctx, func(w *Writer) error {
			if f.overwriting.Load() > 0 { // also while somebody else is at it
				return w.Exec(everywhere)
			}
			return w.Exec(whereFree)
		})
	}
	if err := set(ctx, 1); err != nil {
		f.overwriting.Add(-1)
		return fmt.Errorf("have removed rows overwritten: %w", err)
	}
	err := remove()
	if off := set(context.WithoutCancel(ctx), -1); off != nil {
		return errors.Join(err, fmt.Errorf("have removed rows no longer overwritten: %w", off))
	}
	if err != nil {
		return err
	}
	return f.Reading(ctx, func(conn *driver.Conn) error {
		// Who reads an older state, such as a backup, keeps the log; it is emptied after that by itself.
		if err := emptyLog(conn); !errors.Is(err, errRead) {
			return err
		}
		return nil
	})
}

// Clear leaves nothing in the file but what is kept, by rewriting it. Overwriting alone does not: when SQLite moves
// rows to another page, what they were stays in the gaps of the page that they were on, whatever secure_delete says;
// so do rows that were removed because of their age in free pages. todo says what somebody has to do instead, "" =
// nothing.
func (f *File) Clear(ctx context.Context) (todo string) {
	var size int64
	err := f.Reading(ctx, func(conn *driver.Conn) error {
		pages, err := Number(conn, "PRAGMA page_count")
		if err != nil {
			return err
		}
		bytes, err := Number(conn, "PRAGMA page_size")
		size = pages * bytes
		return err
	})
	const compact = "stop Tocsin and run `tocsin compact` once"
	if err == nil && size > f.clearLimit {
		return fmt.Sprintf("copies of what was removed can still be in unused parts of the state file, which is too "+
			"large to be rewritten while Tocsin runs (%d MiB, and up to %d are): %s", size>>20, f.clearLimit>>20,
			compact)
	}
	if err == nil {
		err = f.Compact(ctx)
	}
	if err == nil {
		return ""
	}
	f.log.Warn("the state file is not rewritten after an erasure", "path", f.path, "error", err.Error())
	return "copies of what was removed can still be in unused parts of the state file, which could not be rewritten " +
		"(the log says why): " + compact
}

// Shrink gives the pages back that pruning freed, in small steps between other writes.
func (f *File) Shrink(ctx context.Context) error {
	gave := false
	for {
		more := false
		err := f.Write(ctx, func(w *Writer) error {
			mode, err := Number(w.Conn, "PRAGMA auto_vacuum")
			if err != nil || mode != incremental {
				return err
			}
			free, err := Number(w.Conn, "PRAGMA freelist_count")
			if err != nil || free <= shrinkKeep {
				return err
			}
			more = true
			return w.Exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", min(shrinkStep, free-shrinkKeep)))
		})
		if err != nil {
			return fmt.Errorf("give back free pages: %w", err)
		}
		if !more {
			break
		}
		gave = true
	}
	if !gave {
		return nil
	}
	// The file gets smaller when the log is carried over. Readers that are at it put that off, not the writer.
	return f.Reading(ctx, func(conn *driver.Conn) error {
		return Each(conn, "PRAGMA wal_checkpoint(PASSIVE)", nil, nil)
	})
}
