package enginetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
)

// Resender is the part of an engine that sends rejected entries again.
type Resender interface {
	Resend(ctx context.Context, tenant, id string, at time.Time) (sent bool, err error)
	ResendOfAny(ctx context.Context, id string, at time.Time) (sent bool, err error)
}

// DeadLetterEngine is what the suite of dead letters works on.
type DeadLetterEngine struct {
	Log
	DeadLetters Resender
	// Left takes what was put on the bus and returns it as fan-out receives it.
	Left func(t *testing.T) []delivery.Entry
}

// OpenDeadLetters opens an engine.
type OpenDeadLetters func(t *testing.T) DeadLetterEngine

// DeadLetters is the suite of sending rejected entries again.
func DeadLetters(t *testing.T, open OpenDeadLetters) {
	run := Parallel(t, open)
	run("TestP6: a rejected event is sent through again, once, and the list says when", deadLetterIsResentOnce)
	run("another tenant finds it not", anotherTenantsDeadLetterIsNotFound)
	run("of two calls at once one sends", oneOfTwoResends)
}

func deadLetterIsResentOnce(t *testing.T, open OpenDeadLetters) {
	e, letter := oneDeadLetter(t, open)
	sent, err := e.DeadLetters.Resend(t.Context(), "42", letter.ID, At.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, sent)
	got := e.Left(t)
	require.Len(t, got, 1)
	require.Equal(t, letter.DetailType, got[0].DetailType)
	require.JSONEq(t, string(letter.Detail), string(got[0].Detail))
	require.NoError(t, e.Accept(t.Context(),
		fanout.Intake{Rejected: []fanout.Rejected{{Entry: got[0], Tenant: "42", Reason: "still not known"}}}))
	sent, err = e.DeadLetters.Resend(t.Context(), "42", letter.ID, At.Add(2*time.Hour))
	require.NoError(t, err)
	require.False(t, sent)
	require.Empty(t, e.Left(t))
	letters, err := e.Log.DeadLetters(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 2, "refused again: an entry of its own")
	require.True(t, letters[0].ReplayedAt.IsZero())
	require.True(t, At.Add(time.Hour).Equal(letters[1].ReplayedAt))
	sent, err = e.DeadLetters.ResendOfAny(t.Context(), letters[0].ID, At.Add(3*time.Hour))
	require.NoError(t, err)
	require.True(t, sent, "an operator's")
}

func anotherTenantsDeadLetterIsNotFound(t *testing.T, open OpenDeadLetters) {
	e, letter := oneDeadLetter(t, open)
	for _, who := range [][2]string{{"43", letter.ID}, {"", letter.ID}, {"42", "no id"}, {"42", letter.ID + "9"}} {
		_, err := e.DeadLetters.Resend(t.Context(), who[0], who[1], At)
		require.ErrorIs(t, err, delivery.ErrNotFound, who)
	}
	require.Empty(t, e.Left(t))
}

func oneOfTwoResends(t *testing.T, open OpenDeadLetters) {
	e, letter := oneDeadLetter(t, open)
	var wg sync.WaitGroup
	sent := make([]bool, 4)
	errs := make([]error, len(sent))
	for n := range sent {
		wg.Go(func() { sent[n], errs[n] = e.DeadLetters.Resend(t.Context(), "42", letter.ID, At) })
	}
	wg.Wait()
	count := 0
	for n := range sent {
		require.NoError(t, errs[n])
		if sent[n] {
			count++
		}
	}
	require.Equal(t, 1, count)
	require.Len(t, e.Left(t), 1)
}

func oneDeadLetter(t *testing.T, open OpenDeadLetters) (DeadLetterEngine, delivery.DeadLetter) {
	t.Helper()
	e := open(t)
	bad := e.Take(t,
		[]delivery.Entry{{DetailType: "a_new_kind", At: At,
			Detail: []byte(`{"version":1,"id":"x","tenant":"42","time":"2023-03-01T12:00:00Z","data":{}}`)}})
	require.NoError(t, e.Accept(t.Context(),
		fanout.Intake{Rejected: []fanout.Rejected{{Entry: bad[0], Tenant: "42", Reason: "not a known kind"}}}))
	letters, err := e.Log.DeadLetters(t.Context(), "42", "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.True(t, letters[0].ReplayedAt.IsZero())
	return e, letters[0]
}
