package statetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/worker/pace"
)

// OpenPaces opens an engine whose paces go by a clock.
type OpenPaces func(t *testing.T, now func() time.Time) pace.Store

var slow = pace.Pace{
	Quiet: enginetest.At.Add(time.Second), Interval: 1500 * time.Millisecond, Next: enginetest.At.Add(3 * time.Second),
	Taken:  enginetest.At,
	Silent: 2, Probe: "d", Last: enginetest.At.Add(-time.Second), Took: time.Minute,
}

// Paces is the suite of pace.Store.
func Paces(t *testing.T, open OpenPaces) {
	run := enginetest.Parallel(t, open)
	run("a pace is read back as it was written, whatever lane asks", paceIsReadBack)
	run("it is replaced only as it was read", paceIsReplacedAsItWasRead)
	run("it is forgotten in time, and no version comes again", paceIsForgottenInTime)
	run("of many at once each change is made once", paceChangesAreMadeOnce)
}

func paceIsReadBack(t *testing.T, open OpenPaces) {
	p := open(t, now)
	got, version, err := p.Pace(t.Context(), lane)
	require.NoError(t, err)
	require.Zero(t, got)
	require.Zero(t, version)
	wrote, err := p.Swap(t.Context(), lane, 0, slow)
	require.NoError(t, err)
	require.NotZero(t, wrote)
	retries := lane
	retries.Retry = true
	got, version, err = p.Pace(t.Context(), retries)
	require.NoError(t, err)
	require.Equal(t, slow, got)
	require.Equal(t, wrote, version)
	for _, other := range []delivery.Lane{{Tenant: lane.Tenant, Integration: "other"},
		{Tenant: "43", Integration: lane.Integration}} {
		got, _, err = p.Pace(t.Context(), other)
		require.NoError(t, err)
		require.Zero(t, got)
	}
}

func paceIsReplacedAsItWasRead(t *testing.T, open OpenPaces) {
	p := open(t, now)
	_, err := p.Swap(t.Context(), lane, 7, slow)
	require.ErrorIs(t, err, pace.ErrVersionConflict, "there is none")
	one, err := p.Swap(t.Context(), lane, 0, slow)
	require.NoError(t, err)
	_, err = p.Swap(t.Context(), lane, 0, slow)
	require.ErrorIs(t, err, pace.ErrVersionConflict)
	two, err := p.Swap(t.Context(), lane, one, pace.Pace{Silent: 3, Last: enginetest.At})
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	_, err = p.Swap(t.Context(), lane, one, slow)
	require.ErrorIs(t, err, pace.ErrVersionConflict)
	got, version, err := p.Pace(t.Context(), lane)
	require.NoError(t, err)
	require.Equal(t, pace.Pace{Silent: 3, Last: enginetest.At}, got)
	require.Equal(t, two, version)
}

func paceIsForgottenInTime(t *testing.T, open OpenPaces) {
	now := enginetest.At
	p := open(t, func() time.Time { return now })
	old, err := p.Swap(t.Context(), lane, 0, slow)
	require.NoError(t, err)
	now = slow.Keep(enginetest.At).Add(-time.Second)
	got, _, err := p.Pace(t.Context(), lane)
	require.NoError(t, err)
	require.Equal(t, slow, got)
	now = slow.Keep(enginetest.At).Add(time.Second)
	got, version, err := p.Pace(t.Context(), lane)
	require.NoError(t, err)
	require.Zero(t, got)
	require.Zero(t, version)
	_, err = p.Swap(t.Context(), lane, old, slow)
	require.ErrorIs(t, err, pace.ErrVersionConflict)
	fresh, err := p.Swap(t.Context(), lane, 0, slow)
	require.NoError(t, err)
	require.NotEqual(t, old, fresh)
}

func paceChangesAreMadeOnce(t *testing.T, open OpenPaces) {
	p := open(t, now)
	const workers, changes = 8, 5
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			for done := 0; done < changes; {
				got, version, err := p.Pace(t.Context(), lane)
				if err == nil {
					got.Silent++
					_, err = p.Swap(t.Context(), lane, version, got)
				}
				switch {
				case err == nil:
					done++
				case !errors.Is(err, pace.ErrVersionConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	got, _, err := p.Pace(t.Context(), lane)
	require.NoError(t, err)
	require.Equal(t, workers*changes, got.Silent)
}
