package configuration

import (
	"bytes"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/report/calendar"
)

// header is the first line of a document in YAML.
const header = "# What administrators set, without secrets. Apply it with `tocsin apply FILE`.\n"

// tree is the document as a value.
func (d Document) tree() tree.Value {
	var out tree.Value
	out.Set("version", tree.OfNumber(Version))
	if d.Integrations != nil {
		section := tree.Value{Kind: tree.Map}
		for _, i := range d.Integrations {
			section.Set(i.Name, i.tree())
		}
		out.Set("integrations", section)
	}
	if d.Triggers != nil {
		section := tree.Value{Kind: tree.Map}
		for _, t := range d.Triggers {
			section.Set(t.Name, t.tree())
		}
		out.Set("triggers", section)
	}
	if d.Reports != nil {
		var section tree.Value
		section.Set("time_zone", tree.OfText(d.Reports.TimeZone))
		if d.Reports.Hour != calendar.DefaultHour {
			section.Set("hour", tree.OfNumber(int64(d.Reports.Hour)))
		}
		if d.Reports.Language != "" {
			section.Set("language", tree.OfText(d.Reports.Language))
		}
		d.Reports.Hold.add(&section)
		if v := d.Reports.Retention.tree(); v.Kind == tree.Map {
			section.Set("retention", v)
		}
		out.Set("report_settings", section)
	}
	return out
}

func (i Integration) tree() (out tree.Value) {
	out.Set("system", tree.OfText(i.System))
	if i.Was != "" {
		out.Set("was", tree.OfText(i.Was))
	}
	if i.Language != "" {
		out.Set("language", tree.OfText(i.Language))
	}
	if i.Rate != "" {
		out.Set("rate", tree.OfText(i.Rate))
	}
	if i.Grouping != "" {
		out.Set("grouping", tree.OfText(i.Grouping))
	}
	if i.StormGuard != "" {
		out.Set("storm_guard", tree.OfText(i.StormGuard))
	}
	if i.MessageTemplate != (MessageTemplate{}) {
		out.Set("message_template", templateTree(i.MessageTemplate))
	}
	if i.Fallback != "" {
		out.Set("fallback", tree.OfText(i.Fallback))
	}
	if i.Enabled != nil {
		out.Set("enabled", tree.OfBool(*i.Enabled))
	}
	events := tree.Value{Kind: tree.List}
	for _, s := range i.Events {
		item := tree.OfText(s.Event)
		if s.WithHeaders {
			item = tree.Value{Flow: true}
			item.Set("event", tree.OfText(s.Event))
			item.Set("with_headers", tree.OfBool(true))
		}
		events.Items = append(events.Items, item)
	}
	out.Set("events", events)
	if len(i.Filters) > 0 {
		out.Set("filters", filterList(i.Filters))
	}
	i.Hold.add(&out)
	out.Set("parameters", tree.Value{Kind: tree.Map, Members: i.Parameters})
	return out
}

func (t Trigger) tree() (out tree.Value) {
	out.Set("template_id", tree.OfText(t.Template))
	if t.Was != "" {
		out.Set("was", tree.OfText(t.Was))
	}
	if t.Comment != "" {
		out.Set("comment", tree.OfText(t.Comment))
	}
	if t.Enabled != nil {
		out.Set("enabled", tree.OfBool(*t.Enabled))
	}
	if t.Threshold != nil {
		th := tree.Value{Flow: true}
		th.Set("count", tree.OfNumber(t.Threshold.Count))
		th.Set("period", tree.OfNumber(t.Threshold.Period))
		out.Set("threshold", th)
	}
	if len(t.Filters) > 0 {
		out.Set("filters", filterList(t.Filters))
	}
	actions := tree.Value{Kind: tree.List}
	for _, a := range t.Actions {
		actions.Items = append(actions.Items, a.tree())
	}
	out.Set("actions", actions)
	return out
}

func filterList(list []Filter) tree.Value {
	out := tree.Value{Kind: tree.List}
	for _, f := range list {
		out.Items = append(out.Items, f.tree())
	}
	return out
}

func (f Filter) tree() (out tree.Value) {
	values := tree.Value{Kind: tree.List, Flow: true}
	for _, v := range f.Values {
		item := tree.OfText(v)
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && strconv.FormatInt(n, 10) == v {
			item = tree.OfNumber(n)
		}
		values.Items = append(values.Items, item)
	}
	out.Set("id", tree.OfText(f.ID))
	out.Set("operator", tree.OfText(f.Operator))
	out.Set("values", values)
	return out
}

func (a Action) tree() (out tree.Value) {
	out.Set("id", tree.OfText(a.ID))
	if len(a.Integrations) > 0 {
		list := tree.Value{Kind: tree.List}
		for _, name := range a.Integrations {
			list.Items = append(list.Items, tree.OfText(name))
		}
		out.Set("integrations", list)
	}
	if a.LockTime != 0 {
		out.Set("lock_time", tree.OfNumber(a.LockTime))
	}
	return out
}

// JSON writes the document as JSON. The same document is always the same bytes.
func (d Document) JSON() []byte {
	return d.tree().Indented()
}

// YAML writes the document as YAML. The same document is always the same bytes.
func (d Document) YAML() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header)
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(tree.Node(d.tree())); err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	return out.Bytes(), nil
}
