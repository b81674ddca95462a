package notification

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/event"
)

// Platform is how this deployment names itself in messages. Every field is configuration.
type Platform struct {
	Name    string // in the `[…]` prefix and as the source of alerts
	Console string // the Console's address, without a slash at its end
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
}

// Report is a report as a receiver is to see it.
type Report struct {
	Title    string // one line: what and which period
	Sentence string
	Address  string // the receiver's, "" where the integration itself names the place
	// Text and HTML make the body of a mail, with the headline numbers, for the receiver's own unsubscribe link.
	Text func(unsubscribe string) string
	HTML func(unsubscribe string) string
	// Caption is the same in a few lines, for a messenger.
	Caption string
	Files   []File
}

// File travels with a message.
type File struct {
	Name string // ASCII
	Type string // media type
	Data []byte
}

// Fact is one labelled line for a person.
type Fact struct{ Label, Value string }

// Summary is the notification's one line: `[Platform] New hit detected`.
func (n Notification) Summary() string { return n.prefix(false) + n.Headline() }

func (n Notification) prefix(withCloud bool) string {
	if !n.Test {
		return "[" + n.Platform.Name + "] "
	}
	if withCloud {
		return "[Test message] [" + n.Event.Client() + "(" + n.Platform.Cloud + ")] "
	}
	return "[Test message] [" + n.Event.Client() + "] "
}

// Headline is the summary without its prefix.
func (n Notification) Headline() string {
	if n.Event.Kind == event.NewHits {
		return hitHeadline // without decoding the hit: this is on the way of every one
	}
	return n.text().headline
}

// Sentence says in one sentence what happened.
func (n Notification) Sentence() string { return n.text().sentence }

// Facts are the labelled lines; a fact without a value is left out.
func (n Notification) Facts() []Fact { return n.text().facts }

// Severity is that of the finding; changes of the system are Info, a hit is Medium.
func (n Notification) Severity() Severity { return n.text().severity }

// Link leads to the object in the Console, "" when there is none.
func (n Notification) Link() string { return n.text().link }

// Description is the multi-line text of the envelope (facts, 1.6), "" for a hit.
func (n Notification) Description() string {
	if n.Event.Kind == event.NewHits {
		return ""
	}
	return n.PlainText()
}

// PlainText is the description for systems that people read; unlike Description it is never empty.
func (n Notification) PlainText() string {
	t := n.text()
	var b strings.Builder
	b.WriteString("Notification type: ")
	b.WriteString(string(n.Event.Kind))
	b.WriteString("\n\n")
	b.WriteString(t.sentence)
	b.WriteByte('\n')
	if len(t.facts) > 0 {
		b.WriteByte('\n')
		for _, f := range t.facts {
			b.WriteString(f.Label)
			b.WriteString(": ")
			b.WriteString(f.Value)
			b.WriteByte('\n')
		}
	}
	if t.link != "" {
		b.WriteString("\n" + cmp.Or(t.linkTitle, "More details") + ": ")
		b.WriteString(t.link)
		b.WriteByte('\n')
	}
	b.WriteString("\nClient: ")
	b.WriteString(n.Event.Client())
	b.WriteString("\nCloud: ")
	b.WriteString(n.Platform.Cloud)
	b.WriteByte('\n')
	return b.String()
}

// Envelope is the JSON object that every machine-readable system receives (facts, 1.6).
func (n Notification) Envelope() []byte {
	b := make([]byte, 0, 256+len(n.Event.Data))
	b = append(b, `{"summary":`...)
	b = appendString(b, n.prefix(true)+n.Headline())
	if d := n.Description(); d != "" {
		b = append(b, `,"description":`...)
		b = appendString(b, d)
	}
	b = append(b, `,"details":`...)
	b = n.appendDetails(b)
	return append(b, '}')
}

// Details is the envelope's `details` object.
func (n Notification) Details() []byte { return n.appendDetails(nil) }

func (n Notification) appendDetails(b []byte) []byte {
	b = append(b, `{"client_name":`...)
	b = appendString(b, n.Event.Client())
	b = append(b, `,"cloud":`...)
	b = appendString(b, n.Platform.Cloud)
	b = append(b, `,"notification_type":`...)
	b = appendString(b, string(n.Event.Kind))
	if name := linkMember[n.Event.Kind]; name != "" {
		if link := n.Link(); link != "" {
			b = append(b, ',')
			b = appendString(b, name)
			b = append(b, ':')
			b = appendString(b, link)
		}
	}
	return append(n.appendData(b), '}')
}

// linkMember is the name that the facts give to the link of a kind (1.6: `details.<entity>_link`).
var linkMember = map[event.Kind]string{
	event.Vuln: "vuln_link", event.SecurityIssue: "security_issue_link",
	event.CreateIntegration: "integration_link", event.UpdateIntegration: "integration_link", event.EnableIntegration: "integration_link",
	event.DisableIntegration: "integration_link", event.IntegrationBroken: "integration_link",
}

// routing are members of the data that steer the fan-out and are of no use to a receiver.
var routing = map[string]bool{"object_id": true, "experimental": true, "sampled_out": true, "reaction": true}

// appendData appends the members of the event's data as upstream wrote them. It splices bytes: a hit is
// forwarded without being taken apart, which is most of what a busy tenant's traffic is.
func (n Notification) appendData(b []byte) []byte {
	data := bytes.TrimSpace(n.Event.Data)
	if !n.needsRewrite(data) {
		if inner := bytes.TrimSpace(data[1 : len(data)-1]); len(inner) > 0 {
			b = append(b, ',')
			b = appendCompact(b, inner)
		}
		return b
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	_, _ = dec.Token() // the data was validated to be an object when the event was accepted
	for dec.More() {
		name, _ := dec.Token()
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			break
		}
		member, _ := name.(string)
		if routing[member] || reserved[member] {
			continue
		}
		if member == "hit" && !n.Headers {
			value = without(value, "headers")
		}
		b = append(b, ',')
		b = appendString(b, member)
		b = append(b, ':')
		b = appendCompact(b, value)
	}
	return b
}

// reserved members of `details` are ours: the data may not write them a second time.
var reserved = map[string]bool{
	"client_name": true, "cloud": true, "notification_type": true,
	"vuln_link": true, "security_issue_link": true, "integration_link": true,
}

func (n Notification) needsRewrite(data []byte) bool {
	if n.Event.Kind == event.NewHits {
		// The cheap test may see a payload that only looks like a member: that costs a rewrite, no more.
		for _, m := range hitMarks {
			if bytes.Contains(data, m) {
				return true
			}
		}
		return bytes.IndexByte(data, '\n') >= 0
	}
	return true
}

var hitMarks = [][]byte{
	[]byte(`"headers"`), []byte(`"experimental"`), []byte(`"sampled_out"`), []byte(`"object_id"`),
	[]byte(`"client_name"`), []byte(`"cloud"`), []byte(`"notification_type"`), []byte(`_link"`), []byte(`\u`),
}

// without drops one member of an object and keeps the order of the rest.
func without(object json.RawMessage, member string) json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return object
	}
	out := []byte{'{'}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return object
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return object
		}
		if name == member {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		s, _ := name.(string)
		out = appendString(out, s)
		out = append(out, ':')
		out = append(out, value...)
	}
	return append(out, '}')
}

// appendCompact appends JSON without line breaks between its tokens: NDJSON receivers count lines.
func appendCompact(b, raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return append(b, raw...)
	}
	var buf bytes.Buffer
	if err := json.Compact(&buf, raw); err != nil {
		return append(b, bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\n"), nil), []byte("\r"), nil)...)
	}
	return append(b, buf.Bytes()...)
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}

func (n Notification) object(id int64) string {
	if id == 0 || n.Platform.Console == "" {
		return ""
	}
	return n.Platform.Console + "/object/" + strconv.FormatInt(id, 10)
}

func (n Notification) page(path string) string {
	if n.Platform.Console == "" {
		return ""
	}
	return n.Platform.Console + path
}

// Dedup is the stable key under which an incident manager files this notification: the same event gives the
// same key for ever, so a repeat updates and does not open a second incident.
func (n Notification) Dedup() string {
	if n.Test {
		return "test:" + n.Event.Tenant + ":" + n.Event.ID
	}
	return n.Event.Tenant + ":" + n.Event.ID
}

// At is the event's time in UTC, to the second, for people.
func (n Notification) At() string { return n.Event.Time.UTC().Format(time.RFC3339) }
