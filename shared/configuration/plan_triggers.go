package configuration

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/event"
)

func (p *planner) triggers() {
	if p.document.Triggers == nil {
		p.dangling(nil)
		return
	}
	if p.state.Triggers == nil {
		p.problems.Add(0, "triggers", "there are no triggers here, or you may not set them")
		return
	}
	var names, was, stored, ids []string
	for _, t := range p.document.Triggers {
		names, was = append(names, t.Name), append(was, t.Was)
	}
	for _, t := range p.state.Triggers {
		stored, ids = append(stored, t.Name), append(ids, t.ID)
	}
	p.doubles(TriggerKind, stored, ids, slices.Concat(names, was))
	kept := map[int]bool{}
	for n, at := range match(names, was, stored) {
		if at >= 0 {
			kept[at] = true
		}
		p.trigger(p.document.Triggers[n], at)
	}
	for n, t := range p.state.Triggers {
		if p.prune && !kept[n] {
			p.remove(Step{Kind: TriggerKind, Name: t.Name, ID: t.ID, Revision: t.Revision})
		}
	}
	p.dangling(kept)
}

// dangling tells of triggers that stay as they are and name an integration that is removed.
func (p *planner) dangling(kept map[int]bool) {
	for n, t := range p.state.Triggers {
		if kept[n] || p.prune && p.document.Triggers != nil {
			continue
		}
		for _, a := range t.Actions {
			for _, s := range p.gone {
				if s.Kind == IntegrationKind && slices.Contains(a.Integrations, s.ID) {
					p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("trigger %q is not in the file and notifies %q, "+
						"which is removed", t.Name, s.Name))
				}
			}
		}
	}
}

func (p *planner) trigger(t Trigger, at int) {
	where := fmt.Sprintf("trigger %q", tree.Short(t.Name))
	var old *StoredTrigger
	if at >= 0 {
		old = &p.state.Triggers[at]
	}
	p.references(t, old, where)
	t.Actions = normal(t.Actions)
	if old != nil {
		p.changeTrigger(t, *old)
		return
	}
	on := t.Enabled == nil || *t.Enabled
	s := Step{Verb: Add, Kind: TriggerKind, Name: t.Name, actions: t.Actions}
	s.differ("template_id", tree.Value{}, tree.OfText(t.Template))
	s.differ("enabled", tree.Value{}, tree.OfBool(on))
	s.body.Set("name", tree.OfText(t.Name))
	s.body.Set("template_id", tree.OfText(t.Template))
	s.body.Set("enabled", tree.OfBool(on))
	whole := t.tree()
	for _, name := range []string{"comment", "threshold", "filters", "actions"} {
		if v, ok := whole.Get(name); ok {
			s.differ(name, tree.Value{}, v)
			if name != "actions" {
				s.body.Set(name, v)
			}
		}
	}
	p.plan.Steps = append(p.plan.Steps, s)
}

// references checks that the integrations of a trigger are there, or will be. One that was deleted may stay where it
// was.
func (p *planner) references(t Trigger, old *StoredTrigger, where string) {
	var had []string
	if old != nil {
		for _, a := range old.Actions {
			had = append(had, a.Integrations...)
		}
	}
	known := slices.Sorted(maps.Keys(p.known))
	for _, a := range t.Actions {
		for _, name := range a.Integrations {
			if _, ok := p.known[name]; !ok && !slices.Contains(had, name) {
				p.problems.Add(a.Line, where, "there is no integration %q%s", tree.Short(name),
					tree.Instead(name, known))
			}
			p.unsaid(t, name)
		}
	}
}

// normal writes actions in one way: the order of integrations is of no matter, and no lock time is for ever.
func normal(list []Action) []Action {
	out := slices.Clone(list)
	for n, a := range out {
		out[n].Integrations = slices.Sorted(slices.Values(a.Integrations))
		out[n].Line = 0
		if lists[a.ID] && a.LockTime == 0 {
			out[n].LockTime = event.Forever
		}
	}
	return out
}

func (p *planner) changeTrigger(t Trigger, old StoredTrigger) {
	names := p.names() // by their new names
	before := old.named(names)
	before.Actions = normal(before.Actions)
	s := Step{Verb: Change, Kind: TriggerKind, Name: t.Name, ID: old.ID, Revision: old.Revision}
	s.body.Kind = tree.Map
	s.rename(t.Name, old.Name)
	s.enable(t.Enabled, before.Enabled == nil || *before.Enabled)
	now, then := t.tree(), before.tree()
	another := t.Template != old.Template // which takes other thresholds, filters and actions: all are sent
	if another {
		s.differ("template_id", tree.OfText(old.Template), tree.OfText(t.Template))
		s.body.Set("template_id", tree.OfText(t.Template))
	}
	for _, name := range []string{"comment", "threshold", "filters", "actions"} {
		a, _ := then.Get(name)
		b, _ := now.Get(name)
		replaced := name == "actions" && p.replaced(t)
		switch equal := tree.Same(a, b); {
		case equal && !replaced && !another:
			continue
		case equal && replaced:
			s.Differences = append(s.Differences, Difference{name, "an integration of that name", "the new one"})
		case !equal:
			s.differ(name, a, b)
		}
		switch {
		case name == "actions":
			s.actions = t.Actions
		case name == "filters" && b.Kind == tree.Null:
			s.body.Set(name, tree.Value{Kind: tree.List})
		case name == "comment":
			s.body.Set(name, tree.OfText(b.Text))
		case b.Kind == tree.Null: // a threshold that the new condition does not take
		default:
			s.body.Set(name, b)
		}
	}
	p.changed(s)
}

// replaced reports whether a trigger names an integration that is made anew under the name of one that is removed.
func (p *planner) replaced(t Trigger) bool {
	for _, a := range t.Actions {
		for _, name := range a.Integrations {
			if id, ok := p.known[name]; ok && id == "" {
				return true
			}
		}
	}
	return false
}

// lists are the actions that put an address on a list.
var lists = map[string]bool{"block_ips": true, "add_to_graylist": true}

// Body is what the API is sent. ids are those of integrations by their names: the ones that were there, and the ones
// that were added since.
func (s Step) Body(ids map[string]string) json.RawMessage {
	body := s.body
	body.Members = slices.Clone(body.Members)
	if s.fallback != "" {
		body.Set("fallback", tree.OfText(ids[s.fallback]))
	}
	if s.actions == nil {
		return body.JSON()
	}
	list := tree.Value{Kind: tree.List}
	for _, a := range s.actions {
		var one, params tree.Value
		one.Set("id", tree.OfText(a.ID))
		if len(a.Integrations) > 0 {
			known := tree.Value{Kind: tree.List}
			for _, name := range a.Integrations {
				id, ok := ids[name]
				if !ok {
					id = name // of one that was deleted
				}
				known.Items = append(known.Items, tree.OfText(id))
			}
			params.Set("integration_ids", known)
		}
		if a.LockTime != 0 {
			params.Set("lock_time", tree.OfNumber(a.LockTime))
		}
		if params.Kind == tree.Map {
			one.Set("params", params)
		}
		list.Items = append(list.Items, one)
	}
	body.Set("actions", list)
	return body.JSON()
}
