package fanouttest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// TurningEngine is what the suite of tenants' turns works on.
type TurningEngine struct {
	enginetest.Queues
	enginetest.Bus
	// Reopen ends the engine and opens it again with what it kept; nil where it keeps nothing.
	Reopen func() TurningEngine
}

// turning is the fan-out of a suite, and what became of events.
type turning struct {
	t *testing.T
	TurningEngine
	fanout   *fanout.Fanout
	expected map[string][]string // ids in the order of their publishing, by tenant
	got      map[string][]string // ids in the order of their fan-out, likewise
}

func turn(t *testing.T, e TurningEngine, systems integration.Systems) *turning {
	r := &turning{t: t, TurningEngine: e, expected: map[string][]string{}, got: map[string][]string{}}
	r.fanout = &fanout.Fanout{Integrations: everyones{}, Systems: systems, Logger: slog.New(slog.DiscardHandler)}
	return r
}

// everyones is an integration that each tenant has.
type everyones struct{}

func (everyones) Get(_ context.Context, tenant, _ string) (integration.Integration, error) {
	return integration.Integration{Tenant: tenant, ID: "i", System: "web_hooks", Name: "i", Revision: 1, Window: 1,
		Parameters: []byte(`{}`), Subscriptions: []integration.Subscription{{Event: event.System}}}, nil
}

func (o everyones) Enabled(ctx context.Context, tenant string) ([]integration.Integration, error) {
	i, err := o.Get(ctx, tenant, "")
	return []integration.Integration{i}, err
}

// put publishes a call of so many events of a tenant.
func (r *turning) put(tenant string, events int) {
	r.t.Helper()
	var entries []delivery.Entry
	for range events {
		id := fmt.Sprintf("%s-%d", tenant, len(r.expected[tenant]))
		detail, err := json.Marshal(map[string]any{
			"version": 1, "id": id, "tenant": tenant, "client_name": "Acme", "time": enginetest.At,
			"data": map[string]any{"user": map[string]string{"name": id}},
		})
		require.NoError(r.t, err)
		entries = append(entries, delivery.Entry{Tenant: tenant, DetailType: string(event.CreateUser),
			At: enginetest.At, Detail: detail})
		r.expected[tenant] = append(r.expected[tenant], id)
	}
	require.NoError(r.t, r.Put(r.t.Context(), entries))
}

// receive reads a batch.
func (r *turning) receive(limit int) []delivery.Entry {
	r.t.Helper()
	entries, err := r.Receive(r.t.Context(), limit)
	require.NoError(r.t, err)
	require.LessOrEqual(r.t, len(entries), limit)
	return entries
}

// batch has a batch fanned out, and accepted twice where an answer gets lost; false when nothing waits.
func (r *turning) batch(limit int, twice bool) bool {
	r.t.Helper()
	entries := r.receive(limit)
	if len(entries) == 0 {
		return false
	}
	keep := &keeping{Queues: r.Queues, twice: twice}
	r.fanout.Store = keep
	_, err := r.fanout.Process(r.t.Context(), entries)
	require.NoError(r.t, err)
	require.Empty(r.t, keep.in.Repeated, "no entry comes again once it was accepted")
	for _, a := range keep.in.Accepted {
		r.got[a.Event.Tenant] = append(r.got[a.Event.Tenant], a.Event.ID)
	}
	return true
}

// leased are the ids of the events of a tenant that are ready to be sent.
func (r *turning) leased(tenant string) (ids []string) {
	r.t.Helper()
	found, err := r.Lease(r.t.Context(), delivery.Lane{Tenant: tenant, Integration: "i"}, 100_000, enginetest.At,
		enginetest.At, enginetest.At.Add(time.Hour))
	require.NoError(r.t, err)
	for _, d := range found {
		for _, e := range d.Events {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Turns is the suite of what a tenant that publishes much leaves to the others.
func Turns(t *testing.T, systems integration.Systems, open func(t *testing.T, share int) TurningEngine) {
	t.Run("an event is ready within three batches whatever another tenant published before it", func(t *testing.T) {
		for _, loud := range []int{100, 2000, 20_000} {
			r := turn(t, open(t, 0), systems)
			for range loud / 10 {
				r.put("loud", 10)
			}
			for n := range 3 { // those that come while the flood is worked at, too
				r.put("quiet", 1)
				before := len(r.got["quiet"])
				batches := 0
				for ; len(r.got["quiet"]) == before; batches++ {
					require.Less(t, batches, 3, "event %d behind %d others", n, loud)
					require.True(t, r.batch(512, false))
				}
			}
			require.ElementsMatch(t, r.expected["quiet"], r.leased("quiet"))
			for r.batch(512, false) {
			}
			require.Equal(t, r.expected, r.got, "all of the flood follows, in its order")
		}
	})
	t.Run("hundreds of tenants that all have much waiting get like parts", func(t *testing.T) {
		r := turn(t, open(t, 2), systems)
		for n := range 300 {
			r.put(fmt.Sprint("t", n), 10)
		}
		for len(r.got) < 300 || slices.Min(lengths(r.got)) < 5 {
			require.True(t, r.batch(64, false))
			if len(r.got) == 300 {
				require.LessOrEqual(t, slices.Max(lengths(r.got))-slices.Min(lengths(r.got)), 4)
			}
		}
	})
	t.Run("each event is fanned out once, in its tenant's order, whatever happens", func(t *testing.T) {
		for seed := range uint64(30) {
			randomTurns(t, seed, systems, open)
		}
	})
}

func lengths(by map[string][]string) (out []int) {
	for _, ids := range by {
		out = append(out, len(ids))
	}
	return out
}

func randomTurns(t *testing.T, seed uint64, systems integration.Systems,
	open func(t *testing.T, share int) TurningEngine) {
	chance := rand.New(rand.NewPCG(seed, 1))
	r := turn(t, open(t, 1+chance.IntN(5)), systems)
	for range 60 {
		switch tenant := fmt.Sprint("t", chance.IntN(1+int(seed%5))); chance.IntN(8) {
		case 0, 1, 2:
			r.put(tenant, 1+chance.IntN(10))
		case 3, 4:
			r.batch(1+chance.IntN(12), chance.IntN(2) == 0)
		case 5: // a batch that fails: it comes again
			r.receive(1 + chance.IntN(12))
		case 6:
			if r.Reopen != nil {
				r.TurningEngine = r.Reopen()
			}
		case 7: // what others published meanwhile
			r.put("other", 1)
		}
	}
	for r.batch(1+chance.IntN(12), chance.IntN(2) == 0) {
	}
	require.Equal(t, r.expected, r.got, "seed %d", seed)
}

// keeping notes what was accepted, and accepts it twice where an answer gets lost.
type keeping struct {
	enginetest.Queues
	in    fanout.Intake
	twice bool
}

// Accept keeps an Intake.
func (k *keeping) Accept(ctx context.Context, in fanout.Intake) error {
	k.in = in
	err := k.Queues.Accept(ctx, in)
	if err == nil && k.twice {
		err = k.Queues.Accept(ctx, in)
	}
	return err
}
