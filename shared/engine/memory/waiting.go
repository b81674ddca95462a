package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/integration"
	"tocsin/shared/metrics"
)

// Backlog is what waits, for metrics.
type Backlog struct{ e *Engine }

// Backlog returns what waits.
func (e *Engine) Backlog() Backlog { return Backlog{e} }

var _ metrics.Backlog = Backlog{}

// Lanes visits each integration for which something waits.
func (b Backlog) Lanes(_ context.Context, visit func(metrics.Lane) error) error {
	for _, l := range b.lanes() {
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

func (b Backlog) lanes() (out []metrics.Lane) {
	defer b.e.lock()()
	for k, all := range b.e.deliveries {
		l := metrics.Lane{Tenant: k.tenant, Integration: k.id}
		for _, v := range all {
			count(&l, v)
		}
		if l.Waiting+l.Held > 0 {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(x, y metrics.Lane) int {
		return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(x.Integration, y.Integration))
	})
	return out
}

func count(l *metrics.Lane, v delivery.Delivery) {
	earlier := func(at *time.Time, than time.Time) {
		if at.IsZero() || than.Before(*at) {
			*at = than
		}
	}
	switch {
	case v.State != delivery.Pending && v.State != delivery.Retrying:
		return
	case v.State == delivery.Pending && v.Held != nil && !v.Due.IsZero():
		l.Held++
		return
	case !v.Due.IsZero():
		earlier(&l.Due, v.Due)
	case len(v.Attempts) == 0:
		at := v.CreatedAt
		if v.Held != nil && v.Held.Until.After(at) {
			at = v.Held.Until
		}
		earlier(&l.First, at)
	}
	l.Waiting++
}

// Inbox counts the entries that fan-out has not passed.
func (b Backlog) Inbox(context.Context) (count int, oldest time.Time, err error) {
	defer b.e.lock()()
	rest := b.e.entries[b.e.passed:]
	if len(rest) > 0 {
		oldest = rest[0].At
	}
	return len(rest), oldest, nil
}

// States counts the integrations.
func (b Backlog) States(context.Context) (out []metrics.States, err error) {
	defer b.e.lock()()
	by := map[metrics.States]int{}
	for _, i := range b.e.integrations {
		st := metrics.States{System: i.System, State: metrics.StateEnabled}
		switch {
		case !i.Enabled() && i.Off.By == integration.ByPlatform:
			st.State = metrics.StateBroken
		case !i.Enabled():
			st.State = metrics.StateDisabled
		case i.Failing != nil:
			st.State = metrics.StateFailing
		}
		by[st]++
	}
	for st, n := range by {
		st.Count = n
		out = append(out, st)
	}
	return out, nil
}
