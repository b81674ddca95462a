package account_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite"
)

// ended notes whose credentials end.
type ended struct{ people []string }

func (e *ended) EndAll(_ context.Context, tenant, email string) (int, error) {
	e.people = append(e.people, tenant+" "+email)
	return 1, nil
}

type world struct {
	*account.Service
	now   time.Time
	ended *ended
	log   activity.Reader
}

func begin(t *testing.T) *world {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	w := &world{now: time.Unix(1_700_000_000, 0).UTC(), ended: &ended{}, log: db.ActivityLog()}
	now := func() time.Time { return w.now }
	w.Service = &account.Service{
		Store: db.Accounts(), Now: now, NewID: rand.Text, Log: slog.New(slog.DiscardHandler),
		Ends:  []account.Credentials{w.ended},
		Links: &account.Links{Store: db.SignInLinks(), People: db.Accounts(), Now: now, Random: rand.Reader},
	}
	return w
}

func (w *world) add(t *testing.T, tenant, email string, role access.Role) account.Person {
	t.Helper()
	p, err := w.Add(t.Context(), account.Person{Tenant: tenant, ClientName: "Acme", Email: email, Role: role})
	require.NoError(t, err)
	return p
}

func TestALinkIsGoodOnceAndFor15Minutes(t *testing.T) {
	w := begin(t)
	ada := w.add(t, "42", "ada@example.com", "admin")
	require.Equal(t, access.Administrator, ada.Role, "the platform's code is read")
	code, until, err := w.Links.New(t.Context(), ada)
	require.NoError(t, err)
	require.Equal(t, w.now.Add(15*time.Minute), until)
	p, err := w.Whose(t.Context(), code)
	require.NoError(t, err)
	require.Equal(t, ada, p)
	w.now = until.Add(-time.Nanosecond)
	p, err = w.Use(t.Context(), code)
	require.NoError(t, err, "to look whose it is does not use it up")
	require.Equal(t, ada, p)
	_, err = w.Use(t.Context(), code)
	require.ErrorIs(t, err, account.ErrUsed)

	code, until, err = w.Links.New(t.Context(), ada)
	require.NoError(t, err)
	w.now = until
	_, err = w.Use(t.Context(), code)
	require.ErrorIs(t, err, account.ErrExpired)
	for _, strange := range []string{"", code + "A", strings.ToUpper(code), "x"} {
		_, err = w.Use(t.Context(), strange)
		require.ErrorIs(t, err, account.ErrNoLink)
	}
}

func TestADisabledPersonAndAnotherRoleEndWhatSignsIn(t *testing.T) {
	w := begin(t)
	ada := w.add(t, "42", "Ada@Example.com", access.Administrator)
	w.add(t, "43", "ada@example.com", access.Administrator)
	code, _, err := w.Links.New(t.Context(), ada)
	require.NoError(t, err)
	_, err = w.Change(t.Context(), ada, func(p *account.Person) { p.Name = "Ada" })
	require.NoError(t, err)
	require.Empty(t, w.ended.people, "a name takes nothing away")
	_, err = w.Change(t.Context(), ada, func(p *account.Person) { p.Role = access.ReadOnly })
	require.NoError(t, err)
	require.Equal(t, []string{"42 Ada@example.com"}, w.ended.people, "and in no other tenant")
	_, err = w.Use(t.Context(), code)
	require.ErrorIs(t, err, account.ErrNoLink)
	disabled, err := w.Change(t.Context(), ada, func(p *account.Person) { p.Disabled = true })
	require.NoError(t, err)
	require.Len(t, w.ended.people, 2)
	_, _, err = w.Links.New(t.Context(), disabled)
	require.ErrorIs(t, err, account.ErrDisabled)
	_, err = w.Change(t.Context(), disabled, func(p *account.Person) { p.Disabled = true })
	require.NoError(t, err)
	require.Len(t, w.ended.people, 3, "once more, should the first time have failed half way")

	actions, last := w.entries(t)
	require.ElementsMatch(t, []activity.Action{activity.Create, activity.Update, activity.Update, activity.Disable},
		actions)
	require.Equal(t, []activity.Change{{Field: "role", Before: "administrator", After: "read_only"}},
		last[activity.Update].Changes)
}

// entries are what the activity log says of tenant 42, and one that changes something for each action.
func (w *world) entries(t *testing.T) (actions []activity.Action, of map[activity.Action]activity.Entry) {
	t.Helper()
	page, err := w.log.List(t.Context(), activity.Query{Tenant: "42", Limit: 100})
	require.NoError(t, err)
	of = map[activity.Action]activity.Entry{}
	for _, e := range page.Entries {
		require.Equal(t, access.FromPlatform, e.Source)
		require.Equal(t, activity.User, e.Object)
		actions = append(actions, e.Action)
		if len(e.Changes) > 0 && e.Changes[0].Field == "role" {
			of[e.Action] = e
		}
	}
	return actions, of
}

func TestADisabledPersonIsNotAdmittedByAProviderEither(t *testing.T) {
	w := begin(t)
	ada := w.add(t, "42", "Ada@example.com", access.Administrator)
	require.NoError(t, w.Admit(t.Context(), "42", "ADA@example.com"))
	_, err := w.Change(t.Context(), ada, func(p *account.Person) { p.Disabled = true })
	require.NoError(t, err)
	require.ErrorIs(t, w.Admit(t.Context(), "42", "ADA@example.com"), account.ErrDisabled)
	require.Len(t, w.ended.people, 2, "the session that the provider began, too")
	require.NoError(t, w.Admit(t.Context(), "43", "ada@example.com"), "a person of another tenant is another one")
	require.NoError(t, w.Admit(t.Context(), "42", "grace@example.com"))
}

func TestASignInUnderWayWhenAPersonIsDisabledEnds(t *testing.T) {
	w := begin(t)
	ada := w.add(t, "42", "ada@example.com", access.Administrator)
	code, _, err := w.Links.New(t.Context(), ada)
	require.NoError(t, err)
	using, err := w.Use(t.Context(), code)
	require.NoError(t, err)
	_, err = w.Change(t.Context(), ada, func(p *account.Person) { p.Disabled = true })
	require.NoError(t, err)
	// Here the session begins, and nothing has ended it.
	require.ErrorIs(t, w.Confirm(t.Context(), using), account.ErrDisabled)
	require.Len(t, w.ended.people, 2)
}

func TestWhatIsWrongWithAPersonIsSaid(t *testing.T) {
	w := begin(t)
	for says, p := range map[string]account.Person{
		"is not an e-mail address":     {Tenant: "42", Email: "ada", Role: access.Analyst},
		"the tenant \"\" is not right": {Email: "ada@example.com", Role: access.Analyst},
		"the tenant \"*\"":             {Tenant: "*", Email: "ada@example.com", Role: access.Analyst},
		"the tenant \" 42\"":           {Tenant: " 42", Email: "ada@example.com", Role: access.Analyst},
		"no event can be of":           {Tenant: "a b", Email: "ada@example.com", Role: access.Analyst},
		"\"boss\" is no role":          {Tenant: "42", Email: "ada@example.com", Role: "boss"},
		"a name is at most":            {Tenant: "42", Email: "ada@example.com", Role: access.Analyst, Name: "A\nB"},
	} {
		_, err := w.Add(t.Context(), p)
		require.ErrorContains(t, err, says)
	}
	all, err := w.Store.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
}
