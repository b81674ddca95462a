package sqlite_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/patience"
	"tocsin/shared/trigger"
)

// rush has deliveries come in, be leased, given back and settled all at once.
type rush struct {
	*testing.T
	db *sqlite.DB

	mu     sync.Mutex
	out    map[string]bool // what is leased
	left   int             // what is not delivered
	broken string
}

// What is leased from memory and what is searched in the file are the same deliveries, whoever comes in between: each
// is handed out to one at a time, and none is forgotten.
func TestWhatComesInIsLeasedOnceWhileOthersWrite(t *testing.T) {
	t.Parallel()
	for name, least := range map[string]int{"in blocks": 1, "in rows of their own": 1 << 30, "in both": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const batches, most = 150, 40
			o := &rush{T: t, out: map[string]bool{}}
			o.db = reopenWith(t, filepath.Join(quickDir(t), "state.db"), sqlite.Options{LeastBlock: least})
			sizes := rand.New(rand.NewPCG(1, uint64(least)))
			var batch []int
			for range batches {
				batch = append(batch, 1+sizes.IntN(most))
				o.left += len(oracleLanes) * batch[len(batch)-1]
			}
			var all sync.WaitGroup
			all.Go(func() { o.acceptAll(batch) })
			for n, lane := range append(oracleLanes, oracleLanes...) {
				all.Go(func() { o.sendAll(lane, rand.New(rand.NewPCG(2, uint64(n)))) })
			}
			all.Go(o.writeBeside)
			all.Wait()
			require.Empty(t, o.broken)
			require.Zero(t, o.left, "deliveries are forgotten")
		})
	}
}

// done reports whether nothing is left, or something went wrong; wrong says what.
func (o *rush) done() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.left == 0 || o.broken != ""
}

func (o *rush) wrong(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken == "" {
		o.broken = fmt.Sprintf(format, args...)
	}
}

func (o *rush) acceptAll(batches []int) {
	n := 0
	for _, size := range batches {
		var in fanout.Intake
		var entries []delivery.Entry
		for range size {
			n++
			entries = append(entries, delivery.Entry{DetailType: "create_user", At: enginetest.At.Add(
				time.Duration(n/8) * time.Millisecond), Detail: fmt.Appendf(nil, `{"version":1,"id":"e%d","tenant":"42",`+
				`"time":"2023-03-01T12:00:00Z","data":{"user":{"name":"U"}}}`, n)})
		}
		if err := o.db.Bus().Put(o.Context(), entries); err != nil {
			o.wrong("put: %s", err)
			return
		}
		entries, err := o.db.Bus().Receive(o.Context(), 1000)
		if err != nil {
			o.wrong("receive: %s", err)
			return
		}
		for _, e := range entries {
			parsed, err := event.Parse(e.DetailType, e.Detail)
			if err != nil {
				o.wrong("parse: %s", err)
				return
			}
			in.Accepted = append(in.Accepted, fanout.Accepted{Entry: e, Event: parsed})
			for _, lane := range oracleLanes {
				digest := sha256.Sum256(fmt.Append(nil, lane, parsed.ID))
				in.Deliveries = append(in.Deliveries, delivery.Delivery{ID: delivery.DerivedID(e.At, digest[:]),
					Tenant: "42", Integration: lane, State: delivery.Pending, Count: 1,
					Kinds: []event.Kind{event.CreateUser}, Events: []event.Event{parsed}})
			}
		}
		if err := o.db.Deliveries().Accept(o.Context(), in); err != nil {
			o.wrong("accept: %s", err)
			return
		}
	}
}

func (o *rush) sendAll(lane string, r *rand.Rand) {
	now := enginetest.At.Add(time.Hour)
	for end := time.Now().Add(patience.Long); !o.done() && time.Now().Before(end); {
		leased, err := o.db.Deliveries().Lease(o.Context(), delivery.Lane{Tenant: "42", Integration: lane},
			1+r.IntN(60), now, now, now.Add(time.Hour))
		if err != nil {
			o.wrong("lease: %s", err)
			return
		}
		o.mu.Lock()
		for _, v := range leased {
			if o.out[lane+v.ID] {
				o.broken = "delivery " + v.ID + " is handed out twice"
			}
			if o.out[lane+v.ID] = true; len(v.Events) != 1 || v.State != delivery.Pending {
				o.broken = fmt.Sprintf("delivery %s comes as %+v", v.ID, v)
			}
		}
		o.mu.Unlock()
		o.end(lane, leased, r)
	}
}

// end gives some back, has some wait again with what was found out, and settles the rest.
func (o *rush) end(lane string, leased []delivery.Delivery, r *rand.Rand) {
	var back, settled []delivery.Delivery
	delivered := 0
	for _, v := range leased {
		switch r.IntN(8) {
		case 0:
			back = append(back, v)
			continue
		case 1:
			v.Attempts = append(v.Attempts, delivery.Attempt{At: enginetest.At, Status: 503})
		default:
			v.State = delivery.Delivered
			delivered++
		}
		settled = append(settled, v)
	}
	o.mu.Lock()
	for _, v := range leased {
		delete(o.out, lane+v.ID)
	}
	o.mu.Unlock()
	if err := o.db.Deliveries().Release(o.Context(), back); err != nil {
		o.wrong("release: %s", err)
	}
	if err := o.db.Deliveries().Settle(o.Context(), settled); err != nil {
		o.wrong("settle: %s", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left -= delivered
}

// writeBeside does what is not of the hot path.
func (o *rush) writeBeside() {
	for end := time.Now().Add(patience.Long); !o.done() && time.Now().Before(end); {
		if err := o.db.Deliveries().Hasten(o.Context(), enginetest.At, enginetest.At, time.Second); err != nil {
			o.wrong("write beside: %s", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// What fan-out is handed from memory is what the file has: after a restart it comes again, the same.
func TestEventsFromMemoryAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(quickDir(t), "state.db")
	db := reopen(t, path)
	detail := []byte(`{"version":1,"id":"e0","tenant":"42","data":{}}`)
	put := func(n int, tail []byte) {
		e := delivery.Entry{DetailType: "create_user", Detail: slices.Concat(detail, tail), Tenant: "42",
			At: enginetest.At.Add(time.Duration(n)).In(time.FixedZone("", 3600))}
		if n%8 == 3 {
			e.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		}
		require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{e, entry(n)}))
		clear(e.Detail) // the buffer is used again
	}
	receive := func(db *sqlite.DB) []delivery.Entry {
		got, err := db.Bus().Receive(t.Context(), 1000)
		require.NoError(t, err)
		return got
	}
	for n := range 20 {
		put(n, nil)
	}
	memory := receive(db)
	require.Len(t, memory, 40)
	require.NoError(t, db.Deliveries().Hasten(t.Context(), enginetest.At, enginetest.At, time.Second))
	require.Equal(t, memory, receive(db), "another write makes memory void")
	for n := range 20 {
		put(20+n, make([]byte, n%8*1000)) // some are too long to be kept
	}
	all := receive(db)
	require.Len(t, all, 80)
	require.Equal(t, memory, all[:len(memory)])
	require.NoError(t, db.Close())
	require.Equal(t, all, receive(reopen(t, path)))
}

// What others have stand in the line is in the batch, whatever memory holds: what was put off and moves up, and what
// a fan-out publishes. Memory took what was put for all that came in.
func TestWhatOthersHaveStandInTheLineIsInTheBatch(t *testing.T) {
	t.Parallel()
	db := reopenWith(t, filepath.Join(quickDir(t), "state.db"), sqlite.Options{Share: 2})
	for _, tenant := range []string{"42", "44"} {
		require.NoError(t, db.Integrations().Create(t.Context(), enginetest.Sample(tenant, "i"),
			enginetest.Record(tenant, event.CreateUser)))
	}
	put := func(tenants ...string) {
		for _, tenant := range tenants {
			e := entry(0)
			e.Tenant = tenant
			require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{e}))
		}
	}
	receive := func() (numbers []string) {
		got, err := db.Bus().Receive(t.Context(), 1000)
		require.NoError(t, err)
		for _, e := range got {
			numbers = append(numbers, e.Receipt)
		}
		return numbers
	}
	pass := func(in fanout.Intake) {
		got, err := db.Bus().Receive(t.Context(), 1000)
		require.NoError(t, err)
		for _, e := range got {
			in.Repeated = append(in.Repeated, fanout.Accepted{Entry: e})
		}
		require.NoError(t, db.Deliveries().Accept(t.Context(), in))
	}
	put("44", "44", "44") // the third has to wait
	pass(fanout.Intake{})
	put("42", "42")
	require.Equal(t, []string{"5", "6", "7"}, receive())
	pass(fanout.Intake{})
	put("42")
	pass(fanout.Intake{Triggers: trigger.Outcome{Publish: []event.Event{{ID: "of-1", Tenant: "42",
		Kind: event.CreateUser, Time: enginetest.At, Data: []byte(`{"user":{"name":"T"}}`)}}}})
	put("42")
	require.Equal(t, []string{"9", "10"}, receive())
}
