// Package daily keeps what a report needs of one day of a tenant: counts by dimension, attacks, incidents and
// vulnerabilities, made of events (Recorder, Entry) and added up within limits (Totals).
package daily

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// Totals is one tenant's day, added up within the limits of MaxValues, MaxAttacks and MaxFindings. It is the rule
// that every engine follows, however it stores a day. The zero value is a day without events.
type Totals struct {
	Counts          map[Dimension]map[string]int64
	Attacks         map[AttackKey]Attack
	Incidents       []Incident      // those that came first, each as it came last
	Vulnerabilities []Vulnerability // likewise
}

// Add adds what a batch adds. Order matters: each entry is bounded before the next.
func (d *Totals) Add(e Entry) {
	touched := map[Dimension]bool{}
	for _, c := range e.Counts {
		d.count(c.Dimension, c.Value, c.N)
		touched[c.Dimension] = true
	}
	for dimension := range touched {
		d.boundValues(dimension)
	}
	d.addAttacks(e.Attacks)
	d.Incidents = addFindings(d, DroppedIncidents, d.Incidents, e.Incidents, func(i Incident) string { return i.ID })
	d.Vulnerabilities = addFindings(d, DroppedVulns, d.Vulnerabilities, e.Vulnerabilities,
		func(v Vulnerability) string { return v.ID })
}

func (d *Totals) count(dimension Dimension, value string, n int64) {
	if d.Counts == nil {
		d.Counts = map[Dimension]map[string]int64{}
	}
	if d.Counts[dimension] == nil {
		d.Counts[dimension] = map[string]int64{}
	}
	d.Counts[dimension][value] += n
}

func (d *Totals) drop(what string, n int64) {
	if n > 0 {
		d.count(Dropped, what, n)
	}
}

// boundValues lets the smallest values of a dimension go when it has more than twice as many as are kept. Of values of
// one size the first by name stay.
func (d *Totals) boundValues(dimension Dimension) {
	values := d.Counts[dimension]
	if len(values) <= 2*MaxValues {
		return
	}
	names := make([]string, 0, len(values))
	for v := range values {
		if v != "" && v != Other {
			names = append(names, v)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(values[b], values[a]), cmp.Compare(a, b))
	})
	for _, v := range names[min(len(names), MaxValues):] {
		values[Other] += values[v]
		delete(values, v)
	}
}

// addAttacks adds attacks, and lets the smallest go when there are more than twice as many as are kept. Of attacks of
// one size the first by key stay.
func (d *Totals) addAttacks(more []Attack) {
	if d.Attacks == nil && len(more) > 0 {
		d.Attacks = map[AttackKey]Attack{}
	}
	for _, a := range more {
		if known, ok := d.Attacks[a.Key]; ok {
			known.Sources, known.Applications = slices.Clone(known.Sources), slices.Clone(known.Applications)
			known.Add(a)
			a = known
		}
		d.Attacks[a.Key] = a
	}
	if len(d.Attacks) <= 2*MaxAttacks {
		return
	}
	keys := slices.SortedFunc(maps.Keys(d.Attacks), func(a, b AttackKey) int {
		return cmp.Or(cmp.Compare(d.Attacks[b].Hits(), d.Attacks[a].Hits()), bytes.Compare(a[:], b[:]))
	})
	for _, k := range keys[MaxAttacks:] {
		delete(d.Attacks, k)
	}
	d.drop(DroppedAttacks, int64(len(keys)-MaxAttacks))
}

// addFindings replaces those that are known, and adds new ones while there is room.
func addFindings[F any](d *Totals, what string, known, more []F, id func(F) string) []F {
	if len(more) == 0 {
		return known
	}
	place := make(map[string]int, len(known))
	for n, f := range known {
		place[id(f)] = n
	}
	dropped := int64(0)
	for _, f := range more {
		n, ok := place[id(f)]
		switch {
		case ok:
			known[n] = f
		case len(known) >= MaxFindings:
			dropped++
		default:
			place[id(f)] = len(known)
			known = append(known, f)
		}
	}
	d.drop(what, dropped)
	return known
}

// Clone copies the day, so that another Add leaves the copy as it is.
func (d *Totals) Clone() Totals {
	counts := make(map[Dimension]map[string]int64, len(d.Counts))
	for dimension, values := range d.Counts {
		counts[dimension] = maps.Clone(values)
	}
	return Totals{Counts: counts, Attacks: maps.Clone(d.Attacks), Incidents: slices.Clone(d.Incidents),
		Vulnerabilities: slices.Clone(d.Vulnerabilities)}
}
