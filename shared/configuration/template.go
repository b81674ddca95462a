package configuration

import "tocsin/shared/configuration/tree"

// MessageTemplate is the title and the text of an integration's messages; "" = the standard one.
type MessageTemplate struct{ Title, Text string }

// tree is the template as a document has it.
func (t MessageTemplate) tree() (out tree.Value) {
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
	return MessageTemplate{r.optional(o, at, "title"), r.optional(o, at, "text")}
}

// template notes another title or text. What is sent has both: a patch leaves what it does not name.
func (s *Step) template(now, before MessageTemplate) {
	if now == before {
		return
	}
	was, is := tree.Value{}, tree.Value{}
	if before != (MessageTemplate{}) {
		was = before.tree()
	}
	if now != (MessageTemplate{}) {
		is = now.tree()
	}
	s.differ("message_template", was, is)
	both := tree.Value{Kind: tree.Map}
	both.Set("title", tree.OfText(now.Title))
	both.Set("text", tree.OfText(now.Text))
	s.body.Set("message_template", both)
}
