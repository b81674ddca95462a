package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/oauth"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/worker"
)

// plain is a destination that posts each notification's envelope to its URL.
type plain struct{}

type plainParameters struct {
	URL string `json:"url"`
}

func (plain) System() destination.System {
	return destination.System{Name: "plain", Title: "Plain", Batch: destination.Batch{Count: 10},
		Parameters: destination.ParametersOf[plainParameters]()}
}

func (plain) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*plainParameters)
	var out []destination.Request
	for _, n := range ns {
		if n.Event.ID == "unwritable" {
			return nil, errors.New("no way to say it")
		}
		q := destination.Request{Method: "POST", URL: p.URL, Body: n.Envelope()}
		if of, ok := strings.CutSuffix(p.URL, "#token"); ok {
			q.Authorizer = oauth.ClientCredentials{URL: of + "token", Who: "it"}
		}
		out = append(out, q)
	}
	return out, nil
}

func (plain) Judge(r destination.Response) destination.Verdict {
	return destination.JudgeStatus(r, nil)
}

type systems struct{}

func (systems) Destination(system string) (destination.Destination, bool) {
	if system == "mailed" {
		return mailed{}, true
	}
	return plain{}, true
}

// mailed is plain, sent by the deployment's mail server.
type mailed struct{ plain }

func (m mailed) System() destination.System {
	s := m.plain.System()
	s.Class = notification.Mail
	return s
}

// opener opens without sealing: the URL is the integration's name.
type opener struct{}

func (opener) Open(_ context.Context, i integration.Integration) (integration.Opened, error) {
	d, _ := systems{}.Destination(i.System)
	return integration.Opened{System: d.System(), Parameters: &plainParameters{URL: i.Name},
		Secrets: []string{"hunter2"}}, nil
}

// transport answers by the URL.
type transport func(ctx context.Context, r destination.Request) (destination.Response, error)

func (c transport) Do(ctx context.Context, r destination.Request) (destination.Response, error) {
	return c(ctx, r)
}

func status(code int) (destination.Response, error) {
	return destination.Response{Status: code, Body: []byte("answer with hunter2 in it")}, nil
}

type rig struct {
	*worker.Pool
	queue        *memory
	integrations *integrations
	counters     *tallies
	stop         func() // and wait
}

func start(t *testing.T, limits worker.Limits, c transport) *rig {
	t.Helper()
	return startWith(t, limits, slog.New(slog.DiscardHandler), c)
}

func startLogging(t *testing.T, log *slog.Logger, c transport) *rig {
	t.Helper()
	return startWith(t, worker.Limits{}, log, c)
}

func startWith(t *testing.T, limits worker.Limits, log *slog.Logger, c transport) *rig {
	t.Helper()
	return startOn(t, newMemory(), limits, log, time.Now, c)
}

func startOn(t *testing.T, queue *memory, limits worker.Limits, log *slog.Logger, now func() time.Time,
	c transport) *rig {
	t.Helper()
	r := &rig{queue: queue, integrations: &integrations{all: map[string]integration.Integration{}},
		counters: &tallies{by: map[string]health.Count{}}}
	r.Pool = worker.NewPool(worker.PoolConfig{
		Queue: r.queue, Outcomes: r.queue, Integrations: r.integrations, Opener: opener{}, Limits: limits,
		Logger: log,
		Sender: &sending.Sender{
			Destinations: systems{}, Transport: c, Schedule: retry.Schedule{}, Now: now,
			Log: slog.New(slog.DiscardHandler),
		},
		Monitor: &health.Monitor{Counters: r.counters, Rule: atOnce, Switch: r.integrations, Now: time.Now},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			<-done
		})
	}
	return r
}

func (r *rig) add(id string) {
	r.integrations.set(integration.Integration{ID: id, Tenant: "42", System: "plain", Name: id, Revision: 1, Window: 1,
		Subscriptions: []integration.Subscription{{Event: event.System}}})
}

func (r *rig) send(integration string, ids ...string) {
	for _, id := range ids {
		r.queue.put(delivery.Delivery{ID: id, Tenant: "42", Integration: integration, State: delivery.Pending, Count: 1,
			Events: []event.Event{user(id)}})
	}
	r.Wake(delivery.Lane{Tenant: "42", Integration: integration})
}

func user(id string) event.Event {
	return event.Event{ID: id, Tenant: "42", Kind: event.CreateUser, Time: time.Unix(1677628800, 0),
		Data: []byte(`{"user":{"name":"Ada"}}`)}
}

func TestADeadSystemIsTriedInTheThreeCyclesToTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			at = append(at, time.Since(begin))
			return status(503)
		})
		defer r.stop()
		r.add("a")
		r.send("a", "d1")
		time.Sleep(2 * time.Hour)

		var want []time.Duration
		sum := time.Duration(0)
		want = append(want, sum)
		for _, c := range retry.Cycles() {
			for _, w := range c {
				sum += w
				want = append(want, sum)
			}
		}
		r.stop()
		require.Equal(t, want, at)

		d := r.queue.get("d1")
		require.Equal(t, delivery.Dead, d.State)
		require.Len(t, d.Attempts, 17)
		require.Equal(t, 30*time.Minute, d.Attempts[16].Waited)
		require.Zero(t, d.Attempts[16].Late)
		require.Equal(t, "answered 503 Service Unavailable: the receiver is busy or down", d.Reason)
		require.Equal(t, "answer with ******** in it", d.Attempts[0].Answer, "a secret in an answer is masked")
	})
}

func TestAnyAnswerButA2xxAndNoAnswerAtAllAreFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []int{301, 404, 500, 0, 204}
		n := 0
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			n++
			if answers[n-1] == 0 {
				return destination.Response{}, errors.New("connection refused at hunter2: nothing listens there")
			}
			return status(answers[n-1])
		})
		defer r.stop()
		r.add("a")
		r.send("a", "d1")
		time.Sleep(time.Hour)
		d := r.queue.get("d1")
		require.Equal(t, delivery.Delivered, d.State)
		require.Len(t, d.Attempts, 5)
		require.Equal(t, "connection refused at ********: nothing listens there", d.Attempts[3].Reason)
		require.Zero(t, d.Attempts[3].Status)
		require.True(t, d.Attempts[4].Delivered)
		require.Empty(t, d.Reason)
	})
}

func TestADisabledIntegrationEndsItsRetriesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			return status(500)
		})
		defer r.stop()
		r.add("a")
		r.send("a", "d1", "d2")
		time.Sleep(25 * time.Second) // in a wait of 10 s
		require.Equal(t, 2, r.queue.count(delivery.Retrying))
		i, _ := r.integrations.Get(t.Context(), "42", "a")
		i.Off = &integration.Off{By: integration.ByPerson}
		r.integrations.set(i)
		r.Recheck("42", "a")
		synctest.Wait()
		require.Equal(t, 2, r.queue.count(delivery.Dead))
		require.Equal(t, "the integration was disabled", r.queue.get("d1").Reason)
	})
}

func TestADeletedIntegrationEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			return status(200)
		})
		defer r.stop()
		for n := range 500 {
			r.queue.put(delivery.Delivery{ID: fmt.Sprintf("d%03d", n), Tenant: "42", Integration: "gone",
				State: delivery.Pending})
		}
		r.Recheck("42", "gone")
		synctest.Wait()
		require.Equal(t, 500, r.queue.count(delivery.Dead))
	})
}

func TestAnIntegrationThatKeepsFailingIsDisabledOnceAndItsBacklogEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			sent.Add(1)
			time.Sleep(10 * time.Millisecond)
			return status(500)
		})
		defer r.stop()
		r.add("a")
		for n := range 200 {
			r.send("a", fmt.Sprintf("d%03d", n))
		}
		time.Sleep(time.Minute)
		i, _ := r.integrations.Get(t.Context(), "42", "a")
		require.False(t, i.Enabled())
		require.Equal(t, integration.ByPlatform, i.Off.By)
		require.Equal(t, 200, r.queue.count(delivery.Dead))
		require.Less(t, sent.Load(), int64(200), "it stops being sent to")
		require.GreaterOrEqual(t, sent.Load(), int64(20), "but not before 20 requests")
	})
}

func TestAHangingSystemDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := worker.Limits{PerLane: 4, Failing: 1, Total: 8, FailingTotal: 4, Lease: 8}
		r := start(t, limits, func(ctx context.Context, q destination.Request) (destination.Response, error) {
			if q.URL == "hanging" {
				time.Sleep(10 * time.Second)
				return destination.Response{}, errors.New("no answer within 10 s")
			}
			time.Sleep(10 * time.Millisecond)
			return status(200)
		})
		defer r.stop()
		r.add("hanging")
		r.add("well")
		for n := range 100 {
			r.send("hanging", fmt.Sprintf("h%03d", n))
		}
		begin := time.Now()
		for n := range 100 {
			r.send("well", fmt.Sprintf("w%03d", n))
		}
		for r.queue.count(delivery.Delivered) < 100 {
			time.Sleep(time.Millisecond)
		}
		require.Less(t, time.Since(begin), 300*time.Millisecond, "100 deliveries, 4 at once, 10 ms each")
	})
}

func TestATenantWhoseIntegrationsAllHangDelaysNoOtherTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inFlight atomic.Int64
		r := start(t, worker.Limits{Total: 16, FailingTotal: 8},
			func(_ context.Context, q destination.Request) (destination.Response, error) {
				if q.URL == "quiet" {
					return status(200)
				}
				inFlight.Add(1)
				defer inFlight.Add(-1)
				time.Sleep(10 * time.Second)
				return destination.Response{}, errors.New("no answer within 10 s")
			})
		defer r.stop()
		for n := range 100 {
			id := fmt.Sprintf("hanging%03d", n)
			r.add(id)
			r.send(id, "to "+id)
		}
		synctest.Wait()
		require.Equal(t, int64(7), inFlight.Load(), "an eighth of the places of lanes that are not trusted yet is left")
		r.integrations.set(integration.Integration{ID: "quiet", Tenant: "43", System: "plain", Name: "quiet",
			Revision: 1, Window: 1, Subscriptions: []integration.Subscription{{Event: event.System}}})
		r.queue.put(delivery.Delivery{ID: "q", Tenant: "43", Integration: "quiet", State: delivery.Pending, Count: 1,
			Events: []event.Event{user("q")}})
		r.Wake(delivery.Lane{Tenant: "43", Integration: "quiet"})
		synctest.Wait()
		require.Equal(t, 1, r.queue.count(delivery.Delivered), "it did not wait for any of them")
	})
}

func TestWorkInFlightIsBoundedForEachIntegration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		r := start(t, worker.Limits{PerLane: 3, Lease: 5},
			func(context.Context, destination.Request) (destination.Response, error) {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
				return status(200)
			})
		defer r.stop()
		r.add("a")
		for n := range 50 {
			r.send("a", fmt.Sprintf("d%03d", n))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		require.Equal(t, int64(3), most.Load())
		require.Equal(t, 50, r.queue.count(delivery.Delivered))
	})
}

func TestAStopLetsRequestsInFlightFinishAndGivesBackTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := false
		r := start(t, worker.Limits{PerLane: 2, Lease: 10, Grace: 5 * time.Second},
			func(ctx context.Context, q destination.Request) (destination.Response, error) {
				if !answered { // a first answer lets two be in flight
					answered = true
					return status(200)
				}
				select {
				case <-time.After(3 * time.Second):
					return status(200)
				case <-ctx.Done():
					return destination.Response{}, ctx.Err()
				}
			})
		r.add("a")
		for n := range 11 {
			r.send("a", fmt.Sprintf("d%03d", n))
		}
		time.Sleep(time.Second)
		r.stop()
		require.Equal(t, 1+2, r.queue.count(delivery.Delivered))
		require.Equal(t, 8, r.queue.count(delivery.Pending))
		require.Empty(t, r.queue.Leased())
	})
}

func TestAStopGivesUpWhatHangsAndDecidesNothingAboutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, worker.Limits{Grace: 5 * time.Second},
			func(ctx context.Context, q destination.Request) (destination.Response, error) {
				<-ctx.Done()
				return destination.Response{}, ctx.Err()
			})
		r.add("a")
		r.send("a", "d1")
		time.Sleep(time.Second)
		begin := time.Now()
		r.stop()
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Equal(t, delivery.Pending, r.queue.get("d1").State)
		require.Empty(t, r.queue.get("d1").Attempts)
		require.Empty(t, r.queue.Leased())
	})
}

func TestAnOutcomeThatWasWrittenBeforeHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			return status(200)
		})
		r.add("i")
		r.queue.mu.Lock()
		r.queue.late = "b"
		r.queue.mu.Unlock()
		r.send("i", "a", "b", "c")
		time.Sleep(time.Millisecond)
		require.Equal(t, 3, r.queue.count(delivery.Delivered), "without a pause")
		r.stop()
	})
}

func TestAFailedWriteOfOutcomesIsTriedAgainAndNothingIsSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			sent.Add(1)
			return status(200)
		})
		defer r.stop()
		r.queue.fail = errors.New("disk full")
		r.add("a")
		r.send("a", "d1")
		time.Sleep(10 * time.Second)
		require.Equal(t, delivery.Delivered, r.queue.get("d1").State)
		require.Equal(t, int64(1), sent.Load())
	})
}

func TestADeliveryOfSeveralRequestsResumesAtTheOneThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		r := start(t, worker.Limits{}, func(_ context.Context, q destination.Request) (destination.Response, error) {
			bodies = append(bodies, string(q.Body))
			if len(bodies) == 2 {
				return status(503)
			}
			return status(200)
		})
		defer r.stop()
		r.add("a")
		r.queue.put(delivery.Delivery{ID: "d1", Tenant: "42", Integration: "a", State: delivery.Pending, Count: 3,
			Events: []event.Event{user("1"), user("2"), user("3")}})
		r.Wake(delivery.Lane{Tenant: "42", Integration: "a"})
		time.Sleep(time.Minute)
		require.Equal(t, delivery.Delivered, r.queue.get("d1").State)
		r.stop()
		require.Len(t, bodies, 4)
		require.Equal(t, bodies[1], bodies[2])
	})
}

func TestAMessageThatCanNotBeWrittenFailsWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, worker.Limits{}, func(context.Context, destination.Request) (destination.Response, error) {
			return status(200)
		})
		defer r.stop()
		r.add("a")
		r.send("a", "unwritable")
		time.Sleep(2 * time.Hour)
		require.Equal(t, delivery.Dead, r.queue.get("unwritable").State)
		require.Equal(t, "this message could not be written for Plain: no way to say it",
			r.queue.get("unwritable").Reason)
	})
}

func TestH4MailsThatWaitForTheirServerTakeUpNobodyElsesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mails, most atomic.Int64
		r := start(t, worker.Limits{Total: 4, FailingTotal: 4, Mails: 3},
			func(_ context.Context, q destination.Request) (destination.Response, error) {
				if q.URL == "plain" {
					return status(200)
				}
				n := mails.Add(1)
				defer mails.Add(-1)
				most.Store(max(most.Load(), n))
				time.Sleep(10 * time.Second) // for a session, or for an answer
				return status(250)
			})
		defer r.stop()
		for n := range 40 { // people, each a lane of its own
			id := fmt.Sprintf("person%02d", n)
			r.integrations.set(integration.Integration{ID: id, Tenant: "42", System: "mailed", Name: id, Revision: 1,
				Window: 1})
			r.send(id, "to "+id)
		}
		synctest.Wait()
		r.add("plain")
		for n := range 100 {
			r.send("plain", fmt.Sprintf("d%03d", n))
		}
		time.Sleep(time.Second)
		require.Equal(t, 100, r.queue.count(delivery.Delivered))
		time.Sleep(time.Hour)
		require.Equal(t, 140, r.queue.count(delivery.Delivered))
		require.Equal(t, int64(3), most.Load())
	})
}

// What came together with something that was sent at once waited for its batch window to close, and then until anything
// else had the timer look: the digest of a storm did not come.
func TestWhatWaitsBesideWhatIsSentAtOnceIsSentInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		at := map[string]time.Duration{}
		r := start(t, worker.Limits{}, func(_ context.Context, q destination.Request) (destination.Response, error) {
			for _, id := range []string{"now", "gathered", "later", "another", "earlier"} {
				if bytes.Contains(q.Body, []byte(`"`+id+`"`)) {
					at[id] = time.Since(begin)
				}
			}
			time.Sleep(time.Second)
			return status(200)
		})
		defer r.stop()
		r.add("a")
		put := func(id string, due time.Duration) {
			e := user(id)
			e.Data = fmt.Appendf(nil, `{"user":{"name":%q}}`, id)
			d := delivery.Delivery{ID: id, Tenant: "42", Integration: "a", State: delivery.Pending, Count: 1,
				Events: []event.Event{e}}
			if due > 0 {
				d.Due = begin.Add(due)
			}
			r.queue.put(d)
		}
		put("now", 0)
		put("gathered", time.Minute)
		put("later", time.Hour)
		r.Wake(delivery.Lane{Tenant: "42", Integration: "a"})
		time.Sleep(10 * time.Minute)
		put("another", 0)
		put("earlier", 40*time.Minute)
		r.Wake(delivery.Lane{Tenant: "42", Integration: "a"})
		time.Sleep(2 * time.Hour)
		r.stop()
		require.Equal(t, map[string]time.Duration{"now": 0, "gathered": time.Minute, "later": time.Hour,
			"another": 10 * time.Minute, "earlier": 40 * time.Minute}, at)
	})
}
