//go:build awslocal

package aws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/settingstest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

func TestTriggers(t *testing.T) {
	settingstest.Triggers(t, func(t *testing.T) settingstest.TriggerEngine {
		e, _ := engine(t)
		return e
	})
}

func engine(t *testing.T) (settingstest.TriggerEngine, command.Store) {
	w := open(t)
	p := &published{}
	store := w.integrations(p)
	d, queue := w.deliveries(), &waiting{}
	triggers := w.triggers(p)
	commands := triggers.Commands()
	commands.Now = now
	d.Commands, d.Counting = commands, queue
	apart := w.countingStore(d, triggers)
	return settingstest.TriggerEngine{
		Log: enginetest.Log{DeliveryStore: d, Take: func(_ *testing.T, entries []delivery.Entry) []delivery.Entry {
			return delivered(entries)
		}, Ready: w.ready(d)},
		Store: triggers, Integrations: store, Systems: catalogue.Default(), Workers: 20,
		Counting: &enginetest.Counting{Source: apart, Store: apart, Waiting: queue.take},
		Left: func(t *testing.T) []delivery.Entry {
			p.mu.Lock()
			defer p.mu.Unlock()
			var out []delivery.Entry
			for _, e := range p.events {
				detail, err := e.Encode()
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, delivery.Entry{DetailType: string(e.Kind), Detail: detail, At: e.Time})
			}
			p.events = nil
			return delivered(out)
		},
	}, commands
}

func TestCommands(t *testing.T) { settingstest.Commands(t, engine) }

// forwarded is the bus as a dead letter is put on it again.
type forwarded struct {
	mu      sync.Mutex
	entries []delivery.Entry
	fail    error
}

func (f *forwarded) Forward(_ context.Context, e delivery.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.entries = append(f.entries, e)
	return nil
}

func (f *forwarded) left(*testing.T) []delivery.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := delivered(f.entries)
	f.entries = nil
	return out
}

func TestDeadLetters(t *testing.T) {
	enginetest.DeadLetters(t, func(t *testing.T) enginetest.DeadLetterEngine {
		w := open(t)
		f := &forwarded{}
		d := w.deliveries()
		d.Bus = f
		log := w.log()
		log.DeliveryStore = d
		return enginetest.DeadLetterEngine{Log: log, DeadLetters: d, Left: f.left}
	})
}

func TestADeadLetterThatTheBusDidNotTakeCanBeSentAgain(t *testing.T) {
	w := open(t)
	f := &forwarded{fail: errors.New("throttled")}
	d := w.deliveries()
	d.Bus = f
	entry := delivery.Entry{Receipt: "m", DetailType: "a_new_kind",
		Detail: []byte(`{"x":"` + strings.Repeat("y", 900<<10) + `"}`), At: now()}
	require.NoError(t, d.Accept(t.Context(),
		fanout.Intake{Rejected: []fanout.Rejected{{Entry: entry, Reason: "r"}}}))
	letters, err := d.AllDeadLetters(t.Context(), "", 10)
	require.NoError(t, err)
	_, err = d.ResendOfAny(t.Context(), letters[0].ID, now())
	require.ErrorContains(t, err, "throttled")
	f.fail = nil
	sent, err := d.ResendOfAny(t.Context(), letters[0].ID, now())
	require.NoError(t, err)
	require.True(t, sent)
	require.Equal(t, string(entry.Detail), string(f.left(t)[0].Detail))
	garbage := delivery.Entry{Receipt: "g", Detail: []byte("not JSON at all"), At: now().Add(time.Second)}
	require.NoError(t, d.Accept(t.Context(),
		fanout.Intake{Rejected: []fanout.Rejected{{Entry: garbage, Reason: "r"}}}))
	letters, err = d.AllDeadLetters(t.Context(), "", 10)
	require.NoError(t, err)
	_, err = d.ResendOfAny(t.Context(), letters[0].ID, now())
	require.ErrorIs(t, err, delivery.ErrNoEntry)
}

// delivered gives entries the receipts of a queue.
func delivered(entries []delivery.Entry) []delivery.Entry {
	out := make([]delivery.Entry, len(entries))
	for n, e := range entries {
		e.Receipt = uuid.NewString()
		out[n] = e
	}
	return out
}

// A trigger joins an integration after a deletion read the triggers: also one that no release has counted the joins of.
func TestADeletionSeesATriggerThatJoinsMeanwhile(t *testing.T) {
	w, p := open(t), &published{}
	store, remove, triggers := w.integrations(p), w.integrations(p), w.triggers(p)
	for n, joined := range []bool{false, true} {
		id := fmt.Sprint("i", n)
		require.NoError(t, store.Create(t.Context(), enginetest.Sample("42", id),
			enginetest.Record("42", event.CreateIntegration)))
		watch := trigger.Trigger{Tenant: "42", ID: "t" + id, Revision: 1,
			Actions: []trigger.Action{{ID: trigger.Notify, Integrations: []string{id}}}}
		create := func() {
			require.NoError(t, triggers.Create(t.Context(), watch, []string{id},
				enginetest.Record("42", event.TriggerCreate)))
		}
		if joined {
			create()
			require.NoError(t, triggers.Delete(t.Context(), "42", watch.ID, 1,
				enginetest.Record("42", event.TriggerDelete)))
		}
		remove.DB = before(w.db, "TransactWriteItems", create)
		require.ErrorIs(t, remove.DeleteUnused(t.Context(), "42", id, 1,
			enginetest.Record("42", event.DeleteIntegration)), integration.ErrUsed)
		_, err := store.Get(t.Context(), "42", id)
		require.NoError(t, err)
	}
}
