package filter

import (
	"slices"

	"tocsin/shared/event"
)

var (
	hits     = []event.Kind{event.NewHits}
	assaults = append(slices.Clone(hits), event.NewAttack, event.NewIncident)
	findings = []event.Kind{event.Vuln, event.SecurityIssue}
	apis     = []event.Kind{event.APIStructureChanged, event.APIComparisonResult}
	requests = []event.Kind{event.BruteForceRequests, event.ForcedBrowsingResponses, event.BOLARequests}
)

// carried are the kinds of events that can have what a filter looks at, as See reads it. A filter that is not here asks
// all.
var carried = map[ID][]event.Kind{
	ByType:        assaults,
	ByStatus:      assaults,
	ByTarget:      assaults,
	ByCountry:     hits,
	ByApplication: slices.Concat(assaults, apis, requests, []event.Kind{event.IPBlocked}),
	ByIP:          slices.Concat(assaults, requests, []event.Kind{event.IPBlocked}),
	ByDomain: slices.Concat(assaults, findings, apis, requests,
		[]event.Kind{event.NewScopeDomains, event.NewScopeServices}),
	ByURL:       slices.Concat(assaults, findings, apis, requests),
	BySeverity:  append(slices.Clone(findings), event.NewIncident),
	ByRole:      {event.CreateUser, event.UpdateUser, event.DeleteUser},
	ByChange:    apis,
	ByPII:       apis,
	ByDeviation: apis,
	BySpec:      apis,
}

// Asks reports whether an event of the kind can have what the filter looks at.
func (id ID) Asks(k event.Kind) bool {
	kinds, ok := carried[id]
	return !ok || slices.Contains(kinds, k)
}
