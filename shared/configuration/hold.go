package configuration

import (
	"encoding/json"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/hold"
)

// hold reads a member of that name; more are the members that it may have beside those that every one has.
func (r *reader) hold(of map[string]tree.Value, at string, more ...string) (h Hold) {
	v, ok := of["hold"]
	if !ok || v.Kind == tree.Null {
		return h
	}
	at += ": hold"
	o := r.object(v, at, append([]string{"quiet", "then", "pass"}, more...)...)
	if list, ok := o["quiet"]; ok && r.is(list, tree.List, at, "quiet", "a list") {
		for _, item := range list.Items {
			h.Quiet = append(h.Quiet, r.quiet(item, at+": quiet"))
		}
	}
	h.Then = r.optional(o, at, "then")
	if h.Then == string(hold.Send) {
		h.Then = ""
	}
	if _, ok := o["pass"]; ok {
		h.Pass = &[]string{}
		*h.Pass = append(*h.Pass, r.words(o, at, "pass")...)
	}
	if own, ok := o["own_only"]; ok && r.is(own, tree.Bool, at, "own_only", "true or false") {
		h.OwnOnly = own.Text == "true"
	}
	return h
}

func (r *reader) quiet(v tree.Value, at string) Quiet {
	o := r.object(v, at, "days", "first", "last", "from", "to", "zone")
	return Quiet{Days: r.words(o, at, "days"), First: r.optional(o, at, "first"), Last: r.optional(o, at, "last"),
		From: r.optional(o, at, "from"), To: r.optional(o, at, "to"), Zone: r.text(o, v, at, "zone")}
}

// words reads a list of texts.
func (r *reader) words(o map[string]tree.Value, at, name string) (out []string) {
	v, ok := o[name]
	if !ok || !r.is(v, tree.List, at, name, "a list") {
		return nil
	}
	for _, item := range v.Items {
		if item.Kind == tree.Null || item.Kind == tree.List || item.Kind == tree.Map {
			r.problems.Add(item.Line, at, "%s must be texts", name)
			continue
		}
		out = append(out, item.Text)
	}
	return out
}

// tree is empty, of no kind, for rules that say nothing.
func (h Hold) tree() (out tree.Value) {
	if len(h.Quiet) > 0 {
		list := tree.Value{Kind: tree.List}
		for _, q := range h.Quiet {
			list.Items = append(list.Items, q.tree())
		}
		out.Set("quiet", list)
	}
	if h.Then != "" && h.Then != string(hold.Send) {
		out.Set("then", tree.OfText(h.Then))
	}
	if h.Pass != nil {
		out.Set("pass", texts(*h.Pass))
	}
	if h.OwnOnly {
		out.Set("own_only", tree.OfBool(true))
	}
	return out
}

func (q Quiet) tree() (out tree.Value) {
	if len(q.Days) > 0 {
		out.Set("days", texts(q.Days))
	}
	for _, m := range [][2]string{{"first", q.First}, {"last", q.Last}, {"from", q.From}, {"to", q.To},
		{"zone", q.Zone}} {
		if m[1] != "" {
			out.Set(m[0], tree.OfText(m[1]))
		}
	}
	return out
}

func texts(list []string) tree.Value {
	out := tree.Value{Kind: tree.List, Flow: true}
	for _, s := range list {
		out.Items = append(out.Items, tree.OfText(s))
	}
	return out
}

// add puts rules into an object unless they say nothing.
func (h Hold) add(to *tree.Value) {
	if v := h.tree(); v.Kind == tree.Map {
		to.Set("hold", v)
	}
}

// hold notes other rules.
func (s *Step) hold(now, before Hold) {
	a, b := before.tree(), now.tree()
	if tree.Same(a, b) {
		return
	}
	s.differ("hold", a, b)
	if b.Kind != tree.Map {
		b = tree.Value{Kind: tree.Map}
	}
	s.body.Set("hold", b)
}

// HoldOf reads rules as the API shows them.
func HoldOf(raw json.RawMessage) (h Hold, err error) {
	var view struct {
		Quiet   []Quiet
		Then    string
		Pass    *[]string
		OwnOnly bool `json:"own_only"`
	}
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &view)
	}
	if view.Then == string(hold.Send) {
		view.Then = ""
	}
	return Hold(view), err
}
