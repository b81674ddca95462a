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
	"tocsin/shared/report/daily"
	"tocsin/shared/report/selected"
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

// An event of a period arrives at most so long before it begins, by its publisher's clock, and so long after it ends.
const early, late = time.Hour, 24 * time.Hour

// checkFilters says what is wrong with the filters of a request, and with a beginning of which nothing is kept.
func (s *Service) checkFilters(ctx context.Context, tenant string, q Request) (
	problems destination.InvalidParameters, err error) {
	if len(q.Filters) == 0 {
		return daily.CheckKept(q.Period, s.Now()), nil
	}
	problems = filter.CheckReport(q.Filters)
	v, err := s.Store.Settings(ctx, tenant)
	v.Zone = q.Period.Zone
	if since := s.Since(v); q.Period.From < since {
		problems.Addf("from", "must be %s or later: a report by filters is made of the events, which are kept for "+
			"%d days", since, int(s.Kept(v).Events/(24*time.Hour)))
	}
	return problems, err
}

// totals are what a report is made of.
func (s *Service) totals(ctx context.Context, r *Report) (DailyTotals, error) {
	if len(r.Filters) == 0 {
		return s.Totals, nil
	}
	out, err := selected.New(r.Filters, r.Period, s.Now)
	if err != nil {
		return nil, err
	}
	begins, ends := r.Period.Span()
	to := ends.Add(late)
	if now := s.Now(); now.Before(to) {
		to = now
	}
	if err := s.Events.Each(ctx, r.Tenant, begins.Add(-early), to, func(e event.Event) error {
		return out.Look(ctx, e)
	}); err != nil {
		return nil, fmt.Errorf("read the events from %s to %s: %w", begins.Add(-early), to, err)
	}
	return out, out.Flush(ctx)
}

// saidFilters says to a person by which filters a report was made, "" when by none.
func saidFilters(filters []filter.Filter, l wording.Language) string {
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
func (s *Summary) Selected() string { return saidFilters(s.Filters, s.Language.Or(wording.English)) }

// whyFailed says to a person why a report on demand could not be made.
func whyFailed(err error) string {
	if errors.Is(err, selected.ErrTooMany) {
		return selected.ErrTooMany.Error()
	}
	return "the report could not be made: order it again; if it fails again, tell the platform's operator its id"
}
