package filter

import (
	"net/netip"
	"strings"

	"tocsin/shared/event"
	"tocsin/shared/filter/uri"
)

// Subject is what filters see of an event. What the event does not say is zero.
type Subject struct {
	Kind         event.Kind
	Type         string   // attack type
	Applications []string // none = the default one
	Addresses    []string // of sources, as netip writes them
	Domain       string
	Domains      []string // of the objects of a scope change, which can have several
	Status       int
	Target       string
	URL          string // host and path
	Roles        []string
	Change       string
	PII          []string
	Deviation    string
	Spec         string
	Severity     string // in small letters
	Country      string // of the source

	// Budget bounds the time that patterns take; nil = they take what they need.
	Budget Budget

	segments []string // of the URL, made once for all filters
	joined   string   // the same as regular expressions see it
}

// Budget bounds the time that the patterns of URLs take. Between Begin and End they are matched.
type Budget interface {
	Begin()
	End()
	// May reports whether a match of so many steps may be made now. One that may not does not match.
	May(steps int) bool
}

// See reads what filters ask of an event.
func See(e event.Event) Subject {
	var s Subject
	switch e.Kind {
	case event.NewHits:
		s = OfHit(event.Data[event.HitData](e).Hit)
	case event.NewAttack:
		s = OfAssault(event.Data[event.AttackData](e).Attack)
	case event.NewIncident:
		i := event.Data[event.IncidentData](e).Incident
		s = OfAssault(i.Assault)
		s.Severity = strings.ToLower(i.Threat)
	case event.Vuln:
		v := event.Data[event.VulnData](e).Vuln
		s = ofFinding(v.Finding, v.Domain, v.Threat)
	case event.SecurityIssue:
		i := event.Data[event.IssueData](e).Issue
		s = ofFinding(i.Finding, i.Host, i.Risk)
	case event.NewScopeDomains, event.NewScopeServices:
		for _, o := range event.Data[event.ScopeData](e).Data {
			s.Domains = append(s.Domains, o.Entity.Domain)
		}
	case event.IPBlocked:
		d := event.Data[event.BlockedData](e)
		s.Addresses, s.Applications = Addresses(d.IP), d.Applications()
	case event.CreateUser, event.UpdateUser, event.DeleteUser:
		s.Roles = []string{event.Data[event.UserData](e).User.Role}
	case event.APIStructureChanged, event.APIComparisonResult:
		s = ofEndpoint(event.Data[event.EndpointData](e))
	case event.BruteForceRequests, event.ForcedBrowsingResponses, event.BOLARequests:
		s = OfCount(event.Data[event.CountData](e))
	}
	s.Kind = e.Kind
	return s
}

// OfHit is what filters see of a hit.
func OfHit(h event.Hit) Subject {
	s := Subject{Type: h.Type, Applications: h.Applications, Domain: h.Site(), Status: h.ResponseStatus,
		Target: h.Target, URL: h.Site() + h.Path, Addresses: Addresses(h.Source())}
	if h.RemoteCountry != nil {
		s.Country = *h.RemoteCountry
	}
	return s
}

// OfAssault is what filters see of an attack or an incident.
func OfAssault(a event.Assault) Subject {
	return Subject{Type: a.Type, Applications: a.Applications, Domain: a.Host, Status: a.Status, Target: a.Target,
		URL: a.Host + a.Path, Addresses: Addresses(a.Sources...)}
}

// OfCount is what filters see of requests that upstream has counted.
func OfCount(d event.CountData) Subject {
	return Subject{Addresses: Addresses(d.IP), Applications: d.Applications, Domain: d.Domain, URL: d.URL}
}

func ofFinding(f event.Finding, host *string, severity string) Subject {
	s := Subject{Severity: strings.ToLower(severity)}
	if host != nil {
		s.Domain, s.URL = *host, *host
	}
	if f.Path != nil {
		s.URL += *f.Path
	}
	return s
}

func ofEndpoint(d event.EndpointData) Subject {
	s := Subject{Domain: d.Site(), URL: d.Site() + d.EndpointPath, Change: d.Change(), PII: d.SensitiveData,
		Deviation: d.EndpointType, Spec: d.SpecID.String()}
	if d.ApplicationID != "" {
		s.Applications = []string{d.ApplicationID.String()}
	}
	return s
}

// maxAddresses is how many addresses of an event filters look at: an attack can have ten thousands.
const maxAddresses = 1000

// Addresses reads addresses and writes them as netip does. What is none, such as a list out of a header, is left out:
// no list of addresses would take it. Of a longer list the first 1,000 are looked at.
func Addresses(list ...string) (out []string) {
	for _, ip := range list[:min(len(list), maxAddresses)] {
		if a, err := netip.ParseAddr(ip); err == nil {
			out = append(out, a.Unmap().WithZone("").String())
		}
	}
	return out
}

// parts are the URL's segments.
func (s *Subject) parts() []string {
	if s.segments == nil {
		s.segments = uri.Split(s.URL)
		s.joined = strings.Join(s.segments, "/")
	}
	return s.segments
}

// Deepest is the number of segments, from 1, of the deepest pattern that matches the URL; 0 when none does.
func (s *Subject) Deepest(patterns []uri.Pattern) int {
	most := 0
	if len(patterns) == 0 || s.URL == "" { // a pattern of any parts matches no URI that is not there
		return 0
	}
	segments := s.parts()
	if s.Budget != nil {
		s.Budget.Begin()
		defer s.Budget.End()
	}
	for _, p := range patterns {
		if s.Budget != nil && !s.Budget.May(p.Steps(segments, s.joined)) {
			return 0
		}
		most = max(most, p.Depth(segments, s.joined))
	}
	return most
}
