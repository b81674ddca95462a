package eventids

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
)

// open returns a state file, and the ids that it holds.
func open(t *testing.T, path string) (*db.File, *IDs) {
	file, err := db.Open(t.Context(), path, db.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	ids := new(IDs)
	require.NoError(t, file.Begin(ids.Load, func(*db.Writer) error { return nil }))
	return file, ids
}

// put writes events with their ids.
func put(t *testing.T, file *db.File, ids *IDs, events ...ID) {
	require.NoError(t, file.Write(context.WithoutCancel(t.Context()), func(w *db.Writer) error {
		for _, e := range events {
			if err := w.Do("INSERT INTO events (seq, at, kind, detail) VALUES (?, 0, 'new_hits', ?)",
				func(s *driver.Stmt) {
					s.BindInt64(1, e.seq)
					s.BindBytes(2, fmt.Appendf(nil, `{"version":1,"id":%q,"tenant":%q,"data":{}}`, e.id, e.tenant))
				}); err != nil {
				return err
			}
		}
		return ids.Put(w, events)
	}))
	ids.Added(events)
}

// found is the number of the event that an id counts for, 0 for none.
func found(t *testing.T, file *db.File, ids *IDs, tenant, id string) (seq int64) {
	require.NoError(t, file.Reading(t.Context(), func(conn *driver.Conn) error {
		at, ok, err := ids.Find(conn, tenant, id)
		if ok {
			seq = at
			require.False(t, ids.Unknown(tenant, id), "an id that is there is never said to be unknown")
		}
		return err
	}))
	return seq
}

// remove removes events with their ids.
func remove(t *testing.T, file *db.File, ids *IDs, events ...ID) {
	require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
		for _, e := range events {
			if err := w.Do("DELETE FROM events WHERE seq = ?", func(s *driver.Stmt) {
				s.BindInt64(1, e.seq)
			}); err != nil {
				return err
			}
		}
		n, err := ids.Remove(w, events)
		require.Equal(t, len(events), n)
		return err
	}))
}

const generationOf = int64(1) << generationBits

// Numbers of events in several parts and generations, the borders among them.
var numbers = []int64{1, 2, 1<<partBits - 1, 1 << partBits, generationOf - 1, generationOf, generationOf + 1,
	3*generationOf + 5, 3*generationOf + 1<<partBits}

func TestAnIDIsFoundInWhateverPartOfItsGenerationAndAfterAStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	file, ids := open(t, path)
	var all []ID
	for _, seq := range numbers {
		all = append(all, Of("42", fmt.Sprint("e", seq), seq), Of("7", fmt.Sprint("e", seq), seq+100))
	}
	for _, one := range all { // each in a transaction of its own, as fan-outs are
		put(t, file, ids, one)
	}
	look := func(when string) {
		for _, one := range all {
			require.Equal(t, one.seq, found(t, file, ids, one.tenant, one.id), "%s: %s of %s", when, one.id, one.tenant)
		}
		require.Zero(t, found(t, file, ids, "42", "another"), when)
		require.Zero(t, found(t, file, ids, "4", "2e1"), "%s: tenant and id are told apart", when)
	}
	look("as they were written")
	for range 2 { // with the filters that the file has, and again
		require.NoError(t, file.Close())
		file, ids = open(t, path)
		look("after a start")
		put(t, file, ids, Of("42", fmt.Sprint("new", len(all)), 4*generationOf+int64(len(all))))
		all = append(all, Of("42", fmt.Sprint("new", len(all)), 4*generationOf+int64(len(all))))
	}
}

func TestFiltersThatAreNotInTheFileAreMadeAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	file, ids := open(t, path)
	var all []ID
	for _, seq := range numbers {
		all = append(all, Of("42", fmt.Sprint("e", seq), seq))
	}
	put(t, file, ids, all...)
	put(t, file, ids, Of("42", "last", 5*generationOf)) // stores those before
	for _, gone := range []string{"0", "1", "3", "0, 1, 3"} {
		require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
			return w.Exec("DELETE FROM event_filters WHERE generation IN (" + gone + ")")
		}))
		require.NoError(t, file.Close())
		file, ids = open(t, path)
		for _, one := range all {
			require.Equal(t, one.seq, found(t, file, ids, "42", one.id), "without %s", gone)
		}
	}
}

func TestADigestThatTwoIDsShareMakesNeitherTheOthersRepeat(t *testing.T) {
	file, ids := open(t, filepath.Join(t.TempDir(), "state.db"))
	one := Of("42", "one", 1)
	two := ID{tenant: "42", id: "two", digest: one.digest, seq: 2}
	put(t, file, ids, one)
	require.NoError(t, file.Reading(t.Context(), func(conn *driver.Conn) error {
		_, ok, err := find(conn, 0, one.digest, "42", "two")
		require.False(t, ok, "the event is read, and is another")
		return err
	}))
	put(t, file, ids, two)
	for _, want := range []ID{one, two} {
		require.NoError(t, file.Reading(t.Context(), func(conn *driver.Conn) error {
			seq, ok, err := find(conn, 0, one.digest, "42", want.id)
			require.True(t, ok)
			require.Equal(t, want.seq, seq)
			return err
		}))
	}
}

func TestAnIDCountsForOneEventAlone(t *testing.T) {
	file, ids := open(t, filepath.Join(t.TempDir(), "state.db"))
	put(t, file, ids, Of("42", "e", 7))
	require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
		return w.Exec("INSERT INTO event_ids (tenant, id, seq) VALUES ('42', 'old', 3)")
	}))
	require.NoError(t, ids.Shrink(t.Context(), file)) // notes it
	for _, c := range []struct {
		id   string
		seq  int64
		want bool
	}{{"e", 7, true}, {"e", 8, false}, {"e", 7 + 1<<partBits, false}, {"old", 3, true}, {"old", 4, false}} {
		require.NoError(t, file.Reading(t.Context(), func(conn *driver.Conn) error {
			ok, err := ids.Counts(conn, Of("42", c.id, c.seq))
			require.Equal(t, c.want, ok, "%s at %d", c.id, c.seq)
			return err
		}))
	}
}

func TestWhatIsRemovedIsNewAgainAndItsFilterGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	file, ids := open(t, path)
	first, second, third := Of("42", "a", 1), Of("42", "b", generationOf), Of("42", "c", 2*generationOf)
	for _, one := range []ID{first, second, third} {
		put(t, file, ids, one)
	}
	remove(t, file, ids, first)
	require.Zero(t, found(t, file, ids, "42", "a"))
	require.False(t, ids.Unknown("42", "a"), "its filter is there")
	require.NoError(t, ids.Shrink(t.Context(), file))
	require.True(t, ids.Unknown("42", "a"), "its filter is dropped")
	require.Len(t, ids.generations, 2)
	for range 2 {
		require.EqualValues(t, generationOf, found(t, file, ids, "42", "b"))
		require.EqualValues(t, 2*generationOf, found(t, file, ids, "42", "c"))
		require.NoError(t, file.Close())
		file, ids = open(t, path)
	}
	require.Len(t, ids.generations, 2, "the file has no filter of what is gone")
}

func TestIDsOfAnEarlierReleaseCountUntilTheirEventsGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	file, _ := open(t, path)
	require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
		return errors.Join(w.Exec("INSERT INTO event_ids (tenant, id, seq) VALUES ('42', 'old', 3)"),
			w.Exec(`INSERT INTO events (seq, at, kind, detail) VALUES (3, 0, 'new_hits', '{}')`))
	}))
	require.NoError(t, file.Close())
	file, ids := open(t, path)
	require.EqualValues(t, 3, found(t, file, ids, "42", "old"))
	require.False(t, ids.Unknown("42", "new"), "it takes a look into the file")
	require.Zero(t, found(t, file, ids, "42", "new"))

	require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
		_, err := ids.Remove(w, []ID{Of("42", "old", 3)})
		return err
	}))
	require.NoError(t, ids.Shrink(t.Context(), file))
	require.Zero(t, found(t, file, ids, "42", "old"))
	require.True(t, ids.Unknown("42", "new"))
}

func TestWhatIsUndoneIsNotThere(t *testing.T) {
	file, ids := open(t, filepath.Join(t.TempDir(), "state.db"))
	require.Error(t, file.Write(t.Context(), func(w *db.Writer) error {
		return errors.Join(ids.Put(w, []ID{Of("42", "a", 1)}), errors.New("undone"))
	}))
	require.True(t, ids.Unknown("42", "a"))
	require.Zero(t, found(t, file, ids, "42", "a"))
}

func TestAFilterOfAFullGenerationRarelyDoubts(t *testing.T) {
	f := newFilter()
	for n := range 1 << generationBits {
		f.add(digestOf("42", fmt.Sprint("in", n)))
	}
	for n := 0; n < 1<<generationBits; n += 1013 {
		require.True(t, f.has(digestOf("42", fmt.Sprint("in", n))))
	}
	doubts := 0
	const tried = 1 << 20
	for n := range tried {
		if f.has(digestOf("42", fmt.Sprint("out", n))) {
			doubts++
		}
	}
	t.Logf("one in %d", tried/max(doubts, 1))
	require.Less(t, doubts, tried/800, "of those that are new")
}
