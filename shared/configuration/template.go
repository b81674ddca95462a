package configuration

import (
	"fmt"
	"slices"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/event"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/trigger"
)

// MessageTemplate is the title and the text of an integration's messages; "" = the standard one.
type MessageTemplate = messagetemplate.Source

// templateTree is the template as a document has it.
func templateTree(t MessageTemplate) (out tree.Value) {
	out.Kind = tree.Map
	if t.Title != "" {
		out.Set("title", tree.OfText(t.Title))
	}
	if t.Text != "" {
		out.Set("text", tree.OfText(t.Text))
	}
	return out
}

func (r *reader) template(of map[string]tree.Value, at string) (t MessageTemplate) {
	v, ok := of["message_template"]
	if !ok || !r.is(v, tree.Map, at, "message_template", "a map") {
		return t
	}
	o := r.object(v, at+" message_template", "title", "text")
	return MessageTemplate{Title: r.optional(o, at, "title"), Text: r.optional(o, at, "text")}
}

// template notes another title or text. What is sent has both: a patch leaves what it does not name.
func (s *Step) template(now, before MessageTemplate) {
	if now == before {
		return
	}
	was, is := tree.Value{}, tree.Value{}
	if before != (MessageTemplate{}) {
		was = templateTree(before)
	}
	if now != (MessageTemplate{}) {
		is = templateTree(now)
	}
	s.differ("message_template", was, is)
	both := tree.Value{Kind: tree.Map}
	both.Set("title", tree.OfText(now.Title))
	both.Set("text", tree.OfText(now.Text))
	s.body.Set("message_template", both)
}

// tryTriggered tries another template of an integration on what triggers send to it, as the service does.
func (p *planner) tryTriggered(i Integration, old StoredIntegration, where string) {
	var sent []messagetemplate.Triggered
	for _, t := range p.state.Triggers {
		if slices.ContainsFunc(t.Actions, func(a Action) bool { return slices.Contains(a.Integrations, old.ID) }) {
			sent = append(sent, messagetemplate.Triggered{Kind: t.notice(), Trigger: t.Name})
		}
	}
	for _, w := range messagetemplate.CheckTriggered(i.MessageTemplate.Changed(old.MessageTemplate), sent) {
		p.problems.Add(i.Line, where, "%s: %s", w.Field, w.Reason)
	}
}

// notice is what the trigger sends.
func (t Trigger) notice() event.Kind {
	condition, _ := trigger.Find(trigger.TemplateID(t.Template))
	return condition.Notice
}

// unsaid notes that the template of an integration makes nothing of what a trigger sends to it.
func (p *planner) unsaid(t Trigger, name string) {
	if title, text := messagetemplate.Unsaid(p.templates[name], t.notice()); title || text {
		p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("the message template of integration %q makes nothing of "+
			"what trigger %q sends: the standard words are sent", name, t.Name))
	}
}
