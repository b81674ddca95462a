package integration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/destination"
)

// Grouping lets the events of some minutes travel as one message that a person can read: "50/5m" is one message every
// five minutes, of at most 50 events; more make another. The minutes are those of the clock, so that a message has the
// same events whoever makes it. "" = each event is a message of its own.
//
// What is to be known at once is not grouped: what the integration's holds let pass (hold.Rules.Pass), and what they
// never hold. One list says it for both.
type Grouping string

// Bounds of a Grouping. MaxGrouped keeps within what an engine merges; LongestGrouping is within what recovery allows
// between the events of one delivery (see fanout.CarriedWithin).
const (
	MinGrouped      = 2
	MaxGrouped      = 1000
	LongestGrouping = 60 * time.Minute
)

var groupingForm = regexp.MustCompile(`^[1-9][0-9]{0,3}/[1-9][0-9]?m$`)

// Every is the time that a message gathers events for, 0 where nothing is grouped.
func (g Grouping) Every() time.Duration { every, _ := g.parts(); return every }

// UpTo is how many events a message has at most, 0 where nothing is grouped.
func (g Grouping) UpTo() int { _, upTo := g.parts(); return upTo }

func (g Grouping) parts() (every time.Duration, upTo int) {
	if g == "" || !groupingForm.MatchString(string(g)) { // most have none, and each batch of events asks
		return 0, 0
	}
	count, span, _ := strings.Cut(string(g), "/")
	upTo, err := strconv.Atoi(count)
	minutes, err2 := strconv.Atoi(strings.TrimSuffix(span, "m"))
	every = time.Duration(minutes) * time.Minute
	if err != nil || err2 != nil || upTo < MinGrouped || upTo > MaxGrouped || every > LongestGrouping {
		return 0, 0
	}
	return every, upTo
}

// checkGrouping looks at the grouping of an integration of a system.
func checkGrouping(g Grouping, system destination.System) InvalidError {
	switch {
	case g == "":
		return nil
	case system.Name != "" && !system.Class.Read():
		return InvalidError{{Field: "grouping", Reason: "must be empty: messages are grouped for people, and a " +
			"program reads what this system is sent"}}
	case g.Every() == 0:
		return InvalidError{{Field: "grouping", Reason: fmt.Sprintf("must be a number of events from %d to %d and of "+
			"minutes from 1 to %d, such as 50/5m; or empty", MinGrouped, MaxGrouped,
			int(LongestGrouping/time.Minute))}}
	}
	return nil
}
