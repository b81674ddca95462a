package sqlite_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// some are integrations as fan-out and the log find them.
type some []integration.Integration

func (s some) Enabled(context.Context, string) ([]integration.Integration, error) { return s, nil }

func (s some) Get(_ context.Context, _, id string) (integration.Integration, error) {
	for _, i := range s {
		if i.ID == id {
			return i, nil
		}
	}
	return integration.Integration{}, integration.ErrNotFound
}

func (s some) List(_ context.Context, _, after string, limit int) (out []integration.Integration, _ error) {
	for _, i := range s {
		if i.ID > after && len(out) < limit {
			out = append(out, i)
		}
	}
	return out, nil
}

// crowd is an account with more integrations than a page looks into one by one.
type crowd struct {
	t      *testing.T
	db     *sqlite.DB
	all    some
	random *rand.Rand
	events int
	now    time.Time
}

// publish fans an event out to some of the integrations, at a time.
func (c *crowd) publish(at time.Time, to some) {
	c.t.Helper()
	c.events++
	f := &fanout.Fanout{Integrations: to, Systems: one{}, Store: c.db.Deliveries(),
		Logger: slog.New(slog.DiscardHandler)}
	require.NoError(c.t, c.db.Bus().Put(c.t.Context(), []delivery.Entry{{DetailType: "new_hits", At: at,
		Detail: fmt.Appendf(nil, `{"version":1,"id":"crowd-%07d","tenant":"42","time":"2023-03-01T00:00:00Z",`+
			`"data":{"hit":{"type":"sqli"}}}`, c.events)}}))
	entries, err := c.db.Bus().Receive(c.t.Context(), 10)
	require.NoError(c.t, err)
	_, err = f.Process(c.t.Context(), entries)
	require.NoError(c.t, err)
}

// chosen are up to so many of the integrations.
func (c *crowd) chosen(most int) (out some) {
	for range 1 + c.random.IntN(most) {
		out = append(out, c.all[c.random.IntN(len(c.all))])
	}
	slices.SortFunc(out, func(a, b integration.Integration) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b integration.Integration) bool { return a.ID == b.ID })
}

// settle ends, or delays, what waits for an integration.
func (c *crowd) settle(i integration.Integration) {
	c.t.Helper()
	leased, err := c.db.Deliveries().Lease(c.t.Context(), delivery.Lane{Tenant: "42", Integration: i.ID}, 3, c.now,
		c.now, c.now.Add(time.Hour))
	require.NoError(c.t, err)
	for n := range leased {
		leased[n].State = []delivery.State{delivery.Delivered, delivery.Dead, delivery.Retrying}[c.random.IntN(3)]
		leased[n].Due = c.now.Add(time.Hour)
		leased[n].Attempts = []delivery.Attempt{{At: c.now, Status: 200,
			Delivered: leased[n].State == delivery.Delivered}}
	}
	require.NoError(c.t, c.db.Deliveries().Settle(c.t.Context(), leased))
}

// recovered makes a delivery of an event that came before, to some integrations.
func (c *crowd) recovered(to some) {
	c.t.Helper()
	d := c.db.Deliveries()
	arrived, _, err := d.Arrived(c.t.Context(), "42", c.now.Add(-time.Hour), c.now.Add(time.Hour), "", 1)
	require.NoError(c.t, err)
	var made []delivery.Delivery
	for _, i := range to {
		c.events++
		made = append(made, delivery.Delivery{ID: delivery.DerivedID(c.now, fmt.Appendf(nil, "%010d", c.events)),
			Tenant: "42", Integration: i.ID, State: delivery.Pending, Count: 1,
			Events: []event.Event{arrived[0].Event}})
	}
	n, err := d.Recover(c.t.Context(), made, arrived)
	require.NoError(c.t, err)
	require.Equal(c.t, len(to), n)
}

// want is what a query selects: each list is read by itself, and all are sorted.
func (c *crowd) want(q deliverylog.Query) (ids []string) {
	c.t.Helper()
	for _, i := range c.all {
		rows, err := c.db.Deliveries().List(c.t.Context(), delivery.Query{Tenant: "42", Integration: i.ID,
			States: q.States, From: q.From, To: q.To, Before: q.Before, Limit: 1000})
		require.NoError(c.t, err)
		for _, v := range rows {
			ids = append(ids, v.ID)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	return ids
}

// check walks some pages of a query. What comes in between is not on them.
func (c *crowd) check(q deliverylog.Query) {
	c.t.Helper()
	log := &deliverylog.Log{Integrations: c.all, Store: c.db.Deliveries()}
	q.Tenant, q.Limit = "42", 1+c.random.IntN(60)
	pages := log.Pages(q)
	want := c.want(q)
	var got, exported []string
	for n := 0; n < 4 && len(got) == len(exported); n++ {
		page, err := log.Search(c.t.Context(), q)
		require.NoError(c.t, err)
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		page2, err := pages.Next(c.t.Context())
		require.NoError(c.t, err)
		for _, f := range page2.Found {
			exported = append(exported, f.ID)
		}
		require.Equal(c.t, page.Next, page2.Next)
		if q.Before = page.Next; q.Before == "" {
			require.Equal(c.t, want, got)
			return
		}
		if n == 1 {
			c.now = c.now.Add(time.Second)
			c.publish(c.now, c.chosen(30))
		}
	}
	require.Equal(c.t, want[:min(len(want), len(got))], got)
	require.Equal(c.t, got, exported)
}

// TestPagesOfThousandsOfIntegrationsAreThoseOfTheirLists: a page leaves lists alone that are known to begin below it.
// Deliveries come in in any order of their ids, are settled and replayed, and the file is opened anew in between.
func TestPagesOfThousandsOfIntegrationsAreThoseOfTheirLists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	c := &crowd{t: t, random: rand.New(rand.NewPCG(1, 2)), now: time.Now().UTC().Truncate(time.Millisecond)}
	for n := range 1010 {
		c.all = append(c.all, integration.Integration{ID: receiver(n), Tenant: "42", System: "one", Revision: 1,
			Subscriptions: []integration.Subscription{{Event: event.Hits}}})
	}
	open := func() {
		var err error
		c.db, err = sqlite.Open(t.Context(), path, sqlite.Options{})
		require.NoError(t, err)
	}
	open()
	defer func() { require.NoError(t, c.db.Close()) }()
	for round := range 12 {
		c.now = c.now.Add(time.Minute)
		switch round % 4 {
		case 0:
			c.publish(c.now, c.all)
		case 1:
			c.publish(c.now.Add(-time.Duration(c.random.IntN(200))*time.Second), c.chosen(400)) // the clock went back
		default:
			c.publish(c.now, c.chosen(40))
		}
		for _, i := range c.chosen(40) {
			c.settle(i)
		}
		for _, i := range c.chosen(5) {
			_, _, err := c.db.Deliveries().Replay(t.Context(), delivery.Replay{Tenant: "42", Integration: i.ID,
				Limit: 10, States: []delivery.State{delivery.Dead, delivery.Delivered}})
			require.NoError(t, err)
		}
		c.recovered(c.chosen(3))
		c.check(deliverylog.Query{})
		c.check(deliverylog.Query{States: []delivery.State{delivery.Dead}})
		c.check(deliverylog.Query{States: []delivery.State{delivery.Pending, delivery.Retrying}})
		c.check(deliverylog.Query{To: c.now.Add(-time.Duration(c.random.IntN(600)) * time.Second)})
		c.check(deliverylog.Query{From: c.now.Add(-time.Duration(c.random.IntN(100)) * time.Second)})
		if round%5 == 4 {
			require.NoError(t, c.db.Close())
			open()
		}
	}
}
