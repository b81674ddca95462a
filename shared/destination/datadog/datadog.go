// Package datadog sends envelopes to Datadog's log intake (product facts, 2.10), compressed, many in one request.
package datadog

import (
	"embed"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Limits of the intake, in bytes before compression. Datadog, Logs API, "Send logs": 5 MB and 1,000 logs in a request,
// 1 MB a log, none older than 18 hours.
const (
	requestLimit = 5_000_000 - 10_000
	logLimit     = 1_000_000 - 10_000
	maxAge       = 17 * time.Hour // an hour of the 18 is left for the way
	maxEvents    = 100            // ours
	batchLimit   = 900 << 10      // ours, of the envelopes in a delivery
)

// intakes by region. Datadog, "Log Collection", supported endpoints.
var intakes = map[string]string{
	"US1":     "https://http-intake.logs.datadoghq.com/api/v2/logs",
	"US3":     "https://http-intake.logs.us3.datadoghq.com/api/v2/logs",
	"US5":     "https://http-intake.logs.us5.datadoghq.com/api/v2/logs",
	"EU":      "https://http-intake.logs.datadoghq.eu/api/v2/logs",
	"AP1":     "https://http-intake.logs.ap1.datadoghq.com/api/v2/logs",
	"AP2":     "https://http-intake.logs.ap2.datadoghq.com/api/v2/logs",
	"US1-FED": "https://http-intake.logs.ddog-gov.com/api/v2/logs",
}

// Parameters of a Datadog integration (facts, 1.2 and 2.10).
type Parameters struct {
	Key    string `json:"token" jsonschema:"required,title=API key,minLength=32,maxLength=40,pattern=^[0-9A-Za-z]*$,writeOnly=true" jsonschema_description:"From Datadog: Organization Settings, API Keys, New Key. Not an application key."`
	Region string `json:"region" receiver:"true" jsonschema:"title=Region,enum=US1,enum=US3,enum=US5,enum=EU,enum=AP1,enum=AP2,enum=US1-FED,default=US1" jsonschema_description:"The Datadog site that your account is on; the address that you sign in at tells it: app.datadoghq.com is US1, app.datadoghq.eu is EU, us5.datadoghq.com is US5."`
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Datadog.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "data_dog", Title: "Datadog", Group: destination.Logs, Class: notification.Advanced,
		Events: event.Advanced(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
		Batch:  destination.Batch{Count: maxEvents, Bytes: batchLimit},
	}}
}

// System describes Datadog.
func (d Destination) System() destination.System { return d.system }

type log struct {
	Source    string `json:"ddsource"`
	Tags      string `json:"ddtags"`
	Host      string `json:"hostname"`
	Service   string `json:"service"`
	Status    string `json:"status"`
	Timestamp int64  `json:"timestamp"`  // milliseconds: Datadog files the log under it
	EventTime string `json:"event_time"` // the event's own, also where Datadog would not take it
	Message   string `json:"message"`
	Summary   string `json:"summary"`
}

// Encode writes the logs as arrays.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	logs := make([][]byte, len(ns))
	for i, n := range ns {
		raw, err := entry(n, t.Now)
		if err != nil {
			return nil, err
		}
		logs[i] = raw
	}
	limit := destination.Batch{Count: maxEvents, Bytes: requestLimit}
	return destination.Batched(logs, limit, func(part [][]byte) destination.Request {
		return destination.Post(intakes[p.Region], destination.JoinArray(part), "Dd-Api-Key", p.Key).Gzip()
	}), nil
}

// entry is one log: Datadog's own attributes, then the members of the envelope.
func entry(n notification.Notification, now time.Time) ([]byte, error) {
	envelope := ijson.Members(n.Envelope())
	l := log{
		Source: strings.ReplaceAll(strings.ToLower(n.Platform.Name), " ", "_") + "_cloud", Tags: tags(n),
		Host:    n.Platform.Name,
		Service: n.Platform.Name + " API Security", Status: statuses[n.Severity()],
		Timestamp: timestamp(n.Event.Time, now).UnixMilli(),
		EventTime: n.At(), Message: n.Summary(),
	}
	_ = json.Unmarshal(envelope[0].Value, &l.Summary) // the envelope's first member is its summary
	head, err := ijson.Marshal(l)
	if err != nil {
		return nil, err
	}
	return ijson.Fit(ijson.JoinObject(append(ijson.Members(head), envelope[1:]...)), logLimit),
		nil
}

// timestamp is the event's, or now when Datadog would drop the log for its age: a dead delivery that is sent again
// days later must arrive. Both are written with as many digits, so that an attempt splits as the one before.
func timestamp(at, now time.Time) time.Time {
	if age := now.Sub(at); age > maxAge || age < -time.Hour {
		return now
	}
	return at
}

var statuses = map[notification.Severity]string{
	notification.Critical: "critical", notification.High: "error", notification.Medium: "warn",
	notification.Low: "notice", notification.Info: "info",
}

// found are the tags of what was detected (facts, 2.10: `vuln_detected`); the other kinds' names say what happened.
var found = map[event.Kind]string{event.Vuln: "vuln_detected", event.SecurityIssue: "security_issue_detected",
	event.NewHits: "hit_detected"}

// told are the words for "detected" in those tags when a finding was not new.
var told = map[event.Step]string{event.Reopened: "reopened", event.Closed: "closed"}

func tags(n notification.Notification) string {
	tag, ok := found[n.Event.Kind]
	if !ok {
		tag = string(n.Event.Kind)
	}
	if what, finding := strings.CutSuffix(tag, "detected"); finding && told[n.Step()] != "" {
		tag = what + told[n.Step()]
	}
	if n.Test {
		tag += ",test"
	}
	return tag
}

// reasons of Datadog, Logs API, "Send logs", status codes.
var reasons = map[int]string{
	400: "Datadog could not read the logs",
	401: "Datadog does not accept the API key: check it, and the region",
	403: "Datadog does not know the API key in this region: check both, and that it is an API key and no application " +
		"key",
	404: "Datadog knows no such address: check the region",
	408: "Datadog waited too long for the request",
	413: "Datadog found the request too large",
	429: "Datadog throttles this account",
	500: "Datadog has a fault of its own",
	503: "Datadog is down or overloaded",
}

// Judge takes 202 for a success, and adds Datadog's own words to a failure. Datadog, Logs API, "Send logs": "202
// Request accepted for processing (always 202 empty JSON)". Version 1 of the intake answered 200 with the same.
func (Destination) Judge(r destination.Response) destination.Verdict {
	if destination.Success(r.Status) {
		body := strings.TrimSpace(string(r.Body))
		return destination.Proved(r, r.Status == http.StatusAccepted && body == "" && !r.Broken ||
			(r.Status == http.StatusAccepted || r.Status == http.StatusOK) && body == "{}",
			"Datadog answers 202 with an empty JSON object")
	}
	var answer struct {
		Errors []json.RawMessage `json:"errors"` // texts in version 1's form, objects in version 2's
	}
	_ = json.Unmarshal(r.Body, &answer) // what is not Datadog's JSON says nothing
	var words []string
	for _, raw := range answer.Errors {
		var text string
		var object struct{ Title, Detail string }
		if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &object) == nil {
			text = destination.Said(object.Title, object.Detail)
		}
		words = append(words, text)
	}
	return destination.WithoutCompression(r, destination.JudgeSaid(r, reasons, destination.Said(words...)))
}
