package configuration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"tocsin/shared/configuration/tree"
)

// Verb is what is done to an object.
type Verb string

// The verbs.
const (
	Add    Verb = "add"
	Change Verb = "change"
	// Send is for an object of which nothing differs that can be seen, and whose secrets are given: they are sent, and
	// the service tells whether they were others.
	Send   Verb = "send secrets of"
	Remove Verb = "remove"
)

// The kinds of objects.
const (
	IntegrationKind = "integration"
	TriggerKind     = "trigger"
	ReportsKind     = "report settings"
)

// Plan makes an account like a document, step by step.
type Plan struct {
	Steps []Step
	// Notes are what a person should know before.
	Notes []string
}

// Step is one change.
type Step struct {
	Verb     Verb
	Kind     string
	Name     string
	Was      string // the name until now, where it has another one
	ID       string // "" of what is added
	Revision int64
	ETag     string // of what has no revision
	// Replaces is the id of what has the name until it is removed.
	Replaces string
	// Differences are what changes of it, field by field; of what is added, what it will be.
	Differences []Difference
	// Secrets are the parameters that hold secrets and are given.
	Secrets []string
	// BoundThere: after it is added, somebody at the system's side has to bind a place to it.
	BoundThere bool

	stored   json.RawMessage // its parameters as the API shows them, of an integration that is there
	lost     bool            // its secrets can not be read: which it had is not known
	narrowed bool            // its filters or the types of its events are others
	body     tree.Value
	actions  []Action // of a trigger, whose integrations have their ids only when they are there
	fallback string   // likewise the name of an integration's
}

// Difference is a field that is another one. Before is "" where there was none, After where there will be none.
type Difference struct{ Field, Before, After string }

// Differs reports whether the plan changes anything that can be seen.
func (p Plan) Differs() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Verb != Send })
}

// Removals are the steps that delete something.
func (p Plan) Removals() (out []Step) {
	for _, s := range p.Steps {
		if s.Verb == Remove {
			out = append(out, s)
		}
	}
	return out
}

// NewPlan compares a document that was filled with what an account has. Integrations come before the triggers that name
// them, and what is removed comes last, in reverse: only with prune is anything. The error is Problems.
func NewPlan(d Document, s State, prune bool) (Plan, error) {
	p := &planner{state: s, prune: prune, document: d}
	p.integrations()
	p.triggers()
	p.reports()
	slices.Reverse(p.gone)
	p.plan.Steps = append(p.plan.Steps, p.gone...)
	return p.plan, p.problems.Err()
}

type planner struct {
	document Document
	state    State
	prune    bool
	plan     Plan
	gone     []Step // in the order of their making
	problems tree.Problems
	// known are the names that triggers may use, with the id where there is one already.
	known map[string]string
	// templates are those of the integrations that they name.
	templates map[string]MessageTemplate
}

// match finds the stored object of each object of a document: by its name, or by its name until now where there is none
// of the new name. -1 is none.
func match(names, was, stored []string) []int {
	out := make([]int, len(names))
	taken := map[int]bool{}
	for n, name := range names {
		if out[n] = slices.Index(stored, name); out[n] >= 0 {
			taken[out[n]] = true
		}
	}
	for n := range names {
		if out[n] < 0 && was[n] != "" {
			if k := slices.Index(stored, was[n]); k >= 0 && !taken[k] {
				out[n], taken[k] = k, true
			}
		}
	}
	return out
}

// doubles tells of names that several stored objects have and that the document means one of.
func (p *planner) doubles(kind string, stored, ids, wanted []string) {
	byName := map[string][]string{}
	for n, name := range stored {
		byName[name] = append(byName[name], ids[n])
	}
	for name, ids := range byName {
		if len(ids) > 1 && (p.prune || slices.Contains(wanted, name)) {
			p.problems.Add(0, "", "%s", (&DoubleError{kind, name, slices.Sorted(slices.Values(ids))}).Error())
		}
	}
}

func (p *planner) integrations() {
	var names, was, stored, ids []string
	for _, i := range p.document.Integrations {
		names, was = append(names, i.Name), append(was, i.Was)
	}
	p.known, p.templates = map[string]string{}, map[string]MessageTemplate{}
	for _, i := range p.state.Integrations {
		stored, ids = append(stored, i.Name), append(ids, i.ID)
		p.known[i.Name], p.templates[i.Name] = i.ID, i.MessageTemplate
	}
	wanted := slices.Concat(names, was)
	for _, t := range p.document.Triggers {
		for _, a := range t.Actions {
			wanted = append(wanted, a.Integrations...)
		}
	}
	p.doubles(IntegrationKind, stored, ids, wanted)
	if p.document.Integrations == nil {
		return
	}
	found := match(names, was, stored)
	kept := map[int]bool{}
	for n, i := range p.document.Integrations {
		if found[n] >= 0 {
			kept[found[n]] = true
			delete(p.known, stored[found[n]])
		}
		p.templates[i.Name] = i.MessageTemplate
		p.integration(i, found[n], kept)
	}
	for _, i := range p.document.Integrations {
		if _, ok := p.known[i.Name]; !ok {
			p.known[i.Name] = ""
		}
	}
	for n, i := range p.state.Integrations {
		if p.prune && !kept[n] {
			p.remove(Step{Kind: IntegrationKind, Name: i.Name, ID: i.ID, Revision: i.Revision})
			if p.known[i.Name] == i.ID {
				delete(p.known, i.Name)
			}
		}
	}
	p.fallbacks(found) // after what is removed, which nobody can fall back to
}

func (p *planner) remove(s Step) {
	s.Verb = Remove
	p.gone = append(p.gone, s)
}

// integration plans one; at is the place of the stored one, -1 for none.
func (p *planner) integration(i Integration, at int, kept map[int]bool) {
	where := fmt.Sprintf("integration %q", tree.Short(i.Name))
	if at >= 0 {
		old := p.state.Integrations[at]
		if old.System == i.System {
			p.known[i.Name] = old.ID
			p.change(i, old, where)
			return
		}
		if !p.prune {
			p.problems.Add(i.Line, where, "is of the system %s here and %s there, and an integration keeps its "+
				"system: give the new one another name, or have the old one deleted with -prune", i.System, old.System)
			return
		}
		kept[at] = false
		p.add(i, old.ID, where)
		return
	}
	p.add(i, "", where)
}

func (p *planner) add(i Integration, replaces, where string) {
	system := p.state.Systems[i.System]
	on := i.Enabled == nil || *i.Enabled
	s := Step{Verb: Add, Kind: IntegrationKind, Name: i.Name, Replaces: replaces, BoundThere: system.BoundThere}
	s.differ("system", tree.Value{}, tree.OfText(i.System))
	s.word("language", i.Language, "")
	s.word("rate", i.Rate, "")
	s.word("grouping", i.Grouping, "")
	s.word("storm_guard", i.StormGuard, "")
	s.template(i.MessageTemplate, MessageTemplate{})
	s.differ("enabled", tree.Value{}, tree.OfBool(on))
	s.differ("events", tree.Value{}, events(system.order(i.Events)))
	s.narrow(i.Filters, nil)
	s.hold(i.Hold, Hold{})
	var parameters tree.Value
	parameters.Kind = tree.Map
	for _, f := range system.Fields {
		v, given := find(i.Parameters, f.Name)
		given = given && v.Kind != tree.Null
		if !given && f.Default.Kind == tree.Null && system.required(f, tree.Value{Members: i.Parameters}.Get) {
			p.problems.Add(i.Line, where, "%s is required, because there is no such integration yet: write it, or "+
				"${NAME} of an environment variable", f.Name)
		}
		if !given {
			continue
		}
		parameters.Set(f.Name, v)
		if f.Secret {
			s.Secrets = append(s.Secrets, f.Name)
			p.literal(i, f, v)
		} else {
			s.differ("parameters."+f.Name, tree.Value{}, v)
		}
	}
	s.body.Set("system", tree.OfText(i.System))
	s.body.Set("name", tree.OfText(i.Name))
	s.body.Set("enabled", tree.OfBool(on))
	s.body.Set("events", lines(system.order(i.Events)))
	s.narrowed = true
	s.body.Set("parameters", parameters)
	p.plan.Steps = append(p.plan.Steps, s)
}

func (p *planner) change(i Integration, old StoredIntegration, where string) {
	system := p.state.Systems[i.System]
	s := Step{Verb: Change, Kind: IntegrationKind, Name: i.Name, ID: old.ID, Revision: old.Revision,
		stored: old.Parameters, lost: old.Lost}
	s.body.Kind = tree.Map
	s.rename(i.Name, old.Name)
	s.word("language", i.Language, old.Language)
	s.word("rate", i.Rate, old.Rate)
	s.word("grouping", i.Grouping, old.Grouping)
	s.word("storm_guard", i.StormGuard, old.StormGuard)
	s.template(i.MessageTemplate, old.MessageTemplate)
	p.tryTriggered(i, old, where)
	s.enable(i.Enabled, old.Enabled)
	now, before := system.order(i.Events), system.order(old.Events)
	if !slices.Equal(now, before) {
		s.differ("events", events(before), events(now))
		s.body.Set("events", lines(now))
		s.narrowed = !slices.EqualFunc(now, before, func(a, b Subscription) bool { return a.Event == b.Event })
	}
	s.narrow(i.Filters, old.Filters)
	s.hold(i.Hold, old.Hold)
	stored, err := tree.Decode(old.Parameters)
	if err != nil {
		p.problems.Add(i.Line, where, "its stored parameters can not be read: %v", err)
		return
	}
	parameters := tree.Value{Kind: tree.Map}
	for _, f := range system.Fields {
		if f.ReadOnly {
			continue
		}
		s.parameter(f, i.Parameters, stored, &parameters)
		if v, ok := find(i.Parameters, f.Name); ok && f.Secret {
			p.literal(i, f, v)
		}
	}
	if len(parameters.Members) > 0 {
		s.body.Set("parameters", parameters)
	}
	p.changed(s)
}

// changed adds the step if there is anything to do.
func (p *planner) changed(s Step) {
	if len(s.Differences) == 0 {
		s.Verb = Send
	}
	if len(s.Differences)+len(s.Secrets) > 0 {
		p.plan.Steps = append(p.plan.Steps, s)
	}
}

// parameter compares one parameter of an integration and puts into patch what is to be sent.
func (s *Step) parameter(f Field, given []tree.Member, stored tree.Value, patch *tree.Value) {
	field := "parameters." + f.Name
	now, ok := find(given, f.Name)
	before, there := stored.Get(f.Name)
	empty := before.Kind == tree.String && before.Text == ""
	switch {
	case f.Secret && !ok:
		return // as it is
	case f.Secret && now.Kind == tree.Null:
		if there && !empty {
			s.Differences = append(s.Differences, Difference{Field: field, Before: "a secret"})
			patch.Set(f.Name, now)
		}
	case f.Secret:
		if !there || empty || before.Kind != now.Kind || !sameNames(before, now) {
			s.Differences = append(s.Differences, Difference{field, secretNames(before, there && !empty),
				secretNames(now, true)})
		}
		s.Secrets = append(s.Secrets, f.Name)
		patch.Set(f.Name, now)
	default:
		if !ok || now.Kind == tree.Null {
			now = f.Default
		}
		if !there {
			before = tree.Value{}
		}
		if !tree.Same(before, now) {
			s.differ(field, before, now)
			patch.Set(f.Name, now)
		}
	}
}

// literal warns of a secret that stands in the file, and refuses a word that would make another one with each apply.
func (p *planner) literal(i Integration, f Field, v tree.Value) {
	if f.Made && v.Text == rotated {
		at := fmt.Sprintf("integration %q: %s", tree.Short(i.Name), f.Name)
		p.problems.Add(v.Line, at, "%s in a file would make "+
			"a new key pair each time it is applied: write %s, and rotate once in the Console (%q) or with a PATCH of "+
			"the integration", rotated, generated, "Make a new pair")
		return
	}
	plain := func(v tree.Value) bool {
		return v.Kind == tree.String && v.Text != "" && v.Written == "" && (!f.Made || v.Text != generated)
	}
	if plain(v) || slices.ContainsFunc(v.Members, func(m tree.Member) bool { return plain(m.Value) }) {
		p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("the secret %s of integration %q stands in the file: better "+
			"write ${NAME} of an environment variable", f.Name, i.Name))
	}
}

// sameNames compares the names of secrets in a map, which can be seen.
func sameNames(a, b tree.Value) bool {
	return len(a.Members) == len(b.Members) &&
		!slices.ContainsFunc(a.Members, func(m tree.Member) bool { _, ok := b.Get(m.Name); return !ok })
}

// secretNames shows a secret, of a map with the names in it.
func secretNames(v tree.Value, there bool) string {
	if !there {
		return ""
	}
	if v.Kind != tree.Map {
		return "a secret"
	}
	var names []string
	for _, m := range v.Members {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return "secrets " + strings.Join(names, ", ")
}

func (s *Step) rename(now, before string) {
	if now != before {
		s.Was = before
		s.differ("name", tree.OfText(before), tree.OfText(now))
		s.body.Set("name", tree.OfText(now))
	}
}

// narrow notes other filters.
func (s *Step) narrow(now, before []Filter) {
	if a, b := filterList(before), filterList(now); !tree.Same(a, b) {
		s.differ("filters", a, b)
		s.body.Set("filters", b)
		s.narrowed = true
	}
}

// word notes another value of a field of one word; "" is none.
func (s *Step) word(field, now, before string) {
	if now == before {
		return
	}
	of := func(word string) tree.Value {
		if word == "" {
			return tree.Value{}
		}
		return tree.OfText(word)
	}
	s.differ(field, of(before), of(now))
	s.body.Set(field, tree.OfText(now))
}

func (s *Step) enable(on *bool, before bool) {
	if on != nil && *on != before {
		s.differ("enabled", tree.OfBool(before), tree.OfBool(*on))
		s.body.Set("enabled", tree.OfBool(*on))
	}
}

// differ notes a difference for a person. What came out of the environment is shown as it was written.
func (s *Step) differ(field string, before, after tree.Value) {
	d := Difference{Field: field, Before: before.Shown(), After: after.Shown()}
	if after.Filled() && before.Kind != tree.Null {
		d.Before = "another value"
	}
	s.Differences = append(s.Differences, d)
}

func find(list []tree.Member, name string) (tree.Value, bool) {
	return tree.Value{Members: list}.Get(name)
}

// events are subscriptions for a person.
func events(list []Subscription) tree.Value {
	out := tree.Value{Kind: tree.List}
	for _, s := range list {
		name := s.Event
		if s.WithHeaders {
			name += " with headers"
		}
		out.Items = append(out.Items, tree.OfText(name))
	}
	return out
}

// lines are subscriptions as the API takes them.
func lines(list []Subscription) tree.Value {
	out := tree.Value{Kind: tree.List}
	for _, s := range list {
		var line tree.Value
		line.Set("event", tree.OfText(s.Event))
		line.Set("with_headers", tree.OfBool(s.WithHeaders))
		out.Items = append(out.Items, line)
	}
	return out
}

func (p *planner) reports() {
	d := p.document.Reports
	switch {
	case d == nil:
	case p.state.Reports == nil:
		p.problems.Add(d.Line, "report_settings", "there are no reports here, or you may not set them")
	case d.TimeZone != p.state.Reports.TimeZone || d.Hour != p.state.Reports.Hour ||
		d.Language != p.state.Reports.Language || !tree.Same(d.Hold.tree(), p.state.Reports.Hold.tree()) ||
		d.Retention != p.state.Reports.Retention:
		s := Step{Verb: Change, Kind: ReportsKind, Name: ReportsKind, ETag: p.state.Reports.ETag}
		if d.TimeZone != p.state.Reports.TimeZone {
			s.differ("time_zone", tree.OfText(p.state.Reports.TimeZone), tree.OfText(d.TimeZone))
		}
		if d.Hour != p.state.Reports.Hour {
			s.differ("hour", tree.OfNumber(int64(p.state.Reports.Hour)), tree.OfNumber(int64(d.Hour)))
		}
		s.body.Set("time_zone", tree.OfText(d.TimeZone))
		s.body.Set("hour", tree.OfNumber(int64(d.Hour)))
		s.word("language", d.Language, p.state.Reports.Language)
		s.hold(d.Hold, p.state.Reports.Hold)
		s.retention(d.Retention, p.state.Reports.Retention)
		p.plan.Steps = append(p.plan.Steps, s)
	}
}
