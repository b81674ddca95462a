//go:build unix

package db

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// besideVariable makes a process of this test write to a state file beside another: SQLite's locks are a process's.
const besideVariable = "TOCSIN_TEST_BESIDE"

// besideRows is how many rows it writes, each in a transaction of its own.
const besideRows = 2000

func TestMain(m *testing.M) {
	if path := os.Getenv(besideVariable); path != "" {
		if err := writeBeside(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func writeBeside(path string) error {
	conn, err := driver.OpenConn(path, driver.OpenReadWrite|driver.OpenCreate|driver.OpenWAL)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The log is begun anew again and again, as it is by a checkpoint.
	for _, sql := range []string{"PRAGMA synchronous = OFF", "PRAGMA wal_autocheckpoint = 20",
		"CREATE TABLE rows (n INTEGER PRIMARY KEY, body BLOB)"} {
		if err := sqlitex.ExecuteTransient(conn, sql, nil); err != nil {
			return err
		}
	}
	for range besideRows {
		if err := sqlitex.ExecuteTransient(conn, "INSERT INTO rows (body) VALUES (randomblob(2000))", nil); err != nil {
			return err
		}
	}
	return nil
}

func TestALogThatIsWrittenAnewLosesNothingThatAnotherProcessWritesMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	beside := exec.CommandContext(t.Context(), os.Args[0])
	beside.Env = append(os.Environ(), besideVariable+"="+path)
	beside.Stdout, beside.Stderr = os.Stderr, os.Stderr
	require.NoError(t, beside.Start())
	ended := make(chan error, 1)
	go func() { ended <- beside.Wait() }()
	anew := 0
	for over := false; !over; {
		select {
		case err := <-ended:
			require.NoError(t, err)
			over = true
		case <-time.After(100 * time.Microsecond): // the other has its turn
		}
		require.NoError(t, rewrite(path+"-wal"))
		anew++
	}
	require.Greater(t, anew, 1)
	conn, err := driver.OpenConn(path, driver.OpenReadWrite)
	require.NoError(t, err)
	defer conn.Close()
	verdict, err := Text(conn, "PRAGMA integrity_check(1)")
	require.NoError(t, err)
	require.Equal(t, "ok", verdict)
	rows, err := Number(conn, "SELECT count(*) FROM rows")
	require.NoError(t, err)
	require.EqualValues(t, besideRows, rows)
}
