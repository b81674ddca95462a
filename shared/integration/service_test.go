package integration_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/slack"
	"tocsin/shared/egress"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/trace"
	"tocsin/shared/trace/tracetest"
)

const secret = "https://hooks.slack.com/services/T0/B0/s3cr3t"

var ada = activity.Actor{Tenant: "42", ClientName: "Acme", Email: "ada@example.com", Name: "Ada"}

func service(t *testing.T) (*integration.Service, *memory.Engine) {
	t.Helper()
	db := memory.New(nil)
	keys, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	return &integration.Service{
		Store: db.Integrations(), Keys: keys, Systems: catalogue.Default(), Addresses: egress.Policy{},
		Now: time.Now, NewID: func() string { return ulid.Make().String() }, Log: slog.New(slog.DiscardHandler),
	}, db
}

func create(t *testing.T, s *integration.Service) integration.Integration {
	t.Helper()
	i, err := s.Create(t.Context(), ada, integration.Draft{
		System: "slack", Name: " Ops ", Subscriptions: []integration.Subscription{{Event: event.System}},
		Parameters: json.RawMessage(`{"webhook_url":"` + secret + `"}`),
	})
	require.NoError(t, err)
	return i
}

// announced are the events on the bus.
func announced(t *testing.T, db *memory.Engine) (out []event.Event) {
	t.Helper()
	entries, err := db.Bus().Receive(t.Context(), 100)
	require.NoError(t, err)
	for _, e := range entries {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(t, err, "what we announce is a valid event")
		out = append(out, parsed)
	}
	return out
}

func TestAnIntegrationOpensWithItsSecretsAndIsStoredWithout(t *testing.T) {
	s, _ := service(t)
	i := create(t, s)
	require.Equal(t, "Ops", i.Name)
	require.NotContains(t, string(i.Parameters)+string(i.Sealed), "s3cr3t")
	opened, err := s.Open(t.Context(), i)
	require.NoError(t, err)
	require.Equal(t, &slack.Parameters{Access: "webhook", URL: secret}, opened.Parameters)
	require.Equal(t, []string{secret}, opened.Secrets)

	moved := i
	moved.ID = "another"
	_, err = s.Open(t.Context(), moved)
	require.ErrorIs(t, err, keyring.ErrUnsealable, "sealed secrets open only where they belong")
}

func TestAFailingIntegrationIsDisabledOnceHoweverManyAskForIt(t *testing.T) {
	s, db := service(t)
	i := create(t, s)
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok, err := s.DisableBroken(context.Background(), "42", i.ID, i.Window, "30 of 40 requests failed",
				health.Answer{Status: 503, Words: "answered 503"})
			if err != nil {
				t.Error(err)
			}
			if ok {
				done.Add(1)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(1), done.Load())
	got, err := s.Store.Get(t.Context(), "42", i.ID)
	require.NoError(t, err)
	require.Equal(t, integration.ByPlatform, got.Off.By)
	events := announced(t, db)
	require.Len(t, events, 2)
	require.Equal(t, event.IntegrationBroken, events[1].Kind)
	told := event.Data[event.IntegrationData](events[1])
	require.Equal(t, "30 of 40 requests failed", told.Reason)
	require.Equal(t, "answered 503", told.Answer, "the cause is told, not the figures alone")
	require.Equal(t, "30 of 40 requests failed; its last answer: answered 503", got.Off.Why())
}

// TestANoticeOfHealthLinksToTheAttemptsThatItComesOf: what Tocsin itself finds is told within the traces of attempts.
func TestANoticeOfHealthLinksToTheAttemptsThatItComesOf(t *testing.T) {
	s, db := service(t)
	got := tracetest.New(t)
	s.Tracer = got.Tracer
	i := create(t, s)
	var want [][]byte
	told := func(n byte, tell func(context.Context) (bool, error)) {
		attempt := trace.Context{Trace: [16]byte{n}, Span: [8]byte{n}}
		want = append(want, attempt.Span[:])
		ctx := trace.With(t.Context(), trace.Links{Spans: []trace.Context{attempt}})
		done, err := tell(ctx)
		require.NoError(t, err)
		require.True(t, done)
		done, err = tell(ctx)
		require.NoError(t, err)
		require.False(t, done, "once")
	}
	told(1, func(ctx context.Context) (bool, error) {
		return s.BeginFailing(ctx, "42", i.ID, i.Window, time.Now(), health.Answer{Words: "answered 503"})
	})
	told(2, func(ctx context.Context) (bool, error) { return s.EndFailing(ctx, "42", i.ID, i.Window) })
	told(3, func(ctx context.Context) (bool, error) {
		return s.DisableBroken(ctx, "42", i.ID, i.Window, "30 of 40 failed", health.Answer{Words: "answered 503"})
	})
	entries, err := db.Bus().Receive(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, entries, 4)
	require.Empty(t, entries[0].Trace, "a person made it")
	spans := got.Spans()
	require.Len(t, spans, 3)
	for n, s := range spans {
		require.Equal(t, "health", s.GetName())
		require.Len(t, s.GetLinks(), 1)
		require.Equal(t, want[n], s.GetLinks()[0].GetSpanId())
		require.Equal(t, i.ID, tracetest.Attributes(s)["tocsin.integration.id"])
		require.NotContains(t, s.String(), "503")
		e, err := event.Parse(entries[n+1].DetailType, entries[n+1].Detail)
		require.NoError(t, err)
		of := got.Event(entries[n+1].Trace, "42", e.ID)
		require.Equal(t, s.GetSpanId(), of.Span[:], "the event goes on in the trace that begins here")
		require.Equal(t, s.GetTraceId(), of.Trace[:])
		require.Equal(t, string(e.Kind), tracetest.Attributes(s)["tocsin.event.kind"])
	}
}

func TestAWindowThatIsOverDisablesNothing(t *testing.T) {
	s, _ := service(t)
	i := create(t, s)
	_, err := s.SetEnabled(t.Context(), ada, i.ID, 0, false)
	require.NoError(t, err)
	again, err := s.SetEnabled(t.Context(), ada, i.ID, 0, true)
	require.NoError(t, err)
	require.Equal(t, i.Window+1, again.Window, "enabling starts a new window")
	for _, id := range []string{i.ID, "deleted"} {
		done, err := s.DisableBroken(t.Context(), "42", id, i.Window, "late news", health.Answer{})
		require.NoError(t, err)
		require.False(t, done)
	}
}

func TestAChangeNeedsTheRevisionThatWasRead(t *testing.T) {
	s, db := service(t)
	i := create(t, s)
	name := "New name"
	changed, err := s.Update(t.Context(), ada, i.ID, i.Revision, integration.Patch{Name: &name})
	require.NoError(t, err)
	require.Equal(t, i.Revision+1, changed.Revision)
	_, err = s.Update(t.Context(), ada, i.ID, i.Revision, integration.Patch{Name: &name})
	require.ErrorIs(t, err, integration.ErrConflict)
	require.ErrorIs(t, s.Delete(t.Context(), ada, i.ID, i.Revision), integration.ErrConflict)
	foreign := ada
	foreign.Tenant = "43"
	require.ErrorIs(t, s.Delete(t.Context(), foreign, i.ID, 0), integration.ErrNotFound)
	require.NoError(t, s.Delete(t.Context(), ada, i.ID, changed.Revision))
	var kinds []event.Kind
	for _, e := range announced(t, db) {
		kinds = append(kinds, e.Kind)
		require.NotContains(t, string(e.Data), "s3cr3t")
	}
	require.Equal(t, []event.Kind{event.CreateIntegration, event.UpdateIntegration, event.DeleteIntegration}, kinds)
}

// What a system said of the old address is no word on the new one; it still is after a new name.
func TestAnIntegrationKnowsSinceWhenItHasItsParameters(t *testing.T) {
	s, _ := service(t)
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	i := create(t, s)
	require.Equal(t, now, i.ParametersAt)
	began, name := now, "New name"
	for _, c := range []struct {
		patch integration.Patch
		want  func() time.Time
	}{
		{integration.Patch{Name: &name}, func() time.Time { return began }},
		{integration.Patch{Parameters: json.RawMessage(`{"webhook_url":"` + secret + `"}`)},
			func() time.Time { return began }},
		{integration.Patch{Parameters: json.RawMessage(`{"webhook_url":"` + secret + `-new"}`)},
			func() time.Time { return now }},
	} {
		now = now.Add(time.Hour)
		_, err := s.Update(t.Context(), ada, i.ID, 0, c.patch)
		require.NoError(t, err)
		got, err := s.Get(t.Context(), "42", i.ID)
		require.NoError(t, err)
		require.True(t, c.want().Equal(got.ParametersAt), "%s: %s", c.patch.Parameters, got.ParametersAt)
	}
}

func TestH15ANameThatNobodySeesIsRefused(t *testing.T) {
	s, _ := service(t)
	i := create(t, s)
	for _, name := range []string{"\u202e\u200b", "\u2066\u2069", " \u00ad ", "\ufeff", "\u3164"} {
		_, err := s.Update(t.Context(), ada, i.ID, i.Revision, integration.Patch{Name: &name})
		require.ErrorContains(t, err, "holds only characters that nobody sees", "%q", name)
	}
}

// released are the integrations whose held deliveries were looked at anew.
type released []string

func (r *released) Release(_ context.Context, _, id string) error {
	*r = append(*r, id)
	return nil
}

func TestWhatIsHeldIsLookedAtWhenItsIntegrationIsDisabledOrDeletedAndAtNoOtherChange(t *testing.T) {
	s, _ := service(t)
	var looked released
	s.Held = &looked
	name := "other"
	for what, c := range map[string]struct {
		do   func(i integration.Integration) error
		want int
	}{
		"a name": {func(i integration.Integration) error {
			_, err := s.Update(t.Context(), ada, i.ID, 0, integration.Patch{Name: &name})
			return err
		}, 0},
		"a person disables": {func(i integration.Integration) error {
			_, err := s.SetEnabled(t.Context(), ada, i.ID, 0, false)
			return err
		}, 1},
		"and enables": {func(i integration.Integration) error {
			if _, err := s.SetEnabled(t.Context(), ada, i.ID, 0, false); err != nil {
				return err
			}
			_, err := s.SetEnabled(t.Context(), ada, i.ID, 0, true)
			return err
		}, 1},
		"health disables": {func(i integration.Integration) error {
			_, err := s.DisableBroken(t.Context(), "42", i.ID, i.Window, "broken", health.Answer{})
			return err
		}, 1},
		"deleted": {func(i integration.Integration) error {
			return s.Delete(t.Context(), ada, i.ID, 0)
		}, 1},
	} {
		for held, want := range map[int]int{3: c.want, 0: 0} { // where nothing is held there is nothing to look at
			f := &figures{waiting: integration.Waiting{Held: held}}
			s.Backlog = f
			i := create(t, s)
			looked = nil
			require.NoError(t, c.do(i), what)
			require.Len(t, looked, want, "%s, %d held", what, held)
			require.LessOrEqual(t, f.counted, 1, "%s: it is counted once", what)
		}
	}
}
