package configuration

import "tocsin/shared/configuration/tree"

// retention reads a member of that name. Which days there are, the installation says.
func (r *reader) retention(of map[string]tree.Value, at string) (out Retention) {
	v, ok := of["retention"]
	if !ok || v.Kind == tree.Null {
		return out
	}
	at += ": retention"
	o := r.object(v, at, "events", "deliveries")
	for name, days := range map[string]*int64{"events": &out.Events, "deliveries": &out.Deliveries} {
		if _, given := o[name]; !given {
			continue
		}
		if *days = r.number(o, v, at, name); *days < 0 {
			r.problems.Add(o[name].Line, at, "%s must not be below 0", name)
		}
	}
	return out
}

// tree is empty, of no kind, where nothing is chosen.
func (k Retention) tree() (out tree.Value) {
	if k.Events != 0 {
		out.Set("events", tree.OfNumber(k.Events))
	}
	if k.Deliveries != 0 {
		out.Set("deliveries", tree.OfNumber(k.Deliveries))
	}
	return out
}

// retention notes another choice. Both days are sent, because a change without one of them has none.
func (s *Step) retention(now, before Retention) {
	if now == before {
		return
	}
	s.differ("retention", before.tree(), now.tree())
	var body tree.Value
	body.Set("events", tree.OfNumber(now.Events))
	body.Set("deliveries", tree.OfNumber(now.Deliveries))
	s.body.Set("retention", body)
}
