package destination

import "strings"

// Addressed is a parameters struct that makes addresses of values that are no addresses themselves: of an instance's
// name, a region, a bucket. What a person enters there becomes a host, so that it is checked as an address is, when
// it is saved.
type Addressed interface {
	// Addresses are addresses that requests go to, each under the parameter that decides its host.
	Addresses() map[string]string
}

// BaseProblem says why no path can be put after an address, "" when one can: what follows a ? or a # is no path.
func BaseProblem(address string) string {
	if strings.ContainsAny(address, "?#") {
		return "must be an address without a query (?…) and a fragment (#…)"
	}
	return ""
}
