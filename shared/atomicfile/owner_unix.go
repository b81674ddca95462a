//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"syscall"
)

// chown gives a file the owner that another has. Only root can, and only for root it is needed.
func chown(path string, like fs.FileInfo) error {
	has, ok := like.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(has.Uid), int(has.Gid))
}
