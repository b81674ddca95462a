package settingstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/engine/enginetest"
)

// OpenActivity opens an engine whose clock stands at enginetest.At.
type OpenActivity func(t *testing.T) activity.Store

// Activity is the suite of activity.Store.
func Activity(t *testing.T, open OpenActivity) {
	run := enginetest.Parallel(t, open)
	run("entries are listed newest first, page by page", entriesAreListedNewestFirst)
	run("a query finds what it asks for and nothing else", queriesFindWhatTheyAskFor)
	run("a tenant's entries are no other tenant's", entriesAreOfOneTenant)
	run("an entry is kept as it was", entriesAreKeptAsTheyWere)
	run("a filter that finds little still ends", rareEntriesAreFound)
}

// act is an entry of the tenant 42 at so many days before enginetest.At.
func act(id string, days int, change func(*activity.Entry)) activity.Entry {
	e := activity.Entry{
		ID: id, At: at.AddDate(0, 0, -days), Object: activity.Integration, ObjectID: "i", ObjectName: "Ops",
		Action: activity.Update,
		Actor: activity.Actor{Tenant: "42", Email: "Ada@example.com", Name: "Ada", Source: access.FromConsole,
			RequestID: "r-" + id},
		Changes: []activity.Change{{Field: "name", Before: "a", After: "b"}, activity.SecretChange("parameters.token")},
	}
	if change != nil {
		change(&e)
	}
	return e.Bounded()
}

// everyPage asks until there is no more, and returns the ids.
func everyPage(t *testing.T, s activity.Reader, q activity.Query) []string {
	t.Helper()
	ids := []string{}
	for range 1000 {
		page, err := s.List(t.Context(), q)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Entries), q.Limit)
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if page.Next == "" {
			return ids
		}
		q.Before = page.Next
	}
	require.Fail(t, "the pages do not end")
	return nil
}

func entriesAreListedNewestFirst(t *testing.T, open OpenActivity) {
	s := open(t)
	var want []string
	for n := range 23 {
		id := fmt.Sprintf("%03d", n)
		require.NoError(t, s.Append(t.Context(), act(id, 17*n, nil)))
		want = append(want, id)
	}
	// Two of one instant have a place each.
	require.NoError(t, s.Append(t.Context(), act("a", 0, nil)))
	require.NoError(t, s.Append(t.Context(), act("b", 0, nil)))
	want = append([]string{"b", "a"}, want...)
	for _, limit := range []int{1, 2, 5, 24, 25, 26, 200} {
		require.Equal(t, want, everyPage(t, s, activity.Query{Tenant: "42", Limit: limit}), "pages of %d", limit)
		require.Equal(t, want, everyPage(t, s, activity.Query{Tenant: "42", ObjectID: "i", Limit: limit}))
		require.Equal(t, want, everyPage(t, s, activity.Query{Tenant: "42", Person: "ada@example.com", Limit: limit}))
	}
}

func queriesFindWhatTheyAskFor(t *testing.T, open OpenActivity) {
	s := open(t)
	entries := []activity.Entry{
		act("0", 0, nil),
		act("1", 1, func(e *activity.Entry) { e.Email = "grace@example.com" }),
		act("2", 2, func(e *activity.Entry) { e.ObjectID = "j" }),
		act("3", 3, func(e *activity.Entry) { e.Object, e.ObjectID = activity.Trigger, "t" }),
		act("4", 4, func(e *activity.Entry) { e.Action = activity.Delete }),
		act("5", 5, func(e *activity.Entry) { e.Source, e.Token, e.Email = access.FromAPIToken, "ci", "" }),
		act("6", 40, func(e *activity.Entry) { e.Actor = activity.System("42"); e.Action = activity.Disable }),
		act("7", 70, func(e *activity.Entry) { e.Object, e.ObjectID, e.ObjectName = activity.Session, "", "" }),
	}
	for _, e := range entries {
		require.NoError(t, s.Append(t.Context(), e))
	}
	day := func(days int) time.Time { return at.AddDate(0, 0, -days) }
	for name, q := range map[string]activity.Query{
		"everything":                             {},
		"a person":                               {Person: "grace@example.com"},
		"a person with a capital in the address": {Person: "ada@example.com"},
		"nobody":                                 {Person: "eve@example.com"},
		"an object":                              {ObjectID: "j"},
		"an object by a person":                  {ObjectID: "i", Person: "grace@example.com"},
		"a type":                                 {Object: activity.Trigger},
		"an action":                              {Action: activity.Delete},
		"a source":                               {Source: access.FromSystem},
		"a person and an action":                 {Person: "ada@example.com", Action: activity.Delete},
		"from a time":                            {From: day(3)},
		"before a time":                          {To: day(3)},
		"a range over months":                    {From: day(70), To: day(4)},
		"a range of an object":                   {ObjectID: "i", From: day(5), To: day(1)},
		"a range of a person":                    {Person: "ada@example.com", From: day(4), To: day(0)},
		"an empty range":                         {From: day(1), To: day(2)},
		"all at once": {Person: "ada@example.com", ObjectID: "i", Object: activity.Integration,
			Action: activity.Delete, Source: access.FromConsole, From: day(9), To: day(1)},
	} {
		q.Tenant = "42"
		want := []string{}
		for _, e := range entries {
			if q.Takes(e) {
				want = append(want, e.ID)
			}
		}
		for _, limit := range []int{1, 3, 50} {
			q.Limit = limit
			require.Equal(t, want, everyPage(t, s, q), "%s, pages of %d", name, limit)
		}
	}
}

func entriesAreOfOneTenant(t *testing.T, open OpenActivity) {
	s := open(t)
	require.NoError(t, s.Append(t.Context(), act("mine", 0, nil)))
	require.NoError(t, s.Append(t.Context(), act("theirs", 0, func(e *activity.Entry) { e.Tenant = "4" })))
	for _, q := range []activity.Query{{}, {ObjectID: "i"}, {Person: "ada@example.com"}} {
		q.Tenant, q.Limit = "42", 10
		require.Equal(t, []string{"mine"}, everyPage(t, s, q))
		q.Tenant = "4"
		require.Equal(t, []string{"theirs"}, everyPage(t, s, q))
		q.Tenant = "2"
		require.Empty(t, everyPage(t, s, q))
	}
}

func entriesAreKeptAsTheyWere(t *testing.T, open OpenActivity) {
	s := open(t)
	small := act("small", 1, nil)
	large := act("large", 0, func(e *activity.Entry) {
		e.Home, e.Subject, e.Changes = "1", "s", nil
		for n := range 300 {
			e.Changes = append(e.Changes, activity.Change{Field: fmt.Sprint("f", n),
				Before: strings.Repeat("é", 2000), After: "\xff" + strings.Repeat("b", 5000)})
		}
	})
	for _, e := range []activity.Entry{small, large} {
		require.NoError(t, s.Append(t.Context(), e))
	}
	page, err := s.List(t.Context(), activity.Query{Tenant: "42", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []activity.Entry{large, small}, page.Entries)
	require.Equal(t, 300, len(large.Changes)+large.More)
}

func rareEntriesAreFound(t *testing.T, open OpenActivity) {
	s := open(t)
	require.NoError(t, s.Append(t.Context(), act("rare", 30, func(e *activity.Entry) { e.Action = activity.Recover })))
	for n := range 60 {
		require.NoError(t, s.Append(t.Context(), act(fmt.Sprintf("%03d", n), n%3, nil)))
	}
	for _, q := range []activity.Query{{Limit: 1}, {ObjectID: "i", Limit: 2}, {Person: "ada@example.com", Limit: 3}} {
		q.Tenant, q.Action = "42", activity.Recover
		require.Equal(t, []string{"rare"}, everyPage(t, s, q))
	}
}
