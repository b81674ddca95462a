package fanouttest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/destination"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// HoldEngine is what the suite of holds works on.
type HoldEngine struct {
	Log      enginetest.Log // Ready hands out what is to be sent by the clock
	Events   fanout.EventLog
	Searched deliverylog.Store
	Backlog  integration.Backlog
	// Reconsider lets go what an integration's rules do not hold any more.
	Reconsider func(ctx context.Context, tenant, integration string) error
	// Restart ends the engine and opens it anew with its state; nil = all of its state is in memory, or none is.
	Restart func(t *testing.T) HoldEngine
}

// OpenHolds opens an engine that asks the holder, and has the clock.
type OpenHolds func(t *testing.T, holder delivery.Holder, now func() time.Time) HoldEngine

// Holds is the suite of deliveries that quiet hours and mutes hold back.
func Holds(t *testing.T, open OpenHolds) {
	run := func(name string, test func(t *testing.T, h *holding)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &holding{now: enginetest.At}
			h.HoldEngine = open(t, h, h.clock)
			h.Rig = &enginetest.Rig{T: t, Log: h.HoldEngine.Log}
			test(t, h)
		})
	}
	run("what is held is not sent before its end, and it says what holds it and until when", heldIsNotSent)
	run("at its end each goes as it is, and says what held it", heldGoesAsItIs)
	run("what is still held at its end is put off", heldIsPutOff)
	run("what ends early goes at once, and what is made shorter says so", heldEndsEarly)
	run("what the rules hold for some kinds alone is held for those", heldByKind)
	run("a digest is one delivery of all that was held for the reason, under the id of the oldest", heldBecomesADigest)
	run("a digest is found by each of its events, however old", digestIsFound)
	run("the same Intake again brings nothing that was let go, merged or sent", heldIntakeAgain)
	run("more than a digest has room for makes several", moreThanADigestHasRoomFor)
	run("of what is let go together people get as many messages as their storm guard says, and the others as one",
		moreThanPeopleRead)
	run("what comes while others are held, and after they were let go, is held too", heldAgain)
	run("an end that is over when the delivery comes in holds nothing", heldForNoTime)
	run("nothing is held for longer than all that is kept of it", heldAtMost)
	run("what is held is counted apart from what waits", heldIsCountedApart)
	run("what gathers is counted with what waits, and told apart", gatheringIsToldApart)
	run("another integration's is left alone", heldOfAnother)
	run("what is held for an integration that is disabled or gone is let go, to end as what waits does", heldOfDisabled)
}

// holding drives an engine and says what is held.
type holding struct {
	*enginetest.Rig
	HoldEngine

	mu    sync.Mutex
	now   time.Time
	until map[event.Kind]time.Time
	asked int
	guard int
	off   bool // the integration is disabled or gone
}

func (h *holding) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *holding) at(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now
}

// hold makes the rules hold deliveries to the suite's integration until a time, the zero time for not at all.
func (h *holding) hold(until time.Time, kinds ...event.Kind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = map[event.Kind]time.Time{}
	for _, k := range append(kinds, event.CreateUser) {
		h.until[k] = until
	}
}

// Holding makes it a delivery.Holder.
func (h *holding) Holding(_ context.Context, tenant, id string) (delivery.Holding, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	until, guard := h.until, h.guard
	if tenant != "42" || id != "i" || h.off {
		return nil, nil
	}
	return func(kinds []event.Kind, _ time.Time) delivery.Held {
		out := delivery.Held{By: "mute", Guard: guard}
		for _, k := range kinds {
			if until[k].After(out.Until) {
				out.Until = until[k]
			}
		}
		return out
	}, nil
}

// Log of the engine, and of the rig.
func (h *holding) log() enginetest.Log { return h.HoldEngine.Log }

// held accepts a delivery of new events that is held until a time.
func (h *holding) held(count int, until time.Time, how func(*delivery.Delivery)) fanout.Intake {
	h.T.Helper()
	in := fanout.Intake{Accepted: h.Publish(count)}
	d := enginetest.Made("i", in.Accepted...)
	d.Due, d.Held = until, &delivery.Held{By: "quiet", Until: until, Zone: "Europe/Berlin", Tenant: true}
	if how != nil {
		how(&d)
	}
	in.Deliveries = []delivery.Delivery{d}
	require.NoError(h.T, h.log().Accept(h.T.Context(), in))
	return in
}

// digest makes a delivery one that becomes a digest.
func digest(why string) func(*delivery.Delivery) {
	return func(d *delivery.Delivery) { d.Digest, d.Held.Merge = why, true }
}

// later lets time go by between the events that are published.
func (h *holding) later(by time.Duration) { h.Rig.Later(by) }

func (h *holding) reconsider() {
	h.T.Helper()
	require.NoError(h.T, h.Reconsider(h.T.Context(), "42", "i"))
}

func (h *holding) waiting(limit int) integration.Waiting {
	h.T.Helper()
	w, err := h.Backlog.CountWaiting(h.T.Context(), "42", "i", limit)
	require.NoError(h.T, err)
	w.Floor = false // the engines differ
	return w
}

func heldIsNotSent(t *testing.T, h *holding) {
	until := enginetest.At.Add(9 * time.Hour)
	h.hold(until)
	d := h.held(2, until, func(d *delivery.Delivery) {
		d.Digest, d.Held = delivery.DigestMute, &delivery.Held{By: "mute", Until: until, Merge: true}
	}).Deliveries[0]
	for _, after := range []time.Duration{0, 20 * time.Minute, time.Hour, 9*time.Hour - time.Minute} {
		h.at(enginetest.At.Add(after))
		require.Empty(t, h.Ready(10), after)
	}
	require.Equal(t, d, h.Get(d.ID))
	listed, err := h.log().List(t.Context(), delivery.Query{Tenant: "42", Integration: "i",
		States: []delivery.State{delivery.Pending}, Limit: 10})
	require.NoError(t, err)
	d.Events = nil
	require.Equal(t, []delivery.Delivery{d}, listed)
}

func heldGoesAsItIs(t *testing.T, h *holding) {
	until := enginetest.At.Add(time.Hour)
	var want []delivery.Delivery
	for range 3 {
		want = append(want, h.held(2, until, nil).Deliveries...)
	}
	h.at(until)
	got := h.Ready(10)
	for n := range want {
		want[n].Due = time.Time{}
	}
	require.Equal(t, want, got, "they say what held them: their latency is not counted, see health.Ended")
	again := enginetest.Failed(got[0], until.Add(time.Minute))
	require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{again, enginetest.Arrived(got[1]),
		enginetest.Arrived(got[2])}))
	require.Equal(t, again, h.Get(again.ID), "it is a delivery like any other from now on")
	require.Equal(t, enginetest.Arrived(got[1]), h.Get(got[1].ID))
	h.at(until.Add(time.Hour))
	require.Empty(t, h.Ready(10))
}

func heldIsPutOff(t *testing.T, h *holding) {
	until, later := enginetest.At.Add(time.Hour), enginetest.At.Add(30*time.Hour)
	d := h.held(1, until, nil).Deliveries[0]
	h.hold(later)
	h.at(until)
	require.Empty(t, h.Ready(10))
	d.Due, d.Held = later, &delivery.Held{By: "mute", Until: later}
	require.Equal(t, d, h.Get(d.ID))
	h.at(later.Add(-time.Minute))
	require.Empty(t, h.Ready(10))
	h.at(later)
	require.Equal(t, []string{d.ID}, enginetest.IDs(h.Ready(10)))
}

func heldEndsEarly(t *testing.T, h *holding) {
	until := enginetest.At.Add(30 * time.Hour)
	h.hold(until)
	d := h.held(1, until, nil).Deliveries[0]
	merged := h.held(1, until, digest(delivery.DigestQuiet)).Deliveries[0]
	h.held(1, until, digest(delivery.DigestQuiet))
	h.reconsider()
	require.Empty(t, h.Ready(10))
	require.Equal(t, until, h.Get(d.ID).Due)
	h.hold(enginetest.At.Add(2 * time.Hour))
	h.reconsider()
	require.Empty(t, h.Ready(10))
	require.Equal(t, enginetest.At.Add(2*time.Hour), h.Get(d.ID).Due)
	h.hold(time.Time{})
	h.at(enginetest.At.Add(time.Minute))
	require.Empty(t, h.Ready(10), "nobody looked")
	h.reconsider()
	got := h.Ready(10)
	require.Equal(t, []string{d.ID, merged.ID}, enginetest.IDs(got))
	for _, v := range got {
		require.Equal(t, enginetest.At.Add(time.Minute), v.Held.Until, "it says when it was let go, which is timed")
	}
	require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{enginetest.Arrived(got[0]),
		enginetest.Arrived(got[1])}))
	h.reconsider()
	h.at(until.Add(time.Hour))
	require.Empty(t, h.Ready(10))
}

func heldByKind(t *testing.T, h *holding) {
	until, later := enginetest.At.Add(time.Hour), enginetest.At.Add(2*time.Hour)
	passes := h.held(1, until, func(d *delivery.Delivery) { d.Kinds = []event.Kind{event.UpdateUser} }).Deliveries[0]
	stays := h.held(1, until, nil).Deliveries[0]
	both := h.held(2, until, func(d *delivery.Delivery) {
		d.Kinds = []event.Kind{event.UpdateUser, event.CreateUser}
	}).Deliveries[0]
	h.hold(later)
	h.at(until)
	require.Equal(t, []string{passes.ID}, enginetest.IDs(h.Ready(10)))
	h.at(later)
	require.Equal(t, []string{stays.ID, both.ID}, enginetest.IDs(slices.DeleteFunc(h.Ready(10),
		func(d delivery.Delivery) bool { return d.ID == passes.ID })))
}

func heldBecomesADigest(t *testing.T, h *holding) {
	until := enginetest.At.Add(9 * time.Hour)
	h.hold(until)
	quiet := []delivery.Delivery{h.held(1, until, digest(delivery.DigestQuiet)).Deliveries[0]}
	h.later(3 * time.Hour)
	mute := h.held(2, until, digest(delivery.DigestMute)).Deliveries[0]
	alone := h.held(1, until, nil).Deliveries[0]
	h.later(3 * time.Hour)
	for range 2 {
		quiet = append(quiet, h.held(2, until, digest(delivery.DigestQuiet)).Deliveries[0])
	}
	h.hold(time.Time{})
	h.at(until)
	got := h.Ready(10)
	require.Equal(t, []string{quiet[0].ID, mute.ID, alone.ID}, enginetest.IDs(got))
	require.Equal(t, slices.Concat(quiet[0].Events, quiet[1].Events, quiet[2].Events), got[0].Events)
	require.Equal(t, 5, got[0].Count)
	require.Equal(t, delivery.DigestQuiet, got[0].Digest)
	require.Zero(t, got[0].Due)
	require.Equal(t, "quiet", got[0].Held.By)
	require.Equal(t, mute.Events, got[1].Events)
	listed, err := h.log().List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{alone.ID, mute.ID, quiet[0].ID}, enginetest.IDs(listed))
	pending, err := h.Searched.Newest(t.Context(), []delivery.Query{{Tenant: "42", Integration: "i",
		States: []delivery.State{delivery.Pending}, Limit: 10}})
	require.NoError(t, err)
	require.Equal(t, enginetest.IDs(listed), enginetest.IDs(pending[0].Rows))
	for _, d := range quiet[1:] {
		has, err := h.log().Get(t.Context(), "42", "i", d.ID)
		require.NoError(t, err)
		require.Equal(t, quiet[0].ID, has.ID, "the one that has its events")
		_, _, err = h.log().Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: d.ID, Limit: 1})
		require.ErrorIs(t, err, delivery.ErrNotFound)
		found, err := h.Searched.Lookup(t.Context(), "42", []deliverylog.Name{{Integration: "i", ID: d.ID}})
		require.NoError(t, err)
		require.Empty(t, found)
	}
	again := enginetest.Failed(got[0], until.Add(time.Minute))
	require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{again}))
	require.Equal(t, again, h.Get(again.ID))
}

func digestIsFound(t *testing.T, h *holding) {
	until := enginetest.At.Add(9 * time.Hour)
	h.hold(until)
	var all []fanout.Accepted
	var made []delivery.Delivery
	for range 4 {
		in := h.held(1, until, digest(delivery.DigestQuiet))
		all, made = append(all, in.Accepted...), append(made, in.Deliveries...)
		h.later(2 * time.Hour)
	}
	h.hold(time.Time{})
	h.at(until)
	found := func() {
		t.Helper()
		for n, a := range all {
			carried, err := h.Events.Carried(t.Context(), "42", "i", []fanout.Accepted{a})
			require.NoError(t, err)
			require.Equal(t, []bool{true}, carried, n)
			id, through, err := h.Searched.Carrying(t.Context(), "42", "i", deliverylog.Event{Accepted: a}, 100)
			require.NoError(t, err)
			require.True(t, through)
			require.Equal(t, made[0].ID, id, n)
		}
	}
	got := h.Ready(10)
	require.Len(t, got, 1)
	found()
	require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{enginetest.Arrived(got[0])}))
	found()
	again, err := h.Events.Recover(t.Context(), made, all)
	require.NoError(t, err)
	require.Zero(t, again)
	require.Empty(t, h.Ready(10))
}

func heldIntakeAgain(t *testing.T, h *holding) {
	until := enginetest.At.Add(time.Hour)
	ins := []fanout.Intake{h.held(1, until, nil), h.held(1, until, digest(delivery.DigestQuiet)),
		h.held(2, until, digest(delivery.DigestQuiet))}
	again := func() {
		t.Helper()
		for _, in := range ins {
			require.NoError(t, h.log().Accept(t.Context(), in))
		}
	}
	again()
	h.at(until)
	got := h.Ready(10)
	require.Equal(t, []string{ins[0].Deliveries[0].ID, ins[1].Deliveries[0].ID}, slices.Compact(enginetest.IDs(got)))
	require.Equal(t, 3, got[len(got)-1].Count)
	again()
	require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{enginetest.Arrived(got[0]),
		enginetest.Arrived(got[len(got)-1])}))
	again()
	require.Empty(t, h.Ready(10))
	h.at(until.Add(time.Hour))
	require.Empty(t, h.Ready(10))
	listed, err := h.log().List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{ins[1].Deliveries[0].ID, ins[0].Deliveries[0].ID}, enginetest.IDs(listed))
}

func moreThanADigestHasRoomFor(t *testing.T, h *holding) {
	half := destination.File.Count/2 + 1
	var want []string
	for range 3 {
		in := h.held(1, enginetest.At.Add(time.Hour), func(d *delivery.Delivery) {
			digest(delivery.DigestQuiet)(d)
			d.Count = half // as many as an engine is told that there are
		})
		want = append(want, in.Deliveries[0].ID)
	}
	h.at(enginetest.At.Add(time.Hour))
	require.Equal(t, want, enginetest.IDs(h.Ready(10)))
}

func moreThanPeopleRead(t *testing.T, h *holding) {
	until := enginetest.At.Add(9 * time.Hour)
	h.hold(until)
	h.guard = 2
	join := func(d *delivery.Delivery) { d.Held.Join = true }
	var made []delivery.Delivery
	for range 5 {
		made = append(made, h.held(1, until, join).Deliveries[0])
		h.later(time.Hour)
	}
	alone := h.held(1, until, nil).Deliveries[0]
	stored := h.Get(made[0].ID)
	require.True(t, stored.Held.Join)
	require.Zero(t, stored.Held.Guard)
	h.hold(time.Time{})
	h.at(until)
	got := h.Ready(10)
	require.Equal(t, []string{made[0].ID, made[1].ID, made[2].ID, alone.ID}, enginetest.IDs(got))
	require.Equal(t, []string{"", "", delivery.DigestQuiet}, []string{got[0].Digest, got[1].Digest, got[2].Digest})
	require.Equal(t, slices.Concat(made[2].Events, made[3].Events, made[4].Events), got[2].Events)
	has, err := h.log().Get(t.Context(), "42", "i", made[4].ID)
	require.NoError(t, err)
	require.Equal(t, made[2].ID, has.ID, "the one that has its events")
	require.Equal(t, delivery.DigestQuiet, has.Digest)
}

func heldAgain(t *testing.T, h *holding) {
	for night := range 3 {
		until := h.clock().Add(9 * time.Hour)
		h.hold(until)
		first := h.held(1, until, digest(delivery.DigestQuiet)).Deliveries[0]
		second := h.held(1, until, digest(delivery.DigestQuiet)).Deliveries[0]
		require.Empty(t, h.Ready(10), night)
		h.hold(time.Time{})
		h.at(until)
		got := h.Ready(10)
		require.Equal(t, []string{first.ID}, enginetest.IDs(got), night)
		require.Equal(t, slices.Concat(first.Events, second.Events), got[0].Events)
		require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{enginetest.Arrived(got[0])}))
		h.later(24 * time.Hour)
		h.at(until.Add(15 * time.Hour))
		require.Empty(t, h.Ready(10), night)
	}
}

func heldForNoTime(t *testing.T, h *holding) {
	d := h.held(1, enginetest.At.Add(-time.Second), nil).Deliveries[0]
	require.Equal(t, []string{d.ID}, enginetest.IDs(h.Ready(10)))
}

func heldAtMost(t *testing.T, h *holding) {
	d := h.held(1, enginetest.At.Add(time.Hour), nil).Deliveries[0]
	for at := enginetest.At; at.Before(d.CreatedAt.Add(delivery.HeldAtMost)); at = at.Add(10 * 24 * time.Hour) {
		h.hold(at.Add(20 * 24 * time.Hour)) // made longer again and again
		h.at(at)
		h.reconsider()
		require.Empty(t, h.Ready(10))
	}
	require.Equal(t, d.CreatedAt.Add(delivery.HeldAtMost), h.Get(d.ID).Due)
	h.at(d.CreatedAt.Add(delivery.HeldAtMost))
	got := h.Ready(10)
	require.Equal(t, []string{d.ID}, enginetest.IDs(got))
	require.Equal(t, d.Events, got[0].Events, "they are still there")
}

func heldIsCountedApart(t *testing.T, h *holding) {
	until := enginetest.At.Add(9 * time.Hour)
	h.hold(until)
	require.Zero(t, h.waiting(10))
	for range 3 {
		h.held(1, until, nil)
	}
	require.Equal(t, integration.Waiting{Held: 3, HeldUntil: until}, h.waiting(10))
	require.Equal(t, 2, h.waiting(2).Held)
	retried := h.Accept(1)
	got := h.Ready(10)
	require.Equal(t, enginetest.IDs(retried), enginetest.IDs(got))
	again := enginetest.Failed(got[0], enginetest.At.Add(time.Hour))
	again.Batch = "b"
	require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{again}))
	require.Equal(t, integration.Waiting{Count: 1, Next: enginetest.At.Add(time.Hour), Held: 3, HeldUntil: until},
		h.waiting(10))
	h.hold(time.Time{})
	h.reconsider()
	require.Len(t, h.Ready(10), 3)
	require.Zero(t, h.waiting(10).Held)
	require.Zero(t, h.waiting(10).HeldUntil)
}

// gatheringIsToldApart: the backlog of a rate took each of these for a message that waits for its turn.
func gatheringIsToldApart(t *testing.T, h *holding) {
	h.Accept(1)
	for range 3 {
		h.held(1, enginetest.At.Add(5*time.Minute), func(d *delivery.Delivery) { d.Held = nil })
	} // an engine counts none of them, or all
	require.Contains(t, []integration.Waiting{{}, {Count: 4, Gathering: 3}}, h.waiting(10))
}

func heldOfAnother(t *testing.T, h *holding) {
	until := enginetest.At.Add(time.Hour)
	h.hold(until)
	in := fanout.Intake{Accepted: h.Publish(2)}
	for n, id := range []string{"i", "j"} {
		d := enginetest.Made(id, in.Accepted[n])
		d.Due, d.Held = until, &delivery.Held{By: "quiet", Until: until}
		in.Deliveries = append(in.Deliveries, d)
	}
	require.NoError(t, h.log().Accept(t.Context(), in))
	require.NoError(t, h.Reconsider(t.Context(), "42", "j"))
	require.Empty(t, h.Ready(10))
	require.Equal(t, enginetest.IDs(in.Deliveries[1:]), enginetest.IDs(h.log().Ready(t, "42", "j", 10)))
	require.NoError(t, h.Reconsider(t.Context(), "42", "nobody"))
}

func heldOfDisabled(t *testing.T, h *holding) {
	until := enginetest.At.Add(9 * time.Hour)
	h.hold(until)
	alone := h.held(1, until, nil).Deliveries[0]
	first := h.held(1, until, digest(delivery.DigestQuiet)).Deliveries[0]
	h.held(2, until, digest(delivery.DigestQuiet))
	h.reconsider()
	require.Empty(t, h.Ready(10))
	h.mu.Lock()
	h.off = true
	h.mu.Unlock()
	h.reconsider()
	got := h.Ready(10)
	require.Equal(t, []string{alone.ID, first.ID}, enginetest.IDs(got))
	require.Equal(t, 3, got[1].Count)
	require.NoError(t, h.log().Settle(t.Context(), []delivery.Delivery{got[0].Kill("it is disabled"),
		got[1].Kill("it is disabled")}))
	h.at(until.Add(time.Hour))
	require.Empty(t, h.Ready(10))
	require.Equal(t, delivery.Dead, h.Get(first.ID).State)
	require.Zero(t, h.waiting(10))
}
