package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/metrics"
)

// Rate is how many events a tenant may publish: so many a second in the long run, and up to Burst at once after it was
// quiet. The zero value is no bound.
type Rate struct {
	Events int // a second
	Burst  int // 0 = BurstSeconds of Events
}

// DefaultEvents a second is about what one machine takes in of all tenants together: it stops a loop that publishes
// without end, and nobody's peak.
const DefaultEvents = 10_000

// BurstSeconds is how many seconds of its rate a tenant may publish at once, where nothing else is said.
const BurstSeconds = 10

// most is the largest rate and burst: what a tenant may publish is reckoned in whole nanoseconds.
const most = 1_000_000

// ParseRate reads EVENTS or EVENTS/BURST.
func ParseRate(text string) (r Rate, err error) {
	events, burst, both := strings.Cut(text, "/")
	if r.Events, err = strconv.Atoi(events); err == nil && both {
		r.Burst, err = strconv.Atoi(burst)
	}
	if err != nil || r.Events < 0 || r.Events > most || r.Burst < 0 || r.Burst > most || both && r.Burst == 0 {
		return r, fmt.Errorf("%q is no rate: name the events in a second, 0 to %d, and after a slash those that may "+
			"come at once, 1 to %d: 500/5000", text, most, most)
	}
	return r, nil
}

// ParseRates reads the rates of tenants, as TENANT=EVENTS/BURST with commas between.
func ParseRates(text string) (map[string]Rate, error) {
	out := map[string]Rate{}
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		tenant, rate, ok := strings.Cut(one, "=")
		if !ok || tenant == "" {
			return nil, fmt.Errorf("%q names no tenant with its rate: acme=500/5000", one)
		}
		if event.KnownTenant(tenant) != tenant {
			return nil, fmt.Errorf("the tenant %q is one that no event can be of: it must have up to 64 printable "+
				"ASCII characters, and no space", tenant)
		}
		if _, ok := out[tenant]; ok {
			return nil, fmt.Errorf("the tenant %s is there twice", tenant)
		}
		var err error
		if out[tenant], err = ParseRate(rate); err != nil {
			return nil, fmt.Errorf("the tenant %s: %w", tenant, err)
		}
	}
	return out, nil
}

// interval is the time in which one event becomes free; 0 = there is no bound.
func (r Rate) interval() time.Duration {
	if r.Events == 0 {
		return 0
	}
	return time.Second / time.Duration(r.Events)
}

// depth is how long it takes until all of the burst is free.
func (r Rate) depth() time.Duration {
	burst := r.Burst
	if burst == 0 {
		burst = BurstSeconds * r.Events
	}
	return time.Duration(burst) * r.interval()
}

// Quota bounds what each tenant publishes. What is over it is answered as EventBridge does, entry by entry, and its
// publisher sends it again: nothing of it is kept. It is safe for concurrent use; all but Of, Meter and Counters is
// required.
type Quota struct {
	Each     Rate            // of a tenant
	Of       map[string]Rate // of those that have one of their own
	Now      func() time.Time
	Meter    metrics.Sink    // nil: nobody counts
	Counters health.Counters // keeps what was throttled for the overview of a day; nil: nothing does
	Log      *slog.Logger

	mu   sync.Mutex
	full map[string]time.Time // when all of a tenant's burst is free again; one that is not here has all of it
	look int                  // tenants in full at which those that have all of it are forgotten
	over map[string]int       // entries that were throttled since the last Flush
}

// rate is that of a tenant.
func (q *Quota) rate(tenant string) Rate {
	if r, ok := q.Of[tenant]; ok {
		return r
	}
	return q.Each
}

// lookAt is how many tenants are remembered before the quiet ones are looked for.
const lookAt = 1024

// take counts entries against their tenants. It says for each that has to wait how long it is until there is room for
// the next one of its tenant, and 0 for those that are taken. Those behind a throttled one of their tenant are
// throttled with it: they keep their order. uncounted counts nowhere.
func (q *Quota) take(tenants []string, now time.Time) []time.Duration {
	waits := make([]time.Duration, len(tenants))
	q.mu.Lock()
	defer q.mu.Unlock()
	for n, tenant := range tenants {
		rate := q.rate(tenant)
		if rate.Events == 0 || tenant == uncounted {
			continue
		}
		depth, full := rate.depth(), q.full[tenant]
		if full.Before(now) {
			full = now
		}
		if latest := now.Add(depth); full.After(latest) {
			full = latest // the clock went back
			q.full[tenant] = full
		}
		full = full.Add(rate.interval())
		if wait := full.Sub(now) - depth; wait > 0 {
			waits[n] = wait
			if q.over == nil {
				q.over = map[string]int{}
			}
			q.over[strings.Clone(tenant)]++
			continue
		}
		if q.full == nil {
			q.full = map[string]time.Time{}
		}
		q.full[strings.Clone(tenant)] = full
	}
	q.forget(now)
	return waits
}

// meter counts the entries of a call that have to wait.
func (q *Quota) meter(ctx context.Context, waits []time.Duration) {
	n := 0
	for _, wait := range waits {
		if wait > 0 {
			n++
		}
	}
	if n == 0 || q.Meter == nil {
		return
	}
	var batch metrics.Batch
	batch.Count(metrics.Throttled, n)
	q.Meter.Add(ctx, &batch)
}

// giveBack uncounts entries that take let through and that were not kept.
func (q *Quota) giveBack(tenants []string, waits []time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n, tenant := range tenants {
		if full, ok := q.full[tenant]; ok && waits[n] == 0 {
			q.full[tenant] = full.Add(-q.rate(tenant).interval())
		}
	}
}

// forget drops the tenants that have all of their burst; the lock is held.
func (q *Quota) forget(now time.Time) {
	if len(q.full) < max(lookAt, q.look) {
		return
	}
	for tenant, full := range q.full {
		if !full.After(now) {
			delete(q.full, tenant)
		}
	}
	q.look = 2 * len(q.full)
}

// uncounted stands for the tenant of an entry that is refused for another reason.
const uncounted = "-\x00"

// throttled is what an entry is answered that has to wait. Amazon EventBridge, API reference, "PutEventsResultEntry":
// of the codes of an entry this one and InternalFailure say that it may be sent again.
func (q *Quota) throttled(tenant string, wait time.Duration) (code, why string) {
	return "ThrottlingException", fmt.Sprintf("Rate exceeded: the tenant %q may publish %d events a second. Send this "+
		"entry again; there is room for its next one in %s.", tenant, q.rate(tenant).Events,
		wait.Truncate(time.Millisecond)+time.Millisecond)
}

// flushEvery is how often what was throttled is kept for the overview.
const flushEvery = 10 * time.Second

// Run keeps what was throttled, until the context ends.
func (q *Quota) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			q.Flush(ctx)
		case <-ctx.Done():
			q.Flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// Flush keeps what was throttled since the last time: one write for all tenants, whatever was published.
func (q *Quota) Flush(ctx context.Context) {
	q.mu.Lock()
	over := q.over
	q.over = nil
	q.mu.Unlock()
	if len(over) == 0 || q.Counters == nil {
		return
	}
	now := q.Now()
	counts := make([]health.Count, 0, len(over))
	for tenant, entries := range over {
		counts = append(counts, health.Throttle(tenant, now, entries))
	}
	if err := q.Counters.Add(ctx, counts); err != nil && !errors.Is(err, context.Canceled) {
		q.Log.Error("count what was throttled: the overview will not show it", "tenants", len(counts), "error",
			err.Error())
	}
}
