package integration

import (
	"fmt"
	"strconv"
	"strings"

	"tocsin/shared/destination"
)

// StormGuard bounds how many messages of an integration people are sent in a minute: with "60/minute", what is beyond
// 60 is told in one digest a minute. NoStormGuard = nothing is; "" = DefaultStormGuard. How it counts: see
// fanout.MessageCounter.
type StormGuard string

// Bounds of a StormGuard.
const (
	NoStormGuard      StormGuard = "none"
	DefaultStormGuard StormGuard = "60/minute"
	MaxStormGuard                = 1000
)

// Limit is how many messages a minute has, 0 = as many as come.
func (g StormGuard) Limit() int {
	if g == "" {
		g = DefaultStormGuard
	}
	count, per, _ := strings.Cut(string(g), "/")
	n, err := strconv.Atoi(count)
	if err != nil || per != "minute" || n < 1 || n > MaxStormGuard || strconv.Itoa(n) != count {
		return 0
	}
	return n
}

// checkStormGuard looks at the storm guard of an integration of a system.
func checkStormGuard(g StormGuard, system destination.System) InvalidError {
	switch {
	case g == "":
		return nil
	case system.Name != "" && !system.Class.Read():
		return InvalidError{{Field: "storm_guard", Reason: "must be empty: it guards people, and a program reads " +
			"what this system is sent"}}
	case g != NoStormGuard && g.Limit() == 0:
		return InvalidError{{Field: "storm_guard", Reason: fmt.Sprintf(
			"must be a whole number from 1 to %d and minute, such as 60/minute; or none; or empty for %s",
			MaxStormGuard, DefaultStormGuard)}}
	}
	return nil
}
