// Package report records what fan-out accepts and makes reports of it (product facts, section 5).
//
// The record is small: counts for each day of the tenant's zone, and the rows that a report lists. Recorder makes it
// from events, an engine keeps it behind DailyTotals and bounds it (see MaxValues and MaxAttacks), Build reads a period
// of it into a Summary in bounded memory. How a Summary looks is the affair of its subpackage pdf, of the CSV writer
// and of the mail's templates.
//
// A schedule makes nothing new on the way out: Service renders a report once for a tenant and period, keeps it, and
// publishes one event for each receiver. Such an event becomes a delivery as any other does, with its retry cycles and
// its log; its id is made of the period and the receiver, so a schedule that runs twice sends no second mail.
//
// Days are cut in the tenant's zone when they are recorded: a tenant that changes its zone keeps the days that it has.
package report
