package delivery

import (
	"slices"
	"time"

	"tocsin/shared/destination"
)

// LateAfter is how long after its arrival an event is history: an incident manager gets it no more (see
// fanout.Missed.Page), and what is sent of it says that it is late.
const LateAfter = time.Hour

// Late tells of an attempt whether it is one at old events, and whether they have arrived before: what was recovered,
// sent again or retried for long is late by its time alone.
func (d Delivery) Late(before []Attempt, at time.Time) (late, again bool) {
	if at.Sub(d.CreatedAt) <= LateAfter {
		return false, false
	}
	return true, slices.ContainsFunc(before,
		func(a Attempt) bool { return a.Delivered && a.Status != destination.MailNotSent })
}

// Planned is the wait that the last attempt ordered.
func (d Delivery) Planned() time.Duration {
	if len(d.Attempts) == 0 {
		return 0
	}
	last := d.Attempts[len(d.Attempts)-1]
	return max(0, d.Due.Sub(last.At.Add(last.Took)))
}

// Overdue is how late the next attempt at a retrying delivery must be for it to count as stranded: its execution was
// stopped, or is from a time that a table was restored from. An engine whose retries are due times in its own queue has
// no such deliveries: what is due there is sent.
const Overdue = time.Hour

// StrandedOf keeps those of rows that are stranded: an index can be behind its table.
func StrandedOf(list []Delivery, before time.Time) []Delivery {
	return slices.DeleteFunc(list, func(d Delivery) bool { return d.State != Retrying || !d.Due.Before(before) })
}
