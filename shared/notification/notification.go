package notification

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/plaintext"
	"tocsin/shared/wording"
)

// Platform is how this deployment names itself in messages. Every field is configuration.
type Platform struct {
	Name string // in the `[…]` prefix and as the source of alerts
	// Console is the address of the platform's own Console, which has attacks, findings, users and lists; Pages is that
	// of Tocsin's pages, which have integrations and triggers. Neither has a slash at its end; without one there are no
	// links to it.
	Console string
	Pages   string
	Cloud   string // EU or US
}

// Severity orders notifications by how much they matter.
type Severity int

// Severities, least first. The names of the String method are those of PagerDuty but for Medium and Low.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

func (s Severity) String() string {
	return [...]string{"info", "low", "medium", "high", "critical"}[s]
}

// Symbol makes the severity visible without a colour of the page's own.
func (s Severity) Symbol() string { return [...]string{"ℹ️", "🔵", "🟡", "🟠", "🔴"}[s] }

// Notification is one event as a receiver is to see it.
type Notification struct {
	Event    event.Event
	Platform Platform
	// Test marks what the Console's test button sends: a prefix says so (facts, 1.6).
	Test bool
	// Headers lets a hit carry the headers of its request (facts, 1.5: `with_headers`).
	Headers bool
	// Report is the message of an event.Report; nil for every other kind.
	Report *Report
	// Language is that of the texts for people; "" = English. What machines read is the same in every language.
	Language wording.Language
	// Digest makes it one message of many events: see Together. nil for one event.
	Digest *Digest
	// Zone is that of the times that people read; nil = as RFC 3339 writes them, in UTC.
	Zone *time.Location
	// Late: this is sent more than an hour after its event arrived. Again: it is late, and has arrived once before.
	// Held: it is late because it was held back as it should, not because anything went wrong.
	Late, Again, Held bool
	// FellBack is set where this comes from another integration, which it could not be delivered to.
	FellBack *FellBack
	// Words are an integration's own title and text; nil = ours. A report has none.
	Words *Words
}

// Report is a report as a receiver is to see it.
type Report struct {
	Title    string // one line: what and which period
	Sentence string
	Address  string // the receiver's, "" where the integration itself names the place
	// Text and HTML make the body of a mail, with the headline numbers.
	Text func(Around) string
	HTML func(Around) string
	// Caption is the same in a few lines, for a messenger.
	Caption string
	Files   []File
}

// Around is what a report's mail holds beside the report; each can be "".
type Around struct {
	Unsubscribe string // the receiver's own link
	Late        string // Notification.LateNote
}

// File travels with a message.
type File struct {
	Name string // ASCII
	Type string // media type
	Data []byte
}

// Fact is one labelled line for a person. Neither part has a line break.
type Fact struct{ Label, Value string }

// What the next methods return is for people: each text is on one line and holds nothing that turns or hides it
// (package plaintext). It can still hold markup of any kind, which is the destination's to escape. Machines read
// Envelope and Details, which keep upstream's characters.

// Summary is the notification's one line: `[Platform] New hit detected`.
func (n Notification) Summary() string { return n.summary(false) }

// Client is the company's name.
func (n Notification) Client() string { return plaintext.Line(n.Event.Client()) }

func (n Notification) prefix(withCloud bool) string {
	if !n.Test {
		return "[" + n.Platform.Name + "] "
	}
	test := "[" + n.Say("Test message") + "] "
	if withCloud {
		return test + "[" + n.Client() + "(" + n.Platform.Cloud + ")] "
	}
	return test + "[" + n.Client() + "] "
}

// Headline is the summary without its prefix.
func (n Notification) Headline() string {
	if n.Event.Kind == event.NewHits {
		return n.Say(hitHeadline) // without decoding the hit: this is on the way of every one
	}
	return n.text().headline
}

// Sentence says in one sentence what happened.
func (n Notification) Sentence() string { return n.text().sentence }

// Facts are the labelled lines; a fact without a value is left out.
func (n Notification) Facts() []Fact { return n.text().facts }

// Severity is that of the finding; changes of the system are Info, a hit is Medium.
func (n Notification) Severity() Severity { return n.text().severity }

// Urgency is the severity that decides whom a message wakes. That of a test is Info whatever it shows: a test must not
// wake the person on call.
func (n Notification) Urgency() Severity {
	if n.Test {
		return Info
	}
	return n.Severity()
}

// Title is the summary, and of a finding its own title too: a list of tickets that all read alike helps nobody.
func (n Notification) Title() string {
	if n.titled() {
		return n.Summary()
	}
	for _, f := range n.english().facts {
		if f.Label == "Title" {
			return n.Label(n.Summary()) + f.Value
		}
	}
	return n.Summary()
}

// finding are the labels of facts that tell one finding or change from another, the best first.
var finding = []string{"Period", "Title", "Integration", "Address", "Token", "User", "Application", "Rule", "Trigger",
	"Endpoint", "Type", "Domain", "Host", "IP", "Service"}

// Subject is the summary with what it is about: an inbox of mails that all read alike helps nobody. A report's title
// says it already.
func (n Notification) Subject() string {
	if n.titled() {
		return n.Summary()
	}
	facts := n.english().facts
	for _, label := range finding {
		for _, f := range facts {
			if f.Label == label && n.Report == nil {
				return n.Label(n.Summary()) + f.Value + n.where(label, facts)
			}
		}
	}
	return n.Summary()
}

// where says of an attack of a type which host it was on.
func (n Notification) where(label string, facts []Fact) string {
	for _, f := range facts {
		if label == "Type" && (f.Label == "Host" || f.Label == "Domain") {
			return " · " + f.Value
		}
	}
	return ""
}

// Origin is the last line of a message: the company, the cloud, the kind of event and its time.
func (n Notification) Origin() string {
	return n.Client() + " · " + n.Platform.Cloud + " · " + string(n.Event.Kind) + " · " + n.When()
}

// When is the event's time for its reader, with the zone named.
func (n Notification) When() string { return n.locale().Time(n.Event.Time.UTC()) }

// Link leads to the object in the Console, "" when there is none. Where upstream gives the link it is one that
// plaintext.Link takes: any other is left out, and the message goes without.
func (n Notification) Link() string { return n.text().link }

// Link is an address that a message leads to.
type Link struct{ Title, URL string }

// Links are those of a message: to the object in the Console, and of a digest to the worst of its events.
func (n Notification) Links() []Link {
	t := n.text()
	if t.link == "" {
		return t.links
	}
	title := n.Say("Open in the Console")
	if n.Digest != nil {
		title = t.linkTitle
	}
	return append([]Link{{title, t.link}}, t.links...)
}

// Description is the multi-line text of the envelope (facts, 1.6), "" for a hit.
func (n Notification) Description() string {
	if n.Event.Kind == event.NewHits && n.Text() == "" {
		return ""
	}
	return n.PlainText()
}

// PlainText is the description for systems that people read; unlike Description it is never empty.
func (n Notification) PlainText() string {
	if own := n.Text(); own != "" {
		return own + "\n"
	}
	t := n.text()
	var b strings.Builder
	b.WriteString(n.Label("Notification type"))
	b.WriteString(string(n.Event.Kind))
	b.WriteString("\n\n")
	b.WriteString(t.sentence)
	b.WriteByte('\n')
	n.writeFacts(&b, t)
	if t.link != "" {
		b.WriteString("\n" + n.Label(cmp.Or(t.linkTitle, "More details")))
		b.WriteString(t.link)
		b.WriteByte('\n')
	}
	for _, l := range t.links {
		b.WriteString(n.Mark(l.Title))
		b.WriteString(l.URL)
		b.WriteByte('\n')
	}
	b.WriteString("\n" + n.Label("Client"))
	b.WriteString(n.Client())
	b.WriteString("\n" + n.Label("Cloud"))
	b.WriteString(n.Platform.Cloud)
	b.WriteByte('\n')
	return b.String()
}

// writeFacts writes a line for each fact; those of a published body stand in one (facts, 1.11).
func (n Notification) writeFacts(b *strings.Builder, t text) {
	if t.published && len(t.facts) > 0 && n.Language != wording.Japanese {
		var line []string
		for _, f := range t.facts {
			if f.Label == "Trigger" {
				f.Value = `"` + f.Value + `"`
			}
			line = append(line, f.Label+": "+f.Value+".")
		}
		b.WriteString(strings.Join(line, " "))
		b.WriteByte('\n')
		return
	}
	for k, f := range t.facts {
		if k == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(n.Mark(f.Label))
		b.WriteString(f.Value)
		b.WriteByte('\n')
	}
}

// Envelope is the JSON object that every machine-readable system receives (facts, 1.6).
func (n Notification) Envelope() []byte { return AppendEnvelope(make([]byte, 0, EnvelopeSize(&n)), &n) }

// EnvelopeSize is about how many bytes an envelope has; that of a hit seldom has more.
func EnvelopeSize(n *Notification) int { return 224 + len(n.Event.Data) }

// AppendEnvelope appends the envelope of a notification. Like what it calls it takes no copy of a hit: this is on the
// way of every one, and copies would outgrow the stack of the goroutine that sends it.
func AppendEnvelope(b []byte, n *Notification) []byte {
	if n.Language.Or(wording.English) != wording.English || n.Zone != nil {
		return appendMachines(b, *n)
	}
	b = append(b, `{"summary":`...)
	if n.usual() {
		b = ijson.AppendString(b, "["+n.Platform.Name+"] "+hitHeadline)
	} else {
		b = appendWords(b, n)
	}
	b = append(b, `,"details":`...)
	b = n.appendDetails(b)
	return append(b, '}')
}

// appendMachines appends the envelope of a notification that people read in a language and a zone of their own.
func appendMachines(b []byte, n Notification) []byte {
	n = n.forMachines()
	return AppendEnvelope(b, &n)
}

// usual reports a hit without words of its own.
func (n *Notification) usual() bool {
	return n.Event.Kind == event.NewHits && n.Words == nil && !n.Test
}

// appendWords appends the summary and the description.
func appendWords(b []byte, n *Notification) []byte {
	b = ijson.AppendString(b, n.summary(true))
	if d := n.Description(); d != "" {
		b = append(b, `,"description":`...)
		b = ijson.AppendString(b, d)
	}
	return b
}

// Details is the envelope's `details` object.
func (n Notification) Details() []byte {
	n = n.forMachines()
	return n.appendDetails(nil)
}

func (n *Notification) appendDetails(b []byte) []byte {
	b = append(b, `{"client_name":`...)
	b = ijson.AppendString(b, n.Event.Client())
	b = append(b, `,"cloud":`...)
	b = ijson.AppendString(b, n.Platform.Cloud)
	b = append(b, `,"notification_type":`...)
	b = ijson.AppendString(b, string(n.Event.Kind))
	if n.Late {
		b = append(b, `,"late":true,"event_time":`...)
		b = ijson.AppendString(b, n.At())
	}
	b = n.FellBack.appendTo(b)
	if name := linkMember[n.Event.Kind]; name != "" {
		b = appendLink(b, name, n)
	}
	if n.Event.Kind.Command() {
		b = append(b, `,"command_id":`...) // what POST /v1/commands/{id}/ack takes
		b = ijson.AppendString(b, n.Event.ID)
	}
	return append(n.appendData(b), '}')
}

func appendLink(b []byte, name string, n *Notification) []byte {
	link := n.Link()
	if link == "" {
		return b
	}
	b = append(b, ',')
	b = ijson.AppendString(b, name)
	b = append(b, ':')
	return ijson.AppendString(b, link)
}

// linkMember is the name that the facts give to the link of a kind (1.6: `details.<entity>_link`).
var linkMember = map[event.Kind]string{
	event.Vuln: "vuln_link", event.SecurityIssue: "security_issue_link",
	event.CreateIntegration: "integration_link", event.UpdateIntegration: "integration_link",
	event.EnableIntegration:  "integration_link",
	event.DisableIntegration: "integration_link", event.IntegrationBroken: "integration_link",
	event.IntegrationFailing: "integration_link", event.IntegrationWorking: "integration_link",
}

// routing are members of the data that steer the fan-out and are of no use to a receiver.
var routing = map[string]bool{"object_id": true, "experimental": true, "sampled_out": true, "reaction": true}

// appendData appends the members of the event's data, as upstream wrote them where that is safe for every reader
// (package ijson). It splices bytes: a hit is forwarded without being taken apart, which is most of what a busy
// tenant's traffic is.
func (n *Notification) appendData(b []byte) []byte {
	data := bytes.TrimSpace(n.Event.Data)
	// The data stands in the place of the object `details`, in the envelope.
	if len(data) >= 2 && ijson.Clean(data, detailsDepth-1, n.ours) {
		if inner := bytes.TrimSpace(data[1 : len(data)-1]); len(inner) > 0 {
			b = append(b, ',')
			b = append(b, inner...)
		}
		return b
	}
	return n.appendMembers(b, data)
}

// appendMembers appends those that are safe, and what can be made of the others.
func (n *Notification) appendMembers(b, data []byte) []byte {
	for _, m := range members(data) {
		if n.ours(1, []byte(m.name)) {
			continue
		}
		if m.name == "hit" && !n.Headers {
			m.value = without(m.value, "headers")
		}
		before := len(b)
		b = append(b, ',')
		b = ijson.AppendString(b, m.name)
		b = append(b, ':')
		var ok bool
		if b, ok = ijson.Append(b, m.value, detailsDepth); !ok {
			b = b[:before]
		}
	}
	return b
}

// detailsDepth is that of the members of `details`: in it and in the envelope. Destinations that put an envelope into a
// further object or array are within what ijson.MaxDepth leaves.
const detailsDepth = 2

// ours reports whether a name in the data is one that does not travel on: see routing, reserved and Headers.
func (n *Notification) ours(level int, name []byte) bool {
	if level == 1 {
		return routing[string(name)] || reserved[string(name)] || n.Late && lateMember[string(name)] ||
			n.FellBack != nil && string(name) == fallbackMember
	}
	return !n.Headers && string(name) == "headers"
}

// reserved members of `details` are ours: the data may not write them a second time.
var reserved = map[string]bool{
	"client_name": true, "cloud": true, "notification_type": true, "command_id": true,
	"vuln_link": true, "security_issue_link": true, "integration_link": true,
}

// lateMember are those that a late notification has beside them. They are the same in every attempt, unlike a number of
// seconds: a repeat stays the same request.
var lateMember = map[string]bool{"late": true, "event_time": true}

type member struct {
	name  string
	value json.RawMessage
}

// members lists those of an object in their order. Of a name that stands twice the last value counts.
func members(object []byte) []member {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var out []member
	at := map[string]int{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		var m member
		m.name, _ = name.(string)
		if err := dec.Decode(&m.value); err != nil {
			break
		}
		if i, ok := at[m.name]; ok {
			out[i].value = m.value
			continue
		}
		at[m.name] = len(out)
		out = append(out, m)
	}
	return out
}

// without drops one member of an object and keeps the order of the rest.
func without(object json.RawMessage, name string) json.RawMessage {
	if len(object) == 0 || object[0] != '{' {
		return object
	}
	out := []byte{'{'}
	for _, m := range members(object) {
		if m.name == name {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = ijson.AppendString(out, m.name)
		out = append(out, ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}

func (n Notification) object(id int64) string {
	if id == 0 || n.Platform.Console == "" {
		return ""
	}
	return n.Platform.Console + "/object/" + strconv.FormatInt(id, 10)
}

// own is a link to one of Tocsin's pages.
func (n Notification) own(path string) string {
	if n.Platform.Pages == "" {
		return ""
	}
	return n.Platform.Pages + path
}

func (n Notification) page(path string) string {
	if n.Platform.Console == "" {
		return ""
	}
	return n.Platform.Console + path
}

// Dedup is the stable key under which an incident manager files this notification: all events of one object (see
// event.Object) have the same key for ever, so that a later one updates or resolves what the first opened, and a repeat
// opens no second incident. An event of none, and that of a test, has a key of its own. It has at most 198 bytes
// (event.Validate bounds its parts).
func (n Notification) Dedup() string {
	if o, ok := n.Event.Object(); ok && !n.Test {
		return n.Event.Tenant + ":" + o.Key
	}
	return n.EventKey()
}

// EventKey is the stable key of the event itself.
func (n Notification) EventKey() string {
	if n.Test {
		return "test:" + n.Event.Tenant + ":" + n.Event.ID
	}
	return n.Event.Tenant + ":" + n.Event.ID
}

// Step is what became of what the event tells of. A test always shows something new.
func (n Notification) Step() event.Step {
	o, _ := n.Event.Object()
	if n.Test {
		return event.Opened
	}
	return o.Step
}

// LateNote says of a late notification when it happened and that it is sent late, "" of one that is not late.
func (n Notification) LateNote() string {
	if !n.Late {
		return ""
	}
	did := "Happened on "
	if n.Event.Kind == event.Report {
		did = "Made on "
	}
	return n.Say(did + n.delay() + ".")
}

// delay is the time of the event, and why this message comes so long after it.
func (n Notification) delay() string {
	if n.Again {
		return n.At() + "; sent again"
	}
	if n.Held {
		return n.At() + "; held back until now"
	}
	return n.At() + "; sent late"
}

// At is the event's time in UTC, to the second, as texts have it before they are worded for their reader.
func (n Notification) At() string { return n.Event.Time.UTC().Format(time.RFC3339) }
