package eventids

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
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

// remove removes events.
func remove(t *testing.T, file *db.File, ids *IDs, events ...ID) {
	require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
		for _, e := range events {
			if err := w.Do("DELETE FROM events WHERE seq = ?", func(s *driver.Stmt) {
				s.BindInt64(1, e.seq)
			}); err != nil {
				return err
			}
		}
		return ids.Remove(w, events)
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
	for n, seq := range numbers {
		all = append(all, Of([]string{"42", "7"}[n%2], fmt.Sprint("e", n/2), seq))
	}
	for _, one := range all { // each in a transaction of its own, as fan-outs are
		put(t, file, ids, one)
	}
	look := func(when string) {
		for _, one := range all {
			require.Equal(t, one.seq, found(t, file, ids, one.tenant, one.id), "%s: %s of %s", when, one.id, one.tenant)
		}
		require.Zero(t, found(t, file, ids, "42", "another"), when)
		require.Zero(t, found(t, file, ids, "4", "2e0"), "%s: tenant and id are told apart", when)
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
	path := filepath.Join(t.TempDir(), "state.db")
	file, ids := open(t, path)
	one := Of("42", "one", 1)
	other := ID{tenant: "42", id: "another one", entry: entry{2, one.digest}}
	put(t, file, ids, other)
	for range 2 {
		require.False(t, ids.Unknown("42", "one"), "its digest is there")
		require.Zero(t, found(t, file, ids, "42", "one"), "the event is read, and is another")
		require.NoError(t, file.Close())
		file, ids = open(t, path)
	}
	for _, later := range []int64{3, 1 << partBits} { // in the newest part, and in an earlier one
		put(t, file, ids, ID{tenant: "42", id: "one", entry: entry{later, one.digest}})
		require.EqualValues(t, later, found(t, file, ids, "42", "one"))
		remove(t, file, ids, ID{entry: entry{seq: later}})
	}
}

func TestAnIDCountsForOneEventAlone(t *testing.T) {
	file, ids := open(t, filepath.Join(t.TempDir(), "state.db"))
	put(t, file, ids, Of("42", "e", 7), Of("42", "f", 9))
	require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
		return w.Exec("INSERT INTO event_ids (tenant, id, seq) VALUES ('42', 'old', 3)")
	}))
	require.NoError(t, ids.Shrink(t.Context(), file)) // notes it
	for _, c := range []struct {
		id   string
		seq  int64
		want bool
	}{{"e", 7, true}, {"e", 6, false}, {"e", 8, false}, {"e", 7 + 1<<partBits, false}, {"f", 7, false}, {"f", 9, true},
		{"old", 3, true}, {"old", 4, false}} {
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
	require.Zero(t, found(t, file, ids, "42", "a"), "its event is not there")
	require.False(t, ids.Unknown("42", "a"), "its filter is")
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
		return errors.Join(ids.Remove(w, []ID{Of("42", "old", 3)}), w.Exec("DELETE FROM events"))
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

func TestAPartIsOneRowWhenItIsComplete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	file, ids := open(t, path)
	var all []ID
	add := func(count int) {
		var batch []ID
		for range count {
			seq := int64(3*len(all) + 1)
			batch = append(batch, Of("42", fmt.Sprint("e", seq), seq))
			all = append(all, batch[len(batch)-1])
		}
		put(t, file, ids, batch...)
	}
	const third = 1<<partBits/3 + 1 // events of a part, as every third number is one's
	for _, count := range []int{1, 100, third - 150, 100, 1, 3*third + 7, 2} {
		add(count)
		if count == 100 {
			require.NoError(t, file.Close())
			file, ids = open(t, path)
		}
	}
	ofPart := map[int64]int{}
	last := int64(0)
	require.NoError(t, file.Query(t.Context(), "SELECT first FROM event_digests", nil, func(s *driver.Stmt) error {
		last = part(s.ColumnInt64(0))
		ofPart[last]++
		return nil
	}))
	for n, rows := range ofPart {
		if n == last {
			require.Greater(t, rows, 1, "the newest part")
		} else {
			require.Equal(t, 1, rows, "part %d", n)
		}
	}
	require.Len(t, ofPart, 5)
	for n := 0; n < len(all); n += 97 {
		require.Equal(t, all[n].seq, found(t, file, ids, "42", all[n].id))
		require.NoError(t, file.Reading(t.Context(), func(conn *driver.Conn) error {
			ok, err := ids.Counts(conn, all[n])
			require.True(t, ok)
			return err
		}))
	}
}

func TestTheSameAgainIsNotedOnce(t *testing.T) {
	file, ids := open(t, filepath.Join(t.TempDir(), "state.db"))
	batch := []ID{Of("42", "a", 1), Of("42", "b", 2)}
	put(t, file, ids, batch...)
	ids.Added(batch) // the answer to the write was lost
	require.Len(t, ids.newest, 2)
	put(t, file, ids, Of("42", "c", 1<<partBits))
	require.EqualValues(t, 2, found(t, file, ids, "42", "b"))
}

func TestARowThatIsDamagedIsAnError(t *testing.T) {
	row := encode(5, []entry{{5, 1}, {700, 2}})
	for cut := 1; cut < len(row); cut++ {
		err := decode(5, row[:cut], func(entry) bool { return true })
		if cut == 9 {
			require.NoError(t, err, "it has one entry")
		} else {
			require.ErrorIs(t, err, errRow, "%d bytes", cut)
		}
	}
}

func TestFiltersOfAFullGenerationRarelyDoubt(t *testing.T) {
	g := newGeneration(0)
	for n := range int64(1) << generationBits {
		g.add(entry{n, digestOf("42", fmt.Sprint("in", n))})
	}
	for n := int64(0); n < 1<<generationBits; n += 1013 {
		digest := digestOf("42", fmt.Sprint("in", n))
		require.True(t, g.seen.has(digest))
		require.NotZero(t, g.parts.of(digest)&(1<<part(n)), "its part is among those that may have it")
	}
	doubts, looks := 0, 0
	const tried = 1 << 20
	for n := range tried {
		if digest := digestOf("42", fmt.Sprint("out", n)); g.seen.has(digest) {
			doubts++
			looks += bits.OnesCount64(g.parts.of(digest))
		}
	}
	t.Logf("the first filter doubts one in %d; a part is looked through for one in %d", tried/doubts,
		tried/max(looks, 1))
	require.Less(t, doubts, tried/60)
	require.Less(t, looks, tried/150)
}
