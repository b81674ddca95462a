package memory

import (
	"context"

	"tocsin/shared/report"
)

// DailyTotals reads what reports are made of.
type DailyTotals struct{ e *Engine }

// DailyTotals returns the daily totals.
func (e *Engine) DailyTotals() *DailyTotals { return &DailyTotals{e} }

var _ report.DailyTotals = (*DailyTotals)(nil)

type dayOf struct {
	tenant string
	day    report.Day
}

func (e *Engine) addDay(r report.DayEntry) {
	k := dayOf{r.Tenant, r.Day}
	if e.days[k] == nil {
		e.days[k] = &report.DayTotals{}
	}
	e.days[k].Add(r)
}

// visit hands a copy of each day of a range to visit, outside of the lock.
func (l *DailyTotals) visit(tenant string, first, last report.Day,
	visit func(report.Day, report.DayTotals) error) error {
	for day := first; day <= last; day = day.Add(1) {
		l.e.mu.Lock()
		var totals report.DayTotals
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
func (l *DailyTotals) Counts(_ context.Context, tenant string, first, last report.Day,
	visit func(report.Day, report.Count) error) error {
	return l.visit(tenant, first, last, func(day report.Day, totals report.DayTotals) error {
		for dimension, values := range totals.Counts {
			for value, n := range values {
				if err := visit(day, report.Count{Dimension: dimension, Value: value, N: n}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Attacks visits attacks.
func (l *DailyTotals) Attacks(_ context.Context, tenant string, first, last report.Day,
	visit func(report.Day, report.Attack) error) error {
	return l.visit(tenant, first, last, func(day report.Day, totals report.DayTotals) error {
		for _, a := range totals.Attacks {
			if err := visit(day, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Incidents visits incidents.
func (l *DailyTotals) Incidents(_ context.Context, tenant string, first, last report.Day,
	visit func(report.Incident) error) error {
	return l.visit(tenant, first, last, func(_ report.Day, totals report.DayTotals) error {
		for _, i := range totals.Incidents {
			if err := visit(i); err != nil {
				return err
			}
		}
		return nil
	})
}

// Vulnerabilities visits vulnerabilities.
func (l *DailyTotals) Vulnerabilities(_ context.Context, tenant string, first, last report.Day,
	visit func(report.Vulnerability) error) error {
	return l.visit(tenant, first, last, func(_ report.Day, totals report.DayTotals) error {
		for _, v := range totals.Vulnerabilities {
			if err := visit(v); err != nil {
				return err
			}
		}
		return nil
	})
}
