package fanout_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

func entry(kind event.Kind, id, tenant, data string) delivery.Entry {
	return delivery.Entry{
		DetailType: string(kind), At: time.UnixMilli(1677628800123),
		Detail: fmt.Appendf(nil,
			`{"version":1,"id":%q,"tenant":%q,"client_name":"Acme","time":"2023-03-01T00:00:00Z","data":%s}`, id,
			tenant, data),
	}
}

const (
	newUser = `{"user":{"name":"Ada"}}`
	newHit  = `{"hit":{"type":"sqli"}}`
)

// intakes is the least store that fan-out can run on. What an engine must do is tested by the contract suites, on the
// engines.
type intakes struct {
	mu          sync.Mutex
	known, busy map[string]bool
	aborted     int
	accepted    []fanout.Intake
}

func (s *intakes) Begin(_ context.Context, events []fanout.Accepted) ([]fanout.Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]fanout.Standing, len(events))
	for i, a := range events {
		switch k := a.Event.Tenant + "/" + a.Event.ID; {
		case s.known[k]:
			out[i] = fanout.Known
		case s.busy[k]:
			out[i] = fanout.Busy
		default:
			events[i].Intake = "begun"
		}
	}
	return out, nil
}

func (s *intakes) Abort(_ context.Context, events []fanout.Accepted) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted += len(events)
	return nil
}

func (s *intakes) Accept(_ context.Context, in fanout.Intake) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, in)
	for _, a := range in.Accepted {
		s.known[a.Event.Tenant+"/"+a.Event.ID] = true
	}
	return nil
}

func (s *intakes) deliveries() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.accepted {
		n += len(in.Deliveries)
	}
	return n
}

// subscribers are the integrations of tenants, in the order of their ids.
type subscribers []integration.Integration

func (s subscribers) Get(_ context.Context, tenant, id string) (integration.Integration, error) {
	for _, i := range s {
		if i.Tenant == tenant && i.ID == id {
			return i, nil
		}
	}
	return integration.Integration{}, integration.ErrNotFound
}

func (s subscribers) Enabled(_ context.Context, tenant string) (out []integration.Integration, err error) {
	for _, i := range s {
		if i.Tenant == tenant && i.SentFor() {
			out = append(out, i)
		}
	}
	return out, nil
}

// tenAtOnce is a system that takes up to ten events in a request.
type tenAtOnce struct{}

func (tenAtOnce) Lookup(string) (destination.System, bool, bool) {
	return destination.System{Name: "plain", Batch: destination.Batch{Count: 10},
		Parameters: destination.ParametersOf[struct{}]()}, true, true
}

func (tenAtOnce) Names() []string { return nil }

func newFanout(subscribed ...event.Type) (*fanout.Fanout, *intakes) {
	m := &intakes{known: map[string]bool{}, busy: map[string]bool{}}
	var set subscribers
	for n, t := range subscribed {
		set = append(set, integration.Integration{ID: fmt.Sprintf("i%d", n), Tenant: "42", System: "plain",
			Subscriptions: []integration.Subscription{{Event: t}}})
	}
	return &fanout.Fanout{Integrations: set, Systems: tenAtOnce{}, Store: m,
		Logger: slog.New(slog.DiscardHandler)}, m
}

func TestEventsReachTheIntegrationsThatSubscribed(t *testing.T) {
	f, m := newFanout(event.System, event.Hits, event.VulnHigh)
	lanes, err := f.Process(t.Context(), []delivery.Entry{
		entry(event.CreateUser, "1", "42", newUser),
		entry(event.NewHits, "2", "42", newHit),
		entry(event.NewHits, "3", "42", newHit),
		entry(event.Vuln, "4", "42", `{"vuln":{"threat":"Low"}}`),
		entry(event.NewHits, "5", "another tenant's", newHit),
		entry(event.NewHits, "6", "43", newHit),
	})
	require.NoError(t, err)
	in := m.accepted[0]
	require.Len(t, in.Deliveries, 2)
	require.Equal(t, "i0", in.Deliveries[0].Integration)
	require.Equal(t, 1, in.Deliveries[0].Count)
	require.Equal(t, "i1", in.Deliveries[1].Integration)
	require.Equal(t, 2, in.Deliveries[1].Count, "two hits of one batch travel together")
	require.Equal(t, []event.Kind{event.NewHits}, in.Deliveries[1].Kinds)
	require.Equal(t, []delivery.Lane{{Tenant: "42", Integration: "i0"}, {Tenant: "42", Integration: "i1"}}, lanes)
	require.Len(t, in.Accepted, 5, "an event without a receiver is accepted all the same")
	require.Len(t, in.Rejected, 1)
	require.Contains(t, in.Rejected[0].Reason, "tenant")
}

func TestABatchIsSplitAtTheSystemsCount(t *testing.T) {
	f, m := newFanout(event.Hits)
	var entries []delivery.Entry
	for n := range 25 {
		entries = append(entries, entry(event.NewHits, fmt.Sprint(n), "42", newHit))
	}
	_, err := f.Process(t.Context(), entries)
	require.NoError(t, err)
	var counts []int
	for _, d := range m.accepted[0].Deliveries {
		counts = append(counts, d.Count)
	}
	require.Equal(t, []int{10, 10, 5}, counts)
}

func TestABadEntryIsKeptWithItsReasonAndTheRestGoOn(t *testing.T) {
	f, m := newFanout(event.System)
	bad := map[string]delivery.Entry{
		"is not a known kind":         entry("no_such_kind", "1", "42", `{}`),
		"tenant: is missing":          entry(event.CreateUser, "2", "", newUser),
		"id: is missing":              entry(event.CreateUser, "", "42", newUser),
		"data.hit.type: is missing":   entry(event.NewHits, "4", "42", `{"hit":{}}`),
		"is not valid JSON":           {DetailType: "create_user", Detail: []byte(`{"version":1,`)},
		"is not a member of an event": {DetailType: "create_user", Detail: []byte(`{"version":1,"colour":"red"}`)},
		"version: is 2, this release": {DetailType: "create_user",
			Detail: []byte(`{"version":2,"id":"1","tenant":"42"}`)},
		"data.vuln.threat: must be High,": entry(event.Vuln, "8", "42", `{"vuln":{"threat":"Dreadful"}}`),
	}
	entries := []delivery.Entry{entry(event.CreateUser, "good", "42", newUser)}
	for _, e := range bad {
		entries = append(entries, e)
	}
	_, err := f.Process(t.Context(), entries)
	require.NoError(t, err)
	require.Len(t, m.accepted[0].Deliveries, 1)
	require.Len(t, m.accepted[0].Rejected, len(bad))
	for reason, e := range bad {
		found := false
		for _, r := range m.accepted[0].Rejected {
			if string(r.Entry.Detail) == string(e.Detail) && r.Entry.DetailType == e.DetailType {
				found = true
				require.Contains(t, r.Reason, reason)
			}
		}
		require.True(t, found, reason)
	}
}

func TestARepeatedEventIsNotDeliveredAgain(t *testing.T) {
	f, m := newFanout(event.System)
	once := entry(event.CreateUser, "1", "42", newUser)
	for range 2 {
		_, err := f.Process(t.Context(), []delivery.Entry{once, once})
		require.NoError(t, err)
	}
	require.Len(t, m.accepted[0].Deliveries, 1)
	require.Equal(t, 1, m.accepted[0].Deliveries[0].Count)
	require.Len(t, m.accepted[0].Repeated, 1)
	require.Empty(t, m.accepted[1].Deliveries)
	require.Len(t, m.accepted[1].Repeated, 2)
}

func TestTheSameFanoutMakesTheSameDelivery(t *testing.T) {
	var ids []string
	for range 2 {
		f, m := newFanout(event.System)
		_, err := f.Process(t.Context(), []delivery.Entry{entry(event.CreateUser, "1", "42", newUser),
			entry(event.DeleteUser, "2", "42", newUser)})
		require.NoError(t, err)
		ids = append(ids, m.accepted[0].Deliveries[0].ID)
	}
	require.Equal(t, ids[0], ids[1])
	require.Len(t, ids[0], 26)
	require.True(t, strings.HasPrefix(ids[0], "01GTD"), "the id begins with the time of its entry: %s", ids[0])
}

func TestHitsOnTrialAndSampledOutHitsAreNotSent(t *testing.T) {
	f, m := newFanout(event.Hits)
	_, err := f.Process(t.Context(), []delivery.Entry{
		entry(event.NewHits, "1", "42", `{"experimental":true,"hit":{"type":"sqli"}}`),
		entry(event.NewHits, "2", "42", `{"sampled_out":true,"hit":{"type":"sqli"}}`),
		entry(event.NewHits, "3", "42", `{"experimental":false,"hit":{"type":"sqli"}}`),
	})
	require.NoError(t, err)
	require.Len(t, m.accepted[0].Accepted, 3)
	require.Len(t, m.accepted[0].Deliveries, 1)
	require.Equal(t, 1, m.accepted[0].Deliveries[0].Count)
}

func TestAnIntegrationIsNotToldAboutItself(t *testing.T) {
	f, m := newFanout(event.System, event.System)
	_, err := f.Process(t.Context(), []delivery.Entry{
		entry(event.IntegrationBroken, "1", "42", `{"integration":{"id":"i0","name":"x","type":"slack"}}`),
	})
	require.NoError(t, err)
	require.Len(t, m.accepted[0].Deliveries, 1)
	require.Equal(t, "i1", m.accepted[0].Deliveries[0].Integration)
}

// inbox hands out its entries until they are accepted.
type inbox struct {
	entries []delivery.Entry
	m       *intakes
}

func (b *inbox) Receive(_ context.Context, limit int) ([]delivery.Entry, error) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	done := 0
	for _, in := range b.m.accepted {
		done += len(in.Accepted) + len(in.Repeated) + len(in.Rejected)
	}
	return b.entries[done:min(len(b.entries), done+limit)], nil
}

func TestTheLoopDrainsTheInbox(t *testing.T) {
	f, m := newFanout(event.System)
	b := &inbox{m: m}
	for n := range 1000 {
		b.entries = append(b.entries, entry(event.CreateUser, fmt.Sprint(n), "42", newUser))
	}
	ctx, cancel := context.WithCancel(t.Context())
	woken := 0
	go func() {
		for m.deliveries() < 101 { // 512 make 52, 488 make 49
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	f.Run(ctx, b, make(chan struct{}), func(lanes ...delivery.Lane) { woken += len(lanes) })
	require.Equal(t, 2, woken)
	require.Equal(t, 101, m.deliveries())
}

func TestAnEventThatAnotherFanOutIsAtComesAgainAndTheOthersGoOn(t *testing.T) {
	f, m := newFanout(event.Hits)
	m.busy["42/1"] = true
	entries := []delivery.Entry{entry(event.NewHits, "1", "42", newHit), entry(event.NewHits, "2", "42", newHit),
		entry(event.NewHits, "1", "42", newHit)}
	for n := range entries {
		entries[n].Receipt = fmt.Sprint("m", n)
	}
	lanes, err := f.Process(t.Context(), entries)
	require.Len(t, lanes, 1)
	var unfinished *fanout.Unfinished
	require.ErrorAs(t, err, &unfinished)
	require.ErrorIs(t, err, fanout.ErrBusy)
	require.Equal(t, []delivery.Entry{entries[0], entries[2]}, unfinished.Entries,
		"its copy too: the other may come to nothing")
	require.Len(t, m.accepted, 1)
	require.Len(t, m.accepted[0].Accepted, 1)
	require.Equal(t, 1, m.accepted[0].Deliveries[0].Count)
	require.Zero(t, m.aborted)
}

// away is a set of integrations that can not be read.
type away struct{ subscribers }

func (away) Enabled(context.Context, string) ([]integration.Integration, error) {
	return nil, fmt.Errorf("the table is away")
}

func TestWhatWasBegunAndFailsIsGivenUpAtOnce(t *testing.T) {
	f, m := newFanout(event.Hits)
	f.Integrations = away{f.Integrations.(subscribers)}
	_, err := f.Process(t.Context(), hits(3))
	require.ErrorContains(t, err, "the table is away")
	require.Equal(t, 3, m.aborted)
	require.Empty(t, m.accepted)
}
