package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite"
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
	require.ErrorContains(t, err, "full")
	require.ErrorContains(t, db.Writable(t.Context()), "no room")
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
