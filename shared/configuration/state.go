package configuration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	invopop "github.com/invopop/jsonschema"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/configuration/variables"
	"tocsin/shared/destination"
)

// State is what an account has.
type State struct {
	Integrations []StoredIntegration
	// Triggers is nil where there are none to be seen.
	Triggers []StoredTrigger
	// Reports is nil where there are none to be seen.
	Reports *StoredReports
	Systems map[string]System
}

// StoredIntegration is an integration as the API shows it: its secrets are masks.
type StoredIntegration struct {
	ID         string
	Revision   int64
	Name       string
	System     string
	Language   string
	Rate       string
	Grouping   string
	StormGuard string
	Fallback   string // the id of another
	// MessageTemplate is the zero value for the standard title and text.
	MessageTemplate MessageTemplate
	Enabled         bool
	Events          []Subscription
	Filters         []Filter
	Hold            Hold
	Parameters      json.RawMessage
	// Lost says that its secrets can not be read any more: which it had is not known.
	Lost bool
}

// StoredTrigger is a trigger as the API shows it: its actions name integrations by their ids.
type StoredTrigger struct {
	ID       string
	Revision int64
	Trigger
}

// StoredReports are the settings of reports.
type StoredReports struct {
	TimeZone string
	Hour     int
	Language string
	Hold     Hold
	ETag     string

	Retention Retention
}

// System is what is to be known of a system of the catalogue.
type System struct {
	Name   string
	Title  string
	Events []string
	Fields []Field
	// BoundThere says that somebody at the system's side binds a place to the integration.
	BoundThere bool
}

// Field is a parameter of a system.
type Field struct {
	Name     string
	Type     string // as JSON Schema has it
	Secret   bool
	ReadOnly bool
	Required bool
	// Needed says for which value of another field this one is required too; the zero value is for none.
	Needed When
	// Made is a secret that the installation makes itself for the word generate: a key pair.
	Made    bool
	Default tree.Value
}

// When is a value of another field.
type When struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// required reports whether a field is to be given where get finds the others.
func (s System) required(f Field, get func(field string) (tree.Value, bool)) bool {
	if f.Required || f.Needed.Field == "" {
		return f.Required
	}
	v, ok := get(f.Needed.Field)
	if of, known := s.Field(f.Needed.Field); known && (!ok || v.Kind == tree.Null) {
		v = of.Default
	}
	return v.Kind == tree.String && v.Text == f.Needed.Value
}

// generated stands in a document for a secret that the installation makes, unless it has: see Field.Made.
const generated = "generate"

// rotated asks an installation for another secret of its own making. It is for one call, not for a document.
const rotated = "rotate"

// Field finds a parameter.
func (s System) Field(name string) (Field, bool) {
	n := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
	if n < 0 {
		return Field{}, false
	}
	return s.Fields[n], true
}

// Fields reads the JSON Schema of a system's parameters.
func Fields(schema json.RawMessage) (out []Field, err error) {
	var made invopop.Schema
	if err := json.Unmarshal(schema, &made); err != nil {
		return nil, fmt.Errorf("read the schema of parameters: %w", err)
	}
	var hints struct { // which the library does not read
		Properties map[string]struct {
			Made   bool `json:"x-made"`
			Needed bool `json:"x-needed"`
			When   When `json:"x-when"`
		}
	}
	if err := json.Unmarshal(schema, &hints); err != nil {
		return nil, fmt.Errorf("read the hints of parameters: %w", err)
	}
	for p := made.Properties.Oldest(); p != nil; p = p.Next() {
		f := Field{Name: p.Key, Type: p.Value.Type, Secret: p.Value.WriteOnly, ReadOnly: p.Value.ReadOnly,
			Required: slices.Contains(made.Required, p.Key), Made: hints.Properties[p.Key].Made}
		if hint := hints.Properties[p.Key]; hint.Needed {
			f.Needed = hint.When
		}
		if p.Value.Default != nil {
			raw, err := json.Marshal(p.Value.Default)
			if err == nil {
				f.Default, err = tree.Decode(raw)
			}
			if err != nil {
				return nil, fmt.Errorf("read the default of parameter %s: %w", p.Key, err)
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// SystemOf is a system of this program's catalogue.
func SystemOf(s destination.System) (System, error) {
	out := System{Name: s.Name, Title: s.Title, BoundThere: s.BoundThere}
	for _, t := range s.Events {
		out.Events = append(out.Events, string(t))
	}
	var err error
	out.Fields, err = Fields(s.Parameters.Schema())
	return out, err
}

// DoubleError tells of two objects of one name.
type DoubleError struct {
	Kind string
	Name string
	IDs  []string
}

func (e *DoubleError) Error() string {
	return fmt.Sprintf("there are %d %ss with the name %q (%s), and a configuration tells them apart by their names: "+
		"give each a name of its own", len(e.IDs), e.Kind, e.Name, strings.Join(e.IDs, ", "))
}

// Export makes the document of what an account has, in the order of names. Where a secret is, there is a reference to
// an environment variable. Error: DoubleError.
func Export(s State) (Document, error) {
	var d Document
	names := map[string]string{}
	byName := map[string][]string{}
	d.Integrations = []Integration{}
	for _, i := range s.Integrations {
		names[i.ID] = i.Name
		byName[i.Name] = append(byName[i.Name], i.ID)
		d.Integrations = append(d.Integrations, Integration{Name: i.Name, System: i.System,
			Language: i.Language, Rate: i.Rate, Grouping: i.Grouping, StormGuard: i.StormGuard,
			MessageTemplate: i.MessageTemplate, Enabled: &i.Enabled,
			Events: s.Systems[i.System].order(i.Events), Filters: i.Filters, Hold: i.Hold})
	}
	if err := double("integration", byName); err != nil {
		return d, err
	}
	named := make([]variables.Integration, len(d.Integrations))
	for n, i := range d.Integrations {
		named[n] = variables.Integration{System: i.System, Name: i.Name}
	}
	for n, stem := range variables.Stems(named) {
		var err error
		i := s.Integrations[n]
		if d.Integrations[n].Parameters, err = s.Systems[i.System].export(i, stem); err != nil {
			return d, fmt.Errorf("export integration %s: %w", i.ID, err)
		}
	}
	for n, i := range s.Integrations {
		d.Integrations[n].Fallback = names[i.Fallback] // "" of one that was deleted: nothing goes there
	}
	slices.SortFunc(d.Integrations, func(a, b Integration) int { return cmp.Compare(a.Name, b.Name) })
	if s.Reports != nil {
		d.Reports = &ReportSettings{TimeZone: s.Reports.TimeZone, Hour: s.Reports.Hour,
			Language: s.Reports.Language, Hold: s.Reports.Hold, Retention: s.Reports.Retention}
	}
	if s.Triggers == nil {
		return d, nil
	}
	clear(byName)
	d.Triggers = []Trigger{}
	for _, t := range s.Triggers {
		byName[t.Name] = append(byName[t.Name], t.ID)
		d.Triggers = append(d.Triggers, t.named(names))
	}
	slices.SortFunc(d.Triggers, func(a, b Trigger) int { return cmp.Compare(a.Name, b.Name) })
	return d, double("trigger", byName)
}

func double(kind string, byName map[string][]string) error {
	var found []string
	for name, ids := range byName {
		if len(ids) > 1 {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	name := slices.Min(found)
	return &DoubleError{kind, name, slices.Sorted(slices.Values(byName[name]))}
}

// named is the trigger with names in place of ids. An integration that was deleted keeps its id: it is in the trigger
// still, and a name it has not.
func (t StoredTrigger) named(names map[string]string) Trigger {
	out := t.Trigger
	out.Actions = slices.Clone(t.Actions)
	for n, a := range out.Actions {
		list := make([]string, len(a.Integrations))
		for k, id := range a.Integrations {
			list[k] = cmp.Or(names[id], id)
		}
		slices.Sort(list)
		out.Actions[n].Integrations = list
	}
	return out
}

// order puts subscriptions in the order of the system's form.
func (s System) order(list []Subscription) []Subscription {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b Subscription) int {
		return cmp.Compare(slices.Index(s.Events, a.Event), slices.Index(s.Events, b.Event))
	})
	return out
}

// export lists the parameters in the order of the form, with references in place of secrets. What only the system's
// side sets is left out.
func (s System) export(i StoredIntegration, stem string) (out []tree.Member, err error) {
	stored, err := tree.Decode(i.Parameters)
	if err != nil {
		return nil, err
	}
	for _, f := range s.Fields {
		v, ok := stored.Get(f.Name)
		switch {
		case f.ReadOnly:
			continue
		case f.Secret && i.Lost && s.required(f, stored.Get):
			v = tree.Value{Kind: tree.String} // there was one
		case !ok || f.Secret && v.Kind == tree.String && v.Text == "":
			continue
		}
		name := stem + "_" + variables.Word(f.Name)
		switch {
		case !f.Secret:
			v = escaped(v)
		case f.Made:
			v = tree.OfText(generated)
		case v.Kind == tree.Map:
			v = references(name, v)
		default:
			v = tree.OfText("${" + name + "}")
		}
		out = append(out, tree.Member{Name: f.Name, Value: v})
	}
	return out, nil
}

// references are the secrets of a map, each with a variable of its own.
func references(stem string, v tree.Value) tree.Value {
	list := make([]variables.Integration, len(v.Members)) // Stems does with these names what it does with integrations'
	for n, m := range v.Members {
		list[n] = variables.Integration{Name: m.Name}
	}
	out := tree.Value{Kind: tree.Map}
	for n, s := range variables.Stems(list) {
		out.Set(v.Members[n].Name, tree.OfText("${"+stem+"_"+strings.Trim(s, "_")+"}"))
	}
	return out
}

// escaped keeps what looks like a reference in a text.
func escaped(v tree.Value) tree.Value {
	v.Items, v.Members = slices.Clone(v.Items), slices.Clone(v.Members)
	if v.Kind == tree.String {
		v.Text = variables.Escape(v.Text)
	}
	for n := range v.Items {
		v.Items[n] = escaped(v.Items[n])
	}
	for n := range v.Members {
		v.Members[n].Value = escaped(v.Members[n].Value)
	}
	return v
}
