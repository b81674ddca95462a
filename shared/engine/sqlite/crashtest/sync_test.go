package crashtest_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/engine/sqlite/crashtest"
)

// A sync fails, the program starts again, goes on, and then the power fails.
func TestWhatIsWrittenAfterASyncThatFailedIsNotLost(t *testing.T) {
	require.Zero(t, lostAfterAFailedSync(t, func(d *crashtest.Disk) func(string) error { return d.Rewrite }))
	require.NotZero(t, lostAfterAFailedSync(t, func(*crashtest.Disk) func(string) error {
		return func(string) error { return nil }
	}), "without the log written anew")
}

func lostAfterAFailedSync(t *testing.T, rewrite func(*crashtest.Disk) func(string) error) (lost int) {
	for seed := range uint64(20) {
		disk, err := crashtest.New(crashtest.Dir(t), rand.New(rand.NewPCG(seed, 3)))
		require.NoError(t, err)
		open := func() *sqlite.DB {
			db, err := sqlite.Open(t.Context(), filepath.Join(disk.Dir(), "state.db"),
				sqlite.Options{RewriteLog: rewrite(disk)})
			require.NoError(t, err)
			return db
		}
		put := func(db *sqlite.DB, id int) error {
			return db.Bus().Put(t.Context(), []delivery.Entry{{DetailType: "create_user", At: enginetest.At,
				Detail: fmt.Appendf(nil, `{"id":"%d"}`, id)}})
		}
		db := open()
		require.NoError(t, put(db, 1))
		before := disk.Calls()
		require.NoError(t, put(db, 2))
		disk.Break(disk.Calls()-before, crashtest.Failing) // the last call of as much: the sync
		require.Error(t, put(db, 3))
		disk.Stop(crashtest.Kill)
		_ = db.Close()
		require.NoError(t, disk.Start())

		db = open()
		require.NoError(t, put(db, 4))
		disk.Stop(crashtest.PowerLoss)
		_ = db.Close()
		require.NoError(t, disk.Start())

		db = open()
		entries, err := db.Bus().Receive(t.Context(), 10)
		require.NoError(t, err)
		if len(entries) == 0 || string(entries[len(entries)-1].Detail) != `{"id":"4"}` {
			lost++
		}
		require.NoError(t, db.Close())
		disk.Close()
	}
	return lost
}
