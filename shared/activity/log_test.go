package activity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
)

func TestDiffNamesEachFieldThatChanged(t *testing.T) {
	type filter struct {
		ID     string `json:"id"`
		Values []any  `json:"values"`
	}
	type thing struct {
		Name    string            `json:"name"`
		On      bool              `json:"on"`
		Count   int               `json:"count,omitempty"`
		Filters []filter          `json:"filters"`
		Map     map[string]string `json:"map,omitempty"`
		Inner   *thing            `json:"inner,omitempty"`
	}
	before := thing{Name: "a", On: true, Count: 3, Filters: []filter{{"ip", []any{"1.1.1.1", 2}}},
		Map: map[string]string{"x": "1"}}
	after := thing{Name: "b <&> é", Filters: []filter{{"ip", []any{"1.1.1.1"}}, {"url", []any{}}},
		Map: map[string]string{"y": "1"}, Inner: &thing{Name: "c"}}
	require.Equal(t, []activity.Change{
		{Field: "count", Before: "3"},
		{Field: "filters.0.values", Before: `["1.1.1.1",2]`, After: `["1.1.1.1"]`},
		{Field: "filters.1.id", After: "url"},
		{Field: "inner.name", After: "c"},
		{Field: "inner.on", After: "false"},
		{Field: "map.x", Before: "1"},
		{Field: "map.y", After: "1"},
		{Field: "name", Before: "a", After: "b <&> é"},
		{Field: "on", Before: "true", After: "false"},
	}, activity.Diff(before, after))
	require.Empty(t, activity.Diff(before, before))
	require.Empty(t, activity.Diff(nil, nil))
	require.Equal(t, []activity.Change{{Field: "name", After: "a"}}, activity.Diff(nil, map[string]string{"name": "a"}))
	require.Equal(t, []activity.Change{{Field: "name", Before: "a"}},
		activity.Diff(map[string]string{"name": "a"}, nil))
}

func TestAnEntryIsBoundedInBytes(t *testing.T) {
	e := activity.Entry{ObjectName: strings.Repeat("é", 1000), Actor: activity.Actor{Email: "a\xffb@example.com"}}
	for range 1000 {
		e.Changes = append(e.Changes, activity.Change{Field: strings.Repeat("f", 1000),
			Before: strings.Repeat("日本", 5000), After: strings.Repeat("x", 1<<20)})
	}
	b := e.Bounded()
	size := 0
	for _, c := range b.Changes {
		require.True(t, utf8.ValidString(c.Field+c.Before+c.After))
		require.LessOrEqual(t, len(c.Before), activity.MaxValue)
		size += len(c.Field) + len(c.Before) + len(c.After)
	}
	require.LessOrEqual(t, size, activity.MaxValues)
	require.Equal(t, 1000, len(b.Changes)+b.More)
	require.LessOrEqual(t, len(b.ObjectName), 256)
	require.True(t, utf8.ValidString(b.ObjectName+b.Email))
	require.Equal(t, b, b.Bounded(), "what is bounded stays as it is")
	for range 1000 {
		e.Changes = append(e.Changes, activity.Change{Field: "f"})
	}
	e.Changes = e.Changes[1000:]
	require.Len(t, e.Bounded().Changes, activity.MaxChanges)
	require.Equal(t, 900, e.Bounded().More)
}

type appended struct {
	entries []activity.Entry
	fail    error
}

func (a *appended) Append(_ context.Context, e activity.Entry) error {
	a.entries = append(a.entries, e)
	return a.fail
}

func TestARecordedEntryHasAnIDAndATime(t *testing.T) {
	store := &appended{}
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.FixedZone("", 3600))
	l := activity.Log{Store: store, Now: func() time.Time { return now }, NewID: func() string { return "id-1" }}
	require.NoError(t, l.Record(t.Context(), activity.Entry{Action: activity.SignIn}))
	require.Equal(t, "id-1", store.entries[0].ID)
	require.Equal(t, now.UTC(), store.entries[0].At)
	store.fail = errors.New("full")
	require.ErrorIs(t, l.Record(t.Context(), activity.Entry{ID: "mine", At: now}), store.fail)
	require.Equal(t, "mine", store.entries[1].ID)
}
