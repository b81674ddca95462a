package db

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// rewrite writes the log that a process before this one left anew, as it is, and syncs it. A log is there only where
// that process did not end in order. Where a sync of its failed, the kernel has given up what it could not write, but
// still reads it from its memory: the next start would take it for committed, write on behind it, and never sync it.
// When the power failed then, the log would end at that gap, and all that was committed behind it would be lost.
// Another process that has the file open must not write meanwhile: it would be overwritten with what was there.
func rewrite(path string) (err error) {
	f, lock, err := openLog(path, busyLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if lock != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	part := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := f.ReadAt(part, at)
		if _, err := f.WriteAt(part[:n], at); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return f.Sync()
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
}
