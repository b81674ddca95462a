package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/functions/local/remote"
	"tocsin/shared/bus"
	"tocsin/shared/delivery"
)

// kept notes the ids of the events in the order in which they are kept.
type kept struct{ ids []string }

func (k *kept) Put(_ context.Context, entries []delivery.Entry) error {
	for _, e := range entries {
		var d struct{ ID string }
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			return err
		}
		k.ids = append(k.ids, d.ID)
	}
	return nil
}

// world is a publisher that calls a bus of 2 events a second, 4 at once, by a clock that stands but for the pauses.
type world struct {
	publisher
	kept     kept
	now      time.Time
	pauses   []time.Duration
	out, err bytes.Buffer
}

func newWorld(t *testing.T, between http.HandlerFunc) *world {
	w := &world{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	n := 0
	h := bus.Handler(bus.Config{Store: &w.kept, Name: "tocsin", Now: clock, Log: slog.New(slog.DiscardHandler),
		NewID: func() string { n++; return fmt.Sprint("id-", n) },
		Quota: &bus.Quota{Each: bus.Rate{Events: 2, Burst: 4}, Now: clock, Log: slog.New(slog.DiscardHandler)}})
	server := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		if between != nil {
			between(a, r)
		}
		h.ServeHTTP(a, r)
	}))
	t.Cleanup(server.Close)
	s := remote.New()
	s.EventsURL, s.Out, s.Err = server.URL, &w.out, &w.err
	w.publisher = publisher{Session: s, http: server.Client(), pause: func(_ context.Context, d time.Duration) error {
		w.pauses = append(w.pauses, d)
		w.now = w.now.Add(d)
		return nil
	}}
	return w
}

func entriesOf(tenants ...string) (out []json.RawMessage) {
	for n, tenant := range tenants {
		detail := fmt.Sprintf(`{"version":1,"id":"%s-%d","tenant":%q}`, tenant, n, tenant)
		raw, err := json.Marshal(map[string]string{"Source": "a", "DetailType": "create_user", "Detail": detail})
		if err != nil {
			panic(err)
		}
		out = append(out, raw)
	}
	return out
}

func TestThrottledEntriesAreSentAgainAloneInTheirOrderBeforeWhatFollows(t *testing.T) {
	w := newWorld(t, nil)
	tenants := append(strings.Split(strings.Repeat("a ", 9), " ")[:9], "b", "a", "b")
	require.NoError(t, w.all(t.Context(), entriesOf(tenants...)))
	require.Equal(t, []string{"a-0", "a-1", "a-2", "a-3", "b-9", "a-4", "a-5", "a-6", "a-7", "a-8", "a-10", "b-11"},
		w.kept.ids, "none is lost, none comes twice, and each tenant's keep their order")
	require.Equal(t, []time.Duration{time.Second, time.Second, time.Second}, w.pauses)
	require.Contains(t, w.out.String(), "12 of 12 entries are published.")
	require.Contains(t, w.err.String(), "of the entries are to be sent again: Rate exceeded")
	require.Regexp(t, `there is room for its next one in [0-9a-z.]+s; trying again in 1s\n`, w.err.String())
}

func TestWhatIsThrottledForGoodIsToldAndNothingIsCountedTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.pause = func(_ context.Context, d time.Duration) error { // the clock stands
		w.pauses = append(w.pauses, d)
		return nil
	}
	require.Error(t, w.all(t.Context(), entriesOf("a", "a", "a", "a", "a", "b")))
	require.Equal(t, []string{"a-0", "a-1", "a-2", "a-3", "b-5"}, w.kept.ids)
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}, w.pauses,
		"while nothing more is taken the pauses grow")
	require.Contains(t, w.out.String(), "5 of 6 entries are published.")
	require.Contains(t, w.err.String(), "entry 5 was refused: ThrottlingException")
}

func TestACallThatFailsBehindThrottledEntriesTellsWhatWasKeptBefore(t *testing.T) {
	calls := 0
	w := newWorld(t, func(a http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 2 {
			panic(http.ErrAbortHandler)
		}
	})
	err := w.all(t.Context(), entriesOf("a", "a", "a", "a", "a"))
	require.ErrorContains(t, err, "(4 of 5 entries were published before)")
	require.Len(t, w.kept.ids, 4)
}

func TestAnAddressWhereNobodyTakesEventsIsAskedAfter(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	w := newWorld(t, nil)
	w.EventsURL = server.URL
	err := w.all(t.Context(), entriesOf("a"))
	require.ErrorContains(t, err, "answered 404, and that is no answer to PutEvents: is -events-url the address")
	require.ErrorContains(t, err, "(0 of 1 entries were published before)")
}

func TestWhatIsPublishedIsToldByTheIDThatItIsShownBy(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.all(t.Context(), entriesOf("a", "b")))
	require.Equal(t, "entry 1 is event a-0\nentry 2 is event b-1\n2 of 2 entries are published. "+
		"`tocsin events show EVENT` says what becomes of one.\n", w.out.String())
	w.out.Reset()
	w.JSON = true
	require.NoError(t, w.all(t.Context(), entriesOf("a")))
	require.JSONEq(t, `{"EventId":"id-5","DetailId":"a-0"}`, w.out.String())
}
