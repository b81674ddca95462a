package enginetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// OpenDeliveryLog opens an engine.
type OpenDeliveryLog func(t *testing.T) (Log, deliverylog.Store)

// DeliveryLog is the suite of deliverylog.Store, as the search of package deliverylog uses it.
func DeliveryLog(t *testing.T, open OpenDeliveryLog) {
	run := Parallel(t, open)
	run("the lists of all integrations are one, in pages of any size, newest first", listsAreOne)
	run("many lists are read as each of them alone", manyListsAreReadAsEach)
	run("each filter selects what it says, also together", filtersSelect)
	run("a text is looked for in what events say", textIsLookedFor)
	run("an event is found by its id, in its own tenant, with its arrival", eventIsFoundByItsID)
	run("every delivery of an event is found, also one of several events, and why others did not get it",
		eventIsTraced)
	run("what was recovered is found too", recoveredIsTraced)
	run("looking for an event ends where it is told to", lookingEnds)
}

// fixed are the integrations of a tenant, for all of them.
type fixed []string

func (f fixed) List(_ context.Context, tenant, after string, limit int) (out []integration.Integration, err error) {
	for _, id := range f {
		if id > after && len(out) < limit {
			i := Sample(tenant, id)
			i.CreatedAt = At.Add(-time.Hour)
			out = append(out, i)
		}
	}
	return out, nil
}

// searched is an engine with three integrations and what was sent to them.
type searched struct {
	t   *testing.T
	rig *Rig
	log *deliverylog.Log
	// all deliveries, oldest first: to a and b by turns, none to c
	all []delivery.Delivery
}

func searching(t *testing.T, open OpenDeliveryLog, count int) *searched {
	log, store := open(t)
	s := &searched{t: t, rig: &Rig{T: t, Log: log},
		log: &deliverylog.Log{Integrations: fixed{"a", "b", "c"}, Store: store}}
	in := fanout.Intake{Accepted: s.rig.Publish(count)}
	for n, a := range in.Accepted {
		in.Deliveries = append(in.Deliveries, Made([]string{"a", "b"}[n%2], a))
	}
	require.NoError(t, log.Accept(t.Context(), in))
	s.all = in.Deliveries
	return s
}

// settle gives each delivery an outcome by its number: dead, retrying, delivered, pending and again.
func (s *searched) settle() {
	s.t.Helper()
	var settled []delivery.Delivery
	for n, d := range s.all {
		switch n % 4 {
		case 0:
			settled = append(settled, Failed(d, At).Kill("dead"))
		case 1:
			settled = append(settled, Failed(d, At.Add(time.Hour)))
		case 2:
			settled = append(settled, Arrived(d))
		}
	}
	require.NoError(s.t, s.rig.Log.Settle(s.t.Context(), settled))
}

// find reads all pages and returns the numbers of what they hold.
func (s *searched) find(q deliverylog.Query) (numbers []int) {
	s.t.Helper()
	q.Tenant = "42"
	if q.Limit == 0 {
		q.Limit = 100
	}
	for range 200 {
		page, err := s.log.Search(s.t.Context(), q)
		require.NoError(s.t, err)
		require.LessOrEqual(s.t, len(page.Found), q.Limit)
		for _, f := range page.Found {
			require.Empty(s.t, f.Events)
			require.Equal(s.t, f.Integration, f.To.ID)
			numbers = append(numbers,
				slices.IndexFunc(s.all, func(v delivery.Delivery) bool { return v.ID == f.ID }))
		}
		if page.Next == "" {
			return numbers
		}
		if q.Before != "" {
			require.Less(s.t, page.Next, q.Before, "each page gets on")
		}
		q.Before = page.Next
	}
	s.t.Fatal("the log has no end")
	return nil
}

// pagesAreSearches holds the pages that are read together to those of searches that go on from one another.
func (s *searched) pagesAreSearches(q deliverylog.Query) {
	s.t.Helper()
	q.Tenant = "42"
	pages := s.log.Pages(q)
	for {
		want, err := s.log.Search(s.t.Context(), q)
		require.NoError(s.t, err)
		got, err := pages.Next(s.t.Context())
		require.NoError(s.t, err)
		require.Equal(s.t, want, got)
		if q.Before = want.Next; q.Before == "" {
			break
		}
	}
	end, err := pages.Next(s.t.Context())
	require.NoError(s.t, err)
	require.Equal(s.t, deliverylog.Page{}, end)
}

// down counts from a number down to another.
func down(from, to, step int) (out []int) {
	for n := from; n >= to; n -= step {
		out = append(out, n)
	}
	return out
}

// manyListsAreReadAsEach has deliveries in every state, to some of 130 integrations.
func manyListsAreReadAsEach(t *testing.T, open OpenDeliveryLog) {
	const many = 130
	s := searching(t, open, 24)
	s.settle()
	store := s.log.Store
	for _, states := range [][]delivery.State{nil, {delivery.Pending}, {delivery.Dead, delivery.Retrying},
		{delivery.Delivered}, delivery.States()} {
		queries := make([]delivery.Query, many)
		for n := range queries {
			queries[n] = delivery.Query{Tenant: "42", Integration: fmt.Sprint("i", n), States: states, Limit: 3}
		}
		queries[7].Integration, queries[99].Integration, queries[100] = "a", "b", queries[7]
		got, err := store.Newest(t.Context(), queries)
		require.NoError(t, err)
		require.Len(t, got, many)
		for n, q := range queries {
			if q.Integration[0] == 'i' {
				require.Empty(t, got[n].Rows)
				continue
			}
			want, err := store.Newest(t.Context(), queries[n:n+1])
			require.NoError(t, err)
			require.Equal(t, want[0], got[n], "%s: %v", q.Integration, states)
		}
	}
}

func listsAreOne(t *testing.T, open OpenDeliveryLog) {
	s := searching(t, open, 40)
	s.settle()
	for _, limit := range []int{1, 2, 7, 40, 41, 1000} {
		require.Equal(t, down(39, 0, 1), s.find(deliverylog.Query{Limit: limit}), "pages of %d", limit)
		s.pagesAreSearches(deliverylog.Query{Limit: limit})
	}
	page, err := s.log.Search(t.Context(), deliverylog.Query{Tenant: "42", Limit: 40})
	require.NoError(t, err)
	require.Empty(t, page.Next, "a full page that is the last one says so")
	page, err = s.log.Search(t.Context(), deliverylog.Query{Tenant: "42", Limit: 4})
	require.NoError(t, err)
	require.Equal(t, s.all[36].CreatedAt.UTC(), page.Reached)
	none, err := s.log.Search(t.Context(), deliverylog.Query{Tenant: "43", Limit: 10})
	require.NoError(t, err)
	require.Empty(t, none.Found, "another tenant has none")
	require.Empty(t, none.Next)
}

func filtersSelect(t *testing.T, open OpenDeliveryLog) {
	s := searching(t, open, 40)
	s.settle()
	for name, c := range map[string]struct {
		q    deliverylog.Query
		want []int
	}{
		"an integration":        {deliverylog.Query{Integrations: []string{"b"}}, down(39, 0, 2)},
		"one that has nothing":  {deliverylog.Query{Integrations: []string{"c"}}, nil},
		"one that is not there": {deliverylog.Query{Integrations: []string{"z"}}, nil},
		"dead":                  {deliverylog.Query{States: []delivery.State{delivery.Dead}}, down(36, 0, 4)},
		"retrying":              {deliverylog.Query{States: []delivery.State{delivery.Retrying}}, down(37, 0, 4)},
		"delivered":             {deliverylog.Query{States: []delivery.State{delivery.Delivered}}, down(38, 0, 4)},
		"pending":               {deliverylog.Query{States: []delivery.State{delivery.Pending}}, down(39, 0, 4)},
		"a status":              {deliverylog.Query{Status: "200"}, down(38, 0, 4)},
		"a class, and a state":  {deliverylog.Query{Status: "5xx", States: []delivery.State{"dead"}}, down(36, 0, 4)},
		"no answer":             {deliverylog.Query{Status: deliverylog.NoAnswer}, nil},
		"a kind":                {deliverylog.Query{Kinds: []event.Kind{event.CreateUser}}, down(39, 0, 1)},
		"another kind":          {deliverylog.Query{Kinds: []event.Kind{event.Vuln}}, nil},
		"from included, to not": {deliverylog.Query{From: s.all[10].CreatedAt, To: s.all[13].CreatedAt},
			down(12, 10, 1)},
		"the id of a delivery":     {deliverylog.Query{Delivery: s.all[5].ID}, []int{5}},
		"that id, of another":      {deliverylog.Query{Delivery: s.all[5].ID, Integrations: []string{"a"}}, nil},
		"that id, in other states": {deliverylog.Query{Delivery: s.all[5].ID, States: []delivery.State{"dead"}}, nil},
		"an id of no delivery":     {deliverylog.Query{Delivery: "01GTD8R4000000000000000001"}, nil},
		"the id of an event":       {deliverylog.Query{Event: s.all[6].Events[0].ID}, []int{6}},
		"that event, of another": {deliverylog.Query{Event: s.all[6].Events[0].ID, Integrations: []string{"b"}},
			nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{1, 3, 100} {
				c.q.Limit = limit
				require.Equal(t, c.want, s.find(c.q), "pages of %d", limit)
				s.pagesAreSearches(c.q)
			}
		})
	}
}

func textIsLookedFor(t *testing.T, open OpenDeliveryLog) {
	s := searching(t, open, 12)
	require.Equal(t, []int{11, 10, 9, 0}, s.find(deliverylog.Query{Text: "USER 1", Limit: 2}), "1, 10, 11 and 12")
	s.pagesAreSearches(deliverylog.Query{Text: "USER 1", Limit: 2})
	require.Equal(t, []int{4}, s.find(deliverylog.Query{Text: "user 5"}))
	require.Empty(t, s.find(deliverylog.Query{Text: "nowhere"}))
	page, err := s.log.Search(t.Context(), deliverylog.Query{Tenant: "42", Text: "user 5", Limit: 1})
	require.NoError(t, err)
	require.NotEmpty(t, page.Found[0].Summary)
}

func eventIsFoundByItsID(t *testing.T, open OpenDeliveryLog) {
	log, store := open(t)
	r := &Rig{T: t, Log: log}
	in := fanout.Intake{Accepted: r.Publish(3)}
	require.NoError(t, log.Accept(t.Context(), in))
	found, err := store.Event(t.Context(), "42", "e2")
	require.NoError(t, err)
	require.Equal(t, in.Accepted[1].Event, found.Accepted.Event)
	require.True(t, in.Accepted[1].Entry.At.Equal(found.Entry.At))
	for _, k := range [][2]string{{"43", "e2"}, {"42", "e4"}, {"42", ""}, {"", "e2"}, {"42", "e%"}} {
		_, err := store.Event(t.Context(), k[0], k[1])
		require.ErrorIs(t, err, deliverylog.ErrNoEvent, "%q", k)
	}
}

func eventIsTraced(t *testing.T, open OpenDeliveryLog) {
	log, store := open(t)
	r := &Rig{T: t, Log: log}
	in := fanout.Intake{Accepted: r.Publish(4)}
	single, several := Made("a", in.Accepted[1]), Made("b", in.Accepted[:3]...)
	in.Deliveries = []delivery.Delivery{Made("a", in.Accepted[0]), single, several, Made("c", in.Accepted[3])}
	require.NoError(t, log.Accept(t.Context(), in))
	l := &deliverylog.Log{Integrations: fixed{"a", "b", "c", "d"}, Store: store}
	got, err := l.Trace(t.Context(), "42", "e2")
	require.NoError(t, err)
	require.Equal(t, in.Accepted[1].Event, got.Event.Accepted.Event)
	var carried []string
	for _, d := range got.Deliveries {
		carried = append(carried, d.To.ID+" "+d.ID)
		require.Equal(t, fanout.BySubscription, d.Route)
	}
	require.Equal(t, []string{"a " + single.ID, "b " + several.ID}, carried)
	require.Len(t, got.LeftOut, 2)
	for n, id := range []string{"c", "d"} {
		require.Equal(t, id, got.LeftOut[n].To.ID)
		require.Equal(t, deliverylog.Missed, got.LeftOut[n].Cause)
	}
	_, err = l.Trace(t.Context(), "43", "e2")
	require.ErrorIs(t, err, deliverylog.ErrNoEvent)
}

func recoveredIsTraced(t *testing.T, open OpenDeliveryLog) {
	log, store := open(t)
	journal, ok := store.(fanout.EventLog)
	require.True(t, ok, "the engine keeps the event log, too")
	r := &Rig{T: t, Log: log}
	require.NoError(t, log.Accept(t.Context(), fanout.Intake{Accepted: r.Publish(4)}))
	events := arrivals(t, journal, "42", At, later, 10)
	together := Made("a", events[1:]...)
	_, err := journal.Recover(t.Context(), []delivery.Delivery{Made("a", events[0]), together}, events)
	require.NoError(t, err)
	l := &deliverylog.Log{Integrations: fixed{"a"}, Store: store}
	for _, id := range []string{"e2", "e3", "e4"} {
		got, err := l.Trace(t.Context(), "42", id)
		require.NoError(t, err)
		require.Len(t, got.Deliveries, 1, id)
		require.Equal(t, together.ID, got.Deliveries[0].ID)
	}
}

func lookingEnds(t *testing.T, open OpenDeliveryLog) {
	s := searching(t, open, 20)
	last, err := s.log.Store.Event(t.Context(), "42", fmt.Sprintf("e%d", 20))
	require.NoError(t, err)
	id, _, err := s.log.Store.Carrying(t.Context(), "42", "b", last, 1)
	require.NoError(t, err)
	require.Equal(t, s.all[19].ID, id, "the nearest is looked at first")
	for most, want := range map[int]bool{3: false, 9: false, 10: true, 100: true} {
		id, through, err := s.log.Store.Carrying(t.Context(), "42", "a", last, most)
		require.NoError(t, err)
		require.Empty(t, id)
		require.Equal(t, want, through, "of ten, %d are looked at", most)
	}
}
