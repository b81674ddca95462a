package profile_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/profile"
)

var (
	now = func() time.Time { return time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC) }
	ada = profile.Person{Actor: activity.Actor{Tenant: "42", ClientName: "Acme", Email: "Ada@Example.com", Name: "Ada"},
		Role: access.Administrator}
)

func start(t *testing.T) *profile.Service {
	t.Helper()
	db := memory.New(nil)
	return &profile.Service{Store: db.People(), Now: now,
		NewID: func() string { return ulid.Make().String() }, Log: slog.New(slog.DiscardHandler)}
}

func TestANewPersonHasTheDefaults(t *testing.T) {
	s := start(t)
	p, err := s.Read(t.Context(), ada)
	require.NoError(t, err)
	require.Equal(t, profile.Default, p.Choices)
	require.NoError(t, s.Know(t.Context(), ada))
	again, err := s.Read(t.Context(), profile.Person{Actor: activity.Actor{Tenant: "42", Email: "ada@example.com"}})
	require.NoError(t, err)
	require.Equal(t, p, again, "an address in other cases is the same person")
	require.Equal(t, []event.Type{event.ReportWeekly, event.ReportMonthly, event.IssuesDaily,
		event.CriticalDaily, event.SurfaceWeekly, event.System}, p.Choices.Types())
}

func TestWithoutAnAddressThereIsNothingToSet(t *testing.T) {
	s := start(t)
	for _, email := range []string{"", "ada", "Ada <ada@example.com>", "a@b.org\r\nBcc: c@d.org",
		strings.Repeat("a", 250) + "@x.org"} {
		_, err := s.Read(t.Context(), profile.Person{Actor: activity.Actor{Tenant: "42", Email: email}})
		require.ErrorIs(t, err, profile.ErrNoAddress, email)
	}
}

func TestUpstreamTellsOfPeople(t *testing.T) {
	s := start(t)
	tell := func(kind event.Kind, data string) {
		t.Helper()
		require.NoError(t, s.Observe(t.Context(),
			event.Event{ID: "e", Tenant: "42", ClientName: "Acme", Kind: kind, Time: now(), Data: []byte(data)}))
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

// TestS7WhatARoleMaySeeBoundsWhatItIsSent takes every role through what it can choose and what it is told of then.
func TestS7WhatARoleMaySeeBoundsWhatItIsSent(t *testing.T) {
	all := profile.Choices{ReportDaily: true, ReportWeekly: true, ReportMonthly: true, System: true, Vuln: true,
		Scope: true, IssuesDaily: true, CriticalDaily: true, SurfaceWeekly: true, APIHourly: true, APIDaily: true}
	users, applications := []event.Kind{event.CreateUser, event.DeleteUser, event.UpdateUser},
		[]event.Kind{event.CreateApplication, event.DeleteApplication, event.UpdateApplication}
	for claim, want := range map[string]struct {
		allowed profile.Choices
		told    []event.Kind // of system-related events
		not     []event.Kind
	}{
		"admin":             {all, append(users, event.IntegrationBroken, event.AddressUndeliverable), nil},
		"partner_admin_ext": {all, users, nil},
		"analytic":          {all, applications, append(users, event.IntegrationBroken)},
		"partner_analytic":  {all, applications, users},
		"auditor": {all, append(users, applications...),
			[]event.Kind{event.IntegrationBroken, event.AddressUndeliverable}},
		"api_developer": {not: append(users, applications...)}, "deploy": {not: users}, "": {not: users},
		"nonsense": {not: users},
	} {
		t.Run(claim, func(t *testing.T) {
			s, role := start(t), access.ParseRole(claim)
			require.Equal(t, want.allowed, profile.Allowed(role))
			who := profile.Person{Actor: activity.Actor{Tenant: "42", Email: "grace@example.com"},
				Role: role}
			_, err := s.Set(t.Context(), who, all, 0)
			var not profile.NotAllowedError
			switch {
			case claim == "": // which is not the role's fault
				require.ErrorIs(t, err, profile.ErrNoRole)
			case want.allowed != all:
				require.ErrorAs(t, err, &not)
				require.Len(t, not, 11)
			}
			if want.allowed != all {
				_, err = s.Set(t.Context(), who, profile.Choices{}, 0)
			}
			require.NoError(t, err)
			p, err := s.Read(t.Context(), who)
			require.NoError(t, err)
			require.Equal(t, want.allowed, p.Told())
			for _, k := range want.told {
				require.Contains(t, p.Kinds(event.System), k)
			}
			for _, k := range want.not {
				require.NotContains(t, p.Kinds(event.System), k)
			}
		})
	}
	// Every system-related kind is somebody's to see, or an administrator's at least.
	admin := profile.Profile{Role: access.Administrator}
	for _, k := range event.Kinds() {
		e := event.Event{Kind: k, Data: []byte(`{}`)}
		if e.Type() == event.System {
			require.Contains(t, admin.Kinds(event.System), k, "a new kind needs a line in systemRights")
		}
	}
}

func TestS7ARoleThatIsLostTakesTheMailsWithIt(t *testing.T) {
	s := start(t)
	tell := func(kind event.Kind, role string, after time.Duration) profile.Profile {
		t.Helper()
		data := `{"user":{"name":"Ada","email":"ada@example.com","role":"` + role + `"}}`
		require.NoError(t, s.Observe(t.Context(),
			event.Event{ID: "e", Tenant: "42", Kind: kind, Time: now().Add(after), Data: []byte(data)}))
		p, err := s.Store.Get(t.Context(), "42", profile.ID("ada@example.com"))
		if err != nil {
			require.ErrorIs(t, err, profile.ErrNotFound)
		}
		return p
	}
	require.Empty(t, tell(event.CreateUser, "Deploy", 0), "nobody is noted who can be told of nothing")
	p := tell(event.CreateUser, "Administrator", time.Hour)
	require.Equal(t, profile.Default, p.Told())
	require.Zero(t, tell(event.UpdateUser, "Deploy", 3*time.Hour).Told())
	require.Zero(t, tell(event.UpdateUser, "Administrator", 2*time.Hour).Told(),
		"an event that is late changes nothing")
	require.Zero(t, tell(event.CreateUser, "Administrator", time.Hour).Told(), "one that comes again neither")
	require.Zero(t, tell(event.UpdateUser, "", 4*time.Hour).Told())
	// A token lives on after the role that it names.
	old := profile.Person{Actor: activity.Actor{Tenant: "42", Email: "ada@example.com"},
		Role: access.Administrator, At: now().Add(2 * time.Hour)}
	require.NoError(t, s.Know(t.Context(), old))
	_, err := s.Set(t.Context(), old, profile.Choices{Vuln: true}, 0)
	require.ErrorContains(t, err, "your role may not be told of vuln")
	old.At = time.Time{} // and one that does not say how old it is gives nothing back
	p, err = s.Read(t.Context(), old)
	require.NoError(t, err)
	require.Zero(t, p.Told())
	old.At = now().Add(5 * time.Hour)
	p, err = s.Read(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, profile.Default, p.Told(), "what was chosen comes back with the role")
	require.Equal(t, profile.Default,
		tell(event.UpdateUser, "Analyst", 6*time.Hour).Told())
	require.Zero(t, tell(event.UpdateUser, "Wizard", 7*time.Hour).Told())
	require.Empty(t, tell(event.DeleteUser, "", 8*time.Hour))
	require.NoError(t,
		s.Know(t.Context(), profile.Person{Actor: activity.Actor{Tenant: "42", Email: "eve@example.com"},
			Role: access.ParseRole("nonsense"), At: now()}))
	people, err := s.Store.List(t.Context(), "42", "", 10)
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
