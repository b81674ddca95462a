package filter

import (
	"fmt"
	"slices"

	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// OfReports are the filters that select the events of a report, in the order of a form.
var OfReports = []ID{ByApplication, ByDomain, ByURL, ByType, ByTarget, BySeverity, ByStatus, ByCountry, ByIP, ByKind}

// reported are the kinds of events that a report tells of.
var reported = choices(string(event.NewHits), "Hit", string(event.NewAttack), "Attack", string(event.NewIncident),
	"Incident", string(event.Vuln), "Vulnerability", string(event.SecurityIssue), "Security issue")

// Reported reports whether a report tells of events of the kind.
func Reported(k event.Kind) bool {
	return slices.ContainsFunc(reported, func(o Option) bool { return o.Value == string(k) })
}

// ReportRules describe OfReports for a form.
func ReportRules() []Rule {
	rules := Rules(OfReports)
	for n := range rules {
		switch rules[n].ID {
		case ByURL:
			rules[n].Help = plainURL
		case ByKind:
			rules[n] = Rule{ID: ByKind, Title: rules[n].Title, Kind: KindChoice, Choices: reported}
		}
	}
	return rules
}

// CheckReport is CheckIntegration for the filters of a report.
func CheckReport(list []Filter) destination.InvalidParameters {
	v := checkPlain(list, OfReports, "a report")
	for n, f := range list {
		for k, value := range f.Values {
			if f.ID == ByKind && event.Kind(value).Known() && !Reported(event.Kind(value)) {
				v.Addf(fmt.Sprintf("filters.%d.values.%d", n, k), "is a kind of event that no report tells of")
			}
		}
	}
	if len(v) > 0 {
		return v
	}
	var kinds []event.Kind
	for _, o := range reported {
		kinds = append(kinds, event.Kind(o.Value))
	}
	return Place{Sent: SentOfKinds(kinds...)}.Check(list)
}
