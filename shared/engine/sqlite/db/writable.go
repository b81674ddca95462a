package db

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// RightsError: this user may not write a file of the state.
type RightsError struct {
	Path string
	Mode fs.FileMode
	Err  error
}

func (e *RightsError) Error() string {
	return fmt.Sprintf("%s can not be written by the user of this process (mode %04o): %s; run this as its owner, or "+
		"give it to the user that Tocsin runs as, with mode 0600", e.Path, e.Mode.Perm(), errors.Unwrap(e.Err))
}

func (e *RightsError) Unwrap() error { return e.Err }

// Writable says which file of a state this user can not write: the state, its log and the log's index, of which the
// last two need not be there. The error is a *RightsError, or that of the disk.
func Writable(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := openable(name); err != nil {
			return err
		}
	}
	return nil
}

func openable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("write the state: %w", err)
	}
	info, missing := os.Stat(path)
	if missing != nil {
		return fmt.Errorf("write the state: %w", errors.Join(err, missing))
	}
	return &RightsError{path, info.Mode(), err}
}

// mendRights gives the files beside the state its own rights. SQLite makes them with the rights that the state has at
// that moment: an opening of a state that could only be read left an index that could only be read, which kept out
// every later one. The lock is held.
func mendRights(path string) error {
	if err := openable(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the state file: %w", err)
	}
	for _, name := range []string{path + "-wal", path + "-shm"} {
		var rights *RightsError
		err := openable(name)
		if errors.As(err, &rights) && os.Chmod(name, info.Mode().Perm()) == nil {
			err = openable(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
