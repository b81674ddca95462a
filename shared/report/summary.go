package report

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/filter"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/timezone"
	"tocsin/shared/wording"
)

// Limits of what a report lists. What is beyond them is counted, and the report says so: see Missing.
const (
	RowsCSV     = 10_000 // of each file (facts, 5.2): those with most hits or most risk
	RowsAttacks = 50     // of the PDF
	RowsOthers  = 200    // incidents, and vulnerabilities, of the PDF, each
	TopValues   = 10     // of a ranking
)

// Headline is a period in numbers.
type Headline struct {
	Hits            int64 `json:"hits"`
	Blocked         int64 `json:"blocked"` // of the hits
	Attacks         int64 `json:"attacks"`
	Incidents       int64 `json:"incidents"`
	Vulnerabilities int64 `json:"vulnerabilities"`
}

// Comparison is a headline beside that of the period before.
type Comparison struct {
	Now    Headline `json:"now"`
	Before Headline `json:"before"`
	Alone  bool     `json:"alone,omitempty"` // it is compared with nothing, and Before is not known
}

// Empty reports whether nothing was recorded in the period.
func (h Headline) Empty() bool { return h == Headline{} }

// DayCount is a bar of the chart over time: a day, or an hour of a daily report.
type DayCount struct {
	Label            string
	Hits, Blocked    int64
	Vulns, Incidents int64
}

// Ranked is a value and its hits.
type Ranked struct {
	Value string
	N     int64
}

// Summary is everything that a report says.
type Summary struct {
	Client string
	Period calendar.Period
	Made   time.Time
	// Language is that of the files, "" = English.
	Language wording.Language
	// Filters selected what the report tells of; none = it tells of everything.
	Filters []filter.Filter
	Comparison

	Over                                            []DayCount
	Types, Hosts, Applications, Sources, Countries  []Ranked
	Statuses, Blocks                                []Ranked
	Threats                                         []Ranked       // vulnerabilities by threat, the worst first
	Attacks                                         []daily.Attack // the largest first
	Incidents                                       []daily.Incident
	Vulnerabilities                                 []daily.Vulnerability
	MoreAttacks, MoreIncidents, MoreVulnerabilities int64 // beyond the rows, or let go of by the engine
	// Gone is what the engine let go of, by the values of Dropped: no report can list it.
	Gone map[string]Gone
	// SourcesSeen is how many addresses were seen; SourcesAtLeast says that there were more.
	SourcesSeen    int
	SourcesAtLeast bool
}

// Rows bounds the rows of a summary.
type Rows struct{ Attacks, Incidents, Vulnerabilities int }

// RowsOf is what a format lists.
func RowsOf(f Format) Rows {
	if f == CSV {
		return Rows{RowsCSV, RowsCSV, RowsCSV}
	}
	return Rows{RowsAttacks, RowsOthers, RowsOthers}
}

// Build reads a period of the record. Its memory is bounded by the limits of the record: see MaxValues.
func Build(ctx context.Context, l DailyTotals, tenant, client string, p calendar.Period, rows Rows,
	now time.Time) (*Summary, error) {
	s := &Summary{Client: cmp.Or(client, tenant), Period: p, Made: now.In(timezone.Open(p.Zone))}
	b := builder{Summary: s, source: l, tenant: tenant, rows: rows, totals: map[daily.Dimension]map[string]int64{},
		days: map[calendar.Day]*DayCount{}}
	for _, step := range []func(context.Context) error{b.counts, b.attacks, b.incidents, b.vulnerabilities, b.before} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("report on %s of tenant %s: %w", p.Key(), tenant, err)
		}
	}
	b.over()
	return s, nil
}

type builder struct {
	*Summary
	source DailyTotals
	tenant string
	rows   Rows
	totals map[daily.Dimension]map[string]int64
	days   map[calendar.Day]*DayCount
}

func (b *builder) day(d calendar.Day) *DayCount {
	if b.days[d] == nil {
		b.days[d] = &DayCount{Label: d.Short()}
	}
	return b.days[d]
}

func (b *builder) counts(ctx context.Context) error {
	err := b.source.Counts(ctx, b.tenant, b.Period.From, b.Period.To, func(d calendar.Day, c daily.Count) error {
		values := b.totals[c.Dimension]
		if values == nil {
			values = map[string]int64{}
			b.totals[c.Dimension] = values
		}
		values[c.Value] += c.N
		switch {
		case c.Dimension == daily.Total:
			b.day(d).Hits += c.N
		case c.Dimension == daily.ByBlock && daily.Blocked(c.Value):
			b.day(d).Blocked += c.N
			b.Now.Blocked += c.N
		case c.Dimension == daily.Dropped && c.N > 0:
			b.letGo(c.Value, d, c.N)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.Now.Hits = b.totals[daily.Total][""]
	for dimension, into := range map[daily.Dimension]*[]Ranked{
		daily.ByType: &b.Types, daily.ByHost: &b.Hosts, daily.ByApplication: &b.Applications,
		daily.BySource:  &b.Sources,
		daily.ByCountry: &b.Countries,
		daily.ByStatus:  &b.Statuses, daily.ByBlock: &b.Blocks,
	} {
		*into = rank(b.totals[dimension], TopValues)
	}
	_, b.SourcesAtLeast = b.totals[daily.BySource][daily.Other]
	b.SourcesSeen = len(b.totals[daily.BySource])
	for _, not := range []string{"", daily.Other} {
		if _, ok := b.totals[daily.BySource][not]; ok {
			b.SourcesSeen--
		}
	}
	return nil
}

func (b *builder) letGo(what string, d calendar.Day, n int64) {
	if b.Gone == nil {
		b.Gone = map[string]Gone{}
	}
	gone := b.Gone[what]
	gone.N += n
	if at, found := slices.BinarySearch(gone.Days, d); !found {
		gone.Days = slices.Insert(gone.Days, at, d)
	}
	b.Gone[what] = gone
}

// rank lists the largest values; the rest becomes one line. Hits without a value are left out: that says nothing.
func rank(values map[string]int64, top int) []Ranked {
	var all []Ranked
	rest := int64(0)
	for v, n := range values {
		switch v {
		case "":
		case daily.Other:
			rest += n
		default:
			all = append(all, Ranked{v, n})
		}
	}
	slices.SortFunc(all, func(a, b Ranked) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Value, b.Value)) })
	for _, r := range all[min(len(all), top):] {
		rest += r.N
	}
	all = slices.Clip(all[:min(len(all), top)])
	if rest > 0 {
		all = append(all, Ranked{daily.Other, rest})
	}
	return all
}

// attacks adds up the attacks of all days and keeps the largest.
func (b *builder) attacks(ctx context.Context) error {
	merged := map[daily.AttackKey]*daily.Attack{}
	if err := b.source.Attacks(ctx, b.tenant, b.Period.From, b.Period.To, func(_ calendar.Day, a daily.Attack) error {
		if known := merged[a.Key]; known != nil {
			known.Add(a)
		} else {
			merged[a.Key] = &a
		}
		return nil
	}); err != nil {
		return err
	}
	b.Now.Attacks = int64(len(merged)) + b.Gone[daily.DroppedAttacks].N
	largest := make(smallestFirst, 0, min(len(merged), b.rows.Attacks+1))
	for _, a := range merged {
		if heap.Push(&largest, a); len(largest) > b.rows.Attacks {
			heap.Pop(&largest)
		}
	}
	b.Attacks = make([]daily.Attack, len(largest))
	for i := len(largest) - 1; i >= 0; i-- {
		b.Attacks[i] = *heap.Pop(&largest).(*daily.Attack)
	}
	b.MoreAttacks = b.Now.Attacks - int64(len(b.Attacks))
	return nil
}

// smallestFirst is a heap of attacks.
type smallestFirst []*daily.Attack

func (h smallestFirst) Len() int           { return len(h) }
func (h smallestFirst) Less(i, j int) bool { return smaller(h[i], h[j]) }
func (h smallestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *smallestFirst) Push(x any)        { *h = append(*h, x.(*daily.Attack)) }
func (h *smallestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// smaller orders attacks by hits, then by their key, so that a report lists the same rows each time it is made.
func smaller(a, b *daily.Attack) bool {
	if a.Hits() != b.Hits() {
		return a.Hits() < b.Hits()
	}
	return slices.Compare(a.Key[:], b.Key[:]) > 0
}

func (b *builder) incidents(ctx context.Context) error {
	byID := map[string]daily.Incident{}
	if err := b.source.Incidents(ctx, b.tenant, b.Period.From, b.Period.To, func(i daily.Incident) error {
		if known, ok := byID[i.ID]; ok {
			known.Add(i.Attack)
			i.Attack = known.Attack
		}
		byID[i.ID] = i
		return nil
	}); err != nil {
		return err
	}
	for _, i := range byID {
		b.Incidents = append(b.Incidents, i)
		b.day(max(calendar.DayOf(i.Last, timezone.Open(b.Period.Zone)), b.Period.From)).Incidents++
	}
	slices.SortFunc(b.Incidents, func(x, y daily.Incident) int {
		return cmp.Or(cmp.Compare(y.Hits(), x.Hits()), y.Last.Compare(x.Last), cmp.Compare(x.ID, y.ID))
	})
	b.Now.Incidents = int64(len(b.Incidents)) + b.Gone[daily.DroppedIncidents].N
	b.Incidents = b.Incidents[:min(len(b.Incidents), b.rows.Incidents)]
	b.MoreIncidents = b.Now.Incidents - int64(len(b.Incidents))
	return nil
}

// threats in the order of a table, the worst first.
var threats = []string{"Critical", "High", "Medium", "Low", "Info"}

func (b *builder) vulnerabilities(ctx context.Context) error {
	byID := map[string]daily.Vulnerability{}
	if err := b.source.Vulnerabilities(ctx, b.tenant, b.Period.From, b.Period.To, func(v daily.Vulnerability) error {
		if known, ok := byID[v.ID]; !ok || v.At.After(known.At) {
			byID[v.ID] = v
		}
		return nil
	}); err != nil {
		return err
	}
	by := map[string]int64{}
	for _, v := range byID {
		b.Vulnerabilities = append(b.Vulnerabilities, v)
		by[v.Threat]++
		b.day(max(calendar.DayOf(v.At, timezone.Open(b.Period.Zone)), b.Period.From)).Vulns++
	}
	slices.SortFunc(b.Vulnerabilities, func(x, y daily.Vulnerability) int {
		return cmp.Or(cmp.Compare(slices.Index(threats, x.Threat), slices.Index(threats, y.Threat)), y.At.Compare(x.At),
			cmp.Compare(x.ID, y.ID))
	})
	for _, t := range threats {
		if by[t] > 0 {
			b.Threats = append(b.Threats, Ranked{t, by[t]})
		}
	}
	if gone := b.Gone[daily.DroppedVulns].N; gone > 0 { // their risk is not known
		b.Threats = append(b.Threats, Ranked{daily.Other, gone})
	}
	b.Now.Vulnerabilities = int64(len(b.Vulnerabilities)) + b.Gone[daily.DroppedVulns].N
	b.Vulnerabilities = b.Vulnerabilities[:min(len(b.Vulnerabilities), b.rows.Vulnerabilities)]
	b.MoreVulnerabilities = b.Now.Vulnerabilities - int64(len(b.Vulnerabilities))
	return nil
}

// before is the headline of the period before, without its rows.
func (b *builder) before(ctx context.Context) error {
	p, h := b.Period.Previous(), &b.Before
	if err := b.source.Counts(ctx, b.tenant, p.From, p.To, func(_ calendar.Day, c daily.Count) error {
		switch {
		case c.Dimension == daily.Total:
			h.Hits += c.N
		case c.Dimension == daily.ByBlock && daily.Blocked(c.Value):
			h.Blocked += c.N
		case c.Dimension == daily.Dropped && c.Value == daily.DroppedAttacks:
			h.Attacks += c.N
		case c.Dimension == daily.Dropped && c.Value == daily.DroppedIncidents:
			h.Incidents += c.N
		case c.Dimension == daily.Dropped && c.Value == daily.DroppedVulns:
			h.Vulnerabilities += c.N
		}
		return nil
	}); err != nil {
		return err
	}
	attacks, incidents, vulns := map[daily.AttackKey]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	if err := b.source.Attacks(ctx, b.tenant, p.From, p.To, func(_ calendar.Day, a daily.Attack) error {
		attacks[a.Key] = struct{}{}
		return nil
	}); err != nil {
		return err
	}
	if err := b.source.Incidents(ctx, b.tenant, p.From, p.To, func(i daily.Incident) error {
		incidents[i.ID] = struct{}{}
		return nil
	}); err != nil {
		return err
	}
	if err := b.source.Vulnerabilities(ctx, b.tenant, p.From, p.To, func(v daily.Vulnerability) error {
		vulns[v.ID] = struct{}{}
		return nil
	}); err != nil {
		return err
	}
	h.Attacks += int64(len(attacks))
	h.Incidents += int64(len(incidents))
	h.Vulnerabilities += int64(len(vulns))
	return nil
}

// over makes the chart over time: the hours of one day, or days.
func (b *builder) over() {
	if b.Period.Days() == 1 {
		for hour := range 24 {
			label := fmt.Sprintf("%02d", hour)
			b.Over = append(b.Over, DayCount{Label: label, Hits: b.totals[daily.ByHour][label]})
		}
		return
	}
	for _, d := range b.Period.Each() {
		b.Over = append(b.Over, *b.day(d))
	}
}
