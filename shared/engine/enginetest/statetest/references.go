package statetest

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/sending/reference"
)

// OpenReferences opens an engine whose references go by a clock.
type OpenReferences func(t *testing.T, now func() time.Time) reference.Store

var referred = reference.Reference{ID: "SEC-1", Maker: "d", Since: enginetest.At,
	Begun: enginetest.At.Add(-time.Second),
	Doer:  "e", Done: 1, Left: 2, Expires: enginetest.At.Add(time.Hour),
	Doers: []reference.Doer{{Delivery: "f", Done: 1}, {Delivery: "g", Left: 2}},
	Last:  reference.Told{At: enginetest.At.Add(time.Nanosecond), Made: "01GTD8R400", Step: event.Closed}}

const madeOf = "vuln:PLT-42-I0001 ~#é"

// References is the suite of reference.Store.
func References(t *testing.T, open OpenReferences) {
	run := enginetest.Parallel(t, open)
	run("a reference is read back as it was written, by its integration and object alone", referenceIsReadBack)
	run("it is replaced only as it was read", referenceIsReplacedAsItWasRead)
	run("it is forgotten in time, and no version comes again", referenceIsForgottenInTime)
	run("of many at once one claims an object", referenceIsClaimedOnce)
}

func referenceIsReadBack(t *testing.T, open OpenReferences) {
	s := open(t, now)
	got, version, err := s.Reference(t.Context(), lane, madeOf)
	require.NoError(t, err)
	require.Zero(t, got)
	require.Zero(t, version)
	wrote, err := s.Swap(t.Context(), lane, madeOf, 0, referred)
	require.NoError(t, err)
	require.NotZero(t, wrote)
	retries := lane
	retries.Retry = true
	got, version, err = s.Reference(t.Context(), retries, madeOf)
	require.NoError(t, err)
	require.Equal(t, referred, got)
	require.Equal(t, wrote, version)
	for _, other := range []delivery.Lane{{Tenant: lane.Tenant, Integration: "other"},
		{Tenant: "43", Integration: lane.Integration}} {
		got, _, err = s.Reference(t.Context(), other, madeOf)
		require.NoError(t, err)
		require.Zero(t, got)
	}
	got, _, err = s.Reference(t.Context(), lane, madeOf+"0")
	require.NoError(t, err)
	require.Zero(t, got)
}

func referenceIsReplacedAsItWasRead(t *testing.T, open OpenReferences) {
	s := open(t, now)
	_, err := s.Swap(t.Context(), lane, madeOf, 7, referred)
	require.ErrorIs(t, err, reference.ErrChanged, "there is none")
	one, err := s.Swap(t.Context(), lane, madeOf, 0, referred)
	require.NoError(t, err)
	_, err = s.Swap(t.Context(), lane, madeOf, 0, referred)
	require.ErrorIs(t, err, reference.ErrChanged, "there is one")
	other := referred
	other.ID = "SEC-2"
	two, err := s.Swap(t.Context(), lane, madeOf, one, other)
	require.NoError(t, err)
	require.Greater(t, two, one)
	_, err = s.Swap(t.Context(), lane, madeOf, one, referred)
	require.ErrorIs(t, err, reference.ErrChanged)
	got, version, err := s.Reference(t.Context(), lane, madeOf)
	require.NoError(t, err)
	require.Equal(t, other, got)
	require.Equal(t, two, version)
}

func referenceIsForgottenInTime(t *testing.T, open OpenReferences) {
	at := enginetest.At
	s := open(t, func() time.Time { return at })
	one, err := s.Swap(t.Context(), lane, madeOf, 0, referred)
	require.NoError(t, err)
	at = referred.Expires
	got, version, err := s.Reference(t.Context(), lane, madeOf)
	require.NoError(t, err)
	require.Zero(t, got)
	require.Zero(t, version)
	_, err = s.Swap(t.Context(), lane, madeOf, one, referred)
	require.ErrorIs(t, err, reference.ErrChanged, "what was forgotten has no version")
	again := referred
	again.Expires = at.Add(time.Hour)
	two, err := s.Swap(t.Context(), lane, madeOf, 0, again)
	require.NoError(t, err)
	require.Greater(t, two, one)

	_, err = s.Swap(t.Context(), lane, madeOf, two, reference.Reference{})
	require.NoError(t, err, "one that is over at once gives the object back")
	_, version, err = s.Reference(t.Context(), lane, madeOf)
	require.NoError(t, err)
	require.Zero(t, version)
	_, err = s.Swap(t.Context(), lane, madeOf, 0, again)
	require.NoError(t, err)
}

func referenceIsClaimedOnce(t *testing.T, open OpenReferences) {
	s := open(t, now)
	outcomes := make(chan error, 8)
	var all sync.WaitGroup
	for n := range cap(outcomes) {
		all.Go(func() {
			claim := referred
			claim.Maker = strconv.Itoa(n)
			_, err := s.Swap(t.Context(), lane, madeOf, 0, claim)
			outcomes <- err
		})
	}
	all.Wait()
	close(outcomes)
	won := 0
	for err := range outcomes {
		if err == nil {
			won++
		} else if !errors.Is(err, reference.ErrChanged) {
			require.NoError(t, err)
		}
	}
	require.Equal(t, 1, won)
}
