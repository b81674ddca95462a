package trigger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/trace"
	"tocsin/shared/trigger/alike"
)

// subject is what a trigger sees of an event.
type subject struct {
	filter.Subject

	count    int64    // of things
	group    []string // what makes it the same attack or incident as another
	key      uint64   // its digest, 0 = not made yet
	from     uint64   // that of the source, likewise
	payloads []string
	span     trace.Context // of the event, where it is recorded
	dropped  bool          // by upstream's sampling
	ignored  bool          // experimental
}

// source is the address that a condition counts by.
func (s *subject) source() string {
	if len(s.Addresses) == 0 {
		return ""
	}
	return s.Addresses[0]
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
		d := event.Data[event.HitData](e)
		h := d.Hit
		s.Subject = filter.OfHit(h)
		s.payloads, s.dropped, s.ignored = h.Payloads, d.SampledOut, d.Experimental
		s.group = []string{h.Type, h.Site(), h.Path, h.Parameter} // the attack that it belongs to (facts, 1.7)
	case event.NewAttack:
		a := event.Data[event.AttackData](e).Attack
		s.Subject = filter.OfAssault(a)
		s.group = []string{a.Type, a.Host, a.Path, a.Parameter}
	case event.NewIncident:
		i := event.Data[event.IncidentData](e).Incident
		s.Subject = filter.OfAssault(i.Assault)
		s.group = []string{i.ID}
	case event.BruteForceRequests, event.ForcedBrowsingResponses, event.BOLARequests:
		d := event.Data[event.CountData](e)
		s.Subject, s.count = filter.OfCount(d), d.Count
	default:
		s.Subject = filter.See(e)
	}
	return s
}

// digest tells things apart. It is no plain checksum because a stranger chooses them, and must not find two that are
// one.
func digest(parts ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return max(1, binary.LittleEndian.Uint64(sum[:]))
}

// matcher is a compiled trigger.
type matcher struct {
	Trigger
	template Template
	ruler    ruler
	filters  *filter.Matcher
	alike    alike.Trigger
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
	var err error
	if m.filters, err = filter.Compile(t.Filters); err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.ID, err)
	}
	m.alike, err = alike.Of(string(t.Template), t.Filters, template.Threshold != nil, m.Since.Add(-skew))
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.ID, err)
	}
	return m, nil
}

// Alike is what matters of it for alike.Split.
func (m *matcher) Alike() alike.Trigger { return m.alike }

// matches reports whether an event of one of the template's kinds counts for the trigger.
func (m *matcher) matches(s *subject) bool { return m.countable(s) && m.filters.Match(&s.Subject) }

// countable holds what a condition leaves out (facts, 4.2).
func (m *matcher) countable(s *subject) bool {
	if s.ignored || m.template.Threshold != nil && m.template.Threshold.PerSource && s.source() == "" {
		return false
	}
	switch m.template.ID {
	case Hits:
		return !s.dropped
	case HitsFromIP:
		return !s.dropped && !slices.Contains(ungrouped, s.Type)
	case Payloads:
		return len(s.payloads) > 0
	}
	return true
}

// depth is how deep a path the trigger's URI filters name; 0 without any.
func (m *matcher) depth(s *subject) int { return s.Deepest(m.filters.URLs) }
