package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/integration"
)

// copied looks at a state file and copies it.
func copied(t *testing.T, path string) (copy string) {
	t.Helper()
	s, err := sqlite.Look(path)
	require.NoError(t, err)
	copy = filepath.Join(t.TempDir(), "copy.db")
	require.NoError(t, s.CopyTo(t.Context(), copy))
	require.NoError(t, s.Close())
	return copy
}

// A copy has all that was acknowledged before it began, and is one file by itself.
func TestACopyIsWholeWhileTheWriterGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var wg sync.WaitGroup
	n := 0
	acknowledged := func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			mu.Lock()
			n++
			err := db.Bus().Put(context.WithoutCancel(ctx), []delivery.Entry{entry(n)})
			mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 5 {
		require.Eventually(t, func() bool { return acknowledged() > 10 }, time.Minute, time.Millisecond)
		before := acknowledged()
		copy := copied(t, path)
		s, err := sqlite.Look(copy)
		require.NoError(t, err)
		require.NoError(t, s.Check())
		counts, err := s.Counts()
		require.NoError(t, err)
		require.GreaterOrEqual(t, counts["events"], int64(before))
		require.NoError(t, s.Close())
		left, err := os.ReadDir(filepath.Dir(copy))
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
	cancel()
	wg.Wait()
	require.NoError(t, db.Close())
	again := reopen(t, copied(t, path))
	require.NoError(t, again.Bus().Put(t.Context(), []delivery.Entry{entry(1)}))
}

func TestASnapshotReadsEveryLayoutAndChangesNothing(t *testing.T) {
	path := unpack(t, "state-8.db.gz")
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	s, err := sqlite.Look(path)
	require.NoError(t, err)
	require.Equal(t, 8, s.Layout())
	require.NoError(t, s.Check())
	require.NoError(t, s.QuickCheck())
	counts, err := s.Counts()
	require.NoError(t, err)
	require.EqualValues(t, 3, counts["waiting deliveries"])
	require.NoError(t, s.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	layout, err := sqlite.Layout()
	require.NoError(t, err)
	require.Greater(t, layout, 8)
}

func TestASnapshotShowsWhatIsSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	for n, i := range []integration.Integration{
		{Tenant: "42", ID: "a", System: "slack", Name: "A", Sealed: []byte("sealed")},
		{Tenant: "42", ID: "b", System: "email_report", Name: "B"},
	} {
		require.NoError(t, db.Integrations().Create(t.Context(), i,
			activity.Record{Entry: activity.Entry{ID: i.ID, At: time.Unix(int64(n), 0)}}))
	}
	s, err := sqlite.Look(path)
	require.NoError(t, err)
	var found []string
	require.NoError(t, s.Sealed(func(tenant, id string, sealed []byte) error {
		found = append(found, tenant+"/"+id+"/"+string(sealed))
		return nil
	}))
	require.Equal(t, []string{"42/a/sealed"}, found)
	require.NoError(t, s.Close())
}

func TestASnapshotOfWhatIsNoStateIsExplained(t *testing.T) {
	folder := t.TempDir()
	letter, other, empty := folder+"/letter", folder+"/other.db", folder+"/empty"
	require.NoError(t, os.WriteFile(letter, make([]byte, 5000), 0o600))
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	conn, err := driver.OpenConn(other, driver.OpenReadWrite|driver.OpenCreate)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, "CREATE TABLE t (x)", nil))
	require.NoError(t, conn.Close())
	for path, says := range map[string]string{letter: "can not be read", other: "of another program",
		empty: "holds nothing yet", folder + "/none": "no such file"} {
		_, err := sqlite.Look(path)
		require.ErrorContains(t, err, says)
	}
}

func TestWhoHoldsAStateKeepsItsEngineAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	release, err := sqlite.Hold(path)
	require.NoError(t, err)
	_, err = sqlite.Open(t.Context(), path, sqlite.Options{})
	require.ErrorIs(t, err, sqlite.ErrInUse)
	require.NoError(t, release())
	db := reopen(t, path)
	_, err = sqlite.Hold(path)
	require.ErrorIs(t, err, sqlite.ErrInUse)
	require.NoError(t, db.Close())
}

func TestASnapshotCountsEventsThatAreDeferredToo(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	withIntegrations(t, path, "42", "7")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Share: 2})
	require.NoError(t, err)
	defer db.Close()
	var entries []delivery.Entry
	for n := range 5 {
		e := entry(n)
		e.Tenant = "42"
		entries = append(entries, e)
	}
	require.NoError(t, db.Bus().Put(t.Context(), entries))
	s, err := sqlite.Look(path)
	require.NoError(t, err)
	defer s.Close()
	counts, err := s.Counts()
	require.NoError(t, err)
	require.EqualValues(t, 5, counts["events"])
}
