package configuration

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"tocsin/shared/configuration/kept"
	"tocsin/shared/configuration/tree"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/timezone"
	"tocsin/shared/trigger"
	"tocsin/shared/wording"
)

// Rules are what a schema can not say of a document, as this release knows it: templates are run, hours are laid out in
// their zones, patterns are read. They are the rules by which an installation judges the same.
type Rules struct {
	// System finds one of the catalogue.
	System func(name string) (destination.System, bool)
	Now    time.Time
	// SecretsLater is for a comparison: parameters are not looked at, because secrets may be absent.
	SecretsLater bool
}

// Check holds what the steps of a plan send against the rules. What is stored already and stays is not looked at: an
// installation does not either. The error is Problems.
func (r Rules) Check(d Document, p Plan) error {
	c := ruled{Rules: r, checker: checker{root: d.root}}
	for _, s := range p.Steps {
		if s.Verb == Remove {
			continue
		}
		switch s.Kind {
		case IntegrationKind:
			n := slices.IndexFunc(d.Integrations, func(i Integration) bool { return i.Name == s.Name })
			c.integration(d.Integrations[n], s)
		case TriggerKind:
			n := slices.IndexFunc(d.Triggers, func(t Trigger) bool { return t.Name == s.Name })
			c.trigger(d.Triggers[n], s)
		case ReportsKind:
			c.reports(*d.Reports)
		}
	}
	return c.problems.Err()
}

type ruled struct {
	Rules
	checker
}

func (c *ruled) integration(i Integration, s Step) {
	system, ok := c.System(i.System)
	if !ok {
		return // of another release
	}
	path := []string{"integrations", i.Name}
	sent := func(name string) bool { _, ok := s.body.Get(name); return ok }
	var d integration.Draft
	if sent("language") {
		d.Language = wording.Language(i.Language)
	}
	if sent("rate") {
		d.Rate = integration.Rate(i.Rate)
	}
	if sent("grouping") {
		d.Grouping = integration.Grouping(i.Grouping)
	}
	if sent("storm_guard") {
		d.StormGuard = integration.StormGuard(i.StormGuard)
	}
	if sent("message_template") || sent("events") {
		d.MessageTemplate = i.MessageTemplate
	}
	for _, e := range i.Events {
		d.Subscriptions = append(d.Subscriptions, integration.Subscription{Event: event.Type(e.Event)})
	}
	if sent("filters") {
		d.Filters = narrowing(i.Filters)
	}
	if sent("hold") {
		d.Hold = c.hold(i.Hold, path)
	}
	c.say(path, d.Check(system, c.Now))
	if s.narrowed {
		c.say(path, integration.CheckFit(system, narrowing(i.Filters), d.Subscriptions))
	}
	switch {
	case c.SecretsLater:
	case s.Verb == Add:
		c.parameters(path, system, s)
	default:
		c.changed(path, system, s)
	}
}

// parameters looks at those of a new integration.
func (c *ruled) parameters(path []string, system destination.System, s Step) {
	given, _ := s.body.Get("parameters")
	raw := given.JSON()
	if given.Kind != tree.Map {
		raw = json.RawMessage("{}")
	}
	made, err := system.Parameters.Prepare(nil, raw, c.saving())
	var problems destination.InvalidParameters
	if errors.As(err, &problems) {
		c.say(path, problems)
	}
	if _, err := system.Parameters.Complete(made); made != nil && errors.As(err, &problems) {
		c.say(path, problems)
	}
}

// changed looks at those of an integration that is there. Secrets that stay are the installation's alone.
func (c *ruled) changed(path []string, system destination.System, s Step) {
	if given, sent := s.body.Get("parameters"); sent && given.Kind == tree.Map {
		c.say(path, kept.Problems(system.Parameters, s.stored, given.JSON(), s.lost, c.saving))
	}
}

// saving is one whose keys are thrown away.
func (c *ruled) saving() destination.Saving {
	return destination.Saving{Now: c.Now, Random: bytes.NewReader(make([]byte, 1<<10))}
}

func (c *ruled) trigger(t Trigger, s Step) {
	template, ok := trigger.Find(trigger.TemplateID(t.Template))
	if _, sent := s.body.Get("filters"); ok && sent {
		c.say([]string{"triggers", t.Name},
			filter.CheckTrigger(narrowing(t.Filters), template.Filters, template.Title, template.Kinds))
	}
}

func (c *ruled) reports(d ReportSettings) {
	path := []string{"report_settings"}
	if err := timezone.Check(d.TimeZone); err != nil {
		c.say(path, destination.InvalidParameters{{Field: "time_zone", Reason: err.Error()}})
	}
	c.say(path, hold.Check(c.hold(d.Hold, path), "hold", true, c.Now))
}

// hold are the rules of when what is sent waits, as the domain has them.
func (c *ruled) hold(h Hold, path []string) (out hold.Rules) {
	v := h.tree()
	if v.Kind != tree.Map {
		return out
	}
	if err := json.Unmarshal(v.JSON(), &out); err != nil {
		c.say(path, destination.InvalidParameters{{Field: "hold", Reason: "can not be read"}})
	}
	return out
}

func narrowing(list []Filter) (out []filter.Filter) {
	for _, f := range list {
		one := filter.Filter{ID: filter.ID(f.ID), Operator: f.Operator}
		for _, v := range f.Values {
			one.Values = append(one.Values, filter.Value(v))
		}
		out = append(out, one)
	}
	return out
}

// say notes what is wrong with fields of an object, at their lines.
func (c *ruled) say(path []string, wrong destination.InvalidParameters) {
	for _, w := range wrong {
		line, at := c.place(slices.Concat(path, strings.Split(w.Field, ".")))
		c.problems.Add(line, at, "%s", w.Reason)
	}
}

// ofIntegration is what is wrong with a word of an integration that has a form of its own, as the API says it; "" for
// any other member. A pattern tells nobody what to write.
func ofIntegration(path []string, word string) string {
	if len(path) != 3 || path[0] != "integrations" {
		return ""
	}
	var d integration.Draft
	switch path[2] {
	case "rate":
		d.Rate = integration.Rate(word)
	case "grouping":
		d.Grouping = integration.Grouping(word)
	case "storm_guard":
		d.StormGuard = integration.StormGuard(word)
	}
	for _, w := range d.Check(destination.System{}, time.Time{}) {
		return w.Reason
	}
	return ""
}
