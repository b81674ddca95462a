package sqlite_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

// tableRows counts the rows of each table.
func tableRows(t *testing.T, path string) map[string]int {
	t.Helper()
	all, _ := counts(t, path, "nobody")
	return all
}

// crashed opens what a crash at this moment would leave: a copy of the file and of its log.
func crashed(t *testing.T, path string) *sqlite.DB {
	t.Helper()
	left := filepath.Join(quickDir(t), "state.db")
	for _, end := range []string{"", "-wal"} {
		raw, err := os.ReadFile(path + end)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(left+end, raw, 0o600))
	}
	return reopen(t, left)
}

// plain is a state file with so many deliveries of one fan-out to one integration.
func plain(t *testing.T, count int) (path string, db *sqlite.DB, ids []string) {
	t.Helper()
	path = filepath.Join(quickDir(t), "state.db")
	db = reopen(t, path)
	r := &enginetest.Rig{T: t, Log: enginetest.Polled(db.Deliveries(), db.Bus())}
	ids = enginetest.IDs(r.Accept(count))
	slices.Sort(ids)
	return path, db, ids
}

var plainLane = delivery.Lane{Tenant: "42", Integration: "i"}

func leaseOf(t *testing.T, db *sqlite.DB, lane delivery.Lane, limit int) []delivery.Delivery {
	t.Helper()
	now := enginetest.At.Add(time.Hour)
	out, err := db.Deliveries().Lease(t.Context(), lane, limit, now, now, now.Add(time.Hour))
	require.NoError(t, err)
	return out
}

func TestADeliveryThatGoesWellHasNoRowOfItsOwn(t *testing.T) {
	path, db, ids := plain(t, 150)
	leased := leaseOf(t, db, plainLane, 200)
	require.Equal(t, ids, enginetest.IDs(leased))
	for n := range leased {
		leased[n] = enginetest.Arrived(leased[n])
	}
	for part := range slices.Chunk(leased, 50) {
		require.NoError(t, db.Deliveries().Settle(t.Context(), part))
	}
	rows := tableRows(t, path)
	for table, want := range map[string]int{"blocks": 3, "open_blocks": 0, "outcomes": 5, "pending": 0, "retrying": 0,
		"finished": 0} {
		require.Equal(t, want, rows[table], table)
	}
	snapshot, err := sqlite.Look(path)
	require.NoError(t, err)
	defer snapshot.Close()
	told, err := snapshot.Counts()
	require.NoError(t, err)
	require.EqualValues(t, 0, told["waiting deliveries"])
	require.EqualValues(t, 150, told["ended deliveries"])
}

func TestOneDeliveryAloneHasARowOfItsOwn(t *testing.T) {
	path, _, _ := plain(t, 1)
	rows := tableRows(t, path)
	require.Equal(t, 1, rows["pending"])
	require.Equal(t, 0, rows["blocks"]+rows["open_blocks"]+rows["outcomes"])
}

// At whatever moment the process ends, what waits is sent again under its id, and nothing else.
func TestAfterACrashOnlyWhatWaitsOfABlockIsSentAgain(t *testing.T) {
	path, db, ids := plain(t, 100)
	waits := func(when string, pending, retrying []string) {
		t.Helper()
		left := crashed(t, path)
		require.Equal(t, pending, enginetest.IDs(leaseOf(t, left, plainLane, 200)), when)
		again := plainLane
		again.Retry = true
		require.ElementsMatch(t, retrying, enginetest.IDs(leaseOf(t, left, again, 200)), when)
		require.NoError(t, left.Close())
	}
	waits("accepted", ids, nil)
	leased := leaseOf(t, db, plainLane, 70)
	waits("leased", ids, nil)

	some := slices.Clone(leased[:40])
	for n, d := range some {
		some[n] = enginetest.Arrived(d)
	}
	some[3] = enginetest.Failed(leased[3], enginetest.At)
	some[39] = enginetest.Failed(leased[39], enginetest.At)
	some[7].State, some[7].Attempts, some[7].Reason = delivery.Pending, nil, "spared"
	require.NoError(t, db.Deliveries().Settle(t.Context(), some))
	left := append([]string{ids[7]}, ids[40:]...)
	waits("settled in part", left, []string{ids[3], ids[39]})

	rest := slices.Clone(leased[40:])
	for n, d := range rest {
		rest[n] = enginetest.Arrived(d)
	}
	require.NoError(t, db.Deliveries().Settle(t.Context(), rest))
	waits("a block has ended", append([]string{ids[7]}, ids[70:]...), []string{ids[3], ids[39]})

	require.ErrorIs(t, db.Deliveries().Settle(t.Context(), rest[:1]), delivery.ErrNotFound, "it ended before")
	for n := 0; ; n++ {
		more := leaseOf(t, db, plainLane, 9)
		if len(more) == 0 {
			break
		}
		for k, d := range more {
			more[k] = enginetest.Arrived(d)
		}
		require.NoError(t, db.Deliveries().Settle(t.Context(), more))
	}
	waits("all blocks have ended", []string{}, []string{ids[3], ids[39]})
	require.Equal(t, 0, tableRows(t, path)["open_blocks"])
}

// waiting accepts deliveries of one event each.
func waiting(b *testing.B, db *sqlite.DB, from, count int) {
	b.Helper()
	entries := make([]delivery.Entry, count)
	for n := range entries {
		entries[n] = entry(from + n)
		entries[n].At = enginetest.At.Add(time.Duration(from+n) * time.Millisecond)
	}
	require.NoError(b, db.Bus().Put(b.Context(), entries))
	received, err := db.Bus().Receive(b.Context(), count)
	require.NoError(b, err)
	var in fanout.Intake
	for _, e := range received {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(b, err)
		in.Accepted = append(in.Accepted, fanout.Accepted{Entry: e, Event: parsed})
		in.Deliveries = append(in.Deliveries, enginetest.Made("i", in.Accepted[len(in.Accepted)-1]))
	}
	require.NoError(b, db.Deliveries().Accept(b.Context(), in))
}

// BenchmarkStartWithAMillionWaiting is a start over a million deliveries that wait: until the first are handed out.
func BenchmarkStartWithAMillionWaiting(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	db, err := sqlite.Open(b.Context(), path, sqlite.Options{})
	require.NoError(b, err)
	for n := 0; n < 1_000_000; n += 500 {
		waiting(b, db, n, 500)
	}
	require.NoError(b, db.Close())
	info, err := os.Stat(path)
	require.NoError(b, err)
	now := enginetest.At.Add(time.Hour)
	for b.Loop() {
		db, err := sqlite.Open(b.Context(), path, sqlite.Options{})
		require.NoError(b, err)
		lanes, _, err := db.Deliveries().Waiting(b.Context(), now)
		require.NoError(b, err)
		require.Len(b, lanes, 1)
		leased, err := db.Deliveries().Lease(b.Context(), lanes[0], 200, now, now, now.Add(time.Hour))
		require.NoError(b, err)
		require.Len(b, leased, 200)
		require.NoError(b, db.Close())
	}
	b.ReportMetric(float64(info.Size())/1e6, "B/delivery")
}
