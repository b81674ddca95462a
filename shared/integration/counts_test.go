package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// figures answers with the same numbers always.
type figures struct {
	waiting integration.Waiting
	dead    int
	missed  int
	more    bool
	err     error
	counted int       // how often what waits was
	since   time.Time // what CountDead and CountMissed were asked for last
}

func (f *figures) CountWaiting(context.Context, string, string, int) (integration.Waiting, error) {
	f.counted++
	return f.waiting, nil
}

func (f *figures) CountWaitingOf(context.Context, string, []string, int) ([]integration.Waiting, error) {
	panic("notices are of one integration")
}

func (f *figures) CountDead(_ context.Context, _, _ string, from time.Time, _ int) (int, error) {
	f.since = from
	return f.dead, nil
}

func (f *figures) CountMissed(_ context.Context, _ integration.Integration, from time.Time) (int, bool, error) {
	f.since = from
	return f.missed, f.more, f.err
}

func TestEveryNoticeHoldsHowManyWaitWereNotSentOrWereMissed(t *testing.T) {
	s, db := service(t)
	f := &figures{waiting: integration.Waiting{Count: 5}, dead: 12, missed: 40, more: true}
	s.Backlog, s.Missed = f, f
	now := time.Now().UTC()
	i := create(t, s)
	told := func() event.IntegrationData {
		t.Helper()
		events := announced(t, db)
		return event.Data[event.IntegrationData](events[len(events)-1])
	}
	since := now.Add(-40 * time.Minute)
	_, err := s.BeginFailing(t.Context(), "42", i.ID, i.Window, since, health.Answer{Words: "answered 503"})
	require.NoError(t, err)
	d := told()
	require.Equal(t, []int{5, 12}, []int{*d.Waiting, *d.NotSent}, "failing")
	require.Nil(t, d.Missed, "it misses nothing while it is enabled")
	require.Equal(t, since.Add(-time.Hour), f.since, "what died of it was made before")
	_, err = s.EndFailing(t.Context(), "42", i.ID, i.Window)
	require.NoError(t, err)
	d = told()
	require.Equal(t, []int{5, 12}, []int{*d.Waiting, *d.NotSent}, "working again")

	f.waiting.Floor, f.waiting.Held = true, 2 // what waits for its first request is not known
	_, err = s.DisableBroken(t.Context(), "42", i.ID, i.Window, "30 of 40 requests failed",
		health.Answer{Words: "answered 503"})
	require.NoError(t, err)
	d = told()
	require.Equal(t, 19, *d.NotSent, "what waited and what was held is dead now")
	require.True(t, d.WaitingMore, "what waits for its first request is not counted")
	require.True(t, d.NotSentMore, "and may be more")
	require.Nil(t, d.Missed)

	off, err := s.Store.Get(t.Context(), "42", i.ID)
	require.NoError(t, err)
	_, err = s.SetEnabled(t.Context(), ada, i.ID, 0, true)
	require.NoError(t, err)
	d = told()
	require.Equal(t, 40, *d.Missed)
	require.True(t, d.MissedMore)
	require.Equal(t, off.Off.At, f.since, "since it was disabled")

	_, err = s.SetEnabled(t.Context(), ada, i.ID, 0, false)
	require.NoError(t, err)
	f.err = errors.New("the table does not answer")
	on := true
	_, err = s.Update(t.Context(), ada, i.ID, 0, integration.Patch{Enabled: &on})
	require.NoError(t, err, "it is enabled all the same")
	require.Nil(t, told().Missed, "and its notice says nothing that is not known")
}
