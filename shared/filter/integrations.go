package filter

import (
	"slices"

	"tocsin/shared/event"
)

// OfIntegrations are the filters that narrow what an integration receives, in the order of a form.
var OfIntegrations = []ID{ByApplication, ByDomain, ByURL, ByType, BySeverity, ByStatus, ByCountry, ByIP, ByKind}

var findings = []event.Kind{event.Vuln, event.SecurityIssue}

// asked are the kinds of events that can have what a filter of an integration looks at. A filter that is not here asks
// all.
var asked = map[ID][]event.Kind{
	ByApplication: {event.NewHits},
	ByType:        {event.NewHits},
	ByStatus:      {event.NewHits},
	ByCountry:     {event.NewHits},
	ByIP:          {event.NewHits},
	ByDomain:      append([]event.Kind{event.NewHits}, findings...),
	ByURL:         append([]event.Kind{event.NewHits}, findings...),
	BySeverity:    findings,
}

// Asks reports whether an event of the kind can have what the filter looks at.
func (id ID) Asks(k event.Kind) bool {
	kinds, ok := asked[id]
	return !ok || slices.Contains(kinds, k)
}
