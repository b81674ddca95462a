//go:build awslocal

package aws_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/activity"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
)

// TestALostAnswerIsNoSecondWrite loses the answer to each call of what a person changes, after its effect. The SDK
// makes the call again: the change succeeds, is made once, and has one entry in the activity log. What makes it so is
// the token that the SDK gives a transaction; an update without one has no condition that its own effect would break.
func TestALostAnswerIsNoSecondWrite(t *testing.T) {
	w := open(t)
	r, people, suppressions := w.reports(), w.people(), w.suppressions()
	entries := 0
	entry := func() activity.Entry {
		entries++
		return enginetest.Entry("42")
	}
	order := report.Report{ID: "r", Tenant: "42", State: report.Waiting, Format: report.PDF, CreatedAt: now()}
	ready := order
	ready.State = report.Ready
	person := profile.Profile{ID: "p", Tenant: "42", Revision: 1, UpdatedAt: now()}
	again := person
	again.Revision = 2
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"the first settings", func() error {
			return r.SaveSettings(t.Context(), report.Settings{Tenant: "42", Zone: "Asia/Tokyo", Revision: 1}, entry())
		}},
		{"settings", func() error {
			return r.SaveSettings(t.Context(), report.Settings{Tenant: "42", Zone: "UTC", Revision: 2}, entry())
		}},
		{"an order", func() error { return r.Save(t.Context(), order, nil, entry()) }},
		{"files", func() error { return r.Save(t.Context(), ready, []report.File{{Name: "f", Data: []byte("x")}}) }},
		{"a new person", func() error { return people.Save(t.Context(), person, entry()) }},
		{"a person", func() error { return people.Save(t.Context(), again, entry()) }},
		{"an address", func() error {
			entries++
			added, err := suppressions.Suppress(t.Context(),
				mail.Suppression{Tenant: "42", Address: "left@example.org", Why: mail.Bounced, At: now()})
			require.True(t, added, "whose answer was lost is who added it")
			return err
		}},
		{"an address that is allowed", func() error {
			return suppressions.Allow(t.Context(), "42", "left@example.org", entry())
		}},
		{"an integration", func() error {
			entries++
			return w.integrations(&published{}).Create(t.Context(),
				integration.Integration{ID: "i", Tenant: "42", System: "email", Name: "i", Revision: 1},
				enginetest.Record("42", event.CreateIntegration))
		}},
		{"a person that is forgotten", func() error { return people.Delete(t.Context(), "42", "p") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			lost := w.loseAnswers()
			err := c.do()
			w.gate.Faults(nil)
			require.NoError(t, err)
			require.Positive(t, lost.Load())
			page, err := w.activityLog().List(t.Context(), activity.Query{Tenant: "42", Limit: 100})
			require.NoError(t, err)
			require.Len(t, page.Entries, entries)
		})
	}
	got, err := r.Settings(t.Context(), "42")
	require.Equal(t, report.Settings{Tenant: "42", Zone: "UTC", Revision: 2}, got, "%v", err)
	_, err = people.Get(t.Context(), "42", "p")
	require.ErrorIs(t, err, profile.ErrNotFound)
}

// loseAnswers loses the answer to every other call of DynamoDB: to each one, as the SDK makes it again.
func (w *world) loseAnswers() *atomic.Int64 {
	var calls, lost atomic.Int64
	w.gate.Faults(func(string) *awslocal.Fault {
		if calls.Add(1)%2 == 0 {
			return nil
		}
		lost.Add(1)
		return &awslocal.Fault{Status: 500, Type: "InternalServerError", After: true}
	})
	return &lost
}
