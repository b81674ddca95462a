// Package pagerduty triggers and resolves incidents through the Events API v2 of PagerDuty (product facts, 2.7), one
// event for each notification. All events of one object (notification.Dedup) have the same dedup key for ever: a repeat
// is added to the open incident and opens no second one, that the object was closed resolves the incident, and that it
// was opened again triggers a new one.
//
// The key makes one incident, however many workers send at once. It does not put events in order: an opening that was
// sent behind its closing would open an incident that nothing resolves. So it is not sent any more (destination.Keyed).
package pagerduty

import (
	"cmp"
	"embed"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// Limits of an event. PagerDuty, Events API v2, "Send an alert event": the summary in characters, the event in bytes.
const (
	summaryLimit = 1024
	eventLimit   = 512 << 10
	// detailsLimit leaves the rest of the event 32 KiB, which its bounded members do not reach.
	detailsLimit = eventLimit - 32<<10
	linkLimit    = 2048 // bytes; ours
)

// endpoints by service region. PagerDuty, "Service regions".
var endpoints = map[string]string{
	"US": "https://events.pagerduty.com/v2/enqueue",
	"EU": "https://events.eu.pagerduty.com/v2/enqueue",
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Parameters of a PagerDuty integration.
type Parameters struct {
	Key    string `json:"integration_key" jsonschema:"required,title=Integration Key,minLength=32,maxLength=32,pattern=^[0-9A-Za-z]*$,writeOnly=true" jsonschema_description:"The 32 characters that PagerDuty shows for an Events API V2 integration of a service. Whoever has them can open incidents, so they are kept secret."`
	Region string `json:"region" receiver:"true" jsonschema:"title=Service region,enum=US,enum=EU,default=US" jsonschema_description:"EU when the address of your PagerDuty account ends in eu.pagerduty.com."`
}

// KeepsObjects says that PagerDuty keeps an incident of an object: see integration.Keeper.
func (*Parameters) KeepsObjects() bool { return true }

// Destination is PagerDuty.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "pager_duty", Title: "PagerDuty", Group: destination.Incidents, Class: notification.Basic,
		Events: event.Basic(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
	}}
}

// System describes PagerDuty.
func (d Destination) System() destination.System { return d.system }

// Actions of an event. PagerDuty, Events API v2, "event_action".
const (
	trigger = "trigger"
	resolve = "resolve"
)

// alert is one event. One that resolves an incident has a key alone: PagerDuty shows nothing else of it.
type alert struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
	Payload    *payload `json:"payload,omitempty"`
	Links      []link   `json:"links,omitempty"`
}

type payload struct {
	Summary   string          `json:"summary"`
	Source    string          `json:"source"`
	Severity  string          `json:"severity"`
	Timestamp string          `json:"timestamp"`
	Group     string          `json:"group"`
	Class     string          `json:"class"`
	Details   json.RawMessage `json:"custom_details"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// severities are PagerDuty's four; a service with dynamic urgency pages at night for critical and error.
var severities = map[notification.Severity]string{
	notification.Critical: "critical", notification.High: "error", notification.Medium: "warning",
	notification.Low: "info", notification.Info: "info",
}

// Keyed says that PagerDuty keeps incidents by their dedup key.
func (Destination) Keyed() {}

// Encode makes one event of each notification: PagerDuty takes no two in one request.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	return destination.Each(ns, func(n notification.Notification) any { return render(p.Key, n) },
		func(body []byte) destination.Request { return destination.Post(endpoints[p.Region], body) })
}

func render(key string, n notification.Notification) alert {
	dedup := n.Dedup() // PagerDuty takes 255 characters
	if n.Step() == event.Closed {
		return alert{RoutingKey: key, Action: resolve, DedupKey: dedup}
	}
	e := alert{
		RoutingKey: key, Action: trigger, DedupKey: dedup, Client: n.Platform.Name,
		Payload: &payload{
			Summary: cut.Runes(n.Summary(), summaryLimit), Source: n.Platform.Name, Severity: severities[n.Urgency()],
			Timestamp: n.Event.Time.UTC().Format(time.RFC3339Nano), Group: n.Client(), Class: string(n.Event.Kind),
			Details: details(n),
		},
	}
	for _, l := range destination.WebLinks(n, linkLimit) {
		e.ClientURL = cmp.Or(e.ClientURL, l.URL)
		e.Links = append(e.Links, link{Href: l.URL, Text: l.Title})
	}
	return e
}

// details are those of the envelope with the description among them (facts, 2.7). PagerDuty shows them to the one on
// call: nothing in them hides or turns (package plaintext).
func details(n notification.Notification) json.RawMessage {
	members := ijson.Members(n.Details())
	description := ijson.Member{Name: "description", Value: ijson.Text(n.PlainText())}
	kept := members[:0]
	for _, m := range members {
		if m.Name != description.Name {
			kept = append(kept, m)
		}
	}
	return ijson.Fit(ijson.Map(ijson.JoinObject(append(kept, description)), plaintext.Lines),
		detailsLimit)
}

// aboutKey finds that the Integration Key is what PagerDuty refuses, and not the event.
var aboutKey = regexp.MustCompile(`(?i)routing.?key|integration.?key|service.?key`)

// reasons of PagerDuty. Events API v2, "Response codes & Retry Logic".
var reasons = map[int]string{
	400: "PagerDuty does not accept the event: check the Integration Key and the service region",
	403: "PagerDuty blocks this sender: check that the service and its integration are enabled",
	404: "PagerDuty knows no such address: check the service region",
	429: "PagerDuty throttles this Integration Key: too many events at a time",
}

// Judge takes a 2xx that says "success" for one, and tells what PagerDuty found wrong in an event. PagerDuty, Events
// API v2, "Send an event": 202 with status "success", message and dedup_key; 400 with status "invalid event" and
// errors.
func (Destination) Judge(r destination.Response) destination.Verdict {
	if destination.Success(r.Status) {
		return destination.Proved(r, strings.EqualFold(ijson.Fields(r.Body)["status"], "success"),
			"PagerDuty answers 202 with the status “success”")
	}
	var answer struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	_ = json.Unmarshal(r.Body, &answer) // what is not PagerDuty's JSON says nothing
	said := destination.Said(append([]string{answer.Message}, answer.Errors...)...)
	v := destination.JudgeSaid(r, reasons, said)
	v.Unread = v.Unread && !aboutKey.MatchString(said)
	return v
}
