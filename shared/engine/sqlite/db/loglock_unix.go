//go:build unix

package db

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"tocsin/shared/atomicfile"
)

// writeLock is the byte of a log's index that SQLite locks for whoever writes the log, empties it or begins it anew
// (WAL_WRITE_LOCK of SQLite's "WAL-mode File Format").
const writeLock = 120

// openLog opens a log, and keeps other processes from writing it until the second file is closed: a program beside this
// one, such as Litestream, may have the state file open. It waits for one that is at it.
func openLog(log string, limit time.Duration) (f, lock *os.File, err error) {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		f, lock, err = tryLog(log)
		if !errors.Is(err, errLogHeld) || time.Now().After(end) {
			return f, lock, err
		}
	}
}

// errLogHeld: another process is at the log.
var errLogHeld = errors.New("another process is writing it: stop that one")

func tryLog(log string) (f, lock *os.File, err error) {
	if _, err := os.Stat(log); err != nil {
		return nil, nil, err
	}
	index := strings.TrimSuffix(log, "-wal") + "-shm"
	if lock, err = os.OpenFile(index, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, nil, fmt.Errorf("open the index of the log: %w", err)
	}
	if err := lockLog(index, lock); err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	if f, err = os.OpenFile(log, os.O_RDWR, 0); err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	// Who closes the state file as the last removes both, and the next one makes new ones.
	if err := same(index, lock); err != nil {
		return nil, nil, errors.Join(err, f.Close(), lock.Close())
	}
	return f, lock, nil
}

func lockLog(index string, lock *os.File) error {
	// Where root starts it, the file must not become root's.
	if err := atomicfile.Inherit(index); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := syscall.FcntlFlock(lock.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart,
		Start: writeLock, Len: 1})
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES):
		return errLogHeld
	case err != nil:
		return fmt.Errorf("lock the index of the log %s: %w", index, err)
	}
	return nil
}

// same checks that a name is still that of an open file.
func same(path string, open *os.File) error {
	was, err := open.Stat()
	if err != nil {
		return err
	}
	is, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(was, is) {
		return errLogHeld
	}
	return err
}
