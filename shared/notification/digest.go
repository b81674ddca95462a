package notification

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/event"
	"tocsin/shared/plaintext"
	"tocsin/shared/wording"
)

// DigestKind is what a digest says of its kind. It is no kind of event: nobody subscribes to it.
const DigestKind event.Kind = "digest"

// Bounds of a digest. One message of a system holds all of it: with them the text of a digest has at most 4,000 UTF-16
// units, links among them, where upstream's own links are short.
const (
	digestWorst  = 5   // events that are told one by one
	digestListed = 8   // values of a list; the rest is counted
	digestValue  = 300 // UTF-16 units of a list
	digestLine   = 240 // UTF-16 units of one of the worst
	digestName   = 60  // UTF-16 units of one value
	digestLink   = 500 // bytes of a link
)

// Digest is what one message says of many events: how many of what, and the worst of them. It is made by Together.
type Digest struct {
	reason       string // delivery.Delivery.Digest
	path         string // of Tocsin's page that lists all events, "" = there is none
	from, to     time.Time
	count        int
	gone         int     // events that there were beside those, and that are kept no longer
	kinds        []tally // by their English headlines
	applications []tally
	hosts        []tally
	sources      []tally
	worst        []Notification
	severity     Severity
	// texts are made once: a mail to fifty people asks for them several hundred times.
	texts map[wording.Language]text
}

// tally is how many events have a value.
type tally struct {
	value string
	count int
}

// Together is one notification of many, under an id of its own, for people: a digest is not for machines, which get
// each event. Its severity is that of the worst. It is never Late: it says itself when its events happened. All are of
// one integration; there is at least one.
func Together(reason, id, path string, ns []Notification) Notification {
	d := &Digest{reason: reason, path: path, count: len(ns)}
	kinds, applications, hosts, sources := counts{}, counts{}, counts{}, counts{}
	for _, n := range ns {
		at := n.Event.Time.UTC()
		if d.from.IsZero() || at.Before(d.from) {
			d.from = at
		}
		if at.After(d.to) {
			d.to = at
		}
		t := n.english()
		d.severity = max(d.severity, t.severity)
		kinds.add(t.headline)
		applications.add(n.applications(t)...)
		hosts.add(valueOf(t, "Domain", "Host"))
		sources.add(n.sources(t)...)
	}
	d.kinds, d.applications, d.hosts, d.sources = kinds.most(), applications.most(), hosts.most(), sources.most()
	d.worst = worst(ns)
	first := ns[0]
	out := Notification{Platform: first.Platform, Language: first.Language, Zone: first.Zone, Digest: d,
		FellBack: first.FellBack}
	out.Event = event.Event{ID: id, Tenant: first.Event.Tenant, ClientName: first.Event.ClientName, Kind: DigestKind,
		Time: d.to, Data: d.data()}
	out.Language = first.Language
	return out.composed()
}

// composed is a digest with its texts.
func (n Notification) composed() Notification {
	n.Digest.texts = map[wording.Language]text{}
	for _, n.Language = range []wording.Language{wording.English, n.Language.Or(wording.English)} {
		n.Digest.texts[n.Language] = n.composeDigest()
	}
	return n
}

// Without is a digest that says of how many more events nothing is known, because they are kept no longer.
func (n Notification) Without(gone int) Notification {
	if gone == 0 {
		return n
	}
	d := *n.Digest
	d.gone, n.Digest = gone, &d
	return n.composed()
}

// worst are the first of the most severe, those that happened first before others.
func worst(ns []Notification) []Notification {
	sorted := slices.Clone(ns)
	severities := make(map[string]Severity, len(ns))
	for _, n := range ns {
		severities[n.Event.ID] = n.english().severity
	}
	slices.SortStableFunc(sorted, func(a, b Notification) int {
		return cmp.Or(cmp.Compare(severities[b.Event.ID], severities[a.Event.ID]), a.Event.Time.Compare(b.Event.Time))
	})
	return sorted[:min(len(sorted), digestWorst)]
}

// applications are those that an event names: by name, else by number.
func (n Notification) applications(t text) []string {
	if name := valueOf(t, "Application"); name != "" {
		return []string{name}
	}
	switch n.Event.Kind {
	case event.NewHits:
		return event.Data[event.HitData](n.Event).Hit.Applications
	case event.NewAttack:
		return event.Data[event.AttackData](n.Event).Attack.Applications
	case event.NewIncident:
		return event.Data[event.IncidentData](n.Event).Incident.Applications
	}
	return nil
}

// sources are the addresses that an event came from.
func (n Notification) sources(t text) []string {
	switch n.Event.Kind {
	case event.NewAttack:
		return event.Data[event.AttackData](n.Event).Attack.Sources
	case event.NewIncident:
		return event.Data[event.IncidentData](n.Event).Incident.Sources
	case event.NewScopeIPs:
		return nil // what is protected, and not where something came from
	}
	return []string{valueOf(t, "Source", "IP")}
}

// valueOf is the value of the first fact of these labels that the text has.
func valueOf(t text, labels ...string) string {
	for _, label := range labels {
		for _, f := range t.facts {
			if f.Label == label {
				return f.Value
			}
		}
	}
	return ""
}

// counts says how many events have a value.
type counts map[string]int

// add counts an event under each of its values once.
func (c counts) add(values ...string) {
	for i, v := range values {
		if v = plaintext.Line(v); v != "" && !slices.Contains(values[:i], v) {
			c[v]++
		}
	}
}

// most lists the values, the most frequent first.
func (c counts) most() []tally {
	out := make([]tally, 0, len(c))
	for v, n := range c {
		out = append(out, tally{v, n})
	}
	slices.SortFunc(out, func(a, b tally) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.value, b.value))
	})
	return out
}

// data is the digest for machines that keep what people read: the fields of an alert.
func (d *Digest) data() json.RawMessage {
	kinds := map[string]int{}
	for _, k := range d.kinds {
		kinds[cut.UTF16(k.value, digestName)] += k.count
	}
	listed := slices.Sorted(maps.Keys(kinds))
	list := make([]string, 0, len(listed))
	for _, k := range listed {
		list = append(list, k+": "+strconv.Itoa(kinds[k]))
	}
	raw, err := json.Marshal(map[string]any{"digest": map[string]any{"reason": d.reason, "events": d.count,
		"from": d.from.Format(time.RFC3339), "to": d.to.Format(time.RFC3339), "kinds": list}})
	if err != nil { // texts and numbers
		return json.RawMessage("{}")
	}
	return raw
}

// why is the headline of a digest, and why its events come as one message.
func (d *Digest) why() (headline, sentence string) {
	say := map[string]struct{ headline, sentence string }{
		"quiet": {"%d events of the quiet hours", "They came during quiet hours, and were held back."},
		"mute": {"%d events while messages were muted",
			"They came while messages to this integration were muted, and were held back."},
		"group": {"%d events in one message",
			"Messages to this integration are grouped: one tells of the events of several minutes."},
		"storm": {"%d events of a storm in one message", "Events came faster than the storm guard lets messages " +
			"through: as long as that lasts, there is one message a minute."},
		"fallback": {"%d events of another integration", "They could not be delivered there, and this integration is " +
			"its fallback."},
	}
	said, ok := say[d.reason]
	if !ok {
		said = say["group"]
	}
	return fmt.Sprintf(said.headline, d.count), said.sentence
}

// digestText is the human side of a digest, in the notification's language and the zone that it was made in.
func (n Notification) digestText() text {
	n.Language = n.Language.Or(wording.English)
	if t, ok := n.Digest.texts[n.Language]; ok {
		return t
	}
	return n.composeDigest()
}

func (n Notification) composeDigest() text {
	d := n.Digest
	headline, sentence := d.why()
	t := text{headline: n.Say(headline), sentence: n.Say(sentence), severity: d.severity,
		linkTitle: n.Say("All events")}
	if d.path != "" {
		t.link = n.own(d.path)
	}
	add := func(label, value string) {
		if value != "" {
			t.facts = append(t.facts, Fact{Label: n.Say(label), Value: value})
		}
	}
	if n.FellBack != nil {
		add(n.FellBack.fact().Label, n.Say(n.FellBack.fact().Value))
	}
	add("From", n.locale().Time(d.from))
	add("To", n.locale().Time(d.to))
	add("Kinds", n.list(d.kinds, true))
	add("Applications", n.list(d.applications, false))
	add("Hosts", n.list(d.hosts, false))
	add("Sources", n.list(d.sources, false))
	for i, one := range d.worst {
		one.Language, one.FellBack = n.Language, nil // said once
		of := one.text()
		t.facts = append(t.facts, Fact{Label: strconv.Itoa(i + 1), Value: one.inDigest(of)})
		if of.link != "" && len(of.link) <= digestLink {
			t.links = append(t.links, Link{n.Say(fmt.Sprintf("Open %d in the Console", i+1)), of.link})
		}
	}
	if more := d.count - len(d.worst); more > 0 {
		add("And", n.Say(fmt.Sprintf("%d more", more)))
	}
	if d.gone > 0 {
		add("And", n.Say(fmt.Sprintf("%d more, which are kept no longer", d.gone)))
	}
	return t
}

// inDigest is the line of one event of a digest: how bad, what, of what, and when.
func (n Notification) inDigest(t text) string {
	line := t.severity.Symbol() + " " + t.headline
	english := n.english().facts
	for _, label := range finding {
		if i := slices.IndexFunc(english, func(f Fact) bool { return f.Label == label }); i >= 0 {
			line = n.Mark(line) + english[i].Value + n.where(label, english)
			break
		}
	}
	return cut.UTF16(line, digestLine) + " · " + n.locale().Time(n.Event.Time.UTC())
}

// list writes values with how often each occurs; ours says that they are texts of ours.
func (n Notification) list(values []tally, ours bool) string {
	var out []string
	for i, v := range values {
		value := v.value
		if ours {
			value = n.Say(value)
		}
		value = cut.UTF16(value, digestName)
		if n.Language == wording.Japanese {
			value += "（" + strconv.Itoa(v.count) + "）"
		} else {
			value += " (" + strconv.Itoa(v.count) + ")"
		}
		if more := len(values) - i; i == digestListed && more > 0 ||
			cut.LenUTF16(wording.List(n.Language, append(out, value))) > digestValue {
			return wording.List(n.Language, append(out, n.Say(fmt.Sprintf("%d more", more))))
		}
		out = append(out, value)
	}
	return wording.List(n.Language, out)
}
