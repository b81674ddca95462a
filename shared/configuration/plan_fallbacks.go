package configuration

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/integration"
)

// fallbacks plans which integrations get what others can not have. It is done when all integrations are there: first
// those that change are taken away, then the new ones are set, so that two can change places. found are the places of
// the stored integrations of the document's, -1 for none.
func (p *planner) fallbacks(found []int) {
	names := p.names()
	next := map[string]string{} // the fallbacks as they will be, by name
	for _, i := range p.state.Integrations {
		next[names[i.ID]] = names[i.Fallback]
	}
	for _, i := range p.document.Integrations {
		next[i.Name] = i.Fallback
	}
	var away, set []Step
	for n, i := range p.document.Integrations {
		p.fallback(i, next)
		step := Step{Verb: Change, Kind: IntegrationKind, Name: i.Name}
		step.body.Kind = tree.Map
		old := ""                                             // of one that was deleted, too
		if at := found[n]; at >= 0 && p.known[i.Name] != "" { // else it is made anew
			if step.ID = p.state.Integrations[at].ID; names[p.state.Integrations[at].Fallback] != "" {
				old = p.state.Integrations[at].Fallback
			}
		}
		wanted := p.known[i.Fallback] // "" of one that is made anew
		if i.Fallback == "" && old == "" || i.Fallback != "" && wanted != "" && wanted == old {
			continue
		}
		if old != "" {
			one := step
			one.differ("fallback", tree.OfText(names[old]), tree.Value{})
			one.body.Set("fallback", tree.OfText(""))
			away = append(away, one)
		}
		if i.Fallback != "" {
			step.differ("fallback", tree.Value{}, tree.OfText(i.Fallback))
			step.fallback = i.Fallback
			set = append(set, step)
		}
	}
	p.plan.Steps = append(append(p.plan.Steps, away...), set...)
}

// names are those of the stored integrations, by id, as they will be.
func (p *planner) names() map[string]string {
	out := map[string]string{}
	for _, i := range p.state.Integrations {
		out[i.ID] = i.Name
	}
	for name, id := range p.known {
		if id != "" {
			out[id] = name
		}
	}
	return out
}

// fallback checks that the fallback of an integration is there, or will be, and that nothing goes round.
func (p *planner) fallback(i Integration, next map[string]string) {
	if i.Fallback == "" {
		return
	}
	where := fmt.Sprintf("integration %q", tree.Short(i.Name))
	if _, ok := p.known[i.Fallback]; !ok {
		p.problems.Add(i.Line, where, "there is no integration %q for its fallback%s", tree.Short(i.Fallback),
			tree.Instead(i.Fallback, slices.Sorted(maps.Keys(p.known))))
		return
	}
	if loop := integration.LoopOf(i.Name, i.Fallback, func(name string) string { return next[name] }); loop != nil {
		p.problems.Add(i.Line, where, "its fallback goes round in a circle: %s", strings.Join(loop, " → "))
	}
}
