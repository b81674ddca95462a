package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/timezone"
)

// digestLines is how many lines a digest lists. The rest is counted.
const digestLines = 50

// seenBefore is for how many days an issue is known: one that was found within them is not new.
const seenBefore = 90

// catchUp is how many periods a digest has at most, which follow one another: those that came due while nobody looked.
var catchUp = map[calendar.Frequency]int{calendar.Daily: 7, calendar.Weekly: 4, calendar.APIHourly: 24}

// owedDigest is the period of the digest that the subscription is to get now: all that came since the last one, so that
// each hour and each day is in one digest and none is in two.
func (sub Subscription) owedDigest(last calendar.Period, hour int) []calendar.Period {
	if last.To <= sub.Done || sub.Done == "" && last.Due(hour).Before(sub.Since.Add(-unseen)) {
		return nil
	}
	whole := last
	for n := 1; n < catchUp[last.Frequency.Grain()] && sub.Done != ""; n++ {
		before := whole.Previous()
		if before.To <= sub.Done {
			break
		}
		whole.From = before.From
	}
	whole.From = max(whole.From, sub.after())
	return []calendar.Period{whole}
}

// after is the day or the hour after the last one that was told of, "" where there is none.
func (sub Subscription) after() calendar.Day {
	switch {
	case sub.Done == "":
		return ""
	case sub.Frequency == calendar.APIHourly:
		return sub.Done.Hours(1)
	}
	return sub.Done.Add(1)
}

// performDigest publishes a digest, unless there is nothing to tell. Done again it changes nothing: the event's id is
// made of the period and the receiver.
func (s *Service) performDigest(ctx context.Context, j Job) error {
	d, err := s.Digest(ctx, j.Tenant, j.Period)
	if err != nil {
		return fmt.Errorf("digest %s of %s of tenant %s: %w", j.Period.Frequency, j.Period.Key(), j.Tenant, err)
	}
	if len(d.Totals) == 0 {
		return nil
	}
	d.Integration = j.Receiver
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	e := event.Event{
		ID:     "digest:" + string(j.Period.Frequency) + "-" + j.Period.Key() + ":" + j.Receiver,
		Tenant: j.Tenant, ClientName: j.Client, Kind: event.ScheduledDigest, Time: s.Now().UTC(), Data: data,
	}
	if err := s.hand(ctx, e); err != nil {
		return fmt.Errorf("hand digest %s over to %s: %w", e.ID, j.Receiver, err)
	}
	return nil
}

// Digest sums a period up. One without totals has nothing to tell.
func (s *Service) Digest(ctx context.Context, tenant string, p calendar.Period) (event.DigestData, error) {
	b := digester{totals: s.Totals, tenant: tenant, period: p, data: event.DigestData{Digest: p.Frequency.Type(),
		From: string(p.From), To: string(p.To), Zone: p.Zone, Totals: []event.DigestTotal{},
		Lines: []event.DigestLine{}}}
	var err error
	switch p.Frequency {
	case calendar.IssuesDaily, calendar.CriticalDaily:
		err = b.issues(ctx)
	case calendar.SurfaceWeekly:
		err = b.surface(ctx)
	default:
		err = b.changes(ctx)
	}
	if more := len(b.data.Lines) - digestLines; more > 0 {
		b.data.Lines, b.data.More = b.data.Lines[:digestLines], b.data.More+int64(more)
	}
	return b.data, err
}

type digester struct {
	totals DailyTotals
	tenant string
	period calendar.Period
	data   event.DigestData
}

// total adds a number to the head of the digest, unless it is none.
func (b *digester) total(name string, n int64) {
	if n > 0 {
		b.data.Totals = append(b.data.Totals, event.DigestTotal{Name: name, N: n})
	}
}

// issues tells of issues that were found for the first time.
func (b *digester) issues(ctx context.Context) error {
	found, gone, err := b.newIssues(ctx)
	if err != nil {
		return err
	}
	b.risks(found)
	b.total("Issues of unknown risk", gone)
	b.data.More = gone
	for _, v := range found {
		text := []string{cmp.Or(v.Title, v.Type, v.ID)}
		if place := v.Host + v.Path; place != "" {
			text = append(text, strings.TrimSpace(v.Method+" "+place))
		}
		b.data.Lines = append(b.data.Lines, event.DigestLine{Label: v.Threat, Text: strings.Join(text, " · ")})
	}
	return nil
}

// risks counts issues by risk, the worst first.
func (b *digester) risks(found []daily.Vulnerability) {
	by := map[string]int64{}
	for _, v := range found {
		by[v.Threat]++
	}
	for _, t := range threats {
		b.total(t+" issues", by[t])
	}
}

// newIssues are those of the period that no day before had, the worst first, and how many the record let go of.
func (b *digester) newIssues(ctx context.Context) (found []daily.Vulnerability, gone int64, err error) {
	by, p := map[string]daily.Vulnerability{}, b.period
	if err := b.totals.Vulnerabilities(ctx, b.tenant, p.From, p.To, func(v daily.Vulnerability) error {
		if known, ok := by[v.ID]; (!ok || v.At.After(known.At)) &&
			(p.Frequency != calendar.CriticalDaily || v.Threat == threats[0]) {
			by[v.ID] = v
		}
		return nil
	}); err != nil || len(by) == 0 {
		return nil, 0, err
	}
	if err := b.totals.Vulnerabilities(ctx, b.tenant, p.From.Add(-seenBefore), p.From.Add(-1),
		func(v daily.Vulnerability) error {
			delete(by, v.ID)
			return nil
		}); err != nil {
		return nil, 0, err
	}
	if p.Frequency != calendar.CriticalDaily { // whether one that was let go is critical is not known
		if err := b.totals.Counts(ctx, b.tenant, p.From, p.To, func(_ calendar.Day, c daily.Count) error {
			if c.Dimension == daily.Dropped && c.Value == daily.DroppedVulns {
				gone += c.N
			}
			return nil
		}); err != nil {
			return nil, 0, err
		}
	}
	found = slices.SortedFunc(maps.Values(by), func(x, y daily.Vulnerability) int {
		return cmp.Or(cmp.Compare(slices.Index(threats, x.Threat), slices.Index(threats, y.Threat)),
			cmp.Compare(x.Host, y.Host), cmp.Compare(x.ID, y.ID))
	})
	return found, gone, nil
}

// counted visits the values of a dimension in the period's days, in their order, and returns how many are beyond the
// record's limits.
func (b *digester) counted(ctx context.Context, d daily.Dimension, from, to calendar.Day) (values map[string]int64,
	beyond int64, err error) {
	values = map[string]int64{}
	err = b.totals.Counts(ctx, b.tenant, from, to, func(_ calendar.Day, c daily.Count) error {
		if c.Dimension == d && c.Value != daily.Other {
			values[c.Value] += c.N
		} else if c.Dimension == d {
			beyond += c.N
		}
		return nil
	})
	return values, beyond, err
}

// surface tells what came into the perimeter and left it, and how many issues were found.
func (b *digester) surface(ctx context.Context) error {
	values, beyond, err := b.counted(ctx, daily.Surface, b.period.From, b.period.To)
	if err != nil {
		return err
	}
	issues, gone, err := b.newIssues(ctx)
	if err != nil {
		return err
	}
	labels := map[string]string{
		daily.SurfaceNew + " " + daily.SurfaceIP:       "New IP",
		daily.SurfaceNew + " " + daily.SurfaceDomain:   "New domain",
		daily.SurfaceNew + " " + daily.SurfaceService:  "New service",
		daily.SurfaceGone + " " + daily.SurfaceIP:      "Removed IP",
		daily.SurfaceGone + " " + daily.SurfaceDomain:  "Removed domain",
		daily.SurfaceGone + " " + daily.SurfaceService: "Removed service",
	}
	order := []string{"New domain", "New IP", "New service", "Removed domain", "Removed IP", "Removed service"}
	by := map[string][]string{}
	for v := range values {
		parts := strings.SplitN(v, " ", 3)
		if len(parts) == 3 {
			label := labels[parts[0]+" "+parts[1]]
			by[label] = append(by[label], parts[2])
		}
	}
	for _, label := range order {
		b.total(label+"s", int64(len(by[label])))
		slices.Sort(by[label])
		for _, name := range by[label] {
			b.data.Lines = append(b.data.Lines, event.DigestLine{Label: label, Text: name})
		}
	}
	b.total("Other changes", beyond)
	b.data.More = beyond
	b.risks(issues)
	b.total("Issues of unknown risk", gone)
	return nil
}

// changes tells of the changes of APIs.
func (b *digester) changes(ctx context.Context) error {
	from, to, inside := b.period.From, b.period.To, func(calendar.Day) bool { return true }
	if b.period.Frequency == calendar.APIHourly {
		zone := timezone.Open(b.period.Zone)
		begin, end := from.Begins(), to.Hours(1).Begins()
		from, to = calendar.DayOf(begin, zone), calendar.DayOf(end.Add(-time.Second), zone)
		inside = func(hour calendar.Day) bool { return b.period.From <= hour && hour <= b.period.To }
		b.data.From, b.data.To = begin.In(zone).Format(time.RFC3339), end.In(zone).Format(time.RFC3339)
	}
	values, beyond, err := b.counted(ctx, daily.APIChange, from, to)
	if err != nil {
		return err
	}
	if b.period.Frequency == calendar.APIHourly {
		beyond = 0 // of which hour they were is not known
	}
	labels := map[string]string{daily.APIAdded: "Added", daily.APIChanged: "Changed", daily.APIUnused: "No longer used"}
	totals := map[string]int64{}
	type change struct{ label, place string }
	seen := map[change]bool{}
	var all []change
	for v := range values {
		parts := strings.SplitN(v, " ", 5)
		if len(parts) != 5 || !inside(calendar.Day(parts[0])) {
			continue
		}
		place := parts[3] + parts[4]
		if parts[3] == daily.None {
			place = parts[4]
		}
		if parts[2] != daily.None {
			place = parts[2] + " " + place
		}
		c := change{labels[parts[1]], place}
		if !seen[c] {
			seen[c], all = true, append(all, c)
			totals[c.label]++
		}
	}
	slices.SortFunc(all, func(x, y change) int {
		return cmp.Or(cmp.Compare(x.label, y.label), cmp.Compare(x.place, y.place))
	})
	b.total("Endpoints added", totals[labels[daily.APIAdded]])
	b.total("Endpoints changed", totals[labels[daily.APIChanged]])
	b.total("Endpoints no longer used", totals[labels[daily.APIUnused]])
	for _, c := range all {
		b.data.Lines = append(b.data.Lines, event.DigestLine{Label: c.label, Text: c.place})
	}
	b.total("Other changes", beyond)
	b.data.More = beyond
	return nil
}
