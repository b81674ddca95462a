package configuration

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tocsin/shared/report/calendar"
)

// header is the first line of a document in YAML.
const header = "# What administrators set, without secrets. Apply it with `tocsin apply FILE`.\n"

// tree is the document as a value.
func (d Document) tree() Value {
	var out Value
	out.set("version", number(Version))
	if d.Integrations != nil {
		section := Value{Kind: Map}
		for _, i := range d.Integrations {
			section.set(i.Name, i.tree())
		}
		out.set("integrations", section)
	}
	if d.Triggers != nil {
		section := Value{Kind: Map}
		for _, t := range d.Triggers {
			section.set(t.Name, t.tree())
		}
		out.set("triggers", section)
	}
	if d.Reports != nil {
		var section Value
		section.set("time_zone", text(d.Reports.TimeZone))
		if d.Reports.Hour != calendar.DefaultHour {
			section.set("hour", number(int64(d.Reports.Hour)))
		}
		if d.Reports.Language != "" {
			section.set("language", text(d.Reports.Language))
		}
		d.Reports.Hold.add(&section)
		out.set("report_settings", section)
	}
	return out
}

func (i Integration) tree() (out Value) {
	out.set("system", text(i.System))
	if i.Was != "" {
		out.set("was", text(i.Was))
	}
	if i.Language != "" {
		out.set("language", text(i.Language))
	}
	if i.Rate != "" {
		out.set("rate", text(i.Rate))
	}
	if i.Grouping != "" {
		out.set("grouping", text(i.Grouping))
	}
	if i.StormGuard != "" {
		out.set("storm_guard", text(i.StormGuard))
	}
	if i.MessageTemplate != (MessageTemplate{}) {
		out.set("message_template", i.MessageTemplate.tree())
	}
	if i.Fallback != "" {
		out.set("fallback", text(i.Fallback))
	}
	if i.Enabled != nil {
		out.set("enabled", boolean(*i.Enabled))
	}
	events := Value{Kind: List}
	for _, s := range i.Events {
		item := text(s.Event)
		if s.WithHeaders {
			item = Value{Flow: true}
			item.set("event", text(s.Event))
			item.set("with_headers", boolean(true))
		}
		events.Items = append(events.Items, item)
	}
	out.set("events", events)
	if len(i.Filters) > 0 {
		out.set("filters", filterList(i.Filters))
	}
	i.Hold.add(&out)
	out.set("parameters", Value{Kind: Map, Members: i.Parameters})
	return out
}

func (t Trigger) tree() (out Value) {
	out.set("template_id", text(t.Template))
	if t.Was != "" {
		out.set("was", text(t.Was))
	}
	if t.Comment != "" {
		out.set("comment", text(t.Comment))
	}
	if t.Enabled != nil {
		out.set("enabled", boolean(*t.Enabled))
	}
	if t.Threshold != nil {
		th := Value{Flow: true}
		th.set("count", number(t.Threshold.Count))
		th.set("period", number(t.Threshold.Period))
		out.set("threshold", th)
	}
	if len(t.Filters) > 0 {
		out.set("filters", filterList(t.Filters))
	}
	actions := Value{Kind: List}
	for _, a := range t.Actions {
		actions.Items = append(actions.Items, a.tree())
	}
	out.set("actions", actions)
	return out
}

func filterList(list []Filter) Value {
	out := Value{Kind: List}
	for _, f := range list {
		out.Items = append(out.Items, f.tree())
	}
	return out
}

func (f Filter) tree() (out Value) {
	values := Value{Kind: List, Flow: true}
	for _, v := range f.Values {
		item := text(v)
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && strconv.FormatInt(n, 10) == v {
			item = number(n)
		}
		values.Items = append(values.Items, item)
	}
	out.set("id", text(f.ID))
	out.set("operator", text(f.Operator))
	out.set("values", values)
	return out
}

func (a Action) tree() (out Value) {
	out.set("id", text(a.ID))
	if len(a.Integrations) > 0 {
		list := Value{Kind: List}
		for _, name := range a.Integrations {
			list.Items = append(list.Items, text(name))
		}
		out.set("integrations", list)
	}
	if a.LockTime != 0 {
		out.set("lock_time", number(a.LockTime))
	}
	return out
}

// JSON writes the document as JSON. The same document is always the same bytes.
func (d Document) JSON() []byte {
	var out bytes.Buffer
	d.tree().write(&out, "\n")
	out.WriteByte('\n')
	return out.Bytes()
}

// YAML writes the document as YAML. The same document is always the same bytes.
func (d Document) YAML() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header)
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(node(d.tree())); err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("write the configuration as YAML: %w", err)
	}
	return out.Bytes(), nil
}

// node is a value as the YAML library writes it.
func node(v Value) *yaml.Node {
	n := &yaml.Node{LineComment: v.Comment}
	if v.Flow {
		n.Style = yaml.FlowStyle
	}
	switch v.Kind {
	case List:
		n.Kind = yaml.SequenceNode
		for _, item := range v.Items {
			n.Content = append(n.Content, node(item))
		}
	case Map:
		n.Kind = yaml.MappingNode
		for _, m := range v.Members {
			n.Content = append(n.Content, stringNode(m.Name), node(m.Value))
		}
	case String:
		s := stringNode(v.Text)
		s.LineComment = v.Comment
		return s
	default:
		n.Kind = yaml.ScalarNode
		n.Tag, n.Value = map[Kind]string{Null: "!!null", Bool: "!!bool", Number: ""}[v.Kind], v.Text
		if v.Kind == Null {
			n.Value = "null"
		}
	}
	return n
}

// stringNode writes a text of several lines as a block where the block gives back the same text, and what looks like
// another type in quotes.
func stringNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	odd := strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\n' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff
	})
	lines := strings.Split(s, "\n")
	padded := slices.ContainsFunc(lines, func(l string) bool { return strings.TrimSpace(l) != l })
	switch {
	case odd || len(lines) > 1 && (padded || lines[0] == "" || strings.HasSuffix(s, "\n\n")):
		n.Style = yaml.DoubleQuotedStyle
	case len(lines) > 1:
		n.Style = yaml.LiteralStyle
	case ambiguous(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// ambiguous reports whether a reader of YAML 1.1 could take a plain text for something else.
func ambiguous(s string) bool {
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "<<", "=":
		return true
	}
	return strings.ContainsRune("0123456789+-.", rune(s[0]))
}
