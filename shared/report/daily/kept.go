package daily

import (
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/report/calendar"
	"tocsin/shared/timezone"
)

// CheckKept says that a period begins before the first day of which all is kept: a report on it would tell zeros.
func CheckKept(p calendar.Period, now time.Time) (problems destination.InvalidParameters) {
	first := calendar.DayOf(now.AddDate(0, -KeepMonths, 0), timezone.Open(p.Zone)).Add(1)
	if p.From < first {
		problems.Addf("from", "must be %s or later: daily totals are kept for %d months", first, KeepMonths)
	}
	return problems
}
