//go:build linux || darwin

package db

import "syscall"

// diskFree is what this user may still write on the disk of a folder, in bytes.
func diskFree(folder string) (free uint64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
