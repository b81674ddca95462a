package configuration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/report/calendar"
)

// Read reads a document in YAML, or in JSON, which is a part of it. It takes no member that it does not know. The error
// is Problems.
func Read(data []byte) (Document, error) {
	root, err := tree.Parse(data, fmt.Sprintf("version: %d", Version))
	if err != nil {
		return Document{}, err
	}
	r := reader{}
	d := r.document(root)
	d.root = root
	return d, r.problems.Err()
}

// reader makes a document of values and notes what is wrong.
type reader struct{ problems tree.Problems }

func (r *reader) document(root tree.Value) (d Document) {
	m := r.object(root, "the document", "version", "integrations", "triggers", "report_settings")
	if v, ok := m["version"]; !ok {
		r.problems.Add(1, "", "version is required: begin with `version: %d`", Version)
	} else if v.Kind != tree.Number || v.Text != strconv.Itoa(Version) {
		r.problems.Add(v.Line, "version", "this program reads version %d: write `version: %d`", Version, Version)
	}
	if v, ok := m["integrations"]; ok {
		d.Integrations = []Integration{}
		for _, one := range r.named(v, "integrations") {
			d.Integrations = append(d.Integrations, r.integration(one))
		}
		renames(r, "integration", d.Integrations,
			func(i Integration) (string, string, int) { return i.Name, i.Was, i.Line })
	}
	if v, ok := m["triggers"]; ok {
		d.Triggers = []Trigger{}
		for _, one := range r.named(v, "triggers") {
			d.Triggers = append(d.Triggers, r.trigger(one))
		}
		renames(r, "trigger", d.Triggers, func(t Trigger) (string, string, int) { return t.Name, t.Was, t.Line })
	}
	if v, ok := m["report_settings"]; ok {
		s := r.object(v, "report_settings", "time_zone", "hour", "language", "hold", "retention")
		d.Reports = &ReportSettings{TimeZone: r.text(s, v, "report_settings", "time_zone"),
			Hour: calendar.DefaultHour, Language: r.optional(s, "report_settings", "language"),
			Hold: r.hold(s, "report_settings"), Retention: r.retention(s, "report_settings"), Line: v.Line}
		if _, given := s["hour"]; given {
			d.Reports.Hour = int(r.number(s, v, "report_settings", "hour"))
			if err := calendar.CheckHour(d.Reports.Hour); err != nil {
				r.problems.Add(s["hour"].Line, "report_settings", "hour %s", err)
			}
		}
	}
	return d
}

// named are the objects of a section.
func (r *reader) named(section tree.Value, at string) []tree.Member {
	if section.Kind != tree.Map {
		r.problems.Add(section.Line, at, "must be names with an object each; write {} for none")
		return nil
	}
	for _, m := range section.Members {
		if strings.TrimSpace(m.Name) != m.Name || m.Name == "" {
			r.problems.Add(m.Line, at, "a name must not be empty, and must not begin or end with a space")
		}
	}
	return section.Members
}

// renames checks that what was renamed is told apart from what is new.
func renames[T any](r *reader, kind string, list []T, of func(T) (name, was string, line int)) {
	names, from := map[string]bool{}, map[string]string{}
	for _, v := range list {
		name, _, _ := of(v)
		names[name] = true
	}
	for _, v := range list {
		name, was, line := of(v)
		at := fmt.Sprintf("%s %q", kind, tree.Short(name))
		switch {
		case was == "":
		case was == name:
			r.problems.Add(line, at, "was is its own name: leave it out")
		case names[was]:
			r.problems.Add(line, at, "was is %q, which the file has too: which of them is the old one?",
				tree.Short(was))
		case from[was] != "":
			r.problems.Add(line, at, "was is %q, as that of %q", tree.Short(was), tree.Short(from[was]))
		default:
			from[was] = name
		}
	}
}

func (r *reader) integration(m tree.Member) Integration {
	at := fmt.Sprintf("integration %q", tree.Short(m.Name))
	o := r.object(m.Value, at, "system", "was", "language", "rate", "grouping", "storm_guard", "fallback",
		"message_template", "enabled", "events", "filters", "hold", "parameters")
	i := Integration{Name: m.Name, Line: m.Line, System: r.text(o, m.Value, at, "system"),
		Was: r.optional(o, at, "was"), Language: r.optional(o, at, "language"), Rate: r.optional(o, at, "rate"),
		Grouping: r.optional(o, at, "grouping"), StormGuard: r.optional(o, at, "storm_guard"),
		Fallback: r.optional(o, at, "fallback"), MessageTemplate: r.template(o, at), Enabled: r.enabled(o, at)}
	if v, ok := o["events"]; ok && r.is(v, tree.List, at, "events", "a list") {
		for _, item := range v.Items {
			sub := r.subscription(item, at)
			if slices.ContainsFunc(i.Events, func(s Subscription) bool { return s.Event == sub.Event }) {
				r.problems.Add(item.Line, at, "the event %q is here twice", tree.Short(sub.Event))
			}
			i.Events = append(i.Events, sub)
		}
	}
	i.Filters = r.filters(o, at)
	i.Hold = r.hold(o, at, "own_only")
	if v, ok := o["parameters"]; ok && r.is(v, tree.Map, at, "parameters", "an object") {
		i.Parameters = v.Members
	}
	return i
}

func (r *reader) subscription(v tree.Value, at string) Subscription {
	if v.Kind == tree.String {
		return Subscription{Event: v.Text}
	}
	at += ": events"
	o := r.object(v, at, "event", "with_headers")
	s := Subscription{Event: r.text(o, v, at, "event")}
	if h, ok := o["with_headers"]; ok && r.is(h, tree.Bool, at, "with_headers", "true or false") {
		s.WithHeaders = h.Text == "true"
	}
	return s
}

func (r *reader) trigger(m tree.Member) Trigger {
	at := fmt.Sprintf("trigger %q", tree.Short(m.Name))
	o := r.object(m.Value, at, "template_id", "was", "comment", "enabled", "threshold", "filters", "actions")
	t := Trigger{Name: m.Name, Line: m.Line, Template: r.text(o, m.Value, at, "template_id"),
		Was: r.optional(o, at, "was"), Comment: r.optional(o, at, "comment"), Enabled: r.enabled(o, at)}
	if v, ok := o["threshold"]; ok && v.Kind != tree.Null {
		th := r.object(v, at+": threshold", "count", "period")
		t.Threshold = &Threshold{Count: r.number(th, v, at+": threshold", "count"),
			Period: r.number(th, v, at+": threshold", "period")}
	}
	t.Filters = r.filters(o, at)
	if v, ok := o["actions"]; ok && r.is(v, tree.List, at, "actions", "a list") {
		for _, item := range v.Items {
			t.Actions = append(t.Actions, r.action(item, at+": actions"))
		}
	}
	return t
}

func (r *reader) filters(o map[string]tree.Value, at string) (out []Filter) {
	if v, ok := o["filters"]; ok && r.is(v, tree.List, at, "filters", "a list") {
		for _, item := range v.Items {
			out = append(out, r.filter(item, at+": filters"))
		}
	}
	return out
}

func (r *reader) filter(v tree.Value, at string) Filter {
	o := r.object(v, at, "id", "operator", "values")
	f := Filter{ID: r.text(o, v, at, "id"), Operator: r.text(o, v, at, "operator")}
	values, ok := o["values"]
	if ok && r.is(values, tree.List, at, "values", "a list") {
		for _, item := range values.Items {
			if item.Kind != tree.String && item.Kind != tree.Number {
				r.problems.Add(item.Line, at, "a value must be a text or a whole number")
				continue
			}
			f.Values = append(f.Values, item.Text)
		}
	}
	return f
}

func (r *reader) action(v tree.Value, at string) Action {
	o := r.object(v, at, "id", "integrations", "lock_time")
	a := Action{ID: r.text(o, v, at, "id"), Line: v.Line}
	if list, ok := o["integrations"]; ok && r.is(list, tree.List, at, "integrations", "a list of names") {
		for _, item := range list.Items {
			if item.Kind == tree.Null || item.Kind == tree.List || item.Kind == tree.Map {
				r.problems.Add(item.Line, at, "integrations must be names")
				continue
			}
			if slices.Contains(a.Integrations, item.Text) {
				r.problems.Add(item.Line, at, "%q is here twice", tree.Short(item.Text))
			}
			a.Integrations = append(a.Integrations, item.Text)
		}
	}
	if _, ok := o["lock_time"]; ok {
		a.LockTime = r.number(o, v, at, "lock_time")
	}
	return a
}

// object reads a map that has no other members than those known.
func (r *reader) object(v tree.Value, at string, known ...string) map[string]tree.Value {
	out := map[string]tree.Value{}
	if v.Kind != tree.Map {
		r.problems.Add(v.Line, at, "must be an object with %s", strings.Join(known, ", "))
		return out
	}
	for _, m := range v.Members {
		if !slices.Contains(known, m.Name) {
			r.problems.Add(m.Line, at, "there is no member %q%s", tree.Short(m.Name), tree.Instead(m.Name, known))
			continue
		}
		out[m.Name] = m.Value
	}
	return out
}

func (r *reader) is(v tree.Value, kind tree.Kind, at, name, what string) bool {
	if v.Kind != kind {
		r.problems.Add(v.Line, at, "%s must be %s", name, what)
	}
	return v.Kind == kind
}

// text reads a member that must be there. What looks like a number is a text as it is written.
func (r *reader) text(o map[string]tree.Value, of tree.Value, at, name string) string {
	v, ok := o[name]
	switch {
	case !ok && of.Kind == tree.Map:
		r.problems.Add(of.Line, at, "%s is required", name)
	case ok && (v.Kind == tree.Null || v.Kind == tree.List || v.Kind == tree.Map || v.Text == ""):
		r.problems.Add(v.Line, at, "%s must be a text", name)
	}
	return v.Text
}

// optional reads a member that may be left out.
func (r *reader) optional(o map[string]tree.Value, at, name string) string {
	v := o[name]
	if v.Kind == tree.List || v.Kind == tree.Map {
		r.problems.Add(v.Line, at, "%s must be a text", name)
	}
	return strings.TrimSpace(v.Text)
}

func (r *reader) enabled(o map[string]tree.Value, at string) *bool {
	v, ok := o["enabled"]
	if !ok || !r.is(v, tree.Bool, at, "enabled", "true or false") {
		return nil
	}
	on := v.Text == "true"
	return &on
}

func (r *reader) number(o map[string]tree.Value, of tree.Value, at, name string) int64 {
	v, ok := o[name]
	if !ok && of.Kind == tree.Map {
		r.problems.Add(of.Line, at, "%s is required", name)
		return 0
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if ok && (err != nil || v.Kind != tree.Number || strconv.FormatInt(n, 10) != v.Text) {
		r.problems.Add(v.Line, at, "%s must be a whole number, written in digits", name)
	}
	return n
}
