//go:build unix

package metrics

import "syscall"

// maxFiles tells how many files the process may have open.
func maxFiles(g *Gathering) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err == nil {
		g.Set(MaxFiles, float64(l.Cur))
	}
}
