// Package activitytest is the suite of what every store that keeps changes of people owes the activity log: a change
// and its entry are there together, or neither is.
package activitytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
)

// Engine is the activity log and the stores that write to it.
type Engine struct {
	Log          activity.Reader
	Integrations integration.Store
	Triggers     trigger.Store
	Reports      report.Store
	People       profile.Store
	Suppressions mail.SuppressionList
	Tokens       token.Store
	Tenants      tenant.Store
	Accounts     account.Store // nil = people are an identity provider's
}

// Open opens an engine.
type Open func(t *testing.T) Engine

// race is a change of one thing that several make at once, of which the first wins.
type race struct {
	// begin makes what is changed; nil = nothing.
	begin func(ctx context.Context, e Engine) error
	// change makes the change with an entry; it has an error, or won is false, when it came too late.
	change func(ctx context.Context, e Engine, r activity.Record) (won bool, err error)
	// refused makes a change that the store can not make.
	refused func(ctx context.Context, e Engine, r activity.Record) error
	own     bool // the store makes the entry
	several bool // each change is made, one after the other
}

// won is of a change whose error says that it lost.
func won(err error) (bool, error) { return err == nil, err }

// races by the store.
var races = map[string]race{
	"integrations": {
		begin: func(ctx context.Context, e Engine) error {
			return e.Integrations.Create(ctx, enginetest.Sample("42", "i"),
				enginetest.Record("41", event.CreateIntegration))
		},
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			i := enginetest.Sample("42", "i")
			i.Revision, i.Name = 2, r.Entry.ID
			return won(e.Integrations.Update(ctx, i, r))
		},
		refused: func(ctx context.Context, e Engine, r activity.Record) error {
			return e.Integrations.Delete(ctx, "42", "i", 9, r)
		},
	},
	"triggers": {
		begin: func(ctx context.Context, e Engine) error {
			return e.Triggers.Create(ctx, watch(1, "Watch"), nil, enginetest.Record("41", event.UpdateIntegration))
		},
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			return won(e.Triggers.Update(ctx, watch(2, r.Entry.ID), nil, r))
		},
		refused: func(ctx context.Context, e Engine, r activity.Record) error {
			return e.Triggers.Delete(ctx, "42", "none", 1, r)
		},
	},
	"report settings": {
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			next := report.Settings{Tenant: "42", Zone: "Asia/Tokyo", Revision: 1}
			return won(e.Reports.SaveSettings(ctx, next, r.Entry))
		},
		refused: func(ctx context.Context, e Engine, r activity.Record) error {
			return e.Reports.SaveSettings(ctx, report.Settings{Tenant: "42", Zone: "UTC", Revision: 9}, r.Entry)
		},
	},
	"profiles": {
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			return won(e.People.Save(ctx, enginetest.Person("42", "p", 1), r.Entry))
		},
		refused: func(ctx context.Context, e Engine, r activity.Record) error {
			return e.People.Save(ctx, enginetest.Person("42", "p", 9), r.Entry)
		},
	},
	"suppressed addresses": {
		own: true,
		change: func(ctx context.Context, e Engine, _ activity.Record) (bool, error) {
			return e.Suppressions.Suppress(ctx, mail.Suppression{Tenant: "42", Address: "a@example.com",
				Why: mail.Bounced, Reason: "550", At: enginetest.At})
		},
	},
	"tokens": {
		begin: func(ctx context.Context, e Engine) error { return e.Tokens.Create(ctx, apiToken(1, "ci")) },
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			return won(e.Tokens.Save(ctx, apiToken(2, r.Entry.ID), r.Entry))
		},
		refused: func(ctx context.Context, e Engine, r activity.Record) error {
			return e.Tokens.Save(ctx, apiToken(9, "late"), r.Entry)
		},
	},
	"links of tenants": {
		begin: func(ctx context.Context, e Engine) error {
			return e.Tenants.Link(ctx, tenant.Link{Technical: "42", Tenant: "7"})
		},
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			return won(e.Tenants.Unlink(ctx, "42", "7", r.Entry))
		},
		refused: func(ctx context.Context, e Engine, r activity.Record) error {
			return e.Tenants.Unlink(ctx, "42", "8", r.Entry)
		},
	},
	"new tokens": {
		several: true,
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			v := apiToken(1, r.Entry.ID)
			v.ID, v.Digest = r.Entry.ID, token.Digest(r.Entry.ID)
			return won(e.Tokens.Create(ctx, v, r.Entry))
		},
	},
	"accounts": {
		begin: func(ctx context.Context, e Engine) error { return e.Accounts.Save(ctx, ada(1, access.Administrator)) },
		change: func(ctx context.Context, e Engine, r activity.Record) (bool, error) {
			return won(e.Accounts.Save(ctx, ada(2, access.Analyst), r.Entry))
		},
		refused: func(ctx context.Context, e Engine, r activity.Record) error {
			return e.Accounts.Save(ctx, ada(1, access.Operator), r.Entry)
		},
	},
}

func watch(revision int64, name string) trigger.Trigger {
	return trigger.Trigger{ID: "t", Tenant: "42", Name: name, Revision: revision, Epoch: 1, CreatedAt: enginetest.At,
		UpdatedAt: enginetest.At}
}

func apiToken(revision int64, name string) token.Token {
	return token.Token{ID: "k", Tenant: "42", Name: name, Kind: token.Shared, Role: access.Administrator,
		Tenants: []string{"42"}, Digest: token.Digest("k"), CreatedAt: enginetest.At, Revision: revision}
}

func ada(revision int64, role access.Role) account.Person {
	return account.Person{Tenant: "42", Email: "ada@example.com", Role: role, CreatedAt: enginetest.At,
		UpdatedAt: enginetest.At, Revision: revision}
}

// Activity is the suite.
func Activity(t *testing.T, open Open) {
	run := enginetest.Parallel(t, open)
	for name, r := range races {
		run("racing changes of "+name+" leave an entry of each that won, and none of what was refused",
			func(t *testing.T, open Open) {
				e := open(t)
				if name == "accounts" && e.Accounts == nil {
					return // there is no such store to owe anything
				}
				r.run(t, e)
			})
	}
}

// racers at once.
const racers = 6

func (r race) run(t *testing.T, e Engine) {
	if r.begin != nil {
		require.NoError(t, r.begin(t.Context(), e))
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var winners []string
	for n := range racers {
		record := enginetest.Record("42", event.UpdateIntegration)
		record.Entry.ID = fmt.Sprintf("racer-%d", n)
		all.Go(func() {
			if done, _ := r.change(t.Context(), e, record); done {
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, record.Entry.ID)
			}
		})
	}
	all.Wait()
	want := 1
	if r.several {
		want = racers
	}
	require.Len(t, winners, want)
	if r.refused != nil {
		record := enginetest.Record("42", event.UpdateIntegration)
		record.Entry.ID = "refused"
		require.Error(t, r.refused(t.Context(), e, record))
	}
	page, err := e.Log.List(t.Context(), activity.Query{Tenant: "42", Limit: 100})
	require.NoError(t, err)
	var logged []string
	for _, entry := range page.Entries {
		logged = append(logged, entry.ID)
	}
	if r.own {
		require.Len(t, logged, 1)
		return
	}
	slices.Sort(logged)
	slices.Sort(winners)
	require.Equal(t, winners, logged)
}
