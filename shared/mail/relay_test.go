package mail_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/memory"
	"tocsin/shared/mail"
)

func TestS9TheMailsOfAnHourAreFreeAgainWhenItSays(t *testing.T) {
	db := memory.New(nil)
	at := now()
	r := &mail.Quota{Counters: db.Counters(), Limit: 100, Now: func() time.Time { return at }}
	spend := func(mails int) *mail.QuotaError {
		t.Helper()
		err := r.Spend(t.Context(), "42", mails)
		if err == nil {
			return nil
		}
		var e *mail.QuotaError
		require.ErrorAs(t, err, &e)
		return e
	}
	require.Nil(t, spend(60))
	at = at.Add(25 * time.Minute)
	require.Nil(t, spend(40))
	refused := spend(1)
	require.Equal(t, now().Add(70*time.Minute), refused.Free)
	require.EqualError(t, refused, "an account can have 100 mails an hour sent on request (tests and reports to "+
		"other people's addresses, and mails that are sent again), and this would be "+
		"1 more: try again at 13:10 UTC on 2023-03-01")
	require.Equal(t, now().Add(90*time.Minute), spend(61).Free)
	require.True(t, spend(101).Free.IsZero())
	at = refused.Free.Add(-time.Second)
	require.NotNil(t, spend(1), "what was refused is not counted, and what was sent still is")
	at = refused.Free
	require.Nil(t, spend(60))
	require.NotNil(t, spend(1))
	require.NoError(t, r.Spend(t.Context(), "43", 100))
	require.NoError(t, r.Spend(t.Context(), "42", 0))
}

func TestS9ManyAtOnceDoNotPassTheLimitTogether(t *testing.T) {
	db := memory.New(nil)
	r := &mail.Quota{Counters: db.Counters(), Limit: 50, Now: now}
	var let atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 5 {
				if r.Spend(t.Context(), "42", 1) == nil {
					let.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, let.Load(), int64(50))
	require.Positive(t, let.Load())
}
