package deliverylog_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/integration"
)

// filtering is a store that looks at so many rows as it is asked for and keeps those of a state, as DynamoDB does: of
// its rows only the oldest is pending.
type filtering struct {
	deliverylog.Store

	ids []string // the newest first
}

func (f filtering) Newest(_ context.Context, queries []delivery.Query) ([]deliverylog.Chunk, error) {
	out := make([]deliverylog.Chunk, len(queries))
	for n, q := range queries {
		looked := 0
		for k, id := range f.ids {
			if q.Before != "" && id >= q.Before {
				continue
			}
			if looked++; looked > q.Limit {
				break
			}
			out[n].Reached = id
			if k == len(f.ids)-1 {
				out[n].Reached = ""
				out[n].Rows = []delivery.Delivery{{ID: id, State: delivery.Pending}}
			}
		}
	}
	return out, nil
}

// A list that finds nothing for long says how far it looked and goes on from there: it does not end.
func TestAListGoesOnBehindWhatItDoesNotSelect(t *testing.T) {
	f := filtering{}
	newest := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for n := range 2*deliverylog.Scanned + 10 {
		f.ids = append(f.ids, delivery.FirstID(newest.Add(-time.Duration(n)*time.Millisecond)))
	}
	log := &deliverylog.Log{Store: f}
	q := delivery.Query{Tenant: "42", Integration: "i", States: []delivery.State{delivery.Pending}, Limit: 50}
	calls := 0
	for {
		page, err := log.List(t.Context(), q)
		require.NoError(t, err)
		if calls++; page.Next == "" {
			require.Len(t, page.Found, 1)
			require.Equal(t, f.ids[len(f.ids)-1], page.Found[0].ID)
			break
		}
		require.Empty(t, page.Found)
		reached, err := delivery.MadeAt(page.Next)
		require.NoError(t, err)
		require.Equal(t, reached, page.Reached)
		require.Less(t, page.Next, max(q.Before, "~"))
		q.Before = page.Next
	}
	require.Greater(t, calls, 1, "none looks at all of it")
}

// sorted is a store of many short lists. It counts the rows that are read.
type sorted struct {
	deliverylog.Store

	of   map[string][]string // ids by integration, the newest first
	read int
}

func (s *sorted) List(_ context.Context, _, after string, limit int) (out []integration.Integration, _ error) {
	for _, id := range slices.Sorted(maps.Keys(s.of)) {
		if id > after && len(out) < limit {
			out = append(out, integration.Integration{ID: id})
		}
	}
	return out, nil
}

func (s *sorted) Newest(_ context.Context, queries []delivery.Query) ([]deliverylog.Chunk, error) {
	out := make([]deliverylog.Chunk, len(queries))
	for n, q := range queries {
		for _, id := range s.of[q.Integration] {
			if (q.Before == "" || id < q.Before) && id >= delivery.FirstID(q.From) && len(out[n].Rows) < q.Limit {
				out[n].Rows = append(out[n].Rows, delivery.Delivery{ID: id, Integration: q.Integration})
				out[n].Reached = id
			}
		}
		if len(out[n].Rows) < q.Limit {
			out[n].Reached = ""
		}
		s.read += len(out[n].Rows)
	}
	return out, nil
}

// headed knows where its lists begin.
type headed struct{ *sorted }

func (h headed) Head(_, integration string) (id string, ok bool) {
	if of := h.of[integration]; len(of) > 0 {
		id = of[0]
	}
	return id, true
}

// Where it is known where lists begin, those alone are read that have something on the page, and some that begin next.
func TestAPageOfThousandsOfListsWhoseHeadsAreKnownReadsThoseOnIt(t *testing.T) {
	const many, rows = 3000, 3
	s := &sorted{of: map[string][]string{}}
	var all []string
	for n := range rows * many {
		id := delivery.FirstID(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second))
		to := fmt.Sprintf("i%05d", n%many)
		all, s.of[to] = append(all, id), append([]string{id}, s.of[to]...)
	}
	s.of["i-empty"] = nil
	slices.Reverse(all)
	log := &deliverylog.Log{Integrations: s, Store: headed{s}}
	var got []string
	for q := (deliverylog.Query{Tenant: "42", Limit: 50}); len(got) < 500; {
		s.read = 0
		page, err := log.Search(t.Context(), q)
		require.NoError(t, err)
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		if len(got) == 50 {
			require.Less(t, s.read, 200)
		}
		q.Before = page.Next
	}
	require.Equal(t, all[:500], got)
	got = nil
	for pages := log.Pages(deliverylog.Query{Tenant: "42", Limit: 1000}); len(got) < rows*many; {
		page, err := pages.Next(t.Context())
		require.NoError(t, err)
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
	}
	require.Equal(t, all, got)
	from, err := delivery.MadeAt(all[10])
	require.NoError(t, err)
	s.read = 0
	page, err := log.Search(t.Context(), deliverylog.Query{Tenant: "42", Limit: 50, From: from})
	require.NoError(t, err)
	require.Len(t, page.Found, 11)
	require.Empty(t, page.Next)
	require.Less(t, s.read, 50)
	dead := deliverylog.Query{Tenant: "42", Limit: 50, States: []delivery.State{delivery.Dead}}
	s.read = 0
	_, err = log.Search(t.Context(), dead)
	require.NoError(t, err)
	require.Greater(t, s.read, many-1, "of some states a list can begin far below its head: all are read together")
}

// Of thousands of lists one row of each is read, and a few more: not a piece of each.
func TestAPageOfThousandsOfListsReadsFewRows(t *testing.T) {
	for _, many := range []int{1000, 1001, 3000} {
		s := &sorted{of: map[string][]string{}}
		var all []string
		for n := range 5 * many {
			// each integration in its turn, apart from the first, which has every tenth
			to := fmt.Sprintf("i%05d", n%many)
			if n%10 == 0 {
				to = "i00000"
			}
			id := delivery.FirstID(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second))
			all, s.of[to] = append(all, id), append([]string{id}, s.of[to]...)
		}
		slices.Reverse(all)
		log := &deliverylog.Log{Integrations: s, Store: s}
		var got []string
		for q := (deliverylog.Query{Tenant: "42", Limit: 50}); len(got) < 500; {
			s.read = 0
			page, err := log.Search(t.Context(), q)
			require.NoError(t, err)
			for _, f := range page.Found {
				got = append(got, f.ID)
			}
			if many > 1000 {
				require.Less(t, s.read, many+200)
			}
			q.Before = page.Next
		}
		require.Equal(t, all[:500], got)

		// An export reads pages, and looks into each list once for all of them.
		got, s.read = nil, 0
		pages := log.Pages(deliverylog.Query{Tenant: "42", Limit: 50})
		for len(got) < 500 {
			page, err := pages.Next(t.Context())
			require.NoError(t, err)
			for _, f := range page.Found {
				got = append(got, f.ID)
			}
			require.Equal(t, got[len(got)-1], page.Next)
		}
		require.Equal(t, all[:500], got)
		require.Less(t, s.read, 5*many)
		if many > 1000 {
			require.Less(t, s.read, many+2000)
		}
	}
}
