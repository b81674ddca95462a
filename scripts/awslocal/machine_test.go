package awslocal_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/retry"
)

type retrier struct {
	ErrorEquals                                   []string
	IntervalSeconds, MaxAttempts, MaxDelaySeconds int
	BackoffRate                                   float64
	JitterStrategy                                string
}

// span is how long the waits of a retrier last on average: with full jitter each is between nothing and all.
func (r retrier) span() time.Duration {
	total := 0.0
	for n := range r.MaxAttempts {
		total += min(float64(r.IntervalSeconds)*math.Pow(r.BackoffRate, float64(n)), float64(r.MaxDelaySeconds)) / 2
	}
	return time.Duration(total) * time.Second
}

func TestTheRetriersOutlastTroubleAndTheHistoryHoldsIt(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	text, err := template.Definition(
		"../..",
		map[string]string{"RetryFunctionArn": "f", "Partition": "aws", "DeadLetterQueueUrl": "q"},
	)
	require.NoError(t, err)
	var machine struct {
		States map[string]struct{ Retry []retrier }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &machine))
	attempt, letter := machine.States["Attempt"].Retry, machine.States["Dead letter"].Retry
	require.Len(t, attempt, 2)
	for _, r := range append(attempt, letter...) {
		require.Equal(t, "FULL", r.JitterStrategy)
		require.Greater(t, r.MaxDelaySeconds, r.IntervalSeconds)
	}
	require.Contains(t, attempt[0].ErrorEquals, handlers.Unavailable)
	require.NotContains(t, attempt[0].ErrorEquals, "States.ALL")
	require.Greater(t, attempt[0].span(), 12*time.Hour, "a service that is out of order")
	require.Greater(t, attempt[1].span(), 30*time.Minute, "a function that fails: a release is rolled back")
	require.Greater(t, letter[0].span(), 3*time.Hour)

	// A history holds 25,000 events (Step Functions, "Service quotas"). A round is at most: entering and leaving Wait,
	// Attempt and More?, and three events for each try of the task.
	tries := 1 + attempt[0].MaxAttempts + attempt[1].MaxAttempts
	waits := 0
	for _, c := range retry.Cycles() {
		waits += len(c)
	}
	events := waits*(6+3*tries) + 3*letter[0].MaxAttempts + 10
	require.Less(t, events, 25_000*3/4, "every round in the worst trouble leaves room for rounds that only wait")
}
