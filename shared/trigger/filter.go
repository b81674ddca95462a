package trigger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tocsin/shared/event"
	"tocsin/shared/trigger/uri"
)

// subject is what a trigger sees of an event.
type subject struct {
	of        string   // attack type
	apps      []string // applications; none = the default one
	addresses []string
	domain    string
	status    int
	target    string
	url       string // host and path
	roles     []string
	change    string
	pii       []string
	deviation string
	spec      string

	count    int64    // of things
	group    []string // what makes it the same attack or incident as another
	key      uint64   // its digest, 0 = not made yet
	from     uint64   // that of the source, likewise
	payloads []string
	dropped  bool // by upstream's sampling
	ignored  bool // experimental

	evaluation *evaluation // nil: time is no matter
	segments   []string    // of the url, made once for all triggers
	joined     string      // the same as regular expressions see it
}

// parts are the url's segments.
func (s *subject) parts() []string {
	if s.segments == nil {
		s.segments = uri.Split(s.url)
		s.joined = strings.Join(s.segments, "/")
	}
	return s.segments
}

// source is the address that a condition counts by.
func (s *subject) source() string {
	if len(s.addresses) == 0 {
		return ""
	}
	return s.addresses[0]
}

// attack is the digest of the group, made once for all triggers.
func (s *subject) attack() uint64 {
	if s.key == 0 {
		s.key = digest(s.group...)
	}
	return s.key
}

// origin is the digest of the source, made once for all triggers.
func (s *subject) origin() uint64 {
	if s.from == 0 {
		s.from = digest(s.source())
	}
	return s.from
}

// see reads what triggers ask of an event.
func see(e event.Event) *subject {
	s := &subject{count: 1}
	switch e.Kind {
	case event.NewHits:
		s.hit(event.Data[event.HitData](e))
	case event.NewAttack:
		a := event.Data[event.AttackData](e).Attack
		s.assault(a)
		s.group = []string{a.Type, a.Host, a.Path, a.Parameter}
	case event.NewIncident:
		i := event.Data[event.IncidentData](e).Incident
		s.assault(i.Assault)
		s.group = []string{i.ID}
	case event.IPBlocked:
		d := event.Data[event.BlockedData](e)
		s.addresses, s.apps = addresses(d.IP), d.Applications()
	case event.CreateUser:
		s.roles = []string{event.Data[event.UserData](e).User.Role}
	case event.APIStructureChanged, event.APIComparisonResult:
		d := event.Data[event.EndpointData](e)
		s.domain, s.change, s.pii, s.deviation, s.spec = d.Site(), d.ChangeType, d.SensitiveData, d.EndpointType,
			d.SpecID.String()
		if d.ApplicationID != "" {
			s.apps = []string{d.ApplicationID.String()}
		}
	case event.BruteForceRequests, event.ForcedBrowsingResponses, event.BOLARequests:
		d := event.Data[event.CountData](e)
		s.count, s.addresses, s.apps, s.domain, s.url = d.Count, addresses(d.IP), d.Applications, d.Domain, d.URL
	}
	return s
}

func (s *subject) hit(d event.HitData) {
	h := d.Hit
	s.of, s.apps, s.domain, s.status, s.target = h.Type, h.Applications, h.Site(), h.ResponseStatus, h.Target
	s.payloads, s.dropped, s.ignored = h.Payloads, d.SampledOut, d.Experimental
	s.addresses = addresses(h.Source())
	s.group = []string{h.Type, h.Site(), h.Path, h.Parameter} // the attack that it belongs to (facts, 1.7)
}

func (s *subject) assault(a event.Assault) {
	s.of, s.apps, s.domain, s.status, s.target = a.Type, a.Applications, a.Host, a.Status, a.Target
	s.addresses = addresses(a.Sources...)
}

// digest tells things apart. It is no plain checksum because a stranger chooses them, and must not find two that are
// one.
func digest(parts ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return max(1, binary.LittleEndian.Uint64(sum[:]))
}

// addresses reads addresses and writes them as netip does. What is none, such as a list out of a header, is left out:
// no list of addresses would take it. Of a longer list the first maxAddresses are looked at.
func addresses(list ...string) (out []string) {
	for _, ip := range list[:min(len(list), maxAddresses)] {
		if a, err := netip.ParseAddr(ip); err == nil {
			out = append(out, a.Unmap().WithZone("").String())
		}
	}
	return out
}

// matcher is a compiled trigger.
type matcher struct {
	Trigger
	template Template
	ruler    ruler
	tests    []test
	urls     []uri.Pattern // of its ByURL filters with Equal
	size     int           // compiled, in instructions
}

type test struct {
	match  func(*subject) bool
	negate bool
}

// compile makes a trigger ready to match; a filter that was valid when it was saved is valid still.
func compile(t Trigger) (*matcher, error) {
	template, ok := Find(t.Template)
	if !ok {
		return nil, fmt.Errorf("trigger %s has the condition %q, which this release does not know", t.ID, t.Template)
	}
	m := &matcher{Trigger: t, template: template}
	if template.Threshold != nil {
		if t.Threshold == nil {
			return nil, fmt.Errorf("trigger %s has no threshold", t.ID)
		}
		m.ruler = newRuler(*t.Threshold, template.Threshold)
	}
	for _, f := range t.Filters {
		match, err := m.filter(f)
		if err != nil {
			return nil, fmt.Errorf("trigger %s: %w", t.ID, err)
		}
		m.tests = append(m.tests, test{match, f.Operator == NotEqual})
	}
	return m, nil
}

// fewValues are found faster one by one than by a digest.
const fewValues = 8

// filter makes a filter ready: the function says whether one of the values is there.
func (m *matcher) filter(f Filter) (func(*subject) bool, error) {
	values := make([]string, len(f.Values))
	for n, v := range f.Values {
		values[n] = string(v)
	}
	switch f.ID {
	case ByURL:
		return m.urlFilter(values, f.Operator)
	case ByDomain, ByPII:
		for n := range values {
			values[n] = strings.ToLower(values[n])
		}
	case ByIP:
		values = addresses(values...)
	}
	has := among(values)
	if of, ok := single[f.ID]; ok {
		return func(s *subject) bool { v := of(s); return v != "" && has(v) }, nil
	}
	if several, ok := several[f.ID]; ok {
		return func(s *subject) bool { return several(s, values, has) }, nil
	}
	return nil, fmt.Errorf("the filter %q is not known", f.ID)
}

// among looks for a value among few one by one, among many by a digest.
func among(values []string) func(string) bool {
	if len(values) <= fewValues {
		return func(v string) bool { return slices.Contains(values, v) }
	}
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[v] = true
	}
	return func(v string) bool { return set[v] }
}

// urlFilter reads the patterns of ByURL.
func (m *matcher) urlFilter(values []string, operator string) (func(*subject) bool, error) {
	var patterns []uri.Pattern
	for _, v := range values {
		p, err := uri.New(v)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
		m.size += p.Size
	}
	if operator == Equal {
		m.urls = append(m.urls, patterns...)
	}
	return func(s *subject) bool { return s.deepest(patterns) > 0 }, nil
}

// single are the filters of which a subject has one value, "" for none.
var single = map[FilterID]func(*subject) string{
	ByType:      func(s *subject) string { return s.of },
	ByDomain:    func(s *subject) string { return strings.ToLower(s.domain) },
	ByTarget:    func(s *subject) string { return strings.ToLower(s.target) },
	ByChange:    func(s *subject) string { return s.change },
	ByDeviation: func(s *subject) string { return s.deviation },
	BySpec:      func(s *subject) string { return s.spec },
}

// several are the other filters. has finds one of the values.
var several = map[FilterID]func(s *subject, values []string, has func(string) bool) bool{
	ByApplication: func(s *subject, values []string, _ func(string) bool) bool {
		for _, v := range values {
			if slices.Contains(s.apps, v) || v == "-1" && (len(s.apps) == 0 || slices.Contains(s.apps, "default")) {
				return true
			}
		}
		return false
	},
	ByIP: func(s *subject, _ []string, has func(string) bool) bool { return slices.ContainsFunc(s.addresses, has) },
	ByStatus: func(s *subject, _ []string, has func(string) bool) bool {
		if s.status == 0 {
			return false
		}
		exact := strconv.Itoa(s.status)
		return has(exact) || has(exact[:1]+"xx")
	},
	ByRole: func(s *subject, _ []string, has func(string) bool) bool {
		return slices.ContainsFunc(s.roles, func(role string) bool { return has(roleCode(role)) })
	},
	ByPII: func(s *subject, _ []string, has func(string) bool) bool {
		return slices.ContainsFunc(s.pii, func(p string) bool { return has(strings.ToLower(p)) })
	},
}

// roleCode takes a role's code or its title, in whatever case upstream writes it.
func roleCode(role string) string {
	role = strings.ToLower(strings.TrimSpace(role))
	for _, c := range filterRules[ByRole].Choices {
		if strings.EqualFold(c.Title, role) {
			return c.Value
		}
	}
	return strings.TrimSuffix(role, "_ext") // `admin_ext`: the facts' code of an administrator with more rights
}

// matches reports whether an event of one of the template's kinds counts for the trigger.
func (m *matcher) matches(s *subject) bool {
	if !m.countable(s) {
		return false
	}
	for _, t := range m.tests {
		if t.match(s) == t.negate {
			return false
		}
	}
	return true
}

// countable holds what a condition leaves out (facts, 4.2).
func (m *matcher) countable(s *subject) bool {
	if s.ignored || m.template.Threshold != nil && m.template.Threshold.PerSource && s.source() == "" {
		return false
	}
	switch m.template.ID {
	case Hits:
		return !s.dropped
	case HitsFromIP:
		return !s.dropped && !slices.Contains(ungrouped, s.of)
	case Payloads:
		return len(s.payloads) > 0
	}
	return true
}

// depth is how deep a path the trigger's URI filters name; 0 without any.
func (m *matcher) depth(s *subject) int { return s.deepest(m.urls) }

// deepest is the number of segments, from 1, of the deepest pattern that matches; 0 when none does.
func (s *subject) deepest(patterns []uri.Pattern) int {
	most := 0
	if len(patterns) == 0 {
		return 0
	}
	segments := s.parts()
	s.evaluation.begin()
	defer s.evaluation.end()
	for _, p := range patterns {
		if !s.evaluation.may(p.Steps(segments, s.joined)) {
			return 0
		}
		most = max(most, p.Depth(segments, s.joined))
	}
	return most
}
