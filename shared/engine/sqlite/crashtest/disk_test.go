package crashtest_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/engine/sqlite/crashtest"
)

// program is one that writes numbers to a file, each in a transaction, until its disk fails.
type program struct {
	*testing.T
	disk    *crashtest.Disk
	path    string
	pragmas []string
}

// tally is what was found in some runs.
type tally struct{ lost, corrupt, undone int }

// run writes until a fault, and says what the next start finds: how many of the acknowledged rows are lost, and
// whether the file is damaged.
func run(t *testing.T, seed uint64, fault crashtest.Fault, pragmas ...string) (found tally) {
	r := rand.New(rand.NewPCG(seed, 7))
	dir := crashtest.Dir(t)
	disk, err := crashtest.New(dir, r)
	require.NoError(t, err)
	defer disk.Close()
	p := program{T: t, disk: disk, path: filepath.Join(dir, "a.db"), pragmas: pragmas}
	conn, err := p.open()
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, "CREATE TABLE a (n INTEGER PRIMARY KEY, pad BLOB)", nil))
	disk.Break(1+r.IntN(200), fault)
	acknowledged := 0
	for n := 1; n <= 400; n++ {
		if n%20 == 0 {
			_ = sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint", nil)
		}
		if err := sqlitex.ExecuteTransient(conn, fmt.Sprintf("INSERT INTO a VALUES (%d, zeroblob(%d))", n,
			r.IntN(6000)), nil); err != nil {
			break
		}
		acknowledged = n
	}
	require.True(t, disk.Broken(), "the fault was met")
	disk.Stop(fault)
	_ = conn.Close() // the process is over
	require.NoError(t, disk.Start())
	return p.look(acknowledged)
}

func (p program) open() (*driver.Conn, error) {
	conn, err := driver.OpenConn(p.path, driver.OpenReadWrite|driver.OpenCreate)
	if err != nil {
		return nil, err
	}
	for _, pragma := range p.pragmas {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil); err != nil {
			return nil, err
		}
	}
	return conn, nil
}

func (p program) look(acknowledged int) tally {
	conn, err := p.open()
	if err != nil {
		return tally{corrupt: 1}
	}
	defer conn.Close()
	verdict := ""
	_ = sqlitex.ExecuteTransient(conn, "PRAGMA integrity_check", &sqlitex.ExecOptions{
		ResultFunc: func(s *driver.Stmt) error {
			verdict += s.ColumnText(0)
			return nil
		}})
	if verdict != "ok" {
		return tally{corrupt: 1}
	}
	rows, query := 0, "SELECT count(*) FROM a"
	if there, err := sqlitex.ResultBool(conn.Prep("SELECT count(*) FROM sqlite_schema WHERE name = 'a'")); err == nil &&
		!there {
		query = "SELECT 0" // the table itself is lost
	}
	if err := sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{
		ResultFunc: func(s *driver.Stmt) error {
			rows = s.ColumnInt(0)
			return nil
		}}); err != nil {
		return tally{corrupt: 1}
	}
	require.LessOrEqual(p, rows, acknowledged+1, "nothing comes from nowhere")
	return tally{lost: max(0, acknowledged-rows), undone: max(0, rows-acknowledged)}
}

func all(t *testing.T, fault crashtest.Fault, pragmas ...string) (sum tally) {
	for seed := range uint64(40) {
		found := run(t, seed, fault, pragmas...)
		sum.lost, sum.corrupt, sum.undone = sum.lost+found.lost, sum.corrupt+found.corrupt, sum.undone+found.undone
	}
	return sum
}

func TestAProgramThatSyncsLosesNothing(t *testing.T) {
	// A journal that is deleted needs EXTRA, as SQLite documents: with FULL it may be there again, and undo the last.
	modes := []string{"WAL synchronous = FULL", "TRUNCATE synchronous = FULL", "DELETE synchronous = EXTRA"}
	faults := []crashtest.Fault{crashtest.Kill, crashtest.PowerLoss, crashtest.Full, crashtest.Failing}
	for _, mode := range modes {
		journal, sync, _ := strings.Cut(mode, " ")
		for _, fault := range faults {
			found := all(t, fault, "journal_mode = "+journal, sync)
			require.Zero(t, found.lost, "%s, fault %d", mode, fault)
			require.Zero(t, found.corrupt, "%s, fault %d", mode, fault)
		}
	}
}

func TestAProgramThatForgetsToSyncIsFound(t *testing.T) {
	lazy := all(t, crashtest.PowerLoss, "journal_mode = WAL", "synchronous = NORMAL") // syncs at checkpoints alone
	require.NotZero(t, lazy.lost)
	require.Zero(t, lazy.corrupt)
	off := all(t, crashtest.PowerLoss, "journal_mode = WAL", "synchronous = OFF")
	require.NotZero(t, off.lost)
	require.NotZero(t, off.corrupt)
	deleted := all(t, crashtest.PowerLoss, "journal_mode = DELETE", "synchronous = FULL")
	require.NotZero(t, deleted.lost)
	require.Zero(t, deleted.corrupt)
	bare := all(t, crashtest.PowerLoss, "journal_mode = OFF", "synchronous = FULL")
	require.NotZero(t, bare.corrupt)
	killed := all(t, crashtest.Kill, "journal_mode = WAL", "synchronous = OFF")
	require.Zero(t, killed.lost, "the kernel has what a killed process wrote")
	require.Zero(t, killed.corrupt)
}
