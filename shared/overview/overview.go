// Package overview sums up what became of a tenant's events in the last 24 hours, and finds what needs a person.
//
// It counts nothing itself. It reads what workers and fan-out count anyway, in the writes that they make anyway: the
// ten-minute counters of each integration (package health), and those of the events that came in. What is asked of the
// deliveries themselves is bounded: what waits, and what was not sent.
package overview

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tocsin/shared/command"
	"tocsin/shared/destination"
	"tocsin/shared/filter"
	"tocsin/shared/health"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// Hours is how many steps of an hour an Overview has; the last one is that of now.
const Hours = 24

// Overview is what became of a tenant's events since From, the beginning of an hour. Integrations that were deleted,
// and people's own notifications, are not in it.
type Overview struct {
	From, To     time.Time
	Events       int       // that came in
	Throttled    int       // entries that were published over the tenant's quota, each time
	ThrottledAt  time.Time // about when the last of them was; zero when none was
	All          Sum
	Hours        [Hours]Hour
	Integrations []Line // in the order of their making
	Trouble      []Trouble
	Untaken      []command.Command // the first one of each kind of commands that nobody takes
}

// Hour is what one hour brought.
type Hour struct {
	At                      time.Time // its beginning
	Events, Delivered, Dead int
}

// Sum is what became of deliveries, and what waits now.
type Sum struct {
	health.Ended
	Waiting        integration.Waiting
	More, HeldMore bool // there are more than is counted of what waits, or of what is held
}

// Line is the sum of one integration.
type Line struct {
	Integration integration.Integration
	Sum
	LeftOut int          // events that its filters, quiet hours or a mute stopped
	spared  time.Time    // until when something waits because its system asked to be sent less
	Hours   *[Hours]Hour // without Events; nil when nothing ended
}

// Integrations reads the tenant's integrations: the part of integration.Service that this package needs.
type Integrations interface {
	integration.Lister
	// Opens reports whether the secrets can be opened; an error passes.
	Opens(ctx context.Context, i integration.Integration) (bool, error)
}

// Series reads counters: the part of health.Counters that this package needs.
type Series interface {
	Series(ctx context.Context, tenant, integration string, window int64, since time.Time) ([]health.Point, error)
	Several(ctx context.Context, tenant string, of []health.SeriesKey, since time.Time,
		visit func(n int, p health.Point)) error
}

// Backlog counts what waits and what was not sent: the part of integration.Backlog that this package needs.
type Backlog interface {
	CountWaitingOf(ctx context.Context, tenant string, integrations []string, limit int) ([]integration.Waiting, error)
	CountDead(ctx context.Context, tenant, integration string, from time.Time, limit int) (int, error)
}

// Holds knows which systems are spared because they asked for it.
type Holds interface {
	// HeldUntil is when the next request may begin to each of some integrations: zero where its system is not spared.
	HeldUntil(ctx context.Context, tenant string, integrations []string) ([]time.Time, error)
}

// Commands knows which commands of triggers nobody takes: the part of command.Store that this package needs.
type Commands interface {
	Untaken(ctx context.Context, tenant string, now time.Time) ([]command.Command, error)
}

// Systems finds a system by its name: the part of the catalogue that this package needs.
type Systems interface {
	Lookup(name string) (s destination.System, available, ok bool)
}

// TenantHolds reads the rules of tenants by which what is sent waits, or is dropped.
type TenantHolds interface {
	Fresh(ctx context.Context, tenant string) (hold.Rules, error)
}

// Reader makes Overviews.
type Reader struct {
	Integrations Integrations
	Systems      Systems
	Counters     Series
	Backlog      Backlog     // nil: nobody knows what waits
	Holds        Holds       // nil: nobody knows which systems are spared
	Commands     Commands    // nil: there are none
	Tenants      TenantHolds // nil: tenants have no rules
	Now          func() time.Time
}

const (
	reads = 16 // integrations that are looked at at a time: what is dead of one in trouble is a query
	// windows is how many enablings of one day are summed up, the newest ones.
	windows = 8
)

// Since is the beginning of an Overview.
func Since(now time.Time) time.Time {
	return now.UTC().Truncate(time.Hour).Add(-(Hours - 1) * time.Hour)
}

// Stopped is how many events an integration did not get for a reason: a filter, or what dropped them (hold.By).
type Stopped struct {
	By     filter.ID
	Events int
}

// LeftOut counts the events since a time that an integration did not get: by each of its filters, as it has them now,
// in their order; then by what else stopped any, quiet hours, a mute, and filters that it has no more.
func LeftOut(ctx context.Context, s Series, i integration.Integration, since time.Time) ([]Stopped, error) {
	own := reasons(i, i.UpdatedAt, true) // without those that it has no more
	var keys []health.SeriesKey
	var out []Stopped
	for _, by := range reasons(i, since, true) {
		keys = append(keys, health.SeriesKey{Integration: health.LeftOutOf(i.ID, string(by))})
		out = append(out, Stopped{By: by})
	}
	add := func(n int, p health.Point) { out[n].Events += p.Attempts }
	if err := s.Several(ctx, i.Tenant, keys, since, add); err != nil {
		return nil, fmt.Errorf("read what integration %s did not get: %w", i.ID, err)
	}
	filters := len(own) - len(dropping)
	return append(out[:filters:filters], slices.DeleteFunc(out[filters:], func(s Stopped) bool {
		return s.Events == 0
	})...), nil
}

// dropping are what else than a filter stops events.
var dropping = []filter.ID{filter.ID(hold.ByQuiet), filter.ID(hold.ByMute)}

// reasons are those for which an integration can have missed events since a time: its filters, each once however many
// it has of it, what drops events where its rules or others do (dropped), and where it was changed since then every
// other filter, which it may have had.
func reasons(i integration.Integration, since time.Time, dropped bool) (out []filter.ID) {
	for _, f := range i.Filters {
		if !slices.Contains(out, f.ID) {
			out = append(out, f.ID)
		}
	}
	changed := i.UpdatedAt.After(since)
	if dropped || changed || !i.Hold.Zero() {
		out = append(out, dropping...)
	}
	if changed {
		for _, id := range filter.OfIntegrations {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// Read makes the overview of a tenant.
func (r *Reader) Read(ctx context.Context, tenant string) (Overview, error) {
	now := r.Now()
	o := Overview{From: Since(now), To: now.UTC()}
	for n := range o.Hours {
		o.Hours[n].At = o.From.Add(time.Duration(n) * time.Hour)
	}
	arrived, err := r.Counters.Series(ctx, tenant, health.Arrivals, 0, o.From)
	if err != nil {
		return o, fmt.Errorf("read what came in for tenant %s: %w", tenant, err)
	}
	for _, p := range arrived {
		o.Events += p.Attempts
		o.Hours[o.hour(p.At)].Events += p.Attempts
	}
	throttled, err := r.Counters.Series(ctx, tenant, health.Throttled, 0, o.From)
	if err != nil {
		return o, fmt.Errorf("read what tenant %s published over its quota: %w", tenant, err)
	}
	for _, p := range throttled {
		o.Throttled += p.Attempts
		o.ThrottledAt = p.At
	}
	if err := r.lines(ctx, tenant, &o); err != nil {
		return o, err
	}
	if r.Commands != nil {
		if o.Untaken, err = r.Commands.Untaken(ctx, tenant, now); err != nil {
			return o, err
		}
	}
	slices.SortStableFunc(o.Trouble, func(a, b Trouble) int {
		return cmp.Or(cmp.Compare(a.Cause.rank(), b.Cause.rank()), b.Since.Compare(a.Since))
	})
	return o, nil
}

// hour is the place of the hour that holds a time; a clock that is ahead counts for the last one.
func (o *Overview) hour(at time.Time) int { return min(int(at.Sub(o.From)/time.Hour), Hours-1) }

// lines adds the integrations.
func (r *Reader) lines(ctx context.Context, tenant string, o *Overview) error {
	all, err := integration.All(ctx, r.Integrations, tenant)
	if err != nil {
		return fmt.Errorf("list the integrations of tenant %s: %w", tenant, err)
	}
	o.Integrations = make([]Line, len(all))
	for n, i := range all {
		o.Integrations[n].Integration = i
	}
	answers, err := r.ended(ctx, tenant, o)
	if err != nil {
		return err
	}
	if err := r.waiting(ctx, tenant, o); err != nil {
		return err
	}
	troubles := make([]*Trouble, len(all))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(reads)
	for n := range all {
		work.Go(func() (err error) {
			troubles[n], err = r.trouble(ctx, o, &o.Integrations[n], answers[n])
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for n := range o.Integrations {
		l := &o.Integrations[n]
		o.All.Merge(l.Ended)
		o.All.Waiting.Add(l.Waiting)
		o.All.More, o.All.HeldMore = o.All.More || l.More, o.All.HeldMore || l.HeldMore
		if l.Hours != nil {
			for h, of := range l.Hours {
				o.Hours[h].Delivered += of.Delivered
				o.Hours[h].Dead += of.Dead
			}
		}
		if troubles[n] != nil {
			o.Trouble = append(o.Trouble, *troubles[n])
		}
	}
	return nil
}

// ended adds what became of deliveries, and what filters stopped, and returns the answers to the newest failures in the
// present windows.
func (r *Reader) ended(ctx context.Context, tenant string, o *Overview) (answers map[int]health.Answer, err error) {
	dropped, err := r.dropped(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var keys []health.SeriesKey
	var lines []int // whose they are
	for n := range o.Integrations {
		i := &o.Integrations[n].Integration
		// A window begins when the integration is enabled, which is a change of it.
		oldest := i.Window
		if !i.UpdatedAt.Before(o.From) {
			oldest = max(min(1, i.Window), i.Window-windows+1)
		}
		for window := oldest; window <= i.Window; window++ {
			keys, lines = append(keys, health.SeriesKey{Integration: i.ID, Window: window}), append(lines, n)
		}
		for _, by := range reasons(*i, o.From, dropped) {
			keys = append(keys, health.SeriesKey{Integration: health.LeftOutOf(i.ID, string(by))})
			lines = append(lines, n)
		}
	}
	answers = map[int]health.Answer{}
	if err := r.Counters.Several(ctx, tenant, keys, o.From, func(n int, p health.Point) {
		l := &o.Integrations[lines[n]]
		if keys[n].Integration != l.Integration.ID {
			l.LeftOut += p.Attempts
			return
		}
		l.Merge(p.Ended)
		if p.Delivered > 0 || p.Dead > 0 {
			l.hour(o, p)
		}
		if keys[n].Window == l.Integration.Window && p.Failures > 0 && p.Answer != (health.Answer{}) {
			answers[lines[n]] = p.Answer
		}
	}); err != nil {
		return nil, fmt.Errorf("read what became of deliveries of tenant %s: %w", tenant, err)
	}
	return answers, nil
}

// dropped reports whether a tenant's own rules drop what they hold.
func (r *Reader) dropped(ctx context.Context, tenant string) (bool, error) {
	if r.Tenants == nil {
		return false, nil
	}
	rules, err := r.Tenants.Fresh(ctx, tenant)
	if err != nil {
		return false, fmt.Errorf("read the rules of tenant %s: %w", tenant, err)
	}
	return rules.Then == hold.Drop || rules.Mute != nil && rules.Mute.Then == hold.Drop, nil
}

// hour adds what ended in ten minutes.
func (l *Line) hour(o *Overview, p health.Point) {
	if l.Hours == nil {
		l.Hours = &[Hours]Hour{}
		for n := range l.Hours {
			l.Hours[n].At = o.Hours[n].At
		}
	}
	hour := &l.Hours[o.hour(p.At)]
	hour.Delivered += p.Delivered
	hour.Dead += p.Dead
}

// waiting adds what waits for the enabled ones.
func (r *Reader) waiting(ctx context.Context, tenant string, o *Overview) error {
	if r.Backlog == nil {
		return nil
	}
	var ids []string
	var lines []*Line
	for n := range o.Integrations {
		if l := &o.Integrations[n]; l.Integration.Enabled() {
			ids, lines = append(ids, l.Integration.ID), append(lines, l)
		}
	}
	counts, err := r.Backlog.CountWaitingOf(ctx, tenant, ids, integration.WaitingLimit)
	if err != nil {
		return fmt.Errorf("count what waits of tenant %s: %w", tenant, err)
	}
	for n, w := range counts {
		l := lines[n]
		l.Waiting, l.More, l.HeldMore = w, w.More(), w.HeldMore()
	}
	return r.spared(ctx, tenant, lines)
}

// spared adds until when the systems are spared that something waits for.
func (r *Reader) spared(ctx context.Context, tenant string, lines []*Line) error {
	lines = slices.DeleteFunc(lines, func(l *Line) bool { return l.Waiting.Count == 0 && !l.Waiting.Floor })
	if r.Holds == nil || len(lines) == 0 {
		return nil
	}
	ids := make([]string, len(lines))
	for n, l := range lines {
		ids[n] = l.Integration.ID
	}
	until, err := r.Holds.HeldUntil(ctx, tenant, ids)
	if err != nil {
		return fmt.Errorf("look which systems of tenant %s are spared: %w", tenant, err)
	}
	for n, at := range until {
		lines[n].spared = at
	}
	return nil
}
