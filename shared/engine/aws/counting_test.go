//go:build awslocal

package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/counting"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/counts"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
)

// committed are intakes in memory.
type committed map[string][]fanout.Accepted

func (c committed) Accepted(_ context.Context, tenant, id string) ([]fanout.Accepted, error) {
	list, ok := c[tenant+" "+id]
	if !ok {
		return nil, delivery.ErrNotFound
	}
	if len(list) == 0 {
		return nil, errors.New("unexpected end of JSON input")
	}
	return list, nil
}

// fill makes intakes of a tenant, each of up to so many hits, and says how many hits they have.
func (c committed) fill(tenant string, count, most int) (ids []string, hits int64) {
	random := rand.New(rand.NewPCG(1, 1))
	for k := range count {
		id := fmt.Sprintf("in-%03d", k)
		for range 1 + random.IntN(most) {
			hits++
			at := now().Add(time.Duration(hits) * 10 * time.Millisecond)
			data, err := json.Marshal(map[string]any{"hit": map[string]any{
				"type": "sqli", "path": fmt.Sprint("/", hits%7),
				"remote_addr4": fmt.Sprintf("10.%d.%d.%d", hits>>16&255, hits>>8&255, hits&255),
				"payloads":     []string{fmt.Sprint("p", hits)},
			}})
			if err != nil {
				panic(err)
			}
			e := event.Event{ID: fmt.Sprint("h", hits), Tenant: tenant, ClientName: "Acme", Kind: event.NewHits,
				Time: at, Data: data}
			c[tenant+" "+id] = append(c[tenant+" "+id], fanout.Accepted{Event: e, Entry: delivery.Entry{At: at}})
		}
		ids = append(ids, id)
	}
	return ids, hits
}

// counts makes a counter, as a function of its own has one.
func (w *world) counts(p *published, in counts.IntakeReader) (*counting.Counter, *settings.Triggers) {
	log := slog.New(slog.DiscardHandler)
	triggers := w.triggers(p)
	triggers.Outbox.Now = now
	s := w.countingStore(in, triggers)
	return &counting.Counter{
		Source: s, Store: s, Log: log, Now: now,
		Triggers: &trigger.Evaluator{Store: triggers, Now: now, Log: log},
		Recorder: &daily.Recorder{Zone: report.ZoneOf(w.reports()), Now: now},
	}, triggers
}

// exceeded fires when more than so many hits came within a day.
func exceeded(id string, most int64) trigger.Trigger {
	return trigger.Trigger{ID: id, Tenant: "42", Name: id, Template: trigger.Hits,
		Threshold: &trigger.Threshold{Period: 86400, Count: most}, Revision: 1, Epoch: 1,
		CreatedAt: now(), UpdatedAt: now(),
		Actions: []trigger.Action{{ID: trigger.Notify, Integrations: []string{"i"}}}}
}

func TestEachIntakeCountsOnceWhateverCallsFail(t *testing.T) {
	w, p, in := open(t), &published{}, committed{}
	ids, hits := in.fill("42", 24, 60)
	list := append(trigger.Defaults("42", "Acme", now()), exceeded("all", hits-1), exceeded("more", hits))
	c, triggers := w.counts(p, in)
	require.NoError(t, triggers.Seed(t.Context(), "42", list, enginetest.Entry("42")))
	var n atomic.Int64
	w.gate.Faults(func(call string) *awslocal.Fault {
		if n.Add(1)%7 == 0 {
			return &awslocal.Fault{Status: 400, Type: "ThrottlingException"}
		}
		return nil
	})
	var work sync.WaitGroup
	for worker := range 3 {
		work.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(worker)))
			c, _ := w.counts(p, in)
			for next, tries := 0, 0; next < len(ids) && tries < 1000; tries++ {
				from := max(0, next-random.IntN(3)) // some come again
				done, _ := c.Count(t.Context(), "42", ids[from:min(len(ids), next+1+random.IntN(9))])
				next = max(next, from+done)
			}
		})
	}
	work.Wait()
	w.gate.Faults(nil)
	done, err := c.Count(t.Context(), "42", ids)
	require.NoError(t, err)
	require.Equal(t, len(ids), done)
	// what a fault kept from being published is younger than a minute
	_, err = triggers.Outbox.Relay(t.Context())
	require.NoError(t, err)
	require.Equal(t, hits, total(t, w.record()))
	triggers.Outbox.Now = func() time.Time { return now().Add(time.Hour) }
	_, err = triggers.Outbox.Relay(t.Context())
	require.NoError(t, err)
	fired := map[string]bool{}
	for _, e := range p.events {
		if r, ok := e.Reaction(); ok {
			fired[r.Trigger] = true
		}
	}
	require.Equal(t, map[string]bool{"all": true}, fired, "none counted twice, none was lost")
	one := map[string]bool{}
	for _, e := range p.events {
		one[e.ID] = true
	}
	require.Len(t, one, 1, "no address reached the thresholds of a new account")
}

func TestAStateThatIsABaseAndADeltaIsReadBackByOthers(t *testing.T) {
	w, p, in := open(t), &published{}, committed{}
	ids, _ := in.fill("42", 60, 93)
	one, triggers := w.counts(p, in)
	require.NoError(t, triggers.Seed(t.Context(), "42", trigger.Defaults("42", "Acme", now()), enginetest.Entry("42")))
	names := []string{}
	for _, d := range trigger.Defaults("42", "Acme", now()) {
		names = append(names, d.ID)
	}
	other, elsewhere := w.counts(p, in)
	for n, id := range ids {
		c, reader := one, elsewhere // two functions take turns, and each reads what the other wrote
		if n%3 == 0 {
			c, reader = other, triggers
		}
		_, err := c.Count(t.Context(), "42", []string{id})
		require.NoError(t, err)
		if n%10 != 9 {
			continue
		}
		_, fresh := w.counts(p, in)
		want, err := fresh.States(t.Context(), "42", names)
		require.NoError(t, err)
		got, err := reader.States(t.Context(), "42", names)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	states, err := triggers.States(t.Context(), "42", names)
	require.NoError(t, err)
	for _, st := range states {
		require.Greater(t, len(st.Body), 20<<10)
		require.EqualValues(t, len(ids), st.Version)
	}
	bases := 0
	for _, id := range w.ids(t, "TriggersTable") {
		if strings.HasPrefix(id, "b ") {
			bases++
		}
	}
	require.LessOrEqual(t, bases, 4,
		"bases that nothing names are removed; two can be left of a reader that took turns")
}

func TestAnIntakeThatCanNotBeReadIsTheReasonAndAServiceThatIsAwayIsNot(t *testing.T) {
	w, in := open(t), committed{}
	ids, _ := in.fill("42", 3, 5)
	in["42 damaged"] = nil
	c, triggers := w.counts(&published{}, in)
	require.NoError(t, triggers.Seed(t.Context(), "42", trigger.Defaults("42", "Acme", now()), enginetest.Entry("42")))
	var poison *counting.IntakeError
	for _, id := range []string{"gone", "damaged"} {
		done, err := c.Count(t.Context(), "42", []string{ids[0], id, ids[1]})
		require.ErrorAs(t, err, &poison)
		require.Equal(t, id, poison.Intake)
		require.Equal(t, 1, done)
	}
	w.gate.Faults(func(string) *awslocal.Fault { return &awslocal.Fault{Status: 400, Type: "AccessDeniedException"} })
	_, err := c.Count(t.Context(), "42", ids[1:])
	require.Error(t, err)
	require.False(t, errors.As(err, new(*counting.IntakeError)))
}
