//go:build !linux && !darwin

package db

// diskFree is not known.
func diskFree(string) (free uint64, ok bool) { return 0, false }
