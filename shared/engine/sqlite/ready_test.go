package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/account"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/ready"
)

func TestH25AFullFileIsNotWritable(t *testing.T) {
	require.NoError(t, open(t).Writable(t.Context()))
	db, err := sqlite.Open(t.Context(), filepath.Join(quickDir(t), "state.db"), sqlite.Options{MaxPages: 800})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Writable(t.Context()))
	for n := 0; err == nil; n++ {
		err = db.Bus().Put(t.Context(), []delivery.Entry{entry(n), entry(n), entry(n), entry(n), entry(n)})
	}
	require.ErrorContains(t, err, "the disk may be full")
	require.ErrorContains(t, db.Writable(t.Context()), "no room")
}

// TestAFullDiskIsToldInWordsThatHelp: whoever writes, and wherever it is found out.
func TestAFullDiskIsToldInWordsThatHelp(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{MaxPages: 300})
	require.NoError(t, err)
	for n := 0; err == nil; n++ {
		err = db.Bus().Put(t.Context(), []delivery.Entry{entry(n)})
	}
	for n, err := 0, error(nil); err == nil; n++ { // what is small finds room for longer
		err = db.Accounts().Save(t.Context(), account.Person{Tenant: "42", Email: fmt.Sprintf("p%d@example.com", n),
			Revision: 1})
		if err != nil {
			fullIn(t, err, path)
		}
	}
	fullIn(t, err, path)
	require.NoError(t, db.Close())
}

func fullIn(t *testing.T, err error, path string) {
	t.Helper()
	require.ErrorIs(t, err, ready.ErrNoRoom)
	require.ErrorContains(t, err, "the disk may be full ("+path+"): make room on its disk")
}

func TestH25EventsThatNobodyTakesUpAreTold(t *testing.T) {
	db := open(t)
	require.NoError(t, db.Moving(t.Context(), time.Now()))
	require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(1)}))
	require.NoError(t, db.Moving(t.Context(), entry(1).At.Add(time.Minute)))
	require.Error(t, db.Moving(t.Context(), entry(1).At.Add(3*time.Minute)))
}

func TestH25AClosedFileIsNotWritable(t *testing.T) {
	db := open(t)
	require.NoError(t, db.Close())
	require.ErrorContains(t, db.Writable(t.Context()), "can not be written")
}
