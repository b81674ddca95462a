//go:build linux || darwin

package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// freeBytes is what others than root may still write.
func freeBytes(folder string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// strangeOwner says that a file is not its folder's owner's, who runs the program; "" = it is, or is not there.
func strangeOwner(path string) string {
	file, err := os.Stat(path)
	if err != nil {
		return ""
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return ""
	}
	of, at := file.Sys().(*syscall.Stat_t), folder.Sys().(*syscall.Stat_t)
	if of.Uid == at.Uid || at.Uid == 0 { // a folder of root's is one that many share, or a container's
		return ""
	}
	return fmt.Sprintf("%s belongs to the user %d, its folder to %d: the program can not write it", path, of.Uid,
		at.Uid)
}
