//go:build awslocal

package aws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest/fanouttest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// fixed are the integrations of a test.
type fixed []integration.Integration

func (f fixed) Get(context.Context, string, string) (integration.Integration, error) {
	return f[0], nil
}
func (f fixed) Enabled(context.Context, string) ([]integration.Integration, error) { return f, nil }

func hitEntry(id, receipt string, at time.Time) delivery.Entry {
	data, _ := json.Marshal(map[string]any{"hit": map[string]string{"type": "sqli", "path": "/" + id}})
	e := event.Event{ID: id, Tenant: "42", ClientName: "Acme", Kind: event.NewHits, Time: now(), Data: data}
	detail, _ := e.Encode()
	return delivery.Entry{Receipt: receipt, DetailType: string(event.NewHits), Detail: detail, At: at}
}

// fanoutTo is a fan-out of hits to an integration with a system.
func fanoutTo(w *world, store fanout.Store, system string) *fanout.Fanout {
	return &fanout.Fanout{
		Integrations: fixed{{
			ID: "i", Tenant: "42", System: system, Name: "i", Revision: 1, Window: 1, Parameters: []byte(`{}`),
			Subscriptions: []integration.Subscription{{Event: event.Hits}},
		}},
		Systems: catalogue.Default(), Store: store, Logger: slog.New(slog.DiscardHandler),
	}
}

// sent opens all that the queue holds and tells which events it would send, by delivery. What comes twice under one
// id is there once, as for a receiver.
func (w *world) sent(t *testing.T, d *stores) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for left := w.receive(t); len(left) > 0; left = w.receive(t) {
		for _, p := range left {
			loaded, err := d.Load(t.Context(), p)
			require.NoError(t, err)
			for _, v := range loaded {
				out[v.ID] = nil
				for _, e := range v.Events {
					out[v.ID] = append(out[v.ID], e.ID)
				}
			}
		}
	}
	return out
}

// once requires that each event is sent under one id.
func once(t *testing.T, sent map[string][]string, want ...string) {
	t.Helper()
	var got []string
	for _, events := range sent {
		got = append(got, events...)
	}
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got, "%v", sent)
}

func later(t *testing.T, clock *time.Time, d *stores) {
	t.Helper()
	*clock = clock.Add(2 * time.Minute)
	_, err := d.Sweep(t.Context())
	require.NoError(t, err)
}

func (w *world) clocked() (*stores, *time.Time) {
	clock := now()
	d := w.deliveries()
	d.Now = func() time.Time { return clock }
	d.SQS = sqs.New(w.sqs.Options(), func(o *sqs.Options) {
		o.APIOptions = append(slices.Clone(o.APIOptions),
			func(stack *middleware.Stack) error { return stack.Initialize.Add(undelayed, middleware.Before) })
	})
	return d, &clock
}

// undelayed sends messages without their delay: the clock of these tests is not the server's.
var undelayed = middleware.InitializeMiddlewareFunc("undelayed",
	func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		if send, ok := in.Parameters.(*sqs.SendMessageBatchInput); ok {
			for n := range send.Entries {
				send.Entries[n].DelaySeconds = 0
			}
		}
		return next.HandleInitialize(ctx, in)
	})

// A fan-out breaks off before it commits; the messages come again in other company; the file holds each event once.
func TestAFileHoldsEachEventOnceWhenAFanOutBrokeOff(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	f := fanoutTo(w, d, "minio")
	e1, e2 := hitEntry("e1", "m1", now()), hitEntry("e2", "m2", now())
	w.gate.Faults(func(call string) *awslocal.Fault {
		// the commit, and the tombstone: as if the function had ended
		if call == "TransactWriteItems" || call == "PutItem" {
			return &awslocal.Fault{Status: 400, Type: "AccessDeniedException"}
		}
		return nil
	})
	_, err := f.Process(t.Context(), []delivery.Entry{e1, e2})
	require.Error(t, err)
	w.gate.Faults(nil)
	_, err = f.Process(t.Context(), []delivery.Entry{e1})
	var unfinished *fanout.Unfinished
	require.ErrorAs(t, err, &unfinished, "its claim may be that of a function at work")
	require.Equal(t, []delivery.Entry{e1}, unfinished.Entries)
	*clock = clock.Add(2 * time.Minute)
	for _, e := range []delivery.Entry{e1, e2} { // in other company
		_, err = f.Process(t.Context(), []delivery.Entry{e})
		require.NoError(t, err)
	}
	*clock = clock.Add(11 * time.Minute)
	once(t, w.sent(t, d), "e1", "e2")
	later(t, clock, d)
	require.Empty(t, w.receive(t), "the sweeper has nothing to do")
}

// One message opens a span, and one delivery carries it.
func TestASpanHasOneMessage(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	f := fanoutTo(w, d, "minio")
	var want []string
	for n := range 5 {
		id := fmt.Sprintf("e%d", n)
		want = append(want, id)
		_, err := f.Process(t.Context(), []delivery.Entry{hitEntry(id, "m", now().Add(time.Duration(n)*time.Second))})
		require.NoError(t, err)
	}
	*clock = clock.Add(11 * time.Minute)
	messages := w.receive(t)
	require.Len(t, messages, 1)
	loaded, err := d.Load(t.Context(), messages[0])
	require.NoError(t, err)
	require.Len(t, loaded, 1)
	var got []string
	for _, e := range loaded[0].Events {
		got = append(got, e.ID)
	}
	require.ElementsMatch(t, want, got)
	again, err := d.Load(t.Context(), messages[0])
	require.NoError(t, err)
	require.Equal(t, loaded, again, "a message that comes twice finds what was joined")
	// A straggler: its entry is of the span that was opened.
	_, err = f.Process(t.Context(), []delivery.Entry{hitEntry("late", "m", now().Add(6*time.Second))})
	require.NoError(t, err)
	sent := w.sent(t, d)
	delete(sent, loaded[0].ID)
	once(t, sent, "late")
}

// late is a log on which something happens between the claims and the commit.
type late struct {
	*stores
	before func()
}

func (l late) Accept(ctx context.Context, in fanout.Intake) error {
	l.before()
	return l.stores.Accept(ctx, in)
}

// Two functions have the same event at once (EventBridge and SQS deliver at least once), in different company.
func TestAnEventThatTwoFunctionsHaveIsSentUnderOneID(t *testing.T) {
	w := open(t)
	d, _ := w.clocked()
	b := fanoutTo(w, d, "web_hooks")
	a := fanoutTo(w, late{d, func() {
		_, err := b.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m1", now()), hitEntry("e2", "m2", now())})
		var unfinished *fanout.Unfinished
		require.ErrorAs(t, err, &unfinished)
		require.Len(t, unfinished.Entries, 1, "the other goes on without it")
		require.Equal(t, "m1", unfinished.Entries[0].Receipt)
	}}, "web_hooks")
	_, err := a.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m1", now())})
	require.NoError(t, err)
	_, err = b.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m1", now())})
	require.NoError(t, err)
	once(t, w.sent(t, d), "e1", "e2")
}

// The function that is slow loses: its intake was aborted, and its entries come again.
func TestAFunctionThatIsOvertakenStartsAnew(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	b := fanoutTo(w, d, "web_hooks")
	a := fanoutTo(w, late{d, func() {
		*clock = clock.Add(2 * time.Minute)
		_, err := b.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m1", now()), hitEntry("e2", "m2", now())})
		require.NoError(t, err)
	}}, "web_hooks")
	_, err := a.Process(t.Context(), []delivery.Entry{hitEntry("e0", "m0", now()), hitEntry("e1", "m1", now())})
	require.ErrorContains(t, err, "took too long")
	_, err = b.Process(t.Context(), []delivery.Entry{hitEntry("e0", "m0", now()), hitEntry("e1", "m1", now())})
	require.NoError(t, err)
	once(t, w.sent(t, d), "e0", "e1", "e2")
}

// The deliveries queue is away for as long as you like; messages that are redriven have other ids.
func TestWhatTheQueueDidNotTakeIsSentByTheSweeper(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	queue := d.Queue
	d.Queue = "http://127.0.0.1/no-such-queue"
	f := fanoutTo(w, d, "web_hooks")
	for range 3 {
		_, err := f.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m1", now())})
		require.NoError(t, err, "it is accepted")
	}
	*clock = clock.Add(2 * time.Minute)
	_, err := d.Sweep(t.Context())
	require.Error(t, err, "that it can not be sent is told")
	d.Queue = queue
	_, err = f.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m1-redriven", now().Add(time.Hour))})
	require.NoError(t, err)
	count, err := d.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, count)
	once(t, w.sent(t, d), "e1")
	count, err = d.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, count)
}

// What was left behind comes again beside a repeat by upstream, in either order.
func TestARepeatBesideItsOriginalIsSentOnce(t *testing.T) {
	for _, order := range [][]string{{"m1", "m2"}, {"m2", "m1"}} {
		w := open(t)
		d, clock := w.clocked()
		queue := d.Queue
		d.Queue = "http://127.0.0.1/no-such-queue"
		f := fanoutTo(w, d, "web_hooks")
		_, err := f.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m1", now())})
		require.NoError(t, err)
		d.Queue = queue
		_, err = f.Process(t.Context(), []delivery.Entry{hitEntry("e1", order[0], now()),
			hitEntry("e1", order[1], now())})
		require.NoError(t, err)
		later(t, clock, d)
		once(t, w.sent(t, d), "e1")
	}
}

// Messages that are gone are made again from what was accepted.
func TestAPurgedQueueIsFilledAgain(t *testing.T) {
	for _, system := range []string{"web_hooks", "minio"} {
		t.Run(system, func(t *testing.T) {
			w := open(t)
			d, clock := w.clocked()
			f := fanoutTo(w, d, system)
			for _, id := range []string{"e1", "e2", "e3"} {
				_, err := f.Process(t.Context(), []delivery.Entry{hitEntry(id, "m", now())})
				require.NoError(t, err)
			}
			require.NotEmpty(t, w.receive(t), "purged")
			*clock = clock.Add(30 * time.Minute)
			later(t, clock, d)
			once(t, w.sent(t, d), "e1", "e2", "e3")
		})
	}
}

// A sweeper whose clock is behind finds a row that was joined, before the span is over by its own clock: it must not
// write it again.
func TestASweeperWhoseClockIsBehindDoublesNoFile(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	f := fanoutTo(w, d, "minio")
	_, err := f.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m", now())})
	require.NoError(t, err)
	// The function that accepts the second event ends before the marker says that all is done.
	w.gate.Faults(func(call string) *awslocal.Fault {
		if call == "UpdateItem" {
			return &awslocal.Fault{Status: 400, Type: "AccessDeniedException"}
		}
		return nil
	})
	_, err = f.Process(t.Context(), []delivery.Entry{hitEntry("e2", "m", now().Add(time.Second))})
	require.NoError(t, err)
	w.gate.Faults(nil)
	*clock = clock.Add(11 * time.Minute)
	sent := w.sent(t, d)
	once(t, sent, "e1", "e2")
	*clock = clock.Add(-2 * time.Minute) // within the span, and after the marker's minute
	_, err = d.Sweep(t.Context())
	require.NoError(t, err)
	*clock = clock.Add(10 * time.Minute)
	once(t, w.sent(t, d)) // nothing more
}

// What was not counted gets its message again, as often as looks are likely to find a queue that lost it; then its dead
// letter is what is left. What was counted gets none.
func TestAPurgedQueueOfCountingIsFilledAgain(t *testing.T) {
	for _, system := range []string{"web_hooks", ""} { // "": nobody takes the event
		t.Run(system, func(t *testing.T) {
			w := open(t)
			d, clock := w.clocked()
			queue := &waiting{}
			d.Counting = queue
			d.Marks = w.countingStore(d, w.triggers(&published{}))
			f := fanoutTo(w, d, "web_hooks")
			if system == "" {
				f.Integrations = fixed{}
			}
			_, err := f.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m", now())})
			require.NoError(t, err)
			w.sent(t, d) // it is delivered
			intake := queue.take()["42"]
			require.Len(t, intake, 1)
			for _, after := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour} {
				*clock = clock.Add(after + time.Minute)
				_, err = d.Sweep(t.Context())
				require.NoError(t, err)
				require.Equal(t, intake, queue.take()["42"], "purged again")
			}
			*clock = clock.Add(100 * time.Hour)
			_, err = d.Sweep(t.Context())
			require.NoError(t, err)
			require.Empty(t, queue.take())

			_, err = f.Process(t.Context(), []delivery.Entry{hitEntry("e2", "m", *clock)})
			require.NoError(t, err)
			counter, _ := w.counts(&published{}, d)
			done, err := counter.Count(t.Context(), "42", queue.take()["42"])
			require.NoError(t, err)
			require.Equal(t, 1, done)
			*clock = clock.Add(31 * time.Minute)
			_, err = d.Sweep(t.Context())
			require.NoError(t, err)
			require.Empty(t, queue.take(), "it was counted")
		})
	}
}

// A delivery that is pending gets messages at longer and longer intervals; one that is done has none, and its marker
// goes.
func TestWhatIsPendingIsLookedAfterUntilItIsNot(t *testing.T) {
	for _, system := range []string{"web_hooks", "minio"} {
		t.Run(system, func(t *testing.T) {
			w := open(t)
			d, clock := w.clocked()
			f := fanoutTo(w, d, system)
			for _, id := range []string{"e1", "e2"} {
				_, err := f.Process(t.Context(), []delivery.Entry{hitEntry(id, "m", now())})
				require.NoError(t, err)
			}
			messages := 0
			for range 5 * 60 {
				*clock = clock.Add(time.Minute)
				_, err := d.Sweep(t.Context())
				require.NoError(t, err)
				messages += min(1, len(w.receive(t)))
			}
			require.Equal(t, 1+3, messages, "the first, and those after half an hour, one more and two more")
			*clock = clock.Add(24 * time.Hour)
			_, err := d.Sweep(t.Context())
			require.NoError(t, err)
			sent := w.sent(t, d)
			once(t, sent, "e1", "e2")
			for id := range sent {
				v, err := d.Get(t.Context(), "42", "i", id)
				require.NoError(t, err)
				v.State = delivery.Delivered
				require.NoError(t, d.Settle(t.Context(), []delivery.Delivery{v}))
			}
			*clock = clock.Add(24 * time.Hour)
			_, err = d.Sweep(t.Context())
			require.NoError(t, err)
			require.Empty(t, w.receive(t))
			require.Empty(t, w.markers(t))
		})
	}
}

// markers are those of the outbox.
func (w *world) markers(t *testing.T) (ids []string) {
	t.Helper()
	for _, row := range w.scan(t, "OutboxTable") {
		if id := row["id"].(*types.AttributeValueMemberS).Value; row["due"] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// What a person has sent again is looked after too.
func TestWhatIsReplayedIsLookedAfter(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	f := fanoutTo(w, d, "web_hooks")
	_, err := f.Process(t.Context(), []delivery.Entry{hitEntry("e1", "m", now())})
	require.NoError(t, err)
	for id := range w.sent(t, d) {
		v, err := d.Get(t.Context(), "42", "i", id)
		require.NoError(t, err)
		v.State, v.Reason = delivery.Dead, "it was down"
		require.NoError(t, d.Settle(t.Context(), []delivery.Delivery{v}))
	}
	*clock = clock.Add(time.Hour)
	later(t, clock, d)
	require.Empty(t, w.markers(t))
	count, _, err := d.Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	require.NotEmpty(t, w.receive(t), "purged")
	*clock = clock.Add(30 * time.Minute)
	later(t, clock, d)
	once(t, w.sent(t, d), "e1")
}

func TestAccepting(t *testing.T) {
	for _, system := range []string{"web_hooks", "minio"} {
		t.Run(system, func(t *testing.T) {
			fanouttest.Accepting(t, func(t *testing.T) fanouttest.AcceptingEngine {
				return open(t).accepting(system)
			})
		})
	}
}

func TestArrivals(t *testing.T) {
	arriving := func(t *testing.T) (fanouttest.AcceptingEngine, health.Counters) {
		w := open(t)
		return w.accepting("web_hooks"), w.counters()
	}
	fanouttest.Arrivals(t, arriving)
	fanouttest.Filters(t, arriving)
}

func TestReportsByFilters(t *testing.T) {
	fanouttest.ReportsByFilters(t, func(t *testing.T) fanouttest.ReportingEngine {
		w := open(t)
		return fanouttest.ReportingEngine{AcceptingEngine: w.accepting("web_hooks"), Events: w.deliveries(),
			Reports: w.reports()}
	})
}

func (w *world) accepting(system string) fanouttest.AcceptingEngine {
	d, clock := w.clocked()
	*clock = now().Add(time.Minute)
	d.Arrivals = w.counters()
	log := w.log()
	log.DeliveryStore, log.Ready = d, w.ready(d)
	return fanouttest.AcceptingEngine{
		Log: log, Systems: catalogue.Default(), System: system, Break: w.breakCalls,
		Purge: func(t *testing.T) { require.NotEmpty(t, w.receive(t)) },
		Later: func(t *testing.T) {
			for range 2 { // what was left behind is finished, and looked at half an hour later
				*clock = clock.Add(31 * time.Minute)
				_, err := d.Sweep(t.Context())
				require.NoError(t, err)
			}
		},
	}
}

// breakCalls breaks a call of DynamoDB or SQS.
func (w *world) breakCalls(n int, b fanouttest.Breakage) func() bool {
	var mu sync.Mutex
	calls := 0
	fault := func(string) *awslocal.Fault {
		mu.Lock()
		defer mu.Unlock()
		calls++
		f := &awslocal.Fault{Status: 400, Type: "AccessDeniedException", After: b.After}
		if b.Passes {
			f.Status, f.Type = 500, "InternalServerError"
		}
		switch {
		case calls == n:
			return f
		case calls > n && b.Dies:
			f.After = false
			return f
		}
		return nil
	}
	w.gate.Faults(fault)
	w.sends.Faults(fault)
	return func() bool {
		w.gate.Faults(nil)
		w.sends.Faults(nil)
		mu.Lock()
		defer mu.Unlock()
		return calls >= n
	}
}
