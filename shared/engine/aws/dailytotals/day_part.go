package dailytotals

import (
	"maps"
	"slices"

	"tocsin/shared/report/daily"
)

// dayPart is a part of a tenant's day as it is stored: what a batch adds, or all of it. How a day is added up says
// daily.Totals.
type dayPart struct {
	Counts          map[daily.Dimension]map[string]int64 `json:"c,omitempty"`
	Attacks         []keyedAttack                        `json:"a,omitempty"`
	Incidents       []daily.Incident                     `json:"i,omitempty"`
	Vulnerabilities []daily.Vulnerability                `json:"v,omitempty"`
}

// keyedAttack is an attack with its key, which its own JSON leaves out.
type keyedAttack struct {
	K []byte `json:"k"`
	daily.Attack
}

func dayPartOf(r daily.Entry) dayPart {
	p := dayPart{Incidents: r.Incidents, Vulnerabilities: r.Vulnerabilities}
	for _, c := range r.Counts {
		if p.Counts == nil {
			p.Counts = map[daily.Dimension]map[string]int64{}
		}
		if p.Counts[c.Dimension] == nil {
			p.Counts[c.Dimension] = map[string]int64{}
		}
		p.Counts[c.Dimension][c.Value] += c.N
	}
	for _, a := range r.Attacks {
		p.Attacks = append(p.Attacks, keyedAttack{a.Key[:], a})
	}
	return p
}

// entry is the reverse of dayPartOf.
func (p *dayPart) entry() daily.Entry {
	e := daily.Entry{Attacks: p.attacks(), Incidents: p.Incidents, Vulnerabilities: p.Vulnerabilities}
	for dimension, values := range p.Counts {
		for value, n := range values {
			e.Counts = append(e.Counts, daily.Count{Dimension: dimension, Value: value, N: n})
		}
	}
	return e
}

func (p *dayPart) attacks() []daily.Attack {
	out := make([]daily.Attack, len(p.Attacks))
	for n, a := range p.Attacks {
		out[n] = a.Attack
		copy(out[n].Key[:], a.K)
	}
	return out
}

// totals are those of a whole day.
func (p *dayPart) totals() daily.Totals {
	t := daily.Totals{Counts: p.Counts, Attacks: make(map[daily.AttackKey]daily.Attack, len(p.Attacks)),
		Incidents: p.Incidents, Vulnerabilities: p.Vulnerabilities}
	for _, a := range p.attacks() {
		t.Attacks[a.Key] = a
	}
	return t
}

// dayPartOfTotals is the reverse of totals. The attacks are sorted by their keys: the same attacks give the same bytes.
func dayPartOfTotals(t daily.Totals) dayPart {
	p := dayPart{Counts: t.Counts, Incidents: t.Incidents, Vulnerabilities: t.Vulnerabilities}
	for _, k := range slices.SortedFunc(maps.Keys(t.Attacks), func(a, b daily.AttackKey) int {
		return slices.Compare(a[:], b[:])
	}) {
		p.Attacks = append(p.Attacks, keyedAttack{slices.Clone(k[:]), t.Attacks[k]})
	}
	return p
}

// sections of a day's row.
const (
	countsSection    = "counts"
	attacksSection   = "attacks"
	incidentsSection = "incidents"
	vulnsSection     = "vulnerabilities"
)

// sections are the parts of a day part by their names, each a pointer.
func (p *dayPart) sections() map[string]any {
	return map[string]any{countsSection: &p.Counts, attacksSection: &p.Attacks, incidentsSection: &p.Incidents,
		vulnsSection: &p.Vulnerabilities}
}
