package configuration

// MessageTemplate is the title and the text of an integration's messages; "" = the standard one.
type MessageTemplate struct{ Title, Text string }

// tree is the template as a document has it.
func (t MessageTemplate) tree() (out Value) {
	out.Kind = Map
	if t.Title != "" {
		out.set("title", text(t.Title))
	}
	if t.Text != "" {
		out.set("text", text(t.Text))
	}
	return out
}

func (r *reader) template(of map[string]Value, at string) (t MessageTemplate) {
	v, ok := of["message_template"]
	if !ok || !r.is(v, Map, at, "message_template", "a map") {
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
	was, is := Value{}, Value{}
	if before != (MessageTemplate{}) {
		was = before.tree()
	}
	if now != (MessageTemplate{}) {
		is = now.tree()
	}
	s.differ("message_template", was, is)
	both := Value{Kind: Map}
	both.set("title", text(now.Title))
	both.set("text", text(now.Text))
	s.body.set("message_template", both)
}
