//go:build !unix

package db

import (
	"os"
	"time"
)

// openLog opens a log. On this system no other process may have the state file open while the program starts.
func openLog(log string, _ time.Duration) (f, lock *os.File, err error) {
	f, err = os.OpenFile(log, os.O_RDWR, 0)
	return f, nil, err
}
