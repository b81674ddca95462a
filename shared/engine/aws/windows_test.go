//go:build awslocal

package aws_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/enginetest/fanouttest"
	"tocsin/shared/fanout"
)

// kept is a fanout.Store that keeps what was accepted.
type kept struct {
	*stores
	last intakes.Intake
}

func (k *kept) Accept(ctx context.Context, in fanout.Intake) error {
	k.last = intakes.Intake{Tenant: "42", ID: in.Accepted[0].Intake, Events: in.Accepted, Deliveries: in.Deliveries}
	return k.stores.Accept(ctx, in)
}

// filed is the intake of one event for a file.
func (w *world) filed(t *testing.T, d *stores, id string, at time.Time) intakes.Intake {
	t.Helper()
	k := &kept{stores: d}
	_, err := fanoutTo(w, k, "minio").Process(t.Context(), []delivery.Entry{hitEntry(id, "m", at)})
	require.NoError(t, err)
	return k.last
}

func files(t *testing.T, d *stores) (ids []string) {
	t.Helper()
	list, err := d.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 100})
	require.NoError(t, err)
	for _, v := range list {
		ids = append(ids, v.ID)
	}
	return ids
}

// A row is written again after it was merged: the answer to its INSERT was lost and the SDK makes the call again, or
// the sweeper had overtaken the fan-out.
func TestARowThatIsWrittenAgainAfterItWasMergedIsInNoSecondFile(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	first := w.filed(t, d, "e1", now())
	second, third := w.filed(t, d, "e2", now().Add(time.Second)), w.filed(t, d, "e3", now().Add(2*time.Second))
	*clock = clock.Add(11 * time.Minute)
	file := w.sent(t, d)
	once(t, file, "e1", "e2", "e3")
	for _, settled := range []bool{false, true} { // is the file on its way, or delivered
		if settled {
			v, err := d.Get(t.Context(), "42", "i", first.Deliveries[0].ID)
			require.NoError(t, err)
			v.State = delivery.Delivered
			require.NoError(t, d.Settle(t.Context(), []delivery.Delivery{v}))
		}
		for _, m := range []intakes.Intake{second, third} {
			_, err := d.Ready(t.Context(), m, false, false)
			require.NoError(t, err)
		}
		require.Len(t, files(t, d), 3, "the copies are there")
		sent := w.sent(t, d)
		delete(sent, first.Deliveries[0].ID) // the message of a window brings its files again
		require.Empty(t, sent)
		require.Equal(t, []string{first.Deliveries[0].ID}, files(t, d))
	}
}

// Somebody who read the window before others merged it comes too late, although the row that it read is there: as a
// copy.
func TestWhoReadAWindowBeforeOthersMergedItMergesNothing(t *testing.T) {
	w := open(t)
	d, clock := w.clocked()
	second := w.filed(t, d, "e2", now().Add(time.Second))
	*clock = clock.Add(11 * time.Minute)
	messages := w.receive(t)
	require.Len(t, messages, 1)
	var first intakes.Intake
	slow := *d
	slow.DB = before(w.db, "TransactWriteItems", func() {
		first = w.filed(t, d, "e1", now())
		once(t, w.sent(t, d), "e1", "e2")
		_, err := d.Ready(t.Context(), second, false, false)
		require.NoError(t, err)
	})
	loaded, err := slow.Load(t.Context(), messages[0])
	require.NoError(t, err)
	require.Len(t, loaded, 1)
	require.Equal(t, first.Deliveries[0].ID, loaded[0].ID)
	require.Len(t, loaded[0].Events, 2)
	require.Equal(t, []string{first.Deliveries[0].ID}, files(t, d))
}

// before is a client that does something else before its first call of an action.
func before(db *dynamodb.Client, action string, do func()) *dynamodb.Client {
	done := false
	act := middleware.InitializeMiddlewareFunc("before", func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		if middleware.GetOperationName(ctx) == action && !done {
			done = true
			do()
		}
		return next.HandleInitialize(ctx, in)
	})
	return dynamodb.New(db.Options(), func(o *dynamodb.Options) {
		o.APIOptions = append(slices.Clone(o.APIOptions),
			func(stack *middleware.Stack) error { return stack.Initialize.Add(act, middleware.After) })
	})
}

// delayed keeps messages that are delayed until their time by a clock of the test.
type delayed struct {
	now   func() time.Time
	mu    sync.Mutex
	later map[time.Time][]types.SendMessageBatchRequestEntry
}

func (q *delayed) client(of *sqs.Client) *sqs.Client {
	keep := middleware.InitializeMiddlewareFunc("delayed", func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		send, ok := in.Parameters.(*sqs.SendMessageBatchInput)
		if !ok {
			return next.HandleInitialize(ctx, in)
		}
		q.mu.Lock()
		send.Entries = slices.DeleteFunc(slices.Clone(send.Entries), func(e types.SendMessageBatchRequestEntry) bool {
			due := q.now().Add(time.Duration(e.DelaySeconds) * time.Second)
			if e.DelaySeconds == 0 {
				return false
			}
			e.DelaySeconds = 0
			q.later[due] = append(q.later[due], e)
			return true
		})
		q.mu.Unlock()
		if len(send.Entries) == 0 {
			return middleware.InitializeOutput{Result: &sqs.SendMessageBatchOutput{}}, middleware.Metadata{}, nil
		}
		return next.HandleInitialize(ctx, in)
	})
	return sqs.New(of.Options(), func(o *sqs.Options) {
		o.APIOptions = append(slices.Clone(o.APIOptions),
			func(stack *middleware.Stack) error { return stack.Initialize.Add(keep, middleware.Before) })
	})
}

// send sends those whose time has come.
func (q *delayed) send(t *testing.T, to *sqs.Client, queue string) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	for due, list := range q.later {
		if due.After(q.now().Add(10 * time.Second)) { // a message is some seconds later than what it is for
			continue
		}
		for chunk := range slices.Chunk(list, 10) {
			for n := range chunk { // they are of several calls
				chunk[n].Id = awssdk.String(strconv.Itoa(n))
			}
			_, err := to.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &queue, Entries: chunk})
			require.NoError(t, err)
		}
		delete(q.later, due)
	}
}

func (w *world) holding(t *testing.T, h delivery.Holder, clock func() time.Time) (fanouttest.HoldEngine, *stores) {
	t.Helper()
	d := w.deliveries()
	q := &delayed{now: clock, later: map[time.Time][]types.SendMessageBatchRequestEntry{}}
	d.Now, d.Holder, d.SQS = clock, h, q.client(w.sqs)
	ready := w.ready(d)
	log := w.log()
	log.DeliveryStore = d
	log.Ready = func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery {
		t.Helper()
		_, err := d.Sweep(t.Context())
		require.NoError(t, err)
		q.send(t, w.sqs, w.queue)
		return ready(t, tenant, integration, limit)
	}
	return fanouttest.HoldEngine{Log: log, Events: d, Searched: d, Backlog: d, Reconsider: d.Reconsider}, d
}

func TestHolds(t *testing.T) {
	fanouttest.Holds(t, func(t *testing.T, h delivery.Holder, clock func() time.Time) fanouttest.HoldEngine {
		e, _ := open(t).holding(t, h, clock)
		return e
	})
}

// These are few seeds: each has thousands of calls.
func TestFates(t *testing.T) {
	fanouttest.Fates(t, func(t *testing.T, h delivery.Holder, clock func() time.Time) fanouttest.HoldEngine {
		e, _ := open(t).holding(t, h, clock)
		ready := e.Log.Ready
		// A delivery has several messages where it is fanned out again, and where the clock leaps, so that the sweeper
		// takes one for lost. Who has both at once sends it twice, as may be; this worker has one after the other.
		e.Log.Ready = func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery {
			t.Helper()
			return slices.CompactFunc(ready(t, tenant, integration, limit), func(a, b delivery.Delivery) bool {
				return a.ID == b.ID
			})
		}
		return e
	}, 4)
}
