package filter

import (
	"fmt"
	"slices"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter/uri"
)

// OfIntegrations are the filters that narrow what an integration receives, in the order of a form.
var OfIntegrations = []ID{ByApplication, ByDomain, ByURL, ByType, BySeverity, ByStatus, ByCountry, ByIP, ByKind}

// plainURL is the help of ByURL where it takes no regular expressions.
const plainURL = "A full URI without its query, such as example.com/login. * stands for one part of the path, ** for " +
	"any number of them. The first 2,048 bytes of a URI are looked at."

// IntegrationRules describe OfIntegrations for a form.
func IntegrationRules() []Rule {
	rules := Rules(OfIntegrations)
	for n := range rules {
		if _, some := carried[rules[n].ID]; some {
			rules[n].Events = typesAsking(rules[n].ID)
		}
		switch rules[n].ID {
		case ByDomain:
			rules[n].Help = "A host name, such as shop.example.com. A scope change with several domains passes when " +
				"one of them does."
		case ByURL:
			rules[n].Help = plainURL
		}
	}
	return rules
}

// maxParts bounds the parts of the paths that the ByURL filters of an integration, or of a report, name together, so
// that a tenant's patterns take no time from others: at most 200 times those of a URI are compared for an event.
const maxParts = 200

// typesAsking are the types some of whose events can have what a filter looks at, in the order of a form.
func typesAsking(id ID) (out []event.Type) {
	for _, s := range SentOf(event.Machine()) {
		if id.Asks(s.Kind) && !slices.Contains(out, s.Type) {
			out = append(out, s.Type)
		}
	}
	return out
}

// PlaceOfIntegration is that of the filters of an integration which takes some types, of those that are offered.
func PlaceOfIntegration(takes, offered []event.Type) Place {
	return Place{Sent: SentOf(takes), Offered: SentOf(offered), Passes: true}
}

// CheckIntegration is Check for an integration with a system that is called of. It takes no regular expressions: what
// they cost is bounded for triggers alone.
func CheckIntegration(list []Filter, of string) destination.InvalidParameters {
	return checkPlain(list, OfIntegrations, of)
}

// checkPlain is Check where regular expressions are not taken.
func checkPlain(list []Filter, takes []ID, of string) destination.InvalidParameters {
	v := Check(list, takes, of)
	parts := 0
	for n, f := range list {
		if f.ID != ByURL {
			continue
		}
		for k, value := range f.Values {
			field := fmt.Sprintf("filters.%d.values.%d", n, k)
			if strings.HasPrefix(string(value), "~") {
				v.Addf(field, "must not be a regular expression here: write * for one part of the path, ** for any "+
					"number of them")
			} else if parts += len(uri.Split(string(value))); parts > maxParts {
				v.Addf(field, "is one too many: the URIs have at most %d parts together", maxParts)
				return v
			}
		}
	}
	return v
}
