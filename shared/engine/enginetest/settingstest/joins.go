package settingstest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// joinRuns are about integrations that triggers begin to notify, and that are deleted.
func joinRuns(run func(name string, test func(t *testing.T, r *triggerRig))) {
	run("an integration that a trigger notifies is not deleted as an unused one", usedIsNotDeleted)
	run("a trigger joins no integration that is gone, and may go on to name one", goneIsNotJoined)
	run("of a trigger that joins an integration and its deletion at the same time, one is refused", joinOrDelete)
}

func (r *triggerRig) integration(tenant, id string) {
	r.t.Helper()
	require.NoError(r.t, r.Integrations.Create(r.t.Context(), enginetest.Sample(tenant, id),
		enginetest.Record(tenant, event.CreateIntegration)))
}

// notifying is a trigger that notifies integrations.
func notifying(tenant, id string, revision int64, integrations ...string) trigger.Trigger {
	t := kept
	t.Tenant, t.ID, t.Revision = tenant, id, revision
	t.Actions = []trigger.Action{{ID: trigger.Graylist, LockTime: 3600},
		{ID: trigger.Notify, Integrations: integrations}}
	return t
}

func (r *triggerRig) join(t trigger.Trigger, joins ...string) error {
	if t.Revision == 1 {
		return r.Store.Create(r.t.Context(), t, joins, enginetest.Record(t.Tenant, event.TriggerCreate))
	}
	return r.Store.Update(r.t.Context(), t, joins, enginetest.Record(t.Tenant, event.TriggerUpdate))
}

func (r *triggerRig) deleteUnused(tenant, id string, revision int64) error {
	return r.Integrations.DeleteUnused(r.t.Context(), tenant, id, revision,
		enginetest.Record(tenant, event.DeleteIntegration))
}

func usedIsNotDeleted(t *testing.T, r *triggerRig) {
	r.integration("42", "a")
	r.integration("42", "b")
	r.integration("43", "a")
	require.NoError(t, r.join(notifying("42", "t", 1, "b", "a"), "b", "a"))
	require.NoError(t, r.deleteUnused("43", "a", 1), "the triggers of others do not count")
	require.ErrorIs(t, r.deleteUnused("42", "x", 1), integration.ErrNotFound)
	require.ErrorIs(t, r.deleteUnused("42", "a", 2), integration.ErrConflict)
	require.ErrorIs(t, r.deleteUnused("42", "a", 1), integration.ErrUsed)
	i, err := r.Integrations.Get(t.Context(), "42", "a")
	require.NoError(t, err)
	i.Revision, i.Name = 2, "renamed meanwhile"
	require.NoError(t, r.Integrations.Update(t.Context(), i, enginetest.Record("42", event.UpdateIntegration)))
	require.ErrorIs(t, r.deleteUnused("42", "a", 2), integration.ErrUsed)
	require.NoError(t, r.join(notifying("42", "t", 2, "b")))
	require.NoError(t, r.deleteUnused("42", "a", 2), "it notifies it no more")
	_, err = r.Integrations.Get(t.Context(), "42", "a")
	require.ErrorIs(t, err, integration.ErrNotFound)
	require.NoError(t, r.Store.Delete(t.Context(), "42", "t", 2, enginetest.Record("42", event.TriggerDelete)))
	require.NoError(t, r.deleteUnused("42", "b", 1))
}

func goneIsNotJoined(t *testing.T, r *triggerRig) {
	r.integration("42", "a")
	r.integration("42", "b")
	require.NoError(t, r.join(notifying("42", "t", 1, "a"), "a"))
	require.NoError(t, r.Integrations.Delete(t.Context(), "42", "a", 1,
		enginetest.Record("42", event.DeleteIntegration)), "it is deleted although a trigger notifies it")
	require.NoError(t, r.join(notifying("42", "t", 2, "a", "b"), "b"), "it named a before")
	require.ErrorIs(t, r.join(notifying("42", "u", 1, "b", "a"), "b", "a"), trigger.ErrGone)
	require.ErrorIs(t, r.join(notifying("42", "t", 3, "a", "b", "x"), "x"), trigger.ErrGone)
	require.ErrorIs(t, r.join(notifying("42", "t", 2, "x"), "x"), trigger.ErrConflict)
	_, err := r.Store.Get(t.Context(), "42", "u")
	require.ErrorIs(t, err, trigger.ErrNotFound)
	got, err := r.Store.Get(t.Context(), "42", "t")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, got.Notifies())
}

func joinOrDelete(t *testing.T, r *triggerRig) {
	require.NoError(t, r.join(notifying("42", "old", 1)))
	for n := range 8 {
		id, made := fmt.Sprint("i", n), fmt.Sprint("new", n)
		r.integration("42", id)
		old := notifying("42", "old", int64(n+2), id)
		var deleted, created, updated error
		var wg sync.WaitGroup
		wg.Go(func() { deleted = r.deleteUnused("42", id, 1) })
		wg.Go(func() { created = r.join(notifying("42", made, 1, id), id) })
		wg.Go(func() { updated = r.join(old, id) })
		wg.Wait()
		for _, err := range []error{created, updated} {
			if deleted == nil {
				require.ErrorIs(t, err, trigger.ErrGone)
			} else {
				require.ErrorIs(t, deleted, integration.ErrUsed)
			}
		}
		require.Equal(t, created == nil, deleted != nil)
		require.Equal(t, updated == nil, deleted != nil)
		if errors.Is(updated, trigger.ErrGone) {
			old = notifying("42", "old", int64(n+2))
			require.NoError(t, r.join(old))
		}
	}
}
