package enginetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/worker"
)

// BatchEngine is what the suite of worker.BatchStore works on.
type BatchEngine struct {
	Log
	Batches worker.BatchStore
	// Queued takes the message batches that are in the queue, hidden ones too.
	Queued func(t *testing.T) []worker.MessageBatch
}

// OpenBatches opens an engine whose work comes in message batches.
type OpenBatches func(t *testing.T) BatchEngine

// Batches is the suite of worker.BatchStore.
func Batches(t *testing.T, open OpenBatches) {
	run := Parallel(t, open)
	run("what a message batch names is loaded in its order, without what is not there", batchIsLoadedInOrder)
	run("a claim moves pending deliveries into a retry batch", claimMovesIntoABatch)
	run("what is claimed already stays where it is", claimLeavesWhatIsClaimed)
	run("a claim of what all waits nowhere makes no batch", emptyClaimMakesNoBatch)
	run("a large claim takes several batches, and each delivery is in one", largeClaimTakesSeveralBatches)
	run("a batch tells the execution that took it over", takeOverIsTold)
	run("message batches are handed out again", enqueuedIsHandedOut)
}

// claimed are deliveries after their first failure, as the batch's members.
func claimed(batch string, ds ...delivery.Delivery) []delivery.Delivery {
	out := make([]delivery.Delivery, len(ds))
	for n, d := range ds {
		out[n] = Failed(d, At.Add(time.Hour))
		out[n].Batch = batch
	}
	return out
}

func (e BatchEngine) load(t *testing.T, tenant, integration string, ids ...string) []delivery.Delivery {
	t.Helper()
	out, err := e.Batches.Load(t.Context(), worker.MessageBatch{Tenant: tenant, Integration: integration, IDs: ids})
	require.NoError(t, err)
	return out
}

func batchIsLoadedInOrder(t *testing.T, open OpenBatches) {
	e := open(t)
	r := &Rig{T: t, Log: e.Log}
	want := r.Accept(4)
	got := e.load(t, "42", "i", want[2].ID, want[0].ID, "01GTD8R4000000000000000001", want[3].ID)
	require.Equal(t, IDs([]delivery.Delivery{want[2], want[0], want[3]}), IDs(got))
	require.Equal(t, want[2].Events, got[0].Events)
	require.Empty(t, e.load(t, "43", "i", want[0].ID), "another tenant's")
	require.Empty(t, e.load(t, "42", "other", want[0].ID), "another integration's")
	require.Empty(t, e.load(t, "42", "i"))
}

func claimMovesIntoABatch(t *testing.T, open OpenBatches) {
	e := open(t)
	r := &Rig{T: t, Log: e.Log}
	members := claimed("b", r.Accept(3)[:2]...)
	n, rest, err := e.Batches.Claim(t.Context(), "b", members)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, rest)
	batch, err := e.Batches.Batch(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, worker.Batch{MessageBatch: worker.MessageBatch{Tenant: "42", Integration: "i",
		IDs: IDs(members)}}, batch)
	for n, d := range e.load(t, "42", "i", batch.IDs...) {
		require.Equal(t, members[n], d, "with all that was recorded")
	}
	require.Equal(t, members[0], r.Get(members[0].ID))
	require.NoError(t, e.Batches.Settle(t.Context(), []delivery.Delivery{Arrived(members[0])}))
	require.Equal(t, delivery.Delivered, r.Get(members[0].ID).State)
}

func claimLeavesWhatIsClaimed(t *testing.T, open OpenBatches) {
	e := open(t)
	r := &Rig{T: t, Log: e.Log}
	all := r.Accept(4)
	_, _, err := e.Batches.Claim(t.Context(), "one", claimed("one", all[:2]...))
	require.NoError(t, err)
	n, rest, err := e.Batches.Claim(t.Context(), "two", claimed("two", all...))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, rest)
	two, err := e.Batches.Batch(t.Context(), "two")
	require.NoError(t, err)
	require.Equal(t, IDs(all[2:]), two.IDs)
	for n, d := range all {
		require.Equal(t, []string{"one", "one", "two", "two"}[n], r.Get(d.ID).Batch)
	}
}

func emptyClaimMakesNoBatch(t *testing.T, open OpenBatches) {
	e := open(t)
	r := &Rig{T: t, Log: e.Log}
	all := r.Accept(2)
	require.NoError(t, e.Settle(t.Context(), []delivery.Delivery{Arrived(all[0]), Arrived(all[1])}))
	n, rest, err := e.Batches.Claim(t.Context(), "b", claimed("b", all...))
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, rest)
	_, err = e.Batches.Batch(t.Context(), "b")
	require.ErrorIs(t, err, delivery.ErrNotFound)
	require.Equal(t, delivery.Delivered, r.Get(all[0].ID).State)
}

func largeClaimTakesSeveralBatches(t *testing.T, open OpenBatches) {
	e := open(t)
	r := &Rig{T: t, Log: e.Log}
	all := r.Accept(130)
	left, names := all, []string{}
	var moved []string
	for len(left) > 0 {
		name := "batch-" + string(rune('a'+len(names)))
		names = append(names, name)
		n, rest, err := e.Batches.Claim(t.Context(), name, claimed(name, left...))
		require.NoError(t, err)
		require.Positive(t, n, "at least one")
		require.Len(t, left, n+len(rest))
		batch, err := e.Batches.Batch(t.Context(), name)
		require.NoError(t, err)
		moved, left = append(moved, batch.IDs...), left[n:]
	}
	slices.Sort(moved)
	require.Equal(t, IDs(all), moved)
}

func takeOverIsTold(t *testing.T, open OpenBatches) {
	e := open(t)
	r := &Rig{T: t, Log: e.Log}
	_, err := e.Batches.Batch(t.Context(), "b")
	require.ErrorIs(t, err, delivery.ErrNotFound)
	require.ErrorIs(t, e.Batches.TakeOver(t.Context(), "b", "x"), delivery.ErrNotFound)
	members := claimed("b", r.Accept(1)...)
	_, _, err = e.Batches.Claim(t.Context(), "b", members)
	require.NoError(t, err)
	for _, execution := range []string{"x", "y"} {
		require.NoError(t, e.Batches.TakeOver(t.Context(), "b", execution))
		batch, err := e.Batches.Batch(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, execution, batch.Execution)
		require.Equal(t, IDs(members), batch.IDs)
	}
}

func enqueuedIsHandedOut(t *testing.T, open OpenBatches) {
	e := open(t)
	e.Queued(t)
	want := []worker.MessageBatch{{Tenant: "42", Integration: "i", IDs: []string{"a", "b"}},
		{Tenant: "43", Integration: "j", IDs: []string{"c"}}}
	require.NoError(t, e.Batches.Enqueue(t.Context(), want, 0))
	got := e.Queued(t)
	slices.SortFunc(got, func(a, b worker.MessageBatch) int { return len(b.IDs) - len(a.IDs) })
	require.Equal(t, want, got)
	require.NoError(t, e.Batches.Enqueue(t.Context(), nil, 0))
	require.Empty(t, e.Queued(t))
}
