// Package retention says how long what came for a tenant is kept: its events, which hold all that is sent of them, and
// the log of its deliveries, which holds what systems answered. An installation keeps both for so many days at most,
// and a tenant can choose fewer.
package retention

import (
	"time"

	"tocsin/shared/destination"
)

// Least is the fewest days that a tenant can choose. Retries end within half a day, and health looks back over twelve
// hours. What people do by hand needs a week: that an integration was disabled on a Friday is found after the weekend,
// or after days off, and what it missed is sent then. An installation that keeps less has nothing to choose from.
const Least = 7

// Setting is what a tenant chose. The zero value keeps all as long as the installation does.
type Setting struct {
	// Events and Deliveries are in days; 0 = as long as the installation.
	Events     int `json:"events,omitempty"`
	Deliveries int `json:"deliveries,omitempty"`
	// Changed is when it was chosen last, and Shortest for how few days events were kept before, as far as those can be
	// there still: what came in such days went, or goes, after so few.
	Changed  time.Time `json:"changed,omitzero"`
	Shortest int       `json:"shortest,omitempty"`
	// Until: what was written before a choice of fewer days, by an engine that notes with each row when it ends, is
	// there until then at the latest.
	Until time.Time `json:"until,omitzero"`
}

// Days are what a tenant chooses; 0 = as long as the installation.
type Days struct{ Events, Deliveries int }

// Kept is how long is kept what came for a tenant.
type Kept struct{ Events, Deliveries time.Duration }

const day = 24 * time.Hour

// For is what holds in an installation that keeps all for so long at most. A delivery is never kept longer than its
// events: it is shown with them, and sent again from them.
func (s Setting) For(most time.Duration) Kept {
	events := within(s.Events, most)
	return Kept{Events: events, Deliveries: within(s.Deliveries, events)}
}

func within(days int, most time.Duration) time.Duration {
	if chosen := time.Duration(days) * day; days > 0 && chosen < most {
		return chosen
	}
	return most
}

// Since is from when on every event is there. written: by an engine that notes with each event when it goes, so that
// what came before a choice of more days goes as it was to go.
func (s Setting) Since(now time.Time, most time.Duration, written bool) time.Time {
	since := now.Add(-s.For(most).Events)
	if s.Changed.IsZero() {
		return since
	}
	gone := s.Changed.Add(-time.Duration(s.Shortest) * day)
	if written {
		if gone = now.Add(-time.Duration(s.Shortest) * day); gone.After(s.Changed) {
			gone = s.Changed
		}
	}
	if gone.After(since) {
		return gone
	}
	return since
}

// Change is the setting with other days.
func (s Setting) Change(to Days, now time.Time, most time.Duration) Setting {
	before := s.For(most)
	out := Setting{Events: to.Events, Deliveries: to.Deliveries, Changed: now.UTC(),
		Shortest: int(before.Events / day), Until: s.Until}
	if s.Changed.After(now.Add(-before.Events)) {
		out.Shortest = min(out.Shortest, s.Shortest)
	}
	if after := out.For(most); after.Events < before.Events || after.Deliveries < before.Deliveries {
		if until := now.Add(before.Events).UTC(); until.After(out.Until) {
			out.Until = until
		}
	}
	return out
}

// Days are what the tenant chose.
func (s Setting) Days() Days { return Days{s.Events, s.Deliveries} }

// Check says what is wrong with a choice; field is what its places begin with.
func Check(d Days, most time.Duration, field string) (problems destination.InvalidParameters) {
	limit := int(most / day)
	for _, one := range []struct {
		name string
		days int
	}{{"events", d.Events}, {"deliveries", d.Deliveries}} {
		at := field + "." + one.name
		switch {
		case one.days == 0:
		case limit <= Least:
			problems.Addf(at, "must be 0: there is nothing to choose where the installation keeps no more than %d days",
				Least)
		case one.days < Least || one.days > limit:
			problems.Addf(at, "must be 0, for as long as the installation keeps them, or from %d to %d days", Least,
				limit)
		}
	}
	if kept := within(d.Events, most); len(problems) == 0 && time.Duration(d.Deliveries)*day > kept {
		problems.Addf(field+".deliveries", "must be at most the %d days of the events: a delivery is shown with its "+
			"events, and sent again from them", int(kept/day))
	}
	return problems
}
