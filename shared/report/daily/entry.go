package daily

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/event"
	"tocsin/shared/report/calendar"
	"tocsin/shared/timezone"
)

// Dimension is what hits are counted by.
type Dimension string

// The dimensions. Those whose values a stranger chooses are bounded: see MaxValues.
const (
	Total         Dimension = "total" // its only value is ""
	ByType        Dimension = "type"
	ByApplication Dimension = "application"
	ByHost        Dimension = "host"
	BySource      Dimension = "source"
	ByCountry     Dimension = "country"
	ByStatus      Dimension = "status" // of the response
	ByBlock       Dimension = "block"  // block status
	ByHour        Dimension = "hour"   // 00 to 23 in the tenant's zone
	// Surface counts what came into the perimeter or left it, APIChange the changes of APIs; neither counts hits. A
	// value says what it was: see surfaceValue and apiValue.
	Surface   Dimension = "surface"
	APIChange Dimension = "api_change"
	// Dropped counts rows that the engine let go of, by what they were: see MaxAttacks and MaxFindings.
	Dropped Dimension = "dropped"
)

// Values of Dropped.
const (
	DroppedAttacks   = "attacks"
	DroppedIncidents = "incidents"
	DroppedVulns     = "vulnerabilities"
)

// Limits of what an engine keeps of one tenant's day. Of values and attacks it keeps at least so many: when it holds
// more than twice as many it lets go of the smallest so far, so that one which begins small, is let go and comes again
// can end up missing although it was large over the day. Of findings it keeps the first. Reports say what is missing:
// see Missing.
const (
	MaxValues   = 1000 // values of one dimension
	MaxAttacks  = 2000
	MaxFindings = 1000 // incidents, and vulnerabilities, each
)

// Retention of the record.
const (
	KeepMonths = 13 // of counts and rows: a month can be compared with that of the year before
	KeepFiles  = 7 * 24 * time.Hour
)

// Other stands for the values beyond a limit.
const Other = "(other)"

// clipValue bounds a value in bytes: a host header may be long.
const clipValue = 200

// Count is how many hits a value had.
type Count struct {
	Dimension Dimension
	Value     string
	N         int64
}

// AttackKey identifies an attack among a tenant's: a digest of what groups its hits (facts, 1.7: attack type, parameter
// and target address).
type AttackKey [16]byte

// Attack is hits of one type on one place, of one day or of several added up.
type Attack struct {
	Key       AttackKey `json:"-"`
	ID        string    `json:"i,omitempty"` // upstream's, where it sends attacks
	ObjectID  int64     `json:"o,omitempty"`
	Type      string    `json:"t"`
	Host      string    `json:"h,omitempty"`
	Path      string    `json:"p,omitempty"`
	Method    string    `json:"m,omitempty"`
	Parameter string    `json:"q,omitempty"`
	// Seen are the hits that were recorded; Stated the number that upstream gave with the attack itself.
	Seen    int64     `json:"n,omitempty"`
	Stated  int64     `json:"s,omitempty"`
	Blocked int64     `json:"b,omitempty"`
	First   time.Time `json:"f"`
	Last    time.Time `json:"l"`
	// Sources are some of its addresses, Applications of its applications: at most maxSources of each.
	Sources          []string `json:"a,omitempty"`
	Applications     []string `json:"c,omitempty"`
	More             bool     `json:"x,omitempty"` // there are more sources
	MoreApplications bool     `json:"y,omitempty"` // there are more applications
}

// maxSources is how many addresses and applications are kept with an attack.
const maxSources = 10

// Hits is the attack's size.
func (a Attack) Hits() int64 { return max(a.Seen, a.Stated) }

// Add adds another part of the same attack: hits of another batch, or of another day.
func (a *Attack) Add(b Attack) {
	a.ID, a.ObjectID = cmp.Or(a.ID, b.ID), cmp.Or(a.ObjectID, b.ObjectID)
	a.Method = cmp.Or(a.Method, b.Method)
	a.Seen += b.Seen
	a.Stated = max(a.Stated, b.Stated)
	a.Blocked += b.Blocked
	if a.First.IsZero() || b.First.Before(a.First) {
		a.First = b.First
	}
	if b.Last.After(a.Last) {
		a.Last = b.Last
	}
	a.More = merge(&a.Sources, b.Sources) || a.More || b.More
	a.MoreApplications = merge(&a.Applications, b.Applications) || a.MoreApplications || b.MoreApplications
}

// merge adds what is new, as far as there is room; more says that there was not.
func merge(into *[]string, from []string) (more bool) {
	for _, s := range from {
		switch {
		case slices.Contains(*into, s):
		case len(*into) == maxSources:
			return true
		default:
			*into = append(*into, s)
		}
	}
	return false
}

// Incident is an attack on an open vulnerability.
type Incident struct {
	Attack
	Vulnerability string `json:"v,omitempty"`
	Threat        string `json:"r,omitempty"`
}

// Vulnerability is one, or a security issue.
type Vulnerability struct {
	ID           string    `json:"i,omitempty"`
	ObjectID     int64     `json:"o,omitempty"`
	At           time.Time `json:"f"`
	Title        string    `json:"t,omitempty"`
	Threat       string    `json:"r"` // Critical, High, Medium, Low or Info
	Type         string    `json:"y,omitempty"`
	Host         string    `json:"h,omitempty"`
	Path         string    `json:"p,omitempty"`
	Method       string    `json:"m,omitempty"`
	Parameter    string    `json:"q,omitempty"`
	DiscoveredBy string    `json:"d,omitempty"`
}

// ShownID is the vulnerability's id, "" when upstream gave none.
func (v Vulnerability) ShownID() string {
	if strings.HasPrefix(v.ID, "event:") {
		return ""
	}
	return v.ID
}

// Entry is what a batch of events adds to one tenant's day.
type Entry struct {
	Tenant          string
	Day             calendar.Day
	Counts          []Count
	Attacks         []Attack        // by Key
	Incidents       []Incident      // by ID
	Vulnerabilities []Vulnerability // by ID
}

// Recorder makes records of events. It is safe for concurrent use.
type Recorder struct {
	Zone func(ctx context.Context, tenant string) (string, error) // the name of a tenant's
	Now  func() time.Time

	mu    sync.Mutex
	known map[string]knownZone
}

type knownZone struct {
	zone *time.Location
	at   time.Time
}

// zoneGood is how long a tenant's zone is remembered.
const zoneGood = 30 * time.Second

func (r *Recorder) zone(ctx context.Context, tenant string) (*time.Location, error) {
	now := r.Now()
	r.mu.Lock()
	known, ok := r.known[tenant]
	r.mu.Unlock()
	if ok && now.Sub(known.at) < zoneGood {
		return known.zone, nil
	}
	name, err := r.Zone(ctx, tenant)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) > 10_000 {
		r.known = map[string]knownZone{}
	}
	known = knownZone{timezone.Open(name), now}
	r.known[tenant] = known
	return known.zone, nil
}

// Records reports whether events of a kind add to the record.
func Records(k event.Kind) bool {
	switch k {
	case event.NewHits, event.NewAttack, event.NewIncident, event.Vuln, event.SecurityIssue, event.NewScopeIPs,
		event.NewScopeDomains, event.NewScopeServices, event.APIStructureChanged:
		return true
	}
	return false
}

// Records says what a batch of accepted events adds, one record for each tenant and day, in their order. Events of
// other kinds add nothing.
func (r *Recorder) Records(ctx context.Context, events []event.Event) ([]Entry, error) {
	g := entries{}
	for _, e := range events {
		if !Records(e.Kind) {
			continue
		}
		zone, err := r.zone(ctx, e.Tenant)
		if err != nil {
			return nil, err
		}
		g.add(e, zone)
	}
	return g.records(), nil
}

// entries collects the records of a batch.
type entries map[dayKey]*entry

type dayKey struct {
	tenant string
	day    calendar.Day
}

type entry struct {
	counts    map[countKey]*int64
	last      [lasts]lastCount
	attacks   map[AttackKey]*Attack
	attacked  *Attack // the last one of a hit
	incidents map[string]Incident
	vulns     map[string]Vulnerability
}

type countKey struct {
	dimension Dimension
	value     string
}

// lastCount is where the last hit was counted by a dimension: most hits of a batch have much in common.
type lastCount struct {
	value string
	n     *int64
}

// lasts is how many dimensions every hit is counted by.
const lasts = 8

func (g entries) day(tenant string, at time.Time, zone *time.Location) *entry {
	k := dayKey{tenant, calendar.DayOf(at, zone)}
	d := g[k]
	if d == nil {
		d = &entry{counts: map[countKey]*int64{}, attacks: map[AttackKey]*Attack{}, incidents: map[string]Incident{},
			vulns: map[string]Vulnerability{}}
		g[k] = d
	}
	return d
}

func (g entries) add(e event.Event, zone *time.Location) {
	switch e.Kind {
	case event.NewHits:
		g.hit(e, zone)
	case event.NewAttack:
		d := event.Data[event.AttackData](e)
		a := assault(d.Attack, d.ObjectID, e.Time)
		g.day(e.Tenant, a.Last, zone).attack(a)
	case event.NewIncident:
		d := event.Data[event.IncidentData](e)
		i := Incident{Attack: assault(d.Incident.Assault, d.ObjectID, e.Time),
			Vulnerability: clip(d.Incident.Vulnerability), Threat: clip(d.Incident.Threat)}
		g.day(e.Tenant, i.Last, zone).incidents[i.ID] = i
	case event.Vuln:
		d := event.Data[event.VulnData](e)
		g.finding(e, zone, d.Vuln.Finding, d.ObjectID, d.Vuln.Threat, d.Vuln.Domain)
	case event.SecurityIssue:
		d := event.Data[event.IssueData](e)
		g.finding(e, zone, d.Issue.Finding, d.ObjectID, d.Issue.Risk, d.Issue.Host)
	case event.NewScopeIPs, event.NewScopeDomains, event.NewScopeServices:
		d := g.day(e.Tenant, e.Time, zone)
		for _, o := range event.Data[event.ScopeData](e).Data {
			d.count(Surface, surfaceValue(o))
		}
	case event.APIStructureChanged:
		if _, copied := e.Reaction(); !copied { // a trigger's, of an event that counted
			g.day(e.Tenant, e.Time, zone).count(APIChange, apiValue(event.Data[event.EndpointData](e), e.Time))
		}
	}
}

// hours are the values of ByHour.
var hours = func() (out [24]string) {
	for n := range out {
		out[n] = string([]byte{'0' + byte(n/10), '0' + byte(n%10)})
	}
	return out
}()

// Blocked reports whether the hit was kept from the application. The facts name `monitored` alone.
func Blocked(status string) bool { return strings.HasPrefix(status, "blocked") }

func (g entries) hit(e event.Event, zone *time.Location) {
	h := event.Data[event.HitData](e).Hit
	at := when(int64(h.RequestTime), e.Time)
	d := g.day(e.Tenant, at, zone)
	host, kind := clip(h.Site()), clip(h.Type)
	country, status := "", ""
	if h.RemoteCountry != nil {
		country = *h.RemoteCountry
	}
	if h.ResponseStatus != 0 {
		status = strconv.Itoa(h.ResponseStatus)
	}
	for n, c := range [lasts]countKey{{Total, ""}, {ByHour, hours[at.In(zone).Hour()]}, {ByType, kind}, {ByHost, host},
		{BySource, h.Source()}, {ByCountry, country}, {ByStatus, status},
		{ByBlock, cmp.Or(h.BlockStatus, "unknown")}} {
		if l := &d.last[n]; l.n == nil || l.value != c.value {
			*l = lastCount{c.value, d.counter(c.dimension, c.value)}
		}
		*d.last[n].n++
	}
	a := Attack{Type: kind, Host: host, Path: clip(h.Path), Parameter: clip(h.Parameter), Method: clip(h.Method),
		Seen: 1, First: at, Last: at}
	if Blocked(h.BlockStatus) {
		a.Blocked = 1
	}
	if s := h.Source(); s != "" {
		a.Sources = []string{clip(s)}
	}
	for _, name := range h.Applications[:min(len(h.Applications), maxSources)] {
		d.count(ByApplication, name)
		merge(&a.Applications, []string{clip(name)})
	}
	a.MoreApplications = len(h.Applications) > maxSources
	if l := d.attacked; l != nil && l.Type == a.Type && l.Host == a.Host && l.Path == a.Path &&
		l.Parameter == a.Parameter {
		l.Add(a)
		return
	}
	a.Key = keyOf(a)
	d.attacked = d.attack(a)
}

// tooFar is how far a hit's own time may be from its event's before the event's is believed instead.
const tooFar = 35 * 24 * time.Hour

// when is the hit's own time, to the second, or its event's.
func when(unix int64, sent time.Time) time.Time {
	at := time.Unix(unix, 0).UTC()
	if unix == 0 || sent.Sub(at) > tooFar || at.Sub(sent) > time.Hour {
		return sent.UTC().Truncate(time.Second)
	}
	return at
}

func assault(a event.Assault, object int64, sent time.Time) Attack {
	out := Attack{
		ID: clip(a.ID), ObjectID: object, Type: clip(a.Type), Host: clip(a.Host), Path: clip(a.Path),
		Method: clip(a.Method), Parameter: clip(a.Parameter),
		Stated: a.Hits, First: a.First.UTC(), Last: a.Last.UTC(),
	}
	if out.Last.IsZero() || out.Last.After(sent.Add(time.Hour)) || sent.Sub(out.Last) > tooFar {
		out.Last = sent.UTC().Truncate(time.Second)
	}
	if out.First.IsZero() || out.First.After(out.Last) {
		out.First = out.Last
	}
	if Blocked(a.BlockStatus) {
		out.Blocked = a.Hits
	}
	for _, s := range a.Sources {
		out.More = merge(&out.Sources, []string{clip(s)}) || out.More
	}
	for _, s := range a.Applications {
		out.MoreApplications = merge(&out.Applications, []string{clip(s)}) || out.MoreApplications
	}
	out.Key = keyOf(out)
	return out
}

func (g entries) finding(e event.Event, zone *time.Location, f event.Finding, object int64, threat string,
	host *string) {
	if f.Step() == event.Closed {
		return // a report lists what was found
	}
	v := Vulnerability{
		ID: text(f.ID), ObjectID: object, At: e.Time.UTC(), Title: text(f.Title), Threat: threat, Type: text(f.Type),
		Host: text(host),
		Path: text(f.Path), Method: text(f.Method), Parameter: text(f.Parameter), DiscoveredBy: text(f.DiscoveredBy),
	}
	if v.ID == "" {
		v.ID = "event:" + e.ID
	}
	g.day(e.Tenant, v.At, zone).vulns[v.ID] = v
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return clip(*p)
}

func (d *entry) count(dimension Dimension, value string) { *d.counter(dimension, value)++ }

func (d *entry) counter(dimension Dimension, value string) *int64 {
	k := countKey{dimension, clip(value)}
	n := d.counts[k]
	if n == nil {
		n = new(int64)
		d.counts[k] = n
	}
	return n
}

// attack adds an attack, and returns what it is part of.
func (d *entry) attack(a Attack) *Attack {
	if known := d.attacks[a.Key]; known != nil {
		known.Add(a)
		return known
	}
	d.attacks[a.Key] = &a
	return &a
}

// clip bounds a value and keeps it valid text. Most values are short and plain: a hit has ten of them.
func clip(s string) string {
	if len(s) <= clipValue && plain(s) {
		return s
	}
	return cut.Keep(strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), "�"), clipValue)
}

func plain(s string) bool {
	for n := range len(s) {
		if s[n] < ' ' || s[n] > '~' {
			return false
		}
	}
	return true
}

func keyOf(a Attack) (k AttackKey) {
	sum := sha256.Sum256([]byte(strings.Join([]string{a.Type, a.Host, a.Path, a.Parameter}, "\x00")))
	copy(k[:], sum[:])
	return k
}

// records sorts the entries: a batch gives the same records however its maps were walked.
func (g entries) records() []Entry {
	out := make([]Entry, 0, len(g))
	for k, d := range g {
		r := Entry{Tenant: k.tenant, Day: k.day}
		for c, n := range d.counts {
			r.Counts = append(r.Counts, Count{c.dimension, c.value, *n})
		}
		for _, a := range d.attacks {
			r.Attacks = append(r.Attacks, *a)
		}
		for _, i := range d.incidents {
			r.Incidents = append(r.Incidents, i)
		}
		for _, v := range d.vulns {
			r.Vulnerabilities = append(r.Vulnerabilities, v)
		}
		slices.SortFunc(r.Counts, func(a, b Count) int {
			return cmp.Or(cmp.Compare(a.Dimension, b.Dimension), cmp.Compare(a.Value, b.Value))
		})
		slices.SortFunc(r.Attacks, func(a, b Attack) int { return slices.Compare(a.Key[:], b.Key[:]) })
		slices.SortFunc(r.Incidents, func(a, b Incident) int { return cmp.Compare(a.ID, b.ID) })
		slices.SortFunc(r.Vulnerabilities, func(a, b Vulnerability) int { return cmp.Compare(a.ID, b.ID) })
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Day, b.Day))
	})
	return out
}
