package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/notification"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// A report by filters is made of the events themselves: the daily totals know no more of a day than its numbers. So it
// goes back as far as events are kept, and is compared with nothing, because those of the period before may have gone.

// Events reads the accepted events that are kept.
type Events interface {
	// Each visits those of a tenant that arrived from a time on and before another, oldest first. An error of visit
	// ends it.
	Each(ctx context.Context, tenant string, from, to time.Time, visit func(event.Event) error) error
}

const (
	// mostEvents is how many events a report by filters looks at: some minutes on AWS.
	mostEvents = 1_000_000
	// An event of a period arrives at most so long before it begins, by the clock of who publishes it, and is looked
	// for so long after it ends.
	early, late = time.Hour, 24 * time.Hour
	// selectedBatch is how many events are added up at once.
	selectedBatch = 500
)

// errTooMany: the period has more events than mostEvents. It is for a person.
var errTooMany = fmt.Errorf("more than %s events arrived in the period and the day after it: order the report on "+
	"fewer days", Thousands(mostEvents))

// Since is the first day, in a zone, that a report by filters can be made of.
func (s *Service) Since(zone string) calendar.Day {
	return calendar.DayOf(s.Now().Add(-s.EventsKept), calendar.Location(zone)).Add(1)
}

// checkFilters says what is wrong with the filters of a request.
func (s *Service) checkFilters(q Request) destination.InvalidParameters {
	if len(q.Filters) == 0 {
		return nil
	}
	problems := filter.CheckReport(q.Filters)
	if since := s.Since(q.Period.Zone); q.Period.From < since {
		problems.Addf("from", "must be %s or later: a report by filters is made of the events, which are kept for %d days",
			since, int(s.EventsKept/(24*time.Hour)))
	}
	return problems
}

// totals are what a report is made of.
func (s *Service) totals(ctx context.Context, r *Report) (DailyTotals, error) {
	if len(r.Filters) == 0 {
		return s.Totals, nil
	}
	matcher, err := filter.Compile(r.Filters)
	if err != nil {
		return nil, fmt.Errorf("read the filters: %w", err)
	}
	out := &selection{Matcher: matcher, period: r.Period, days: map[calendar.Day]*daily.Totals{},
		recorder: daily.Recorder{Now: s.Now, Zone: func(context.Context, string) (string, error) {
			return r.Period.Zone, nil
		}}}
	begins, ends := r.Period.Span()
	to := ends.Add(late)
	if now := s.Now(); now.Before(to) {
		to = now
	}
	if err := s.Events.Each(ctx, r.Tenant, begins.Add(-early), to, func(e event.Event) error {
		return out.look(ctx, e)
	}); err != nil {
		return nil, fmt.Errorf("read the events from %s to %s: %w", begins.Add(-early), to, err)
	}
	return out, out.flush(ctx)
}

// selection is the daily totals of the events that filters select.
type selection struct {
	*filter.Matcher
	recorder daily.Recorder
	period   calendar.Period
	days     map[calendar.Day]*daily.Totals
	batch    []event.Event
	looked   int
}

func (l *selection) look(ctx context.Context, e event.Event) error {
	if l.looked++; l.looked > mostEvents {
		return errTooMany
	}
	if !filter.Reported(e.Kind) {
		return nil
	}
	if s := filter.See(e); !l.Match(&s) {
		return nil
	}
	if l.batch = append(l.batch, e); len(l.batch) < selectedBatch {
		return nil
	}
	return l.flush(ctx)
}

// flush adds the batch to its days.
func (l *selection) flush(ctx context.Context) error {
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
func (l *selection) each(first, last calendar.Day, visit func(calendar.Day, *daily.Totals) error) error {
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
func (l *selection) Counts(_ context.Context, _ string, first, last calendar.Day,
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
func (l *selection) Attacks(_ context.Context, _ string, first, last calendar.Day,
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
func (l *selection) Incidents(_ context.Context, _ string, first, last calendar.Day,
	visit func(daily.Incident) error) error {
	return l.each(first, last, func(_ calendar.Day, t *daily.Totals) error {
		return visitAll(t.Incidents, visit)
	})
}

// Vulnerabilities visits the vulnerabilities.
func (l *selection) Vulnerabilities(_ context.Context, _ string, first, last calendar.Day,
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

// selected says to a person by which filters a report was made, "" when by none.
func selected(filters []filter.Filter, l wording.Language) string {
	if len(filters) == 0 {
		return ""
	}
	apart := "; "
	if l == wording.Japanese {
		apart = "、かつ"
	}
	return wording.In(l, "Only events that all filters select are in it.") + between(l) +
		notification.Notification{Language: l}.Label("Filters") +
		strings.Join(filter.Words(filters, filter.ReportRules(), l), apart)
}

// between is what stands between sentences.
func between(l wording.Language) string {
	if l == wording.Japanese {
		return ""
	}
	return " "
}

// Selected says by which filters the report was made, "" when by none.
func (s *Summary) Selected() string { return selected(s.Filters, s.Language.Or(wording.English)) }

// whyFailed says to a person why a report on demand could not be made.
func whyFailed(err error) string {
	if errors.Is(err, errTooMany) {
		return errTooMany.Error()
	}
	return "the report could not be made: order it again; if it fails again, tell the platform's operator its id"
}
