package backups

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// lockName is a file in a work folder, locked as long as the process that made the folder lives.
const lockName = "in-use"

// workFolder makes a folder of this process beside the files that it works for, and removes those that processes left
// which were killed: a lock ends with its process. A folder that has no such file is nobody's, and stays. kind begins
// the names of all: ".backup-".
func workFolder(beside, kind string) (folder string, remove func() error, err error) {
	there, err := os.ReadDir(beside)
	if err != nil {
		return "", nil, err
	}
	for _, e := range there {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), kind) {
			continue
		}
		if err := clean(filepath.Join(beside, e.Name())); err != nil {
			return "", nil, fmt.Errorf("remove what a process left that was killed: %w", err)
		}
	}
	if folder, err = os.MkdirTemp(beside, kind+"*"); err != nil { // mode 0700
		return "", nil, err
	}
	lock := flock.New(filepath.Join(folder, lockName), flock.SetPermissions(0o600))
	if held, err := lock.TryLock(); err != nil || !held {
		return "", nil, errors.Join(fmt.Errorf("lock %s", lock.Path()), err, os.RemoveAll(folder))
	}
	return folder, func() error { return errors.Join(lock.Unlock(), os.RemoveAll(folder)) }, nil
}

// clean removes a work folder whose process is gone.
func clean(folder string) error {
	path := filepath.Join(folder, lockName)
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil // it is no work folder, or its process removes it now
	}
	if err != nil {
		return err
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDWR))
	held, err := lock.TryLock()
	if errors.Is(err, os.ErrNotExist) || err == nil && !held {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(lock.Unlock(), os.RemoveAll(folder))
}
