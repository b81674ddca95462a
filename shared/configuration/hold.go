package configuration

import (
	"encoding/json"

	"tocsin/shared/hold"
)

// hold reads a member of that name; more are the members that it may have beside those that every one has.
func (r *reader) hold(of map[string]Value, at string, more ...string) (h Hold) {
	v, ok := of["hold"]
	if !ok || v.Kind == Null {
		return h
	}
	at += ": hold"
	o := r.object(v, at, append([]string{"quiet", "then", "pass"}, more...)...)
	if list, ok := o["quiet"]; ok && r.is(list, List, at, "quiet", "a list") {
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
	if own, ok := o["own_only"]; ok && r.is(own, Bool, at, "own_only", "true or false") {
		h.OwnOnly = own.Text == "true"
	}
	return h
}

func (r *reader) quiet(v Value, at string) Quiet {
	o := r.object(v, at, "days", "first", "last", "from", "to", "zone")
	return Quiet{Days: r.words(o, at, "days"), First: r.optional(o, at, "first"), Last: r.optional(o, at, "last"),
		From: r.optional(o, at, "from"), To: r.optional(o, at, "to"), Zone: r.text(o, v, at, "zone")}
}

// words reads a list of texts.
func (r *reader) words(o map[string]Value, at, name string) (out []string) {
	v, ok := o[name]
	if !ok || !r.is(v, List, at, name, "a list") {
		return nil
	}
	for _, item := range v.Items {
		if item.Kind == Null || item.Kind == List || item.Kind == Map {
			r.problems.add(item.Line, at, "%s must be texts", name)
			continue
		}
		out = append(out, item.Text)
	}
	return out
}

// tree is empty, of no kind, for rules that say nothing.
func (h Hold) tree() (out Value) {
	if len(h.Quiet) > 0 {
		list := Value{Kind: List}
		for _, q := range h.Quiet {
			list.Items = append(list.Items, q.tree())
		}
		out.set("quiet", list)
	}
	if h.Then != "" && h.Then != string(hold.Send) {
		out.set("then", text(h.Then))
	}
	if h.Pass != nil {
		out.set("pass", texts(*h.Pass))
	}
	if h.OwnOnly {
		out.set("own_only", boolean(true))
	}
	return out
}

func (q Quiet) tree() (out Value) {
	if len(q.Days) > 0 {
		out.set("days", texts(q.Days))
	}
	for _, m := range [][2]string{{"first", q.First}, {"last", q.Last}, {"from", q.From}, {"to", q.To},
		{"zone", q.Zone}} {
		if m[1] != "" {
			out.set(m[0], text(m[1]))
		}
	}
	return out
}

func texts(list []string) Value {
	out := Value{Kind: List, Flow: true}
	for _, s := range list {
		out.Items = append(out.Items, text(s))
	}
	return out
}

// add puts rules into an object unless they say nothing.
func (h Hold) add(to *Value) {
	if v := h.tree(); v.Kind == Map {
		to.set("hold", v)
	}
}

// hold notes other rules.
func (s *Step) hold(now, before Hold) {
	a, b := before.tree(), now.tree()
	if same(a, b) {
		return
	}
	s.differ("hold", a, b)
	if b.Kind != Map {
		b = Value{Kind: Map}
	}
	s.body.set("hold", b)
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

// holdSchema is the schema of when what is sent waits; of is of what.
func holdSchema(of string, integrations bool) object {
	clock := func(pattern, what string) object {
		return object{"type": "string", "pattern": pattern, "description": what}
	}
	date := object{"type": "string", "format": "date", "description": "Such as 2026-12-24."}
	days := []string{}
	for _, d := range hold.Days() {
		days = append(days, string(d))
	}
	properties := object{
		"quiet": object{"type": "array", "maxItems": hold.MaxQuiet, "description": "Quiet hours.", "items": object{
			"type": "object", "required": []string{"zone"}, "additionalProperties": false, "properties": object{
				"days": object{"type": "array", "uniqueItems": true, "items": object{"enum": days},
					"description": "On which they begin. Left out: every day."},
				"first": date, "last": date,
				"from": clock("^([01][0-9]|2[0-3]):[0-5][0-9]$", "When they begin, such as 22:00. Left out with "+
					"to: whole days."),
				"to": clock("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "When they end; on the day after where it is "+
					"not after from."),
				"zone": object{"type": "string", "minLength": 1, "maxLength": 64,
					"examples": []string{"Europe/Berlin"}, "description": "IANA name of the time zone."}},
			"dependencies": object{"first": []string{"last"}, "last": []string{"first"}, "from": []string{"to"},
				"to": []string{"from"}}}},
		"then": object{"enum": []hold.Then{hold.Send, hold.Digest, hold.Drop}, "description": "What becomes of what " +
			"came meanwhile. digest is for systems that people read. Left out: send."},
		"pass": object{"type": "array", "uniqueItems": true, "items": object{"type": "string", "minLength": 1},
			"description": "Event types and kinds that are sent at once. Left out: incidents_exceeded."},
	}
	if integrations {
		properties["own_only"] = object{"type": "boolean",
			"description": "The quiet hours of report_settings do not hold for it."}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties, "description": of}
}
