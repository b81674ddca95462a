package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/health"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/profile"
	"tocsin/shared/wording"
)

// At is the time of the suites.
var At = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

// Sample is an integration of Slack that takes hits and events of the system.
func Sample(tenant, id string) integration.Integration {
	return integration.Integration{
		ID: id, Tenant: tenant, ClientName: "Acme", System: "slack", Name: "Ops " + id, Revision: 1, Window: 1,
		Subscriptions: []integration.Subscription{{Event: event.System}, {Event: event.Hits, WithHeaders: true}},
		Filters:       []filter.Filter{{ID: filter.BySeverity, Operator: filter.Equal, Values: []filter.Value{"high"}}},
		Parameters:    []byte(`{"a":1}`), Sealed: []byte{0, 1, 2, 255}, CreatedAt: At, CreatedBy: "ada@example.com",
		UpdatedAt: At, ParametersAt: At, Language: wording.Japanese, Rate: "10/minute", Grouping: "50/5m",
		StormGuard: "90/minute",
		Fallback:   "j",
		Hold: hold.Rules{Then: hold.Digest, Pass: []string{}, OwnOnly: true,
			Quiet: []hold.Quiet{{Days: []hold.Day{"mon"}, First: "2023-01-02", Last: "2023-01-09", From: "22:00",
				To: "07:00", Zone: "Europe/Berlin"}},
			Mute: &hold.Mute{Until: At.Add(-time.Hour), Reason: "migration", By: "ada@example.com",
				At: At.Add(-2 * time.Hour)}},
		MessageTemplate: messagetemplate.Source{Title: "{{.Kind}}", Text: "{{.Severity}}\n{{.Link}}"},
	}
}

var notes atomic.Int64

// Note is an event that a store publishes with a change; each has an id of its own.
func Note(tenant string, kind event.Kind) event.Event {
	return event.Event{
		ID: fmt.Sprintf("note-%d", notes.Add(1)), Tenant: tenant, ClientName: "Acme", Kind: kind, Time: At,
		Data: []byte(`{"integration":{"id":"i"}}`),
	}
}

// Entry is an entry of the activity log; each has an id of its own.
func Entry(tenant string) activity.Entry {
	return activity.Entry{
		ID: fmt.Sprintf("entry-%d", notes.Add(1)), At: At, Object: activity.Integration, ObjectID: "i",
		Action: activity.Update, Actor: activity.Actor{Tenant: tenant, Email: "ada@example.com",
			Source: access.FromConsole},
	}
}

// Record is what a store writes with a change: an event and an entry, each of its own.
func Record(tenant string, kind event.Kind) activity.Record {
	return activity.Record{Event: Note(tenant, kind), Entry: Entry(tenant)}
}

// Person is the profile of an administrator.
func Person(tenant, id string, revision int64) profile.Profile {
	return profile.Profile{
		ID: id, Tenant: tenant, ClientName: "Acme", Email: id + "@example.com", Name: "Ada", Role: access.Administrator,
		RoleAt:  At,
		Choices: profile.Default, Revision: revision, UpdatedAt: At, Language: wording.Japanese,
		Zone: "Asia/Tokyo",
	}
}

// later is after every event of the suites.
var later = At.Add(24 * time.Hour)

// Parallel runs each behaviour of a suite as a subtest beside the others, which opens an engine of its own.
func Parallel[Open any](t *testing.T, open Open) func(name string, test func(t *testing.T, open Open)) {
	return func(name string, test func(t *testing.T, open Open)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// ProcessAll processes a batch, and again what another fan-out was at.
func ProcessAll(ctx context.Context, f *fanout.Fanout, entries []delivery.Entry) error {
	for {
		_, err := f.Process(ctx, entries)
		var unfinished *fanout.Unfinished
		if !errors.As(err, &unfinished) {
			return err
		}
		entries = unfinished.Entries
		time.Sleep(time.Millisecond) // the other one's call is under way
	}
}

// Tally sums the buckets of a series up.
func Tally(t *testing.T, c health.Counters, tenant, id string, window int64, since time.Time) health.Tally {
	t.Helper()
	points, err := c.Series(t.Context(), tenant, id, window, since)
	require.NoError(t, err)
	var all health.Tally
	for _, p := range points {
		all = all.Add(p.Tally)
	}
	return all
}
