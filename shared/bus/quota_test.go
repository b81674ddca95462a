package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/shared/bus"
	"tocsin/shared/health"
	"tocsin/shared/metrics"
)

// tolls are the counters of what was throttled.
type tolls struct {
	health.Counters
	counts []health.Count
}

func (c *tolls) Add(_ context.Context, counts []health.Count) error {
	c.counts = append(c.counts, counts...)
	return nil
}

// sink keeps the newest batch.
type sink struct{ metrics.Batch }

func (s *sink) Add(_ context.Context, b *metrics.Batch) { s.Batch = *b }

// bounded is a bus with a quota, and a clock that the test moves.
type bounded struct {
	store
	quota  *bus.Quota
	client *eventbridge.Client
	tolls  tolls
	meter  sink

	mu  sync.Mutex
	now time.Time
}

func (b *bounded) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bounded) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func bound(t *testing.T, each bus.Rate, of map[string]bus.Rate) *bounded {
	b := &bounded{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	n := 0
	b.quota = &bus.Quota{Each: each, Of: of, Now: b.clock, Counters: &b.tolls, Meter: &b.meter,
		Log: slog.New(slog.DiscardHandler)}
	server := httptest.NewServer(bus.Handler(bus.Config{Store: &b.store, Name: "tocsin", Now: b.clock,
		NewID: func() string { n++; return fmt.Sprint("id-", n) }, Log: slog.New(slog.DiscardHandler),
		Quota: b.quota}))
	t.Cleanup(server.Close)
	b.client = sdk(server.URL)
	return b
}

// put publishes an entry of each tenant in one call and returns the codes, "" for what was taken.
func (b *bounded) put(t *testing.T, tenants ...string) (codes []string) {
	t.Helper()
	in := &eventbridge.PutEventsInput{}
	for _, tenant := range tenants {
		e := good()
		if tenant != "" {
			e.Detail = aws.String(fmt.Sprintf(`{"version":1,"tenant":%q}`, tenant))
		}
		in.Entries = append(in.Entries, e)
	}
	out, err := b.client.PutEvents(t.Context(), in)
	require.NoError(t, err)
	failed := int32(0)
	for _, e := range out.Entries {
		codes = append(codes, aws.ToString(e.ErrorCode))
		require.Equal(t, e.ErrorCode == nil, e.EventId != nil, "an id is answered for what is kept alone")
		if e.ErrorCode != nil {
			failed++
		}
	}
	require.Equal(t, failed, out.FailedEntryCount)
	return codes
}

const throttled = "ThrottlingException"

func TestATenantPublishesItsRateAndItsBurstAndDelaysNobodyElse(t *testing.T) {
	b := bound(t, bus.Rate{Events: 2, Burst: 4}, map[string]bus.Rate{"free": {}, "slow": {Events: 1, Burst: 1}})
	require.Equal(t, []string{"", "", "", "", throttled, throttled, ""},
		b.put(t, "a", "a", "a", "a", "a", "a", "b"), "the burst, and what is behind it waits in its order")
	require.Len(t, b.entries, 5, "only what is answered with an id is kept")
	b.pass(499 * time.Millisecond)
	require.Equal(t, []string{throttled}, b.put(t, "a"))
	b.pass(time.Millisecond)
	require.Equal(t, []string{"", throttled}, b.put(t, "a", "a"), "half a second brings one event")
	b.pass(time.Hour)
	require.Equal(t, []string{"", "", "", "", throttled}, b.put(t, "a", "a", "a", "a", "a"),
		"an hour of quiet is one burst")
	require.Equal(t, []string{"", "", "", "", "", "", "", "", "", ""},
		b.put(t, "free", "free", "free", "free", "free", "free", "free", "free", "free", "free"))
	require.Equal(t, []string{"", throttled}, b.put(t, "slow", "slow"))
	require.Equal(t, []string{"", "", "", "", throttled}, b.put(t, "", "", "", "", ""),
		"what names no tenant shares one rate")
}

func TestWhatIsRefusedForAnotherReasonUsesNothingUp(t *testing.T) {
	b := bound(t, bus.Rate{Events: 1, Burst: 2}, nil)
	bad := good()
	bad.Detail = aws.String(`{"tenant":"a"`)
	worse := good()
	worse.Source, worse.Detail = nil, aws.String(`{"tenant":"a"}`)
	out, err := b.client.PutEvents(t.Context(),
		&eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{bad, worse, bad}})
	require.NoError(t, err)
	require.Equal(t, "MalformedDetail", *out.Entries[0].ErrorCode)
	require.Equal(t, "InvalidArgument", *out.Entries[1].ErrorCode)
	b.err = errors.New("disk full")
	_, err = b.client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("a"), DetailType: aws.String("b"), Detail: aws.String(`{"tenant":"a"}`)},
		{Source: aws.String("a"), DetailType: aws.String("b"), Detail: aws.String(`{"tenant":"a"}`)}}})
	require.ErrorContains(t, err, "InternalException")
	b.err = nil
	require.Equal(t, []string{"", "", throttled}, b.put(t, "a", "a", "a"), "what was not kept was given back")
}

func TestAClockThatGoesBackThrottlesNoLongerThanABurst(t *testing.T) {
	b := bound(t, bus.Rate{Events: 2, Burst: 4}, nil)
	b.put(t, "a", "a")
	b.pass(-time.Hour)
	require.Equal(t, []string{throttled}, b.put(t, "a"))
	b.pass(500 * time.Millisecond)
	require.Equal(t, []string{""}, b.put(t, "a"))
}

func TestWhatWasThrottledIsCountedByTenantOnceInAWhile(t *testing.T) {
	b := bound(t, bus.Rate{Events: 1, Burst: 1}, nil)
	b.put(t, "a", "a", "a", "b", "b", "c")
	require.Empty(t, b.tolls.counts, "nothing is written while events are taken")
	require.Equal(t, []metrics.Count{{Metric: metrics.Throttled, N: 3}}, b.meter.Counts,
		"the metric is of the moment: one figure for all tenants")
	b.quota.Flush(t.Context())
	require.ElementsMatch(t, []health.Count{health.Throttle("a", b.now, 2), health.Throttle("b", b.now, 1)},
		b.tolls.counts)
	b.quota.Flush(t.Context())
	require.Len(t, b.tolls.counts, 2)
	require.Equal(t, []metrics.Count{{Metric: metrics.Throttled, N: 3}}, b.meter.Counts, "once")
}

func TestTenantsWithoutEndAreForgottenWhenTheyHaveAllOfTheirBurstAgain(t *testing.T) {
	b := bound(t, bus.Rate{Events: 1, Burst: 1}, nil)
	for n := range 1000 {
		ten := make([]string, 10)
		for i := range ten {
			ten[i] = fmt.Sprint("t", 10*n+i)
		}
		b.put(t, ten...)
		b.pass(time.Second)
	}
	require.LessOrEqual(t, b.quota.Remembered(), 1024+10)
	require.Equal(t, []string{"", throttled}, b.put(t, "t1", "t1"))
}

func TestRatesAreReadAndWhatIsNoneIsRefused(t *testing.T) {
	for text, want := range map[string]bus.Rate{"0": {}, "500": {Events: 500}, "500/5000": {Events: 500, Burst: 5000},
		"1000000/1": {Events: 1000000, Burst: 1}} {
		got, err := bus.ParseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "-1", "1/0", "1/", "/1", "1/2/3", "1000001", "1/1000001", "many", "1.5"} {
		_, err := bus.ParseRate(text)
		require.ErrorContains(t, err, "is no rate", text)
	}
	got, err := bus.ParseRates(" acme=5/50, globex=0,")
	require.NoError(t, err)
	require.Equal(t, map[string]bus.Rate{"acme": {Events: 5, Burst: 50}, "globex": {}}, got)
	for text, says := range map[string]string{"acme": "names no tenant", "=5": "names no tenant",
		"acme=5,acme=6": "there twice", "acme=x": "the tenant acme: "} {
		_, err := bus.ParseRates(text)
		require.ErrorContains(t, err, says, text)
	}
}
