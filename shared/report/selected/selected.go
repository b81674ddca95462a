// Package selected makes daily totals of the events that filters select, for one report.
package selected

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/trace"
)

const (
	// mostEvents is how many events a report by filters looks at: some minutes on AWS.
	mostEvents = 1_000_000
	// batch is how many events are added up at once.
	batch = 500
)

// ErrTooMany: the period has more events than are looked at. It is for a person.
var ErrTooMany = errors.New("more than 1,000,000 events arrived in the period and the day after it: order the report " +
	"on fewer days")

// Totals is the daily totals of the events that filters select (report.DailyTotals).
type Totals struct {
	matcher  *filter.Matcher
	recorder daily.Recorder
	period   calendar.Period
	days     map[calendar.Day]*daily.Totals
	batch    []event.Event
	looked   int
}

// New is that of no events yet.
func New(filters []filter.Filter, p calendar.Period, now func() time.Time) (*Totals, error) {
	matcher, err := filter.Compile(filters)
	if err != nil {
		return nil, fmt.Errorf("read the filters: %w", err)
	}
	return &Totals{matcher: matcher, period: p, days: map[calendar.Day]*daily.Totals{},
		recorder: daily.Recorder{Now: now, Zone: func(context.Context, string) (string, error) { return p.Zone, nil }},
	}, nil
}

// Look adds an event if the filters select it. Error: ErrTooMany.
func (l *Totals) Look(ctx context.Context, e event.Event) error {
	if l.looked++; l.looked > mostEvents {
		return ErrTooMany
	}
	if !filter.Reported(e.Kind) {
		return nil
	}
	if s := filter.See(e); !l.matcher.Match(&s) {
		return nil
	}
	trace.Uses(ctx, e.Trace, e.Tenant, e.ID)
	if l.batch = append(l.batch, e); len(l.batch) < batch {
		return nil
	}
	return l.Flush(ctx)
}

// Flush adds what was looked at last.
func (l *Totals) Flush(ctx context.Context) error {
	entries, err := l.recorder.Records(ctx, l.batch)
	if err != nil {
		return err
	}
	l.batch = l.batch[:0]
	for _, e := range entries {
		if e.Day < l.period.From || e.Day > l.period.To {
			continue
		}
		if l.days[e.Day] == nil {
			l.days[e.Day] = &daily.Totals{}
		}
		l.days[e.Day].Add(e)
	}
	return nil
}

// each visits the totals of days.
func (l *Totals) each(first, last calendar.Day, visit func(calendar.Day, *daily.Totals) error) error {
	for d, totals := range l.days {
		if d < first || d > last {
			continue
		}
		if err := visit(d, totals); err != nil {
			return err
		}
	}
	return nil
}

// Counts visits the counts of the days from first to last.
func (l *Totals) Counts(_ context.Context, _ string, first, last calendar.Day,
	visit func(calendar.Day, daily.Count) error) error {
	return l.each(first, last, func(d calendar.Day, t *daily.Totals) error {
		for dimension, values := range t.Counts {
			for value, n := range values {
				if err := visit(d, daily.Count{Dimension: dimension, Value: value, N: n}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Attacks visits the attacks of each of those days.
func (l *Totals) Attacks(_ context.Context, _ string, first, last calendar.Day,
	visit func(calendar.Day, daily.Attack) error) error {
	return l.each(first, last, func(d calendar.Day, t *daily.Totals) error {
		for k, a := range t.Attacks {
			a.Key = k
			if err := visit(d, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Incidents visits the incidents.
func (l *Totals) Incidents(_ context.Context, _ string, first, last calendar.Day,
	visit func(daily.Incident) error) error {
	return l.each(first, last, func(_ calendar.Day, t *daily.Totals) error {
		return visitAll(t.Incidents, visit)
	})
}

// Vulnerabilities visits the vulnerabilities.
func (l *Totals) Vulnerabilities(_ context.Context, _ string, first, last calendar.Day,
	visit func(daily.Vulnerability) error) error {
	return l.each(first, last, func(_ calendar.Day, t *daily.Totals) error {
		return visitAll(t.Vulnerabilities, visit)
	})
}

func visitAll[T any](list []T, visit func(T) error) error {
	for _, v := range list {
		if err := visit(v); err != nil {
			return err
		}
	}
	return nil
}
