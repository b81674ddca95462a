//go:build awslocal

package aws_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/worker"
)

// failedOnce is a delivery after its first failure.
func failedOnce(v delivery.Delivery, batch string) delivery.Delivery {
	v.State, v.Failures, v.Batch, v.Due = delivery.Retrying, 1, batch, now().Add(time.Second)
	return v
}

func TestABatchClaimsWhatIsStillPending(t *testing.T) {
	d := open(t).deliveries()
	a, b := accepted("a", "/"), accepted("b", "/")
	one, two := pending(first, a), pending(second, b)
	require.NoError(
		t,
		d.Accept(
			t.Context(),
			fanout.Intake{Accepted: []fanout.Accepted{a, b}, Deliveries: []delivery.Delivery{one, two}},
		),
	)
	claim := func(batch string, list ...delivery.Delivery) int {
		t.Helper()
		for n := range list {
			list[n] = failedOnce(list[n], batch)
		}
		n, rest, err := d.Claim(t.Context(), batch, list)
		require.NoError(t, err)
		require.Empty(t, rest)
		return n
	}
	require.Equal(t, 1, claim("batch-1", one))
	require.Equal(t, 1, claim("batch-2", one, two), "the other belongs to batch 1")
	got, err := d.Batch(t.Context(), "batch-2")
	require.NoError(t, err)
	require.Equal(
		t,
		worker.Batch{MessageBatch: worker.MessageBatch{Tenant: "42", Integration: "i", IDs: []string{second}}},
		got,
	)
	require.Zero(t, claim("batch-3", one, two))
	_, err = d.Batch(t.Context(), "batch-3")
	require.ErrorIs(t, err, delivery.ErrNotFound, "nothing was claimed, so nothing was recorded")

	require.NoError(t, d.TakeOver(t.Context(), "batch-2", "batch-2-again"))
	got, err = d.Batch(t.Context(), "batch-2")
	require.NoError(t, err)
	require.Equal(t, "batch-2-again", got.Execution)
	require.ErrorIs(t, d.TakeOver(t.Context(), "batch-3", "x"), delivery.ErrNotFound)
}

// incompressible is a text that no compression makes smaller than half of it.
func incompressible(bytes int) string {
	raw := make([]byte, bytes/2)
	_, _ = rand.Read(raw) // it never fails
	return hex.EncodeToString(raw)
}

// A transaction takes 4 MB and an item 400 KB: what is more is split before, and not sent again and again.
func TestLargeDeliveriesAreClaimedInSeveralBatches(t *testing.T) {
	d := open(t).deliveries()
	var in fanout.Intake
	const count = 60
	for n := range count {
		a := accepted(fmt.Sprintf("e%d", n), "/")
		id := ulid.MustNew(ulid.Timestamp(now().Add(time.Duration(n)*time.Second)), rand.Reader).String()
		in.Accepted, in.Deliveries = append(in.Accepted, a), append(in.Deliveries, pending(id, a))
	}
	require.NoError(t, d.Accept(t.Context(), in))
	rest := in.Deliveries
	for n := range rest { // 64 attempts of 3 KB are more than an item takes: the oldest go
		rest[n] = large(failedOnce(rest[n], ""))
	}
	claimed, batches := 0, 0
	for ; len(rest) > 0; batches++ {
		require.Less(t, batches, count)
		batch := fmt.Sprintf("batch-%d", batches)
		for n := range rest {
			rest[n].Batch = batch
		}
		n, more, err := d.Claim(t.Context(), batch, rest)
		require.NoError(t, err)
		require.Positive(t, n)
		require.Less(t, len(more), len(rest))
		b, err := d.Batch(t.Context(), batch)
		require.NoError(t, err)
		require.Len(t, b.IDs, n)
		claimed, rest = claimed+n, more
	}
	require.Equal(t, count, claimed)
	require.Greater(t, batches, 1)
	for _, v := range in.Deliveries[:3] {
		got, err := d.Get(t.Context(), "42", "i", v.ID)
		require.NoError(t, err)
		require.Equal(t, v.Parts, got.Parts, "without them parts would be sent twice")
		require.Greater(t, len(got.Attempts), 16)
		require.Equal(t, v.Attempts[64-len(got.Attempts):], got.Attempts, "the newest are kept")
		v.Attempts = append(v.Attempts[1:], v.Attempts[0])
		require.NoError(t, d.Settle(t.Context(), []delivery.Delivery{v}))
	}
}

// large gives a delivery as many attempts and parts as it can have, which are larger than an item.
func large(v delivery.Delivery) delivery.Delivery {
	for k := range 64 {
		v.Attempts = append(v.Attempts, delivery.Attempt{
			At: now().Add(time.Duration(k) * time.Second), Status: 500,
			Reason: incompressible(2 << 10), Answer: incompressible(4 << 10),
		})
	}
	for k := range 100 {
		v.Parts = append(v.Parts, delivery.Part{
			Key: fmt.Sprint(k), From: k, To: k + 1, State: delivery.PartFailed, Reason: incompressible(256),
		})
	}
	return v
}

func TestRetriesThatAreAnHourOverdueAreFoundAndCanBeSentAgain(t *testing.T) {
	w := open(t)
	d := w.deliveries()
	a, b, c := accepted("a", "/"), accepted("b", "/"), accepted("c", "/")
	third := "01GTD8R4000000000000000003"
	in := fanout.Intake{
		Accepted:   []fanout.Accepted{a, b, c},
		Deliveries: []delivery.Delivery{pending(first, a), pending(second, b), pending(third, c)},
	}
	require.NoError(t, d.Accept(t.Context(), in))
	late, soon := failedOnce(in.Deliveries[0], "batch-1"), failedOnce(in.Deliveries[1], "batch-1")
	late.Due, soon.Due = now().Add(-delivery.Overdue-time.Second), now().Add(-delivery.Overdue+time.Minute)
	dead := failedOnce(in.Deliveries[2], "batch-1").Kill("it was refused")
	require.NoError(t, d.Settle(t.Context(), []delivery.Delivery{late, soon, dead}))
	w.receive(t)
	var found []string
	require.NoError(t, d.Stranded(t.Context(), now().Add(-delivery.Overdue), func(list []delivery.Delivery) error {
		for _, v := range list {
			require.Equal(t, "batch-1", v.Batch)
			found = append(found, v.ID)
		}
		return nil
	}))
	require.Equal(t, []string{first}, found)
	for _, v := range []delivery.Delivery{soon, late} {
		n, _, err := d.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", ID: v.ID, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, map[string]int{first: 1, second: 0}[v.ID], n, "an execution works at the other")
	}
	got, err := d.Get(t.Context(), "42", "i", first)
	require.NoError(t, err)
	require.Equal(t, delivery.Pending, got.State)
	require.Empty(t, got.Batch)
	require.Zero(t, got.Failures, "a new run")
	messages := w.receive(t)
	require.Len(t, messages, 1)
	require.Equal(t, []string{first}, messages[0].IDs)
}
