package worker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	bound "tocsin/shared/patience"
)

// waits reports how many requests wait for a place.
func (p *places) waits() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.waiting {
		n += len(h.line)
	}
	return n
}

func TestOneTenantLeavesTheLastEighthToOthers(t *testing.T) {
	p := newPlaces(64)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	taken := func(tenant string, n int) (got int) { // without waiting
		for ; got < n; got++ {
			p.mu.Lock()
			may := p.may(cmp.Or(p.tenants[tenant], &holder{}))
			p.mu.Unlock()
			if !may {
				break
			}
			require.True(t, p.enter(t.Context(), tenant))
		}
		return got
	}
	require.False(t, p.enter(gone, "loud"))
	require.Equal(t, 56, taken("loud", 100))
	for n := range 8 {
		require.Equal(t, 1, taken(fmt.Sprint("quiet", n), 100), "one of the last eighth")
	}
	require.Zero(t, taken("late", 1), "nothing is left")
	for range 56 {
		p.leave("loud")
	}
	require.Equal(t, 48, taken("late", 100))
}

// Tenants whose integrations all hang hold all that they may, and others of theirs stand in line. Another tenant's
// request does not wait behind them, and what is free goes to whoever has fewest.
func TestAPlaceGoesToTheTenantThatHasFewest(t *testing.T) {
	p := newPlaces(64)
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	entered := make(chan string, 1000)
	wait := func(tenant string) {
		all.Go(func() {
			if p.enter(ctx, tenant) {
				entered <- tenant
			}
		})
	}
	for n := range 5 {
		require.True(t, p.enter(ctx, fmt.Sprint("loud", n))) // each has one, so that none is new
		entered <- fmt.Sprint("loud", n)
	}
	for n := range 5 {
		for range 99 {
			wait(fmt.Sprint("loud", n))
		}
	}
	require.Eventually(t, func() bool { return p.inFlight() == 56 && p.waits() == 444 }, bound.Long, time.Millisecond)
	counts := map[string]int{}
	for range 56 {
		counts[<-entered]++
	}
	require.True(t, p.enter(ctx, "quiet"), "it is not behind them")
	p.leave("quiet")
	require.Zero(t, counts["quiet"])
	most := ""
	for tenant, n := range counts {
		if most == "" || n > counts[most] {
			most = tenant
		}
	}
	for counts[most] > 12 { // they even out
		p.leave(most)
		counts[most]--
		counts[<-entered]++
		for tenant, n := range counts {
			if n > counts[most] {
				most = tenant
			}
		}
	}
	cancel()
	all.Wait()
	require.Zero(t, p.waits())
	require.Equal(t, 56, p.inFlight())
	for tenant, n := range counts {
		for range n {
			p.leave(tenant)
		}
	}
	require.Zero(t, p.inFlight())
	require.Empty(t, p.tenants)
}

// Of tenants that have as many places the one comes first that has waited longest, whoever comes meanwhile.
func TestNoTenantIsPassedByOnesThatCameLater(t *testing.T) {
	const places, first, later = 8, 20, 20
	p := newPlaces(places)
	for n := range places {
		require.True(t, p.enter(t.Context(), fmt.Sprint("early", n)))
	}
	entered := make(chan int, first+later)
	gone, goes := context.WithCancel(t.Context())
	var all sync.WaitGroup
	wait := func(ctx context.Context, n int) {
		before := p.waits()
		all.Go(func() {
			if p.enter(ctx, fmt.Sprint("waits", n)) {
				entered <- n
			}
		})
		require.Eventually(t, func() bool { return p.waits() == before+1 }, bound.Long, time.Microsecond)
	}
	for n := range first {
		wait(t.Context(), n)
	}
	wait(gone, 0) // one that goes leaves the order as it is
	goes()
	require.Eventually(t, func() bool { return p.waits() == first }, bound.Long, time.Microsecond)
	holder := func(n int) string {
		if n < places {
			return fmt.Sprint("early", n)
		}
		return fmt.Sprint("waits", n-places)
	}
	for n := range first {
		p.leave(holder(n))
		require.Equal(t, n, <-entered)
		wait(t.Context(), first+n)
	}
	for n := range later {
		p.leave(holder(first + n))
		require.Equal(t, first+n, <-entered)
	}
	all.Wait()
}

// Many requests begin, give up and end at once: no place is lost, and none is taken twice.
func TestNoPlaceIsLostOrTakenTwice(t *testing.T) {
	p := newPlaces(16)
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(1, uint64(n)))
			for range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if dice.IntN(3) == 0 {
					go cancel()
				}
				if tenant := fmt.Sprint(n % 7); p.enter(ctx, tenant) {
					if p.inFlight() > 16 {
						t.Error("more than there are")
					}
					p.leave(tenant)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.Zero(t, p.inFlight())
	require.Zero(t, p.waits())
	require.Empty(t, p.tenants)
}
