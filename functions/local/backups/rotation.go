package backups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"tocsin/functions/local/commandline"
	"tocsin/shared/backup"
)

// stamp is the part of a backup's name that says when it was begun, in UTC. Names are in the order of time.
const (
	stamp  = "20060102T150405Z"
	before = "tocsin-"
	behind = ".backup"
)

// named is the file of a backup in a folder of backups.
func named(folder string, at time.Time) string {
	return filepath.Join(folder, before+at.UTC().Format(stamp)+behind)
}

// unused is the file of a backup that is begun now: another of the same second has the name before it.
func unused(folder string, at time.Time) string {
	for ; ; at = at.Add(time.Second) {
		path := named(folder, at)
		if _, err := os.Lstat(path); err != nil { // it is not there; what else is wrong who writes it tells
			return path
		}
	}
}

// holdFolder keeps two processes from making backups of one folder at once: each would remove what the other counts.
func holdFolder(folder string) (release func() error, err error) {
	info, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no folder: -keep takes one for all backups: make it first (mkdir -m 700 %s)",
			folder, folder)
	}
	if err != nil || !info.IsDir() {
		return nil, errors.Join(fmt.Errorf("%s is no folder: -keep takes one for all backups", folder), err)
	}
	lock := flock.New(folder, flock.SetFlag(os.O_RDONLY)) // the folder itself: no file is left in it
	held, err := lock.TryLock()
	if err == nil && !held {
		return nil, fmt.Errorf("another backup is being made in %s: wait until it has ended", folder)
	}
	if err != nil { // a system or a disk that locks no folders: two at once tell that a file is gone
		return func() error { return nil }, nil //nolint:nilerr // a backup is worth more than the lock
	}
	return lock.Unlock, nil
}

// ours reports whether -keep makes files of a name.
func ours(name string) bool {
	n := len(before) + len(stamp)
	if len(name) != n+len(behind) || name[:len(before)] != before || name[n:] != behind {
		return false
	}
	_, err := time.Parse(stamp, name[len(before):n])
	return err == nil
}

// rotate removes the oldest backups of a folder, so that keep are left which can be opened. A file that this passphrase
// does not open, or that is damaged, is none of those, and is never removed: a person looks at it.
func (o order) rotate(ctx context.Context, folder, passphrase string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("look for older backups: %w", err)
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && ours(e.Name()) {
			files = append(files, filepath.Join(folder, e.Name()))
		}
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(b, a) }) // the newest first
	good := 0
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := commandline.Long(ctx, "reading the older backup "+file, nil, func() error {
			_, err := backup.Read(file, passphrase, nil)
			return err
		}); err != nil {
			fmt.Fprintf(o.out, "%s is kept, and does not count: %v\n", file, err)
			continue
		}
		if good++; good <= o.keep {
			continue
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove an older backup: %w", err)
		}
		fmt.Fprintln(o.out, file, "is removed: there are", o.keep, "newer ones.")
	}
	return nil
}
