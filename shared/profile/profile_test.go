package profile_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/profile"
)

var (
	now = func() time.Time { return time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC) }
	ada = profile.Person{Tenant: "42", ClientName: "Acme", Email: "Ada@Example.com", Name: "Ada"}
)

func start(t *testing.T) *profile.Service {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return &profile.Service{Store: db.People(), Now: now, Log: slog.New(slog.DiscardHandler)}
}

func TestANewPersonHasTheDefaults(t *testing.T) {
	s := start(t)
	p, err := s.Read(t.Context(), ada)
	require.NoError(t, err)
	require.Equal(t, profile.Default, p.Choices)
	again, err := s.Read(t.Context(), profile.Person{Tenant: "42", Email: "ada@example.com"})
	require.NoError(t, err)
	require.Equal(t, p, again, "an address in other cases is the same person")
	require.Equal(t, []event.Type{event.ReportWeekly, event.ReportMonthly, event.System}, p.Choices.Types())
}

func TestWithoutAnAddressThereIsNothingToSet(t *testing.T) {
	s := start(t)
	for _, email := range []string{"", "ada", "Ada <ada@example.com>", "a@b.org\r\nBcc: c@d.org", strings.Repeat("a", 250) + "@x.org"} {
		_, err := s.Read(t.Context(), profile.Person{Tenant: "42", Email: email})
		require.ErrorIs(t, err, profile.ErrNoAddress, email)
	}
}

func TestUpstreamTellsOfPeople(t *testing.T) {
	s := start(t)
	tell := func(kind event.Kind, data string) {
		t.Helper()
		require.NoError(t, s.Observe(t.Context(), event.Event{ID: "e", Tenant: "42", ClientName: "Acme", Kind: kind, Time: now(), Data: []byte(data)}))
	}
	tell(event.CreateUser, `{"user":{"name":"Ada","email":"ada@example.com"}}`)
	tell(event.CreateUser, `{"user":{"name":"Service"}}`)
	tell(event.CreateUser, `{"user":{"email":"no address"}}`)
	people, err := s.Store.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, people, 1)
	_, err = s.Set(t.Context(), ada, profile.Choices{Vuln: true}, 0)
	require.NoError(t, err)
	tell(event.CreateUser, `{"user":{"name":"Ada","email":"ada@example.com"}}`)
	p, err := s.Read(t.Context(), ada)
	require.NoError(t, err)
	require.Equal(t, profile.Choices{Vuln: true}, p.Choices, "a repeat changes nothing")
	tell(event.DeleteUser, `{"user":{"name":"Ada","email":"ADA@example.com"}}`)
	people, err = s.Store.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Empty(t, people)
}

func TestLinks(t *testing.T) {
	l := profile.Links{Base: "https://tocsin.example.com", Keys: [][]byte{[]byte("new"), []byte("old")}}
	token := strings.TrimPrefix(l.Link("42", "i", "Ada@Example.com"), "https://tocsin.example.com"+profile.Path)
	want := profile.Subscription{Tenant: "42", Integration: "i", Address: "ada@example.com"}
	got, err := l.Open(token)
	require.NoError(t, err)
	require.Equal(t, want, got)
	old := profile.Links{Base: l.Base, Keys: l.Keys[1:]}
	got, err = l.Open(strings.TrimPrefix(old.Link("42", "i", "ada@example.com"), l.Base+profile.Path))
	require.NoError(t, err, "links of a key that was replaced go on working")
	require.Equal(t, want, got)
	_, err = old.Open(token)
	require.ErrorIs(t, err, profile.ErrLink)
}

func FuzzOpen(f *testing.F) {
	l := profile.Links{Keys: [][]byte{[]byte("k")}}
	token := strings.TrimPrefix(l.Link("42", "i", "ada@example.com"), profile.Path)
	f.Add(token)
	f.Add("a.b")
	f.Add("..")
	f.Fuzz(func(t *testing.T, given string) {
		if _, err := l.Open(given); err == nil && given != token {
			t.Fatalf("%q was taken for a link of ours", given)
		}
	})
}
