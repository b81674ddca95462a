// Package atomicfile replaces files as a whole: whoever reads one sees the old or the new, whatever happens meanwhile,
// and the new one outlives a loss of power. A file that stands keeps its owner, and a new one gets its folder's: an
// administrator's command leaves nothing that the program's own user can not read.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file by one that only its owner may read.
func Write(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return Move(f.Name(), path)
}

// Move puts a file that was synced in the place of another, on the same file system.
func Move(from, to string) error {
	if err := own(from, to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	SyncFolder(filepath.Dir(to))
	return nil
}

// SyncFolder makes the names in a folder outlive a loss of power, where the system can.
func SyncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}

// Inherit gives a file that was made here the owner of its folder.
func Inherit(path string) error {
	like, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	return chown(path, like)
}

// own gives a file the owner of what it replaces, or of the folder that it comes to.
func own(path, to string) error {
	like, err := os.Stat(to)
	if errors.Is(err, fs.ErrNotExist) {
		like, err = os.Stat(filepath.Dir(to))
	}
	if err != nil {
		return err
	}
	if err := chown(path, like); err != nil {
		return fmt.Errorf("give %s the owner of %s: %w", path, to, err)
	}
	return nil
}
