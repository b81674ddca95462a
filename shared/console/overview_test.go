package console_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/console"
	"tocsin/shared/console/overview"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// overviewOf reads the overview of the rig's tenant.
func (r *rig) overviewOf() (v overview.OverviewView) {
	r.t.Helper()
	a := r.call("GET", "/v1/overview", "")
	require.Equal(r.t, 200, a.status, a.raw)
	require.NoError(r.t, json.Unmarshal([]byte(a.raw), &v))
	return v
}

// counted adds to a counter so many ends.
func (r *rig) counted(id string, window int64, at time.Time, delivered, dead int, took time.Duration) {
	r.t.Helper()
	n := health.Count{Tenant: "42", Integration: id, Window: window, At: at}
	n.Delivered, n.Dead = delivered, dead
	for range delivered {
		n.Latencies.Add(took)
		n.Attempt(at, false, health.Answer{})
	}
	for range dead {
		n.Attempt(at, true, health.Answer{Status: 503, Words: "answered 503 Service Unavailable"})
	}
	require.NoError(r.t, r.db.Counters.Add(r.t.Context(), []health.Count{n}))
}

func TestAnOverviewOfNothing(t *testing.T) {
	v := start(t).overviewOf()
	require.Len(t, v.Hours, 24)
	require.Equal(t, v.From, v.Hours[0].At)
	require.Equal(t, v.To.Truncate(time.Hour), v.Hours[23].At)
	require.Empty(t, v.Integrations)
	require.Empty(t, v.Attention)
	require.Nil(t, v.Latency)
}

func TestTheOverviewSumsUpByHourAndByIntegration(t *testing.T) {
	r := start(t)
	slack, other := r.slack("Ops"), r.slack("Ops")
	now := time.Now().UTC()
	require.NoError(t, r.db.Counters.Add(t.Context(), []health.Count{health.Arrived("42", now, 7),
		health.Arrived("42", now.Add(-2*time.Hour), 5), health.Arrived("43", now, 100),
		health.Arrived("42", now.Add(-25*time.Hour), 100)}))
	r.counted(slack, 1, now, 90, 0, 300*time.Millisecond)
	r.counted(slack, 1, now.Add(-2*time.Hour), 10, 2, 3*time.Second)
	r.counted(slack, 1, now.Add(-25*time.Hour), 1000, 1000, time.Second)
	r.counted(other, 1, now.Add(-2*time.Hour), 4, 0, time.Second)
	v := r.overviewOf()
	require.Equal(t, 12, v.Events)
	require.Equal(t, []int{104, 2}, []int{v.Delivered, v.Dead})
	require.Equal(t, overview.OverviewHour{At: v.Hours[21].At, Events: 5, Delivered: 14, Dead: 2}, v.Hours[21])
	require.Equal(t, overview.OverviewHour{At: v.Hours[23].At, Events: 7, Delivered: 90}, v.Hours[23])
	require.Equal(t, &overview.LatencyView{Deliveries: 104, P50: overview.LatencyBounds{MoreThan: 250, AtMost: 500},
		P99: overview.LatencyBounds{MoreThan: 2000, AtMost: 5000}}, v.Latency)
	require.Len(t, v.Integrations, 2)
	one := v.Integrations[0]
	require.Equal(t, slack, one.ID)
	require.Equal(t, []int{100, 2}, []int{one.Delivered, one.Dead})
	require.Equal(t, []int{10, 0, 90}, one.DeliveredByHour[21:])
	require.Equal(t, []int{2, 0, 0}, one.DeadByHour[21:])
	require.Nil(t, v.Integrations[1].DeadByHour)
}

func TestTheOverviewSaysWhatWasPublishedOverTheLimit(t *testing.T) {
	r := start(t)
	require.NotContains(t, r.call("GET", "/v1/overview", "").raw, "throttled")
	now := time.Now().UTC()
	require.NoError(t, r.db.Counters.Add(t.Context(), []health.Count{health.Throttle("42", now, 7),
		health.Throttle("42", now.Add(-2*time.Hour), 5), health.Throttle("43", now, 100),
		health.Throttle("42", now.Add(-25*time.Hour), 100)}))
	v := r.overviewOf()
	require.Equal(t, 12, v.Throttled)
	require.Equal(t, now.Truncate(health.Bucket), *v.ThrottledAt)
	require.Zero(t, v.Events, "what was throttled did not come in")
}

func TestTheOverviewKeepsWhatWasCountedBeforeAnIntegrationWasEnabledAgain(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	now := time.Now()
	r.counted(id, 1, now, 3, 0, time.Second)
	for _, verb := range []string{"disable", "enable"} {
		require.Equal(t, 200, r.call("POST", "/v1/integrations/"+id+"/"+verb, "").status)
	}
	r.counted(id, 2, now, 4, 0, time.Second)
	require.Equal(t, 7, r.overviewOf().Delivered)
	// So does the chart of its page, while its numbers are of the time since.
	h := r.call("GET", "/v1/integrations/"+id+"/health", "")
	require.Equal(t, 200, h.status, h.raw)
	charted := 0.0
	for _, p := range h.body["series"].([]any) {
		charted += p.(map[string]any)["attempts"].(float64)
	}
	require.Equal(t, []float64{7, 4}, []float64{charted, h.body["attempts"].(float64)})
}

func TestTheOverviewSaysWhatNeedsAPersonTheWorstFirst(t *testing.T) {
	r := start(t)
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	gone := health.Answer{Status: 404, Words: "answered 404 Not Found"}
	var ids []string
	for range 4 {
		ids = append(ids, r.slack("Ops"))
	}
	failing, off, byPerson := ids[1], ids[2], ids[3]
	_, err := r.config.Integrations.BeginFailing(t.Context(), "42", failing, 1, at, gone)
	require.NoError(t, err)
	_, err = r.config.Integrations.DisableBroken(t.Context(), "42", off, 1, "20 of 20 requests failed", gone)
	require.NoError(t, err)
	require.Equal(t, 200, r.call("POST", "/v1/integrations/"+byPerson+"/disable", "").status)
	v := r.overviewOf()
	var got []string
	for _, a := range v.Attention {
		got = append(got, string(a.Cause)+" "+a.Answer.Words)
	}
	require.Equal(t, []string{"disabled answered 404 Not Found", "failing answered 404 Not Found"}, got)
	require.Equal(t, off, v.Attention[0].ID)
	require.Equal(t, "20 of 20 requests failed", v.Attention[0].Reason)
	require.Equal(t, at, v.Attention[1].Since.UTC())
	require.Equal(t, integration.StateFailing, v.Integrations[1].State)
}

func TestWhatIsHeldIsToldApartFromWhatWaits(t *testing.T) {
	r := start(t)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	r.config.Integrations.Backlog = counted{Count: 3, Held: 12, HeldUntil: until}
	r.handler = console.New(r.config)
	id, failing := r.slack("Ops"), r.slack("Ops")
	_, err := r.config.Integrations.BeginFailing(t.Context(), "42", failing, 1, time.Now(), health.Answer{Status: 404})
	require.NoError(t, err)
	v := r.overviewOf()
	require.Equal(t, []int{6, 24}, []int{v.Waiting, v.Held})
	require.Equal(t, until, v.HeldUntil.UTC())
	require.False(t, v.HeldMore)
	require.False(t, v.RetriesOnly)
	require.Equal(t, []int{3, 12}, []int{v.Integrations[0].Waiting, v.Integrations[0].Held})
	require.Equal(t, []int{3, 12}, []int{v.Attention[0].Waiting, v.Attention[0].Held})
	one := r.call("GET", "/v1/integrations/"+id, "").body
	require.EqualValues(t, 12, one["held"])
	require.Equal(t, until.Format(time.RFC3339), one["held_until"])

	r.config.Integrations.Backlog = counted{Count: integration.WaitingLimit, Held: integration.WaitingLimit,
		Floor: true}
	r.handler = console.New(r.config)
	v = r.overviewOf()
	require.True(t, v.WaitingMore)
	require.True(t, v.HeldMore)
	require.True(t, v.RetriesOnly, "what waits for its first request is not among them")
	require.True(t, v.Attention[0].RetriesOnly)
}

func TestWhatWaitsForAFailingIntegrationWithARateIsToldOnce(t *testing.T) {
	r := start(t)
	r.config.Integrations.Backlog = counted{Count: 3}
	id := r.slack("Ops")
	require.Equal(t, 200, r.call("PATCH", "/v1/integrations/"+id, `{"rate":"10/minute"}`).status)
	require.Contains(t, r.call("GET", "/v1/integrations/"+id, "").body, "backlog")
	_, err := r.config.Integrations.BeginFailing(t.Context(), "42", id, 1, time.Now(), health.Answer{Status: 404})
	require.NoError(t, err)
	one := r.call("GET", "/v1/integrations/"+id, "").body
	require.EqualValues(t, 3, one["failing"].(map[string]any)["waiting"])
	require.NotContains(t, one, "backlog")
}

// Of many that fail a few are told at length, and of each why: an answer is bounded by what a person reads of it.
func TestOfFourHundredThatFailFiftyAreToldAtLength(t *testing.T) {
	r := start(t)
	answer := health.Answer{Status: 503, Words: strings.Repeat("answered 503 Service Unavailable ", 6)}
	for range 400 {
		id := r.slack("A channel with a name of usual length")
		_, err := r.config.Integrations.BeginFailing(t.Context(), "42", id, 1, time.Now(), answer)
		require.NoError(t, err)
		r.counted(id, 1, time.Now(), 0, 3, 0)
	}
	a := r.call("GET", "/v1/overview", "")
	require.Less(t, len(a.raw), 200_000, "bytes before they are packed")
	v := r.overviewOf()
	require.Equal(t, 400, v.AttentionCount)
	require.Len(t, v.Attention, 50)
	require.Len(t, v.Integrations, 400)
	for _, l := range v.Integrations {
		require.EqualValues(t, "failing", l.Cause)
	}
}
