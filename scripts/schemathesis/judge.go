package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of a run that says something: 3 % of the calls are refused.
const (
	mostRefused  = 0.2
	leastOfCalls = 1000
)

// judge reads the calls, a line each: "200 GET /v1/systems". Schemathesis is content with any answer that the document
// names, so that it finds nothing where each call is refused.
func judge(calls string) (said string, err error) {
	all, refused, atWork := 0, 0, map[string]bool{}
	for line := range strings.Lines(calls) {
		status, operation, _ := strings.Cut(strings.TrimSpace(line), " ")
		all++
		if status == "401" || status == "403" || status == "429" {
			refused++
		}
		atWork[operation] = atWork[operation] || strings.HasPrefix(status, "2")
	}
	var idle []string
	for _, operation := range slices.Sorted(maps.Keys(atWork)) {
		if !atWork[operation] {
			idle = append(idle, operation)
		}
	}
	said = fmt.Sprintf("%d calls, %d of them refused; %d operations, without a 2xx: %s", all, refused, len(atWork),
		strings.Join(idle, ", "))
	switch {
	case all < leastOfCalls:
		err = fmt.Errorf("there were %d calls, which say nothing: at least %d must be made", all, leastOfCalls)
	case float64(refused) > mostRefused*float64(all):
		err = fmt.Errorf("%d of %d calls were answered 401, 403 or 429: what was sent was not looked at", refused, all)
	case len(idle) > 0:
		err = fmt.Errorf("%d of %d operations never answered a 2xx: they were not seen at work; give them what they "+
			"need (fill.go): %s", len(idle), len(atWork), strings.Join(idle, ", "))
	}
	return said, err
}
