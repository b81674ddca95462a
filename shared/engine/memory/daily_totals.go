package memory

import (
	"context"

	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// DailyTotals reads what reports are made of.
type DailyTotals struct{ e *Engine }

// DailyTotals returns the daily totals.
func (e *Engine) DailyTotals() *DailyTotals { return &DailyTotals{e} }

var _ report.DailyTotals = (*DailyTotals)(nil)

type dayOf struct {
	tenant string
	day    calendar.Day
}

func (e *Engine) addDay(r daily.Entry) {
	k := dayOf{r.Tenant, r.Day}
	if e.days[k] == nil {
		e.days[k] = &daily.Totals{}
	}
	e.days[k].Add(r)
}

// visit hands a copy of each day of a range to visit, outside of the lock.
func (l *DailyTotals) visit(tenant string, first, last calendar.Day,
	visit func(calendar.Day, daily.Totals) error) error {
	for day := first; day <= last; day = day.Add(1) {
		l.e.mu.Lock()
		var totals daily.Totals
		if held := l.e.days[dayOf{tenant, day}]; held != nil {
			totals = held.Clone()
		}
		l.e.mu.Unlock()
		if err := visit(day, totals); err != nil {
			return err
		}
	}
	return nil
}

// Counts visits counts.
func (l *DailyTotals) Counts(_ context.Context, tenant string, first, last calendar.Day,
	visit func(calendar.Day, daily.Count) error) error {
	return l.visit(tenant, first, last, func(day calendar.Day, totals daily.Totals) error {
		for dimension, values := range totals.Counts {
			for value, n := range values {
				if err := visit(day, daily.Count{Dimension: dimension, Value: value, N: n}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Attacks visits attacks.
func (l *DailyTotals) Attacks(_ context.Context, tenant string, first, last calendar.Day,
	visit func(calendar.Day, daily.Attack) error) error {
	return l.visit(tenant, first, last, func(day calendar.Day, totals daily.Totals) error {
		for _, a := range totals.Attacks {
			if err := visit(day, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Incidents visits incidents.
func (l *DailyTotals) Incidents(_ context.Context, tenant string, first, last calendar.Day,
	visit func(daily.Incident) error) error {
	return l.visit(tenant, first, last, func(_ calendar.Day, totals daily.Totals) error {
		for _, i := range totals.Incidents {
			if err := visit(i); err != nil {
				return err
			}
		}
		return nil
	})
}

// Vulnerabilities visits vulnerabilities.
func (l *DailyTotals) Vulnerabilities(_ context.Context, tenant string, first, last calendar.Day,
	visit func(daily.Vulnerability) error) error {
	return l.visit(tenant, first, last, func(_ calendar.Day, totals daily.Totals) error {
		for _, v := range totals.Vulnerabilities {
			if err := visit(v); err != nil {
				return err
			}
		}
		return nil
	})
}
