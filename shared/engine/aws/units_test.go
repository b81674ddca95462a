//go:build awslocal

package aws_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
)

// TestWhatABatchOfHitsCostsDynamoDB: 93 hits of one tenant, from ever new addresses, with the triggers of a new
// account, whose states are full soon. Each batch is counted by itself, which is the dearest.
func TestWhatABatchOfHitsCostsDynamoDB(t *testing.T) {
	const batches, full = 60, 25
	w, queue, p := open(t), &waiting{}, &published{}
	d := w.deliveries()
	d.Counting = queue
	c, triggers := w.counts(p, d)
	require.NoError(t, triggers.Seed(t.Context(), "42", trigger.Defaults("42", "Acme", now()), enginetest.Entry("42")))
	f, hits := fanoutTo(w, d, "web_hooks"), newHitSource(t)
	accepting, counting, judged := 0.0, 0.0, 0
	compaction := 0.0 // the dearest round of those that compact by chance: see dailytotals.Store.CompactNowAndThen
	for batch := range batches {
		list := hits.batch(now().Add(time.Duration(batch) * time.Second))
		w.gate.Calls()
		_, err := f.Process(t.Context(), list)
		require.NoError(t, err)
		_, one := w.gate.Calls()
		for tenant, ids := range queue.take() {
			_, err := c.Count(t.Context(), tenant, ids)
			require.NoError(t, err)
		}
		calls, two := w.gate.Calls()
		switch repeated := w.gate.Repeated(); {
		case calls["TransactWriteItems"] > 1: // the round is one; which queries there are depends on what is cached
			compaction = max(compaction, two["write"])
		case batch >= full && repeated == 0: // else the machine was too busy, and what it took is no measure
			accepting, counting, judged = accepting+one["write"], counting+two["write"], judged+1
		}
		if batch < 3 || batch%10 == 9 {
			t.Logf("batch %2d: write units an event: accepting %.2f, counting %.2f; calls of counting %v", batch,
				one["write"]/batchSize, two["write"]/batchSize, calls)
		}
	}
	states, err := triggers.States(t.Context(), "42", []string{trigger.Defaults("42", "", now())[0].ID})
	require.NoError(t, err)
	require.Greater(t, len(states[0].Body), 28<<10, "the states are full")
	require.Positive(t, judged, "each batch had an answer that came too late")
	w.gate.Calls()
	day := calendar.DayOf(now(), time.UTC)
	require.NoError(t, w.record().Vulnerabilities(t.Context(), "42", day, day,
		func(daily.Vulnerability) error { return nil }))
	_, read := w.gate.Calls() // a reader compacts what is left
	compaction = max(compaction, read["write"])
	require.Positive(t, compaction)
	accept := accepting / float64(judged*batchSize)
	count := counting/float64(judged*batchSize) + compaction/compactEvery/batchSize
	t.Logf("full states: %.2f write units an event to accept, %.2f to count, %.0f to compact", accept, count,
		compaction)
	require.LessOrEqual(t, count, 0.7, "they were 1.4 when a round wrote whole states")
	require.LessOrEqual(t, accept+count, 2.0)
}

// compactEvery is dailytotals' own: of so many rounds one compacts, on average.
const compactEvery = 64

// TestFanOutsSideBySideAreNotInEachOthersWay: accepting looks at no state of a trigger, so that no batch begins anew.
func TestFanOutsSideBySideAreNotInEachOthersWay(t *testing.T) {
	const functions, each, all = 20, 4, 20 * 4 * batchSize
	w, queue, p := open(t), &waiting{}, &published{}
	d := w.deliveries()
	d.Counting = queue
	c, triggers := w.counts(p, d)
	require.NoError(t, triggers.Seed(t.Context(), "42",
		append(trigger.Defaults("42", "Acme", now()), exceeded("all", all-1)), enginetest.Entry("42")))
	hits := newHitSource(t)
	w.gate.Calls()
	var work sync.WaitGroup
	errs := make(chan error, functions*each)
	for range functions {
		work.Go(func() {
			f := fanoutTo(w, w.deliveriesTo(queue), "web_hooks")
			for range each {
				_, err := f.Process(t.Context(), hits.batch(now()))
				errs <- err
			}
		})
	}
	work.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err, "the first try of each batch is its last")
	}
	calls, _ := w.gate.Calls()
	require.Zero(t, calls["TransactWriteItems"], "nothing can conflict")
	for tenant, ids := range queue.take() {
		require.Len(t, ids, functions*each)
		done, err := c.Count(t.Context(), tenant, ids)
		require.NoError(t, err)
		require.Equal(t, len(ids), done)
	}
	require.EqualValues(t, all, total(t, w.record()))
	fired := 0
	for _, e := range p.events {
		if r, ok := e.Reaction(); ok && r.Trigger == "all" {
			fired++
		}
	}
	require.Equal(t, 1, fired)
}
