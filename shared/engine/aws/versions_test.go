//go:build awslocal

package aws_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/worker"
)

// put writes a row as an earlier version wrote it.
func (w *world) put(t *testing.T, table string, row map[string]any) {
	t.Helper()
	item, err := attributevalue.MarshalMap(row)
	require.NoError(t, err)
	name := w.prefix + table
	_, err = w.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: item})
	require.NoError(t, err)
}

// idOf is an id of a delivery that was made at now.
func idOf(n byte) string {
	var id ulid.ULID
	id[15] = n
	_ = id.SetTime(uint64(now().UnixMilli())) // a time of this century
	return id.String()
}

// odd is an entry that is kept as a dead letter.
func odd(reason string) fanout.Rejected {
	return fanout.Rejected{
		Entry: delivery.Entry{Receipt: "r", DetailType: "odd", Detail: []byte("{}"), At: now()}, Tenant: "42",
		Reason: reason,
	}
}

// stored is a value as it is stored when it is too small to be compressed.
func stored(raw []byte) []byte { return append([]byte{0}, raw...) }

// firstVersion are tables with rows of version 1: the events a to d, which an entry of the log names; a delivery of a
// and b; two windows of c and of d; and a dead letter.
type firstVersion struct {
	*world
	store    *stores
	clock    *time.Time
	old      map[string]fanout.Accepted
	expires  int64
	delivery string // the id of that of a and b, and of the first window
}

func openFirstVersion(t *testing.T) *firstVersion {
	w := &firstVersion{world: open(t), old: map[string]fanout.Accepted{},
		expires: now().Add(30 * 24 * time.Hour).Unix(), delivery: idOf(1)}
	w.store, w.clock = w.clocked()
	*w.clock = now().Add(time.Hour)
	w.putEvents(t, "a", "b", "c", "d")
	w.put(t, "DeliveriesTable", w.row("i", w.delivery, "a", "b"))
	for id, e := range map[string]string{w.delivery: "c", idOf(2): "d"} {
		gathers := w.row("file", id, e)
		gathers["due"], gathers["size"] = now().Add(10*time.Minute).UnixNano(), 1200
		w.put(t, "DeliveriesTable", gathers)
	}
	w.put(t, "DeadLettersTable", map[string]any{
		"tenant": "42", "id": w.delivery, "day": "2023-03-01", "kind": "odd", "at": now().UnixNano(),
		"reason": "it is odd", "detail": stored([]byte("{}")), "expires": w.expires,
	})
	return w
}

func (w *firstVersion) putEvents(t *testing.T, ids ...string) {
	t.Helper()
	var log []map[string]any
	for n, id := range ids {
		e := accepted(id, "/"+id)
		e.Entry.At = now().Add(time.Duration(n) * time.Second)
		w.old[id] = e
		detail, err := e.Event.Encode()
		require.NoError(t, err)
		w.put(t, "EventsTable", map[string]any{
			"event": "42 " + id, "kind": string(event.NewHits), "receipt": "m-" + id,
			"deliveries": []string{"i " + w.delivery}, "detail": stored(detail), "expires": w.expires,
		})
		log = append(log, map[string]any{"i": id, "a": e.Entry.At.UnixNano()})
	}
	raw, err := json.Marshal(log)
	require.NoError(t, err)
	w.put(t, "EventLogTable", map[string]any{"tenant": "42", "id": "1677672000000000000 0123456789abcdef",
		"events": stored(raw), "expires": w.expires})
}

func (w *firstVersion) row(integration, id string, events ...string) map[string]any {
	return map[string]any{
		"lane": "42 " + integration, "id": id, "state": "pending", "count": len(events),
		"kinds": []string{string(event.NewHits)}, "events": events, "expires": w.expires,
	}
}

// arrived are the events of the log, with one of this version.
func (w *firstVersion) arrived(t *testing.T) []fanout.Accepted {
	t.Helper()
	in := fanout.Intake{Accepted: []fanout.Accepted{accepted("new", "/new")}}
	require.NoError(t, w.store.Accept(t.Context(), in))
	arrived, next, err := w.store.Arrived(t.Context(), "42", now().Add(-time.Hour), now().Add(time.Hour), "", 100)
	require.NoError(t, err)
	require.Empty(t, next)
	return arrived
}

// Rows of version 1, from before intakes, are read as long as they are kept.
func TestRowsOfVersionOneAreRead(t *testing.T) {
	t.Run("their events count", func(t *testing.T) {
		w := openFirstVersion(t)
		require.Equal(t, []fanout.Standing{fanout.Known, fanout.Fresh},
			begin(t, w.store, w.old["a"], accepted("new", "/")))
	})
	t.Run("their deliveries are sent, and what waited is joined", func(t *testing.T) {
		w := openFirstVersion(t)
		for integration, ids := range map[string][]string{"i": {"a", "b"}, "file": {"c", "d"}} {
			loaded, err := w.store.Load(t.Context(),
				worker.MessageBatch{Tenant: "42", Integration: integration, IDs: []string{w.delivery}})
			require.NoError(t, err)
			require.Equal(t, []event.Event{w.old[ids[0]].Event, w.old[ids[1]].Event}, loaded[0].Events,
				"a window's own message opens it, and joins the other")
		}
	})
	t.Run("recovery finds them", func(t *testing.T) {
		w := openFirstVersion(t)
		arrived := w.arrived(t)
		var ids []string
		for _, a := range arrived {
			ids = append(ids, a.Event.ID)
		}
		require.ElementsMatch(t, []string{"a", "b", "c", "d", "new"}, ids)
		carried, err := w.store.Carried(t.Context(), "42", "i", arrived)
		require.NoError(t, err)
		for n, id := range ids {
			require.Equal(t, id == "a" || id == "b", carried[n], id)
		}
		made, err := w.store.Recover(t.Context(), []delivery.Delivery{pending(idOf(3), arrived...)}, arrived)
		require.NoError(t, err)
		require.Equal(t, 1, made)
		got, err := w.store.Get(t.Context(), "42", "i", idOf(3))
		require.NoError(t, err)
		require.Len(t, got.Events, 5, "events of both versions in one delivery")
	})
	t.Run("their dead letters are listed and sent again", testDeadLettersOfVersionOne)
}

func testDeadLettersOfVersionOne(t *testing.T) {
	w := openFirstVersion(t)
	d := w.store
	require.NoError(t, d.Accept(t.Context(), fanout.Intake{Rejected: []fanout.Rejected{odd("it is new")}}))
	d.Bus = &forwarded{}
	ofTenant := func(before string) ([]delivery.DeadLetter, error) {
		return d.DeadLetters(t.Context(), "42", before, 10)
	}
	ofAll := func(before string) ([]delivery.DeadLetter, error) { return d.AllDeadLetters(t.Context(), before, 10) }
	for name, list := range map[string]func(before string) ([]delivery.DeadLetter, error){
		"of a tenant": ofTenant, "of all": ofAll,
	} {
		letters, err := list("")
		require.NoError(t, err)
		require.Len(t, letters, 2, name)
		rest, err := list(letters[0].ID)
		require.NoError(t, err)
		require.Equal(t, letters[1:], rest)
	}
	letters, err := d.AllDeadLetters(t.Context(), "", 10)
	require.NoError(t, err)
	for _, l := range letters {
		sent, err := d.ResendOfAny(t.Context(), l.ID, *w.clock)
		require.NoError(t, err)
		require.True(t, sent, l.Reason)
	}
}

// An event whose key has expired is new, in rows of either version.
func TestAnEventThatIsKeptNoLongerIsNew(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	w.put(t, "EventsTable", map[string]any{"event": "42 old", "kind": "new_hits", "detail": stored([]byte("{}")),
		"expires": now().Add(time.Hour).Unix()})
	a := accepted("newer", "/")
	require.NoError(t, d.Accept(t.Context(), fanout.Intake{Accepted: []fanout.Accepted{a}}))
	require.Equal(t, []fanout.Standing{fanout.Known, fanout.Known}, begin(t, d, accepted("old", "/"), a))
	*clock = clock.Add(31 * 24 * time.Hour)
	both := []fanout.Accepted{accepted("old", "/"), a}
	require.NoError(t, d.Accept(t.Context(), fanout.Intake{Accepted: both,
		Deliveries: []delivery.Delivery{pending(second, both...)}}))
	require.Equal(t, []fanout.Standing{fanout.Known, fanout.Known}, begin(t, d, both...))
}

// Rows of a version that this release does not know are refused, and stay as they are.
func TestRowsOfALaterVersionAreRefused(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	a := accepted("a", "/")
	in := fanout.Intake{
		Accepted: []fanout.Accepted{a}, Deliveries: []delivery.Delivery{pending(idOf(1), a)},
		Rejected: []fanout.Rejected{odd("odd")},
	}
	require.NoError(t, d.Accept(t.Context(), in))
	*clock = clock.Add(time.Hour)
	reads := map[string]func() error{
		"EventsTable":      func() error { return d.Accept(t.Context(), in) },
		"IntakesTable":     func() error { _, err := d.Get(t.Context(), "42", "i", idOf(1)); return err },
		"DeliveriesTable":  func() error { _, err := d.Get(t.Context(), "42", "i", idOf(1)); return err },
		"OutboxTable":      func() error { _, err := d.Sweep(t.Context()); return err },
		"DeadLettersTable": func() error { _, err := d.DeadLetters(t.Context(), "42", "", 10); return err },
		"EventLogTable": func() error {
			_, _, err := d.Arrived(t.Context(), "42", now().Add(-time.Hour), *clock, "", 10)
			return err
		},
	}
	tables := slices.Sorted(maps.Keys(reads))
	slices.Reverse(tables) // an Accept that fails leaves a tombstone in IntakesTable
	for _, table := range tables {
		read := reads[table]
		rows := w.scan(t, table)
		require.Len(t, rows, 1, table)
		later := maps.Clone(rows[0])
		later["v"] = &types.AttributeValueMemberN{Value: "99"}
		name := w.prefix + table
		_, err := w.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: later})
		require.NoError(t, err)
		require.ErrorContains(t, read(), "version 99", table)
		require.Equal(t, []map[string]types.AttributeValue{later}, w.scan(t, table), table)
		_, err = w.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: rows[0]})
		require.NoError(t, err)
	}
}

// scan reads a whole table.
func (w *world) scan(t *testing.T, table string) []map[string]types.AttributeValue {
	t.Helper()
	name, consistent := w.prefix+table, true
	out, err := w.db.Scan(t.Context(), &dynamodb.ScanInput{TableName: &name, ConsistentRead: &consistent})
	require.NoError(t, err)
	return out.Items
}
