package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/metrics"
	"tocsin/shared/notification"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/worker"
)

// letters is a system that mails each of its addresses, array one that takes several events in a request.
type letters struct{}

type array struct{}

type partsParameters struct {
	URL       string   `json:"url"`
	Addresses []string `json:"addresses"`
	Most      int      `json:"most"` // events in a request
}

func (letters) System() destination.System {
	return destination.System{Name: "letters", Title: "Letters", Class: notification.Mail,
		Parameters: destination.ParametersOf[partsParameters]()}
}

func (letters) Encode(t destination.Target, ns []notification.Notification) (out []destination.Request, err error) {
	for _, n := range ns {
		for _, to := range t.Parameters.(*partsParameters).Addresses {
			out = append(out, destination.Request{Mail: &destination.Mail{To: to, ID: t.Delivery + n.Event.ID},
				Part: to + " " + n.Event.ID})
		}
	}
	return out, nil
}

// Judge reads SMTP as mail does.
func (letters) Judge(r destination.Response) destination.Verdict {
	v := destination.Verdict{Delivered: r.Status < 300, Reason: string(r.Body)}
	if !v.Delivered {
		v.Apart, v.Permanent = r.Recipient, r.Recipient && r.Status >= 500
		v.Pace = !r.Recipient && r.Status == 421
	}
	return v
}

func (array) System() destination.System {
	return destination.System{Name: "array", Title: "Array", Batch: destination.Batch{Count: 100},
		Parameters: destination.ParametersOf[partsParameters]()}
}

func (array) Encode(t destination.Target, ns []notification.Notification) (out []destination.Request, err error) {
	p := t.Parameters.(*partsParameters)
	var bodies [][]byte
	for _, n := range ns {
		if strings.HasPrefix(n.Event.ID, "unwritable") {
			return nil, errors.New("no way to say it")
		}
		bodies = append(bodies, n.Event.Data)
	}
	for chunk := range destination.Chunks(bodies, destination.Batch{Count: max(p.Most, 1)}) {
		id := t.Delivery
		if len(out) > 0 {
			id += fmt.Sprintf("-%d", len(out)+1)
		}
		out = append(out, destination.Request{URL: p.URL, Body: destination.JoinArray(chunk), Holds: len(chunk),
			Header: http.Header{"Webhook-Id": {id}}})
	}
	return out, nil
}

func (array) Judge(r destination.Response) destination.Verdict {
	v := destination.JudgeStatus(r, nil)
	v.Unread = r.Status == 400 || r.Status == 413 || r.Status == 422
	return v
}

type only struct{ is destination.Destination }

func (o only) Destination(string) (destination.Destination, bool) { return o.is, true }

func (o only) Open(_ context.Context, i integration.Integration) (integration.Opened, error) {
	p := &partsParameters{}
	return integration.Opened{System: o.is.System(), Parameters: p}, json.Unmarshal(i.Parameters, p)
}

// receiver is the far end: it keeps what arrived.
type receiver struct {
	mu       sync.Mutex
	answer   func(q destination.Request) (int, string) // "rcpt " before a text: about the receiver
	requests int
	refused  int
	got      map[string]int      // by address, or event
	ids      map[string][]string // webhook-ids by event
	order    []string            // of ids
	err      error
}

func (r *receiver) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.err != nil {
		return destination.Response{}, r.err
	}
	status, text := r.answer(q)
	if status == 0 {
		return destination.Response{}, errors.New("no answer")
	}
	body, rcpt := strings.CutPrefix(text, "rcpt ")
	if status < 299 {
		if q.Mail != nil {
			r.got[q.Mail.To]++
		} else {
			var all []struct{ User struct{ Name string } }
			if err := json.Unmarshal(q.Body, &all); err != nil {
				panic(err)
			}
			for _, e := range all {
				r.got[e.User.Name]++
				r.ids[e.User.Name] = append(r.ids[e.User.Name], q.Header.Get("Webhook-Id"))
			}
		}
	} else {
		r.refused++
	}
	r.order = append(r.order, q.Header.Get("Webhook-Id"))
	return destination.Response{Status: status, Body: []byte(body), Recipient: rcpt}, nil
}

// answers sets what it says from now on.
func (r *receiver) answers(answer func(q destination.Request) (int, string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// reset forgets what was counted.
func (r *receiver) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.refused, r.got, r.ids, r.order = 0, 0, map[string]int{}, map[string][]string{}, nil
}

func (r *receiver) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[what]
}

// world is a worker of either kind with one integration.
type world struct {
	registry *metrics.Registry
	*receiver
	setup
	t            *testing.T
	memory       *memory
	integrations *integrations
	counters     *tallies
	send         func(d ...delivery.Delivery) // all at once
	restart      func()                       // the worker, not the state
}

// setup is what the tests of both workers choose.
type setup struct {
	destination destination.Destination
	parameters  partsParameters
	limits      worker.Limits
	transport   sending.Transport // nil = the receiver
	rule        health.Rule
}

// both runs a test on the Pool and on the Handler.
func both(t *testing.T, d destination.Destination, parameters partsParameters, test func(w *world)) {
	bothWith(t, setup{destination: d, parameters: parameters, rule: atOnce}, test)
}

func bothWith(t *testing.T, s setup, test func(w *world)) {
	for kind, begin := range map[string]func(*world) (stop func()){"pool": beginPool, "handler": beginHandler} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s)
				stop := begin(w)
				test(w)
				stop()
			})
		})
	}
}

// beginPool begins a Pool.
func beginPool(w *world) (stop func()) {
	var at *worker.Pool
	var end func()
	begin := func() {
		at = worker.NewPool(worker.PoolConfig{
			Queue: w.memory, Outcomes: w.memory, Integrations: w.integrations, Opener: only{w.destination},
			Logger: slog.New(slog.DiscardHandler), Sender: w.sender(w.destination), Monitor: w.monitor(),
			Limits: w.limits, Meter: w.registry,
		})
		end = running(w.t, at)
	}
	begin()
	w.restart = func() { end(); begin() }
	w.send = func(d ...delivery.Delivery) {
		w.memory.put(d...)
		at.Wake(delivery.Lane{Tenant: "42", Integration: "i"})
	}
	return func() { end() }
}

// running runs a Pool until stop is called.
func running(t *testing.T, p *worker.Pool) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// handing is a Handler between a queue and a state machine.
type handing struct {
	*world
	*batches
	ctx      context.Context
	at       atomic.Pointer[worker.Handler]
	machines sync.WaitGroup
	ids      atomic.Int64
}

// beginHandler begins a Handler.
func beginHandler(w *world) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	h := &handing{world: w, ctx: ctx,
		batches: &batches{memory: w.memory, failNext: map[string]error{}}}
	h.begin()
	w.restart = h.begin
	w.send = func(d ...delivery.Delivery) {
		w.memory.put(d...)
		b := worker.MessageBatch{Tenant: "42", Integration: "i"}
		for _, d := range d {
			b.IDs = append(b.IDs, d.ID)
		}
		h.deliver(b)
	}
	return func() {
		cancel()
		h.machines.Wait()
	}
}

func (h *handing) begin() {
	s := h.world.sender(h.destination)
	h.at.Store(&worker.Handler{
		BatchStore: h, Retries: h, Sender: s, Log: slog.New(slog.DiscardHandler), Monitor: h.monitor(),
		Targets: sending.NewTargetCache(s, h.integrations, only{h.destination}),
		PerLane: h.limits.PerLane, Failing: h.limits.Failing, Meter: h.registry,
		NewID: func() string { return fmt.Sprintf("batch-%d", h.ids.Add(1)) },
	})
}

func (h *handing) deliver(b worker.MessageBatch) {
	for _, err := range h.at.Load().Deliver(h.t.Context(), []worker.MessageBatch{b}) {
		require.NoError(h.t, err)
	}
}

// wait is false when the world has ended before.
func (h *handing) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-h.ctx.Done():
		return false
	}
}

// Enqueue hands message batches out again when their time comes.
func (h *handing) Enqueue(_ context.Context, batches []worker.MessageBatch, after time.Duration) error {
	for _, b := range batches {
		h.machines.Go(func() {
			if h.wait(after) {
				h.deliver(b)
			}
		})
	}
	return nil
}

// Start runs an execution as the state machine does, once under a name.
func (h *handing) Start(ctx context.Context, first worker.Round) error {
	h.batches.mu.Lock()
	again := slices.Contains(h.started, first.Execution)
	h.batches.mu.Unlock()
	if err := h.batches.Start(ctx, first); err != nil || again {
		return err
	}
	h.machines.Go(func() {
		for r := first; r.More && h.wait(time.Duration(r.Seconds)*time.Second); {
			var err error
			if r, err = h.at.Load().Retry(h.t.Context(), r); err != nil {
				h.t.Error(err)
				return
			}
		}
	})
	return nil
}

func newWorld(t *testing.T, s setup) *world {
	w := &world{t: t, setup: s, memory: newMemory(), registry: metrics.NewRegistry([]string{"x"}),
		integrations: &integrations{all: map[string]integration.Integration{}},
		counters:     &tallies{by: map[string]health.Count{}}}
	w.receiver = &receiver{answer: func(destination.Request) (int, string) { return 250, "" }}
	w.reset()
	w.change(s.parameters)
	return w
}

func (w *world) sender(d destination.Destination) *sending.Sender {
	s := &sending.Sender{Destinations: only{d}, Transport: w.receiver, Schedule: retry.Schedule{}, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)}
	if w.transport != nil {
		s.Transport = w.transport
	}
	return s
}

func (w *world) monitor() *health.Monitor {
	return &health.Monitor{Counters: w.counters, Switch: w.integrations, Rule: w.rule, Now: time.Now}
}

// change saves the integration, under a new name and revision.
func (w *world) change(p partsParameters) {
	raw, err := json.Marshal(p)
	require.NoError(w.t, err)
	i, err := w.integrations.Get(w.t.Context(), "42", "i")
	if err != nil {
		i = integration.Integration{ID: "i", Tenant: "42", System: "x", Window: 1,
			Subscriptions: []integration.Subscription{{Event: event.System}}}
	}
	i.Revision++
	i.Name, i.Parameters = fmt.Sprintf("name %d", i.Revision), raw
	w.integrations.set(i)
}

func (w *world) enabled() bool {
	i, err := w.integrations.Get(w.t.Context(), "42", "i")
	require.NoError(w.t, err)
	return i.Enabled()
}

// made is a delivery of users of these names.
func made(id string, names ...string) delivery.Delivery {
	d := delivery.Delivery{ID: id, Tenant: "42", Integration: "i", State: delivery.Pending, CreatedAt: time.Now(),
		Count: len(names)}
	for _, n := range names {
		e := user(n)
		e.Data = fmt.Appendf(nil, `{"user":{"name":%q}}`, n)
		d.Events = append(d.Events, e)
	}
	return d
}

func names(n int) (out []string) {
	for k := range n {
		out = append(out, fmt.Sprintf("e%02d", k))
	}
	return out
}

// replay sends an ended delivery again, as the engines do.
func (w *world) replay(id string) {
	d := w.memory.get(id)
	d.State, d.Failures, d.Reason, d.Batch, d.Due = delivery.Pending, 0, "", "", time.Time{}
	w.send(d)
}
