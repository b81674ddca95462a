package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tocsin/shared/event"
	"tocsin/shared/filter/uri"
)

// Matcher is a compiled list of filters. It is safe for concurrent use.
type Matcher struct {
	tests []test
	// URLs are the patterns of its ByURL filters with Equal, Size what all patterns are, compiled, in instructions.
	URLs []uri.Pattern
	Size int
}

type test struct {
	of     ID
	match  func(*Subject) bool
	negate bool
}

// Compile makes filters ready to match; one that was valid when it was saved is valid still.
func Compile(list []Filter) (*Matcher, error) {
	m := &Matcher{}
	for _, f := range list {
		match, err := m.compile(f)
		if err != nil {
			return nil, err
		}
		m.tests = append(m.tests, test{f.ID, match, f.Operator == NotEqual})
	}
	return m, nil
}

// Match reports whether a subject passes all filters.
func (m *Matcher) Match(s *Subject) bool {
	for _, t := range m.tests {
		if t.match(s) == t.negate {
			return false
		}
	}
	return true
}

// Stopped is the first filter that an event of a tenant's does not pass, "" when it passes all. A filter is not asked
// about an event whose kind has nothing of what it looks at: the severity of a hit, the country of a vulnerability.
func (m *Matcher) Stopped(s *Subject) ID {
	for _, t := range m.tests {
		if t.of.Asks(s.Kind) && t.stops(s) {
			return t.of
		}
	}
	return ""
}

// StoppedAs is Stopped for an event as if it were of another kind and of any severity: see integration.Ends.
func (m *Matcher) StoppedAs(s *Subject, k event.Kind) ID {
	as := *s
	as.Kind = k
	for _, t := range m.tests {
		if t.of != BySeverity && t.of.Asks(k) && t.stops(&as) {
			return t.of
		}
	}
	return ""
}

// stops reports whether a subject does not pass. A scope change is sent whole, so one of its objects that passes is
// enough: nobody misses it for the others.
func (t *test) stops(s *Subject) bool {
	if t.of != ByDomain || len(s.Domains) == 0 {
		return t.match(s) == t.negate
	}
	return !slices.ContainsFunc(s.Domains, func(domain string) bool {
		return t.match(&Subject{Domain: domain}) != t.negate
	})
}

// fewValues are found faster one by one than by a digest.
const fewValues = 8

// compile makes a filter ready: the function says whether one of the values is there.
func (m *Matcher) compile(f Filter) (func(*Subject) bool, error) {
	values := make([]string, len(f.Values))
	for n, v := range f.Values {
		values[n] = string(v)
	}
	switch f.ID {
	case ByURL:
		return m.url(values, f.Operator)
	case ByDomain:
		return amongHosts(values), nil
	case ByPII, ByCountry:
		for n := range values {
			values[n] = strings.ToLower(values[n])
		}
	case ByIP:
		values = Addresses(values...)
	}
	has := among(values)
	if of, ok := single[f.ID]; ok {
		return func(s *Subject) bool { v := of(s); return v != "" && has(v) }, nil
	}
	if several, ok := several[f.ID]; ok {
		return func(s *Subject) bool { return several(s, values, has) }, nil
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

// url reads the patterns of ByURL.
func (m *Matcher) url(values []string, operator string) (func(*Subject) bool, error) {
	var patterns []uri.Pattern
	for _, v := range values {
		p, err := uri.New(v)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
		m.Size += p.Size
	}
	if operator == Equal {
		m.URLs = append(m.URLs, patterns...)
	}
	return func(s *Subject) bool { return s.Deepest(patterns) > 0 }, nil
}

// single are the filters of which a subject has one value, "" for none.
var single = map[ID]func(*Subject) string{
	ByType:      func(s *Subject) string { return s.Type },
	ByTarget:    func(s *Subject) string { return strings.ToLower(s.Target) },
	ByChange:    func(s *Subject) string { return s.Change },
	ByDeviation: func(s *Subject) string { return s.Deviation },
	BySpec:      func(s *Subject) string { return s.Spec },
	ByKind:      func(s *Subject) string { return string(s.Kind) },
	BySeverity:  func(s *Subject) string { return s.Severity },
	ByCountry:   func(s *Subject) string { return strings.ToLower(s.Country) },
}

// several are the other filters. has finds one of the values.
var several = map[ID]func(s *Subject, values []string, has func(string) bool) bool{
	ByApplication: func(s *Subject, values []string, _ func(string) bool) bool {
		for _, v := range values {
			if slices.Contains(s.Applications, v) || v == "-1" &&
				(len(s.Applications) == 0 || slices.Contains(s.Applications, "default")) {
				return true
			}
		}
		return false
	},
	ByIP: func(s *Subject, _ []string, has func(string) bool) bool { return slices.ContainsFunc(s.Addresses, has) },
	ByStatus: func(s *Subject, _ []string, has func(string) bool) bool {
		if s.Status == 0 {
			return false
		}
		exact := strconv.Itoa(s.Status)
		return has(exact) || has(exact[:1]+"xx")
	},
	ByRole: func(s *Subject, _ []string, has func(string) bool) bool {
		return slices.ContainsFunc(s.Roles, func(role string) bool { return has(roleCode(role)) })
	},
	ByPII: func(s *Subject, _ []string, has func(string) bool) bool {
		return slices.ContainsFunc(s.PII, func(p string) bool { return has(strings.ToLower(p)) })
	},
}

// roleCode takes a role's code or its title, in whatever case upstream writes it.
func roleCode(role string) string {
	role = strings.ToLower(strings.TrimSpace(role))
	for _, c := range rules[ByRole].Choices {
		if strings.EqualFold(c.Title, role) {
			return c.Value
		}
	}
	return strings.TrimSuffix(role, "_ext") // `admin_ext`: the facts' code of an administrator with more rights
}
