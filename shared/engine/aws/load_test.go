//go:build awslocal

package aws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/counting"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/counts"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/event"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
)

// batchSize of these tests is what a fan-out function gets of one busy tenant.
const batchSize = 93

// told is a queue of intakes to be counted.
type told struct {
	mu      sync.Mutex
	intakes []string
}

func (q *told) Enqueue(_ context.Context, _, intake string, _ []event.Event) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.intakes = append(q.intakes, intake)
	return nil
}

func (q *told) take() (ids []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids, q.intakes = q.intakes, nil
	return ids
}

// hitSource makes hits as upstream's sample has them, each another one.
type hitSource struct {
	mu     sync.Mutex
	detail map[string]any
	n      int
}

func newHitSource(t *testing.T) *hitSource {
	t.Helper()
	raw, err := os.ReadFile("../../../events/hits.json")
	require.NoError(t, err)
	var entries []struct{ Detail string }
	require.NoError(t, json.Unmarshal(raw, &entries))
	s := &hitSource{}
	require.NoError(t, json.Unmarshal([]byte(entries[0].Detail), &s.detail))
	s.detail["tenant"] = "42"
	return s
}

func (s *hitSource) batch(at time.Time) (list []delivery.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hit := s.detail["data"].(map[string]any)["hit"].(map[string]any)
	for range batchSize {
		s.n++
		s.detail["id"], s.detail["time"] = fmt.Sprintf("evt-hits-%026d", s.n), at.Format(time.RFC3339Nano)
		hit["remote_addr4"], hit["path"], hit["request_time"] = fmt.Sprintf("10.%d.%d.%d", s.n>>16&255, s.n>>8&255,
			s.n&255), fmt.Sprintf("/orders/%d", s.n), at.Unix()
		hit["payloads"] = []string{fmt.Sprintf("' or %d=%d--", s.n, s.n)}
		body, err := json.Marshal(s.detail)
		if err != nil {
			panic(err)
		}
		list = append(list, delivery.Entry{Receipt: fmt.Sprint("m", s.n), DetailType: string(event.NewHits),
			Detail: body,
			At:     at})
	}
	return list
}

// Fan-out functions at work for one tenant do not get in each other's way: what a batch costs does not grow with
// their number.
func TestFunctionsAtWorkForOneTenantDoNotConflict(t *testing.T) {
	const batches = 40
	var alone map[string]int
	for _, functions := range []int{1, 20} {
		var calls map[string]int
		var units map[string]float64
		undisturbed(t, func(w *world) { calls, units = w.atWork(t, functions, batches) })
		t.Logf("%2d functions, %d batches of %d: calls %v, %.1f write units a batch", functions, batches, batchSize,
			calls,
			units["write"]/batches)
		require.Zero(t, calls["TransactWriteItems"], "nothing is replaced under a version")
		require.Equal(t, batches, calls["PutItem"], "one commit a batch")
		if alone == nil {
			alone = maps.Clone(calls)
		}
		require.Equal(t, alone, calls, "twenty functions make no call more than one")
	}
}

// undisturbed takes a measure in a new world, again until no client repeated a call because its answer came late: what
// a busy machine adds is no measure.
func undisturbed(t *testing.T, take func(w *world)) {
	t.Helper()
	const tries = 10
	for range tries {
		w := open(t)
		w.gate.Calls()
		w.gate.Repeated()
		take(w)
		repeated := w.gate.Repeated()
		if repeated == 0 {
			return
		}
		t.Logf("%d calls were made again because their answers came late: measured again", repeated)
	}
	t.Fatalf("nothing was measured: each of %d times answers came late", tries)
}

// atWork is what so many functions at once call for so many batches, all of one tenant.
func (w *world) atWork(t *testing.T, functions, batches int) (calls map[string]int, units map[string]float64) {
	t.Helper()
	hits := newHitSource(t)
	var left atomic.Int64
	left.Store(int64(batches))
	var work sync.WaitGroup
	for range functions {
		work.Go(func() {
			d := w.deliveries()
			d.Counting = &told{}
			f := fanoutTo(w, d, "web_hooks")
			f.Recorder = nil
			for left.Add(-1) >= 0 {
				if _, err := f.Process(t.Context(), hits.batch(now())); err != nil {
					t.Errorf("none gives up: %v", err)
					return
				}
			}
		})
	}
	work.Wait()
	return w.gate.Calls()
}

// What a hit costs DynamoDB from the bus to its delivery, with the triggers of a new account and the record, batched.
func TestABatchedEventCostsAtMostOnePointSevenWriteUnits(t *testing.T) {
	var parts map[string]float64
	undisturbed(t, func(w *world) {
		parts = w.batched(t)
		require.Empty(t, w.markers(t))
	})
	total := 0.0
	for _, what := range []string{"accept", "deliver", "count", "look after"} {
		t.Logf("%-10s %.3f write units, %.3f read units an event", what, parts[what], parts["read units: "+what])
		require.Positive(t, parts[what], what)
		total += parts[what]
	}
	t.Logf("in all     %.3f write units an event", total)
	require.LessOrEqual(t, total, 1.7)
}

// batched is what an event costs, by what is done with it.
func (w *world) batched(t *testing.T) map[string]float64 {
	t.Helper()
	d, clock := w.clocked()
	queue := &told{}
	d.Counting = queue
	hits := newHitSource(t)
	f := fanoutTo(w, d, "web_hooks")
	f.Recorder = nil
	log := slog.New(slog.DiscardHandler)
	triggers := &settings.Triggers{DB: w.db, Table: w.prefix + "TriggersTable",
		Outbox: w.integrations(&published{}).EventOutbox(), Now: d.Now}
	counter := &counting.Counter{
		Source:   &counts.Store{Intakes: d},
		Store:    &counts.Store{Intakes: d, Totals: w.record(), Triggers: triggers},
		Triggers: &trigger.Evaluator{Store: triggers, Now: d.Now, Log: log},
		Recorder: &daily.Recorder{Zone: report.ZoneOf(w.reports()), Now: d.Now}, Log: log,
	}
	parts := map[string]float64{}
	spent := func(what string) {
		_, units := w.gate.Calls()
		parts[what] += units["write"]
		parts["read units: "+what] += units["read"]
	}
	const rounds, batches = 5, 10
	w.gate.Calls()
	for range rounds {
		for range batches {
			*clock = clock.Add(time.Second)
			_, err := f.Process(t.Context(), hits.batch(*clock))
			require.NoError(t, err)
			spent("accept")
			w.deliverAll(t, d, *clock)
			spent("deliver")
		}
		done, err := counter.Count(t.Context(), "42", queue.take())
		require.NoError(t, err)
		require.Equal(t, batches, done)
		spent("count")
	}
	*clock = clock.Add(time.Hour)
	_, err := d.Sweep(t.Context())
	require.NoError(t, err)
	spent("look after")
	for what, n := range parts {
		parts[what] = n / (rounds * batches * batchSize)
	}
	return parts
}

// deliverAll delivers what the messages name.
func (w *world) deliverAll(t *testing.T, d *stores, at time.Time) {
	t.Helper()
	for _, p := range w.receive(t) {
		loaded, err := d.Load(t.Context(), p)
		require.NoError(t, err)
		for n := range loaded {
			require.Len(t, loaded[n].Events, batchSize)
			loaded[n].State = delivery.Delivered
			loaded[n].Attempts = []delivery.Attempt{{At: at, Status: 200, Delivered: true}}
		}
		require.NoError(t, d.Settle(t.Context(), loaded))
	}
}
