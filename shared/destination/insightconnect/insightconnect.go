// Package insightconnect starts a workflow of Rapid7 InsightConnect through its API trigger (product facts, 2.6): each
// envelope, as one object, is the input of one run.
package insightconnect

import (
	"embed"
	"encoding/json"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// envelopeLimit is ours, in bytes: Rapid7 publishes none.
const envelopeLimit = 512 << 10

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Parameters of an InsightConnect integration (facts, 1.2 and 2.6).
type Parameters struct {
	API string `json:"api" jsonschema:"required,title=API URL,format=uri,minLength=1,maxLength=2048,writeOnly=true" jsonschema_description:"The URL that InsightConnect makes for the workflow's API trigger: https://<region>.api.insight.rapid7.com/connect/v1/workflows/<id>/events/execute. Whoever has it can start the workflow, so it is kept secret."`
	Key string `json:"token" jsonschema:"required,title=API key,minLength=8,maxLength=256,pattern=^[!-~]*$,writeOnly=true" jsonschema_description:"A user key of the Insight platform, sent as X-Api-Key."`
}

// Destination is InsightConnect.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "insight_connect", Title: "InsightConnect", Group: destination.Incidents, Class: notification.Advanced,
		Events: event.Advanced(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
	}}
}

// System describes InsightConnect.
func (d Destination) System() destination.System { return d.system }

// Encode makes one request of each notification: one request is one run of the workflow.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	out := make([]destination.Request, 0, len(ns))
	for _, n := range ns {
		out = append(out,
			destination.Post(p.API, ijson.Fit(n.Envelope(), envelopeLimit), "X-Api-Key", p.Key))
	}
	return out, nil
}

var reasons = map[int]string{
	400: "InsightConnect does not accept the event: the trigger's input must be summary, description and details",
	401: "InsightConnect does not accept the API key: enter a user key of this organization",
	403: "the API key may not start this workflow: check the rights of the user whose key it is",
	404: "InsightConnect knows no such trigger: copy its API URL again, and activate the workflow",
	410: "the workflow's trigger is gone: enter the API URL of another one",
	429: "InsightConnect throttles this organization: too many requests at a time",
}

// Judge takes any 2xx for a success that is no web page, and adds InsightConnect's own words to a failure: Rapid7 ("Set
// Up an API Trigger") documents neither the status nor the body of an answer.
func (Destination) Judge(r destination.Response) destination.Verdict {
	if destination.Success(r.Status) {
		return destination.Proved(r, !destination.WebPage(r), "InsightConnect answers with JSON")
	}
	var answer struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"` // a text, or an object with a message
	}
	_ = json.Unmarshal(r.Body, &answer) // what is not InsightConnect's JSON says nothing
	var text string
	var object struct{ Message string }
	if json.Unmarshal(answer.Error, &text) != nil && json.Unmarshal(answer.Error, &object) == nil {
		text = object.Message
	}
	return destination.JudgeSaid(r, reasons, destination.Said(answer.Message, text))
}
