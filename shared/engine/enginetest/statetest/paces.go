package statetest

import (
	"errors"
	"fmt"
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
	Rate: 2 * time.Second, Taken: enginetest.At,
	Silent: 2, Probe: "d", Last: enginetest.At.Add(-time.Second), Took: time.Minute,
}

// Paces is the suite of pace.Store.
func Paces(t *testing.T, open OpenPaces) {
	run := enginetest.Parallel(t, open)
	run("a pace is read back as it was written, whatever lane asks", paceIsReadBack)
	run("it is replaced only as it was read", paceIsReplacedAsItWasRead)
	run("it is forgotten in time, and no version comes again", paceIsForgottenInTime)
	run("of many at once each change is made once", paceChangesAreMadeOnce)
	run("a changed rate counts from the last request, whichever process sees it", rateCountsFromTheLastRequest)
}

// rateCountsFromTheLastRequest: a request was booked at one rate by one process, and two seconds later the rate is
// another.
func rateCountsFromTheLastRequest(t *testing.T, open OpenPaces) {
	now := enginetest.At
	clock := func() time.Time { return now }
	p := open(t, clock)
	for name, of := range map[string]struct {
		interval, from, to, wait time.Duration // interval is what the system asks for
	}{
		"faster":               {0, time.Minute, 3 * time.Second, time.Second},
		"slower":               {0, 3 * time.Second, time.Minute, 58 * time.Second},
		"none any more":        {0, time.Minute, 0, 0},
		"faster than it takes": {20 * time.Second, time.Minute, 3 * time.Second, 18 * time.Second},
		"none where it asks":   {20 * time.Second, time.Minute, 0, 18 * time.Second},
		"the first one":        {20 * time.Second, 0, time.Minute, 58 * time.Second},
	} {
		now = enginetest.At
		to := delivery.Lane{Tenant: lane.Tenant, Integration: name}
		_, err := p.Swap(t.Context(), to, 0, pace.Pace{Interval: of.interval,
			Next: now.Add(of.interval - max(of.interval, of.from))})
		require.NoError(t, err)
		var views []*pace.View
		for range 2 {
			v := pace.NewViews(p, nil, clock).Of(to.Tenant, to.Integration)
			v.Consult(t.Context(), now)
			v.KeepTo(t.Context(), now, of.from)
			views = append(views, v)
		}
		at, wait, _ := views[0].Slot(t.Context(), now, "a", 3, 0)
		require.Zero(t, wait, name)
		require.Equal(t, now, at, name)
		now = now.Add(2 * time.Second)
		_, wait, _ = views[1].Slot(t.Context(), now, "b", 2, 0)
		require.Equal(t, max(of.interval, of.from)-2*time.Second, wait, name)
		for _, v := range views {
			v.KeepTo(t.Context(), now, of.to)
			_, wait, _ = v.Slot(t.Context(), now, "b", 2, 0)
			require.Equal(t, of.wait, wait, name)
		}
		if of.to == 0 && of.interval == 0 {
			continue // nothing is booked any more
		}
		now = now.Add(of.wait)
		at, wait, _ = views[1].Slot(t.Context(), now, "b", 2, 0)
		require.Zero(t, wait, name)
		require.Equal(t, now, at, name)
		_, wait, _ = views[0].Slot(t.Context(), now, "c", 1, 0)
		require.Equal(t, max(of.interval, of.to), wait, "%s: the next one", name)
	}
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
	many := make([]string, 250) // more than an engine reads in a call
	want := make([]pace.Pace, len(many))
	for n := range many {
		many[n] = fmt.Sprint("other ", n)
	}
	many[217], want[217] = lane.Integration, slow
	all, err := p.Paces(t.Context(), lane.Tenant, many)
	require.NoError(t, err)
	require.Equal(t, want, all)
	all, err = p.Paces(t.Context(), "43", many)
	require.NoError(t, err)
	require.Equal(t, make([]pace.Pace, len(many)), all, "another tenant's")
	all, err = p.Paces(t.Context(), lane.Tenant, nil)
	require.NoError(t, err)
	require.Empty(t, all)
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
	all, err := p.Paces(t.Context(), lane.Tenant, []string{lane.Integration})
	require.NoError(t, err)
	require.Equal(t, []pace.Pace{{}}, all)
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
