package sqlite_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/metrics"
)

// oracle holds deliveries as a map does, beside an engine that gets the same.
type oracle struct {
	*testing.T
	r      *rand.Rand
	path   string
	least  int
	db     *sqlite.DB
	n      int // events
	at     time.Time
	by     map[string]map[string]delivery.Delivery // by integration and id
	leased map[string]bool                         // by integration and id
	first  map[string]fanout.Accepted              // by event: the entry
	gone   []delivery.Delivery                     // removed when they were old
}

var oracleLanes = []string{"i", "j"}

func newOracle(t *testing.T, seed uint64) *oracle {
	o := &oracle{T: t, r: rand.New(rand.NewPCG(seed, 1624)), path: filepath.Join(quickDir(t), "state.db"),
		least: 1 + int(seed%4), at: enginetest.At, leased: map[string]bool{}, first: map[string]fanout.Accepted{},
		by: map[string]map[string]delivery.Delivery{"i": {}, "j": {}}}
	o.db = reopenWith(t, o.path, sqlite.Options{LeastBlock: o.least})
	return o
}

func (o *oracle) lane() string { return oracleLanes[o.r.IntN(len(oracleLanes))] }

// moment is at or near the time of some delivery, or open.
func (o *oracle) moment() time.Time {
	if o.r.IntN(3) == 0 {
		return time.Time{}
	}
	const around = 10 * time.Millisecond
	after := time.Duration(o.r.Int64N(int64(o.at.Sub(enginetest.At) + 2*around)))
	return enginetest.At.Add(after - around).Truncate(time.Millisecond)
}

// accept makes deliveries of new events. Their ids overlap with those before within a millisecond, and sometimes lie
// before them: a clock that went back.
func (o *oracle) accept() {
	var entries []delivery.Entry
	back := time.Duration(0)
	if o.r.IntN(6) == 0 {
		back = time.Duration(o.r.IntN(400)) * time.Millisecond
	}
	for range 1 + o.r.IntN([]int{3, 150}[o.r.IntN(2)]) {
		o.n++
		if o.r.IntN(4) == 0 {
			o.at = o.at.Add(time.Duration(o.r.IntN(4)) * time.Millisecond)
		}
		entries = append(entries, delivery.Entry{DetailType: "create_user", At: o.at.Add(-back),
			Detail: fmt.Appendf(nil, `{"version":1,"id":"e%d","tenant":"42","time":"2023-03-01T12:00:00Z",`+
				`"data":{"user":{"name":"U"}}}`, o.n)})
	}
	require.NoError(o, o.db.Bus().Put(o.Context(), entries))
	entries, err := o.db.Bus().Receive(o.Context(), 1000)
	require.NoError(o, err)
	var in fanout.Intake
	for n, e := range entries {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(o, err)
		in.Accepted = append(in.Accepted, fanout.Accepted{Entry: e, Event: parsed})
		o.first[parsed.ID] = in.Accepted[n]
	}
	for _, lane := range oracleLanes {
		for n := 0; n < len(in.Accepted); {
			count := min(len(in.Accepted)-n, 1+max(0, o.r.IntN(5)-3))
			of := in.Accepted[n : n+count]
			if n += count; o.r.IntN(5) == 0 {
				continue // a filter
			}
			digest := sha256.Sum256(fmt.Append(nil, lane, of[0].Event.ID))
			d := delivery.Delivery{ID: delivery.DerivedID(of[0].Entry.At, digest[:]), Tenant: "42", Integration: lane,
				State: delivery.Pending, Count: count, Kinds: []event.Kind{event.CreateUser},
				CreatedAt: of[0].Entry.At.Truncate(time.Millisecond)}
			for _, a := range of {
				d.Events = append(d.Events, a.Event)
			}
			in.Deliveries = append(in.Deliveries, d)
			o.by[lane][d.ID] = d
		}
	}
	o.r.Shuffle(len(in.Deliveries), func(a, b int) {
		in.Deliveries[a], in.Deliveries[b] = in.Deliveries[b], in.Deliveries[a]
	})
	require.NoError(o, o.db.Deliveries().Accept(o.Context(), in))
}

// those are deliveries by ids, oldest first.
func (o *oracle) those(lane string, which func(delivery.Delivery) bool) (out []delivery.Delivery) {
	for _, d := range o.by[lane] {
		if which(d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b delivery.Delivery) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (o *oracle) lease() []delivery.Delivery {
	lane, limit, retry := o.lane(), 1+o.r.IntN(90), o.r.IntN(4) == 0
	now := enginetest.At.Add(time.Hour)
	got, err := o.db.Deliveries().Lease(o.Context(), delivery.Lane{Tenant: "42", Integration: lane, Retry: retry},
		limit, now, now, now.Add(time.Hour))
	require.NoError(o, err)
	want := o.those(lane, func(d delivery.Delivery) bool {
		return !o.leased[lane+d.ID] && (retry && d.State == delivery.Retrying || !retry && d.State == delivery.Pending)
	})
	if retry {
		slices.SortStableFunc(want, func(a, b delivery.Delivery) int { return a.Due.Compare(b.Due) })
	}
	want = want[:min(limit, len(want))]
	require.Equal(o, enginetest.IDs(want), enginetest.IDs(got))
	for n := range want {
		require.Equal(o, want[n], got[n])
		o.leased[lane+want[n].ID] = true
	}
	return got
}

func (o *oracle) settle(some []delivery.Delivery) {
	some = slices.Clone(some)
	o.r.Shuffle(len(some), func(a, b int) { some[a], some[b] = some[b], some[a] })
	var late []string
	for n, d := range some {
		at := enginetest.At.Add(time.Duration(o.r.IntN(1e9)))
		a := delivery.Attempt{At: at, Took: time.Millisecond, Status: 200, Delivered: true}
		switch o.r.IntN(12) {
		case 0:
			d = enginetest.Failed(d, at)
		case 1:
			a.Delivered, a.Reason, a.Answer = false, "answered 404", "no"
			d = d.Kill("answered 404")
			d.Attempts = append(slices.Clone(d.Attempts), a)
		case 2:
			d.Reason = "spared" // and it waits again
		case 3:
			d.State, d.Due, d.Reason = delivery.Delivered, time.Time{}, "in part"
			d.Parts = []delivery.Part{{Key: "a", State: delivery.PartDelivered, Status: 250}}
			d.Attempts = append(slices.Clone(d.Attempts), a)
		default:
			d.State, d.Due, d.Reason = delivery.Delivered, time.Time{}, ""
			d.Attempts = append(slices.Clone(d.Attempts), a)
		}
		if some[n] = d; o.r.IntN(30) == 0 { // a lease may be over, and another call be faster
			_ = o.db.Deliveries().Release(o.Context(), []delivery.Delivery{some[n]})
		}
	}
	for _, d := range some {
		delete(o.leased, d.Integration+d.ID)
		switch was := o.by[d.Integration][d.ID]; was.State {
		case delivery.Pending, delivery.Retrying:
			o.by[d.Integration][d.ID] = d
		default:
			late = append(late, d.ID)
		}
	}
	err := o.db.Deliveries().Settle(o.Context(), some)
	var ended *delivery.NotWaitingError
	if errors.As(err, &ended) {
		err = nil
		require.ElementsMatch(o, late, ended.IDs)
	} else {
		require.Empty(o, late)
	}
	require.NoError(o, err)
}

func (o *oracle) replay() {
	lane := o.lane()
	q := delivery.Replay{Tenant: "42", Integration: lane, From: o.moment(), To: o.moment(), Limit: 1 + o.r.IntN(80),
		States: [][]delivery.State{nil, {delivery.Dead}, {delivery.Delivered},
			{delivery.Dead, delivery.Delivered}}[o.r.IntN(4)]}
	states := q.States
	if states == nil {
		states = []delivery.State{delivery.Dead}
	}
	all := o.those(lane, func(delivery.Delivery) bool { return true })
	if len(all) > 0 && o.r.IntN(3) == 0 {
		q.After = all[o.r.IntN(len(all))].ID
	}
	if len(all) > 0 && o.r.IntN(3) == 0 {
		q = delivery.Replay{Tenant: "42", Integration: lane, ID: all[o.r.IntN(len(all))].ID}
		states = []delivery.State{delivery.Dead, delivery.Delivered}
	}
	want := o.those(lane, func(d delivery.Delivery) bool {
		return slices.Contains(states, d.State) && (q.ID == "" || d.ID == q.ID) && d.ID > q.After &&
			!d.CreatedAt.Before(q.From) && (q.To.IsZero() || d.CreatedAt.Before(q.To))
	})
	if q.ID == "" {
		want = want[:min(q.Limit, len(want))]
	}
	n, after, err := o.db.Deliveries().Replay(o.Context(), q)
	require.NoError(o, err)
	require.Equal(o, len(want), n, "%+v", q)
	if q.ID == "" && len(want) == q.Limit {
		require.Equal(o, want[len(want)-1].ID, after)
	} else {
		require.Empty(o, after)
	}
	for _, d := range want {
		d.State, d.Failures, d.Reason = delivery.Pending, 0, ""
		o.by[lane][d.ID] = d
	}
}

func (o *oracle) prune() {
	before := o.moment()
	removed, err := o.db.Deliveries().Prune(o.Context(), before)
	require.NoError(o, err)
	want := 0
	for _, lane := range oracleLanes {
		for _, d := range o.those(lane, func(d delivery.Delivery) bool {
			return (d.State == delivery.Delivered || d.State == delivery.Dead) && d.CreatedAt.Before(before)
		}) {
			delete(o.by[lane], d.ID)
			o.gone = append(o.gone, d)
			want++
		}
	}
	require.Equal(o, want, removed)
	_, err = o.db.Deliveries().PruneEvents(o.Context(), before)
	require.NoError(o, err)
}

func (o *oracle) restart() {
	require.NoError(o, o.db.Close())
	o.db = reopenWith(o.T, o.path, sqlite.Options{LeastBlock: o.least})
	clear(o.leased)
}

// list compares a page, and the next.
func (o *oracle) list() {
	q := delivery.Query{Tenant: "42", Integration: o.lane(), From: o.moment(), To: o.moment(), Limit: 1 + o.r.IntN(100)}
	for _, s := range delivery.States() {
		if o.r.IntN(3) == 0 {
			q.States = append(q.States, s)
		}
	}
	want := o.those(q.Integration, func(d delivery.Delivery) bool {
		return (len(q.States) == 0 || slices.Contains(q.States, d.State)) && !d.CreatedAt.Before(q.From) &&
			(q.To.IsZero() || d.CreatedAt.Before(q.To))
	})
	slices.Reverse(want)
	for range 3 {
		got, err := o.db.Deliveries().List(o.Context(), q)
		require.NoError(o, err)
		part := want[:min(q.Limit, len(want))]
		require.Equal(o, enginetest.IDs(part), enginetest.IDs(got), "%+v", q)
		for n, d := range part {
			d.Events = nil
			require.Equal(o, d, got[n])
		}
		if want = want[len(part):]; len(part) == 0 {
			return
		}
		q.Before = part[len(part)-1].ID
	}
}

// miss looks for a delivery that was removed.
func (o *oracle) miss() {
	if len(o.gone) == 0 {
		return
	}
	d := o.gone[o.r.IntN(len(o.gone))]
	_, err := o.db.Deliveries().Get(o.Context(), "42", d.Integration, d.ID)
	require.ErrorIs(o, err, delivery.ErrNotFound)
	_, _, err = o.db.Deliveries().Replay(o.Context(), delivery.Replay{Tenant: "42", Integration: d.Integration,
		ID: d.ID})
	require.ErrorIs(o, err, delivery.ErrNotFound)
}

// look compares what is known of some delivery.
func (o *oracle) look() {
	lane := o.lane()
	all := o.those(lane, func(delivery.Delivery) bool { return true })
	if len(all) == 0 {
		return
	}
	d := all[o.r.IntN(len(all))]
	ended := d.State == delivery.Delivered || d.State == delivery.Dead
	got, err := o.db.Deliveries().Get(o.Context(), "42", lane, d.ID)
	require.NoError(o, err)
	if ended {
		got.Events = d.Events // they may be pruned
	}
	require.Equal(o, d, got)
	found, err := o.db.Deliveries().Lookup(o.Context(), "42", []deliverylog.Name{{Integration: lane, ID: d.ID},
		{Integration: lane, ID: d.ID[:25] + "!"}})
	require.NoError(o, err)
	require.Equal(o, []string{d.ID}, enginetest.IDs(found))
	of := o.first[d.Events[o.r.IntN(len(d.Events))].ID]
	carrier, through, err := o.db.Deliveries().Carrying(o.Context(), "42", lane, deliverylog.Event{Accepted: of},
		100_000)
	require.NoError(o, err)
	require.True(o, through)
	require.Equal(o, d.ID, carrier)
	carried, err := o.db.Deliveries().Carried(o.Context(), "42", lane, []fanout.Accepted{of})
	require.NoError(o, err)
	require.Equal(o, []bool{true}, carried)
}

// count compares how much waits.
func (o *oracle) count() {
	lanes := map[string]metrics.Lane{}
	require.NoError(o, o.db.Backlog().Lanes(o.Context(), func(l metrics.Lane) error {
		lanes[l.Integration] = l
		return nil
	}))
	for _, lane := range oracleLanes {
		pending := o.those(lane, func(d delivery.Delivery) bool { return d.State == delivery.Pending })
		retrying := o.those(lane, func(d delivery.Delivery) bool { return d.State == delivery.Retrying })
		want := len(pending) + len(retrying)
		require.Equal(o, want, lanes[lane].Waiting)
		limit := 1 + o.r.IntN(300)
		w, err := o.db.Deliveries().CountWaiting(o.Context(), "42", lane, limit)
		require.NoError(o, err)
		require.Equal(o, min(limit, want), w.Count)
		dead := o.those(lane, func(d delivery.Delivery) bool { return d.State == delivery.Dead })
		n, err := o.db.Deliveries().CountDead(o.Context(), "42", lane, time.Time{}, 1000)
		require.NoError(o, err)
		require.Equal(o, min(1000, len(dead)), n)
		ready, _, err := o.db.Deliveries().Waiting(o.Context(), enginetest.At.Add(time.Hour))
		require.NoError(o, err)
		require.Equal(o, len(pending) > 0, slices.Contains(ready, delivery.Lane{Tenant: "42", Integration: lane}))
	}
}

// Whatever is done, the deliveries are those of a map: in blocks, in rows of their own, and moved from the one to the
// other.
func TestDeliveriesAreThoseOfAPlainOracle(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := newOracle(t, seed)
			var leased []delivery.Delivery
			for range 60 {
				switch n := o.r.IntN(20); {
				case n < 5:
					o.accept()
				case n < 9:
					leased = append(leased, o.lease()...)
				case n < 14:
					k := o.r.IntN(len(leased) + 1)
					o.settle(leased[:k])
					if o.r.IntN(8) > 0 { // else they are settled twice
						leased = leased[k:]
					}
				case n < 16:
					o.replay()
				case n < 17:
					o.prune()
				case n < 18 && o.r.IntN(3) == 0:
					o.restart()
					leased = nil
				}
				o.list()
				o.look()
				o.miss()
				o.count()
			}
		})
	}
}
