package trigger_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// fleeting are integrations that are deleted as soon as somebody has looked at them.
type fleeting struct {
	integration.Store
	on bool
}

func (f *fleeting) Get(ctx context.Context, tenant, id string) (integration.Integration, error) {
	i, err := f.Store.Get(ctx, tenant, id)
	if err == nil && f.on {
		err = f.Delete(ctx, tenant, id, i.Revision, enginetest.Record(tenant, event.DeleteIntegration))
	}
	return i, err
}

// An integration that a trigger begins to notify is deleted after the trigger was validated, and before it is stored.
func TestAnIntegrationThatIsDeletedMeanwhileIsAFieldError(t *testing.T) {
	db := memory.New(nil)
	integrations := &fleeting{Store: db.Integrations()}
	s := &trigger.Service{Store: db.Triggers(), Integrations: integrations, Systems: catalogue.Default(), Now: time.Now,
		NewID: func() string { return ulid.Make().String() }, Log: slog.New(slog.DiscardHandler)}
	ada := activity.Actor{Tenant: "42", ClientName: "Acme", Email: "ada@example.com", Name: "Ada"}
	slack := func(id string) {
		require.NoError(t, db.Integrations().Create(t.Context(), enginetest.Sample("42", id),
			enginetest.Record("42", event.CreateIntegration)))
	}
	notify := func(ids ...string) []trigger.Action {
		return []trigger.Action{{ID: trigger.Notify, Integrations: ids}}
	}
	gone := func(field, id string, err error) {
		t.Helper()
		var invalid trigger.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t,
			trigger.InvalidError{{Field: field, Reason: `there is no integration "` + id + `"`}}, invalid)
	}
	draft := trigger.Draft{Template: trigger.UserAdded}
	slack("kept")
	draft.Actions = notify("kept")
	made, err := s.Create(t.Context(), ada, draft)
	require.NoError(t, err)

	slack("a")
	integrations.on = true
	draft.Actions = notify("a")
	_, err = s.Create(t.Context(), ada, draft)
	gone("actions.0.params.integration_ids.0", "a", err)
	_, err = s.Copy(t.Context(), ada, made.ID)
	gone("actions.0.params.integration_ids.0", "kept", err)
	slack("b")
	actions := notify("kept", "b")
	_, err = s.Update(t.Context(), ada, made.ID, 0, trigger.Patch{Actions: &actions})
	gone("actions.0.params.integration_ids.1", "b", err)

	copied, err := s.Copy(t.Context(), ada, made.ID)
	require.NoError(t, err, "one that was gone before is copied, as it stays in a trigger")
	require.Equal(t, []string{"kept"}, copied.Notifies())
	got, err := s.List(t.Context(), ada)
	require.NoError(t, err)
	require.Len(t, got, len(trigger.Defaults("42", "Acme", time.Now()))+2)
}
