//go:build awslocal

package aws_test

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

// hitBatch is so many hits as upstream sends them, each from an address and with a payload of its own, from the n-th on.
func hitBatch(t *testing.T, from, count int) (list []delivery.Entry, bytes int) {
	t.Helper()
	raw, err := os.ReadFile("../../../events/hits.json")
	require.NoError(t, err)
	var entries []struct{ Detail string }
	require.NoError(t, json.Unmarshal(raw, &entries))
	var detail map[string]any
	require.NoError(t, json.Unmarshal([]byte(entries[0].Detail), &detail))
	for n := from; n < from+count; n++ {
		at := now().Add(time.Duration(n) * 10 * time.Millisecond)
		detail["id"], detail["time"] = fmt.Sprintf("evt-hits-%026d", n), at.Format(time.RFC3339Nano)
		hit := detail["data"].(map[string]any)["hit"].(map[string]any)
		hit["remote_addr4"], hit["path"], hit["request_time"] = fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255), fmt.Sprintf("/orders/%d", n), at.Unix()
		hit["payloads"] = []string{fmt.Sprintf("' or %d=%d--", n, n)}
		body, err := json.Marshal(detail)
		require.NoError(t, err)
		bytes += len(body)
		list = append(list, delivery.Entry{Receipt: fmt.Sprint("m", n), DetailType: string(event.NewHits), Detail: body, At: at})
	}
	return list, bytes
}

// TestWhatABatchOfHitsCostsDynamoDB: 93 hits of one tenant, from ever new addresses, with the triggers of a new account, whose
// states are full soon. Each batch is counted by itself, which is the dearest.
func TestWhatABatchOfHitsCostsDynamoDB(t *testing.T) {
	const size, batches, full = 93, 60, 25
	w, queue, p := open(t), &waiting{}, &published{}
	d := w.deliveries()
	d.Counting = queue
	c, triggers := w.counts(p, d)
	require.NoError(t, triggers.Seed(t.Context(), "42", trigger.Defaults("42", "Acme", now())))
	f := fanoutTo(w, d, "web_hooks")
	accepting, counting := 0.0, 0.0
	for batch := range batches {
		list, bytes := hitBatch(t, 1+batch*size, size)
		w.gate.Calls()
		_, err := f.Process(t.Context(), list)
		require.NoError(t, err)
		_, one := w.gate.Calls()
		for tenant, ids := range queue.take() {
			_, err := c.Count(t.Context(), tenant, ids)
			require.NoError(t, err)
		}
		calls, two := w.gate.Calls()
		if batch >= full {
			accepting, counting = accepting+one["write"], counting+two["write"]
		}
		if batch < 3 || batch%10 == 9 {
			t.Logf("batch %2d: %d bytes an event; write units an event: accepting %.2f, counting %.2f; calls of counting %v", batch, bytes/size, one["write"]/size, two["write"]/size, calls)
		}
	}
	states, err := triggers.States(t.Context(), "42", []string{trigger.Defaults("42", "", now())[0].ID})
	require.NoError(t, err)
	require.Greater(t, len(states[0].Body), 28<<10, "the states are full")
	events := float64((batches - full) * size)
	t.Logf("full states: %.2f write units an event to accept, %.2f to count", accepting/events, counting/events)
	require.LessOrEqual(t, counting/events, 0.7, "they were 1.4 when a turn wrote whole states")
	require.LessOrEqual(t, (accepting+counting)/events, 2.0)
}

// TestFanOutsSideBySideAreNotInEachOthersWay: accepting looks at no state of a trigger, so that no batch begins anew.
func TestFanOutsSideBySideAreNotInEachOthersWay(t *testing.T) {
	const functions, each = 20, 4
	w, queue, p := open(t), &waiting{}, &published{}
	d := w.deliveries()
	d.Counting = queue
	c, triggers := w.counts(p, d)
	require.NoError(t, triggers.Seed(t.Context(), "42", append(trigger.Defaults("42", "Acme", now()), exceeded("all", functions*each*10-1))))
	w.gate.Calls()
	var work sync.WaitGroup
	errs := make(chan error, functions*each)
	for function := range functions {
		work.Go(func() {
			f := fanoutTo(w, w.deliveriesTo(queue), "web_hooks")
			for n := range each {
				list, _ := hitBatch(t, 1+(function*each+n)*10, 10)
				_, err := f.Process(t.Context(), list)
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
	require.EqualValues(t, functions*each*10, total(t, w.record()))
	fired := 0
	for _, e := range p.events {
		if r, ok := e.Reaction(); ok && r.Trigger == "all" {
			fired++
		}
	}
	require.Equal(t, 1, fired)
}
