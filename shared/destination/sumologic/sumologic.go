// Package sumologic sends envelopes to an HTTP source of Sumo Logic (product facts, 2.9), one compact JSON object a
// line, so that the source's multi-line setting can not join two of them.
package sumologic

import (
	"embed"
	"encoding/json"
	"net/http"
	"strconv"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Limits in bytes. Sumo Logic, "HTTP Logs and Metrics Source": about 1 MB of plain data in a request; "Search large
// messages": a longer message is sliced, and its slices are no JSON.
const (
	messageLimit = 64<<10 - 1<<10 // its line end and what Sumo Logic adds have room
	requestLimit = 900 << 10
	maxEvents    = 100 // ours
)

var batch = destination.Batch{Count: maxEvents, Bytes: requestLimit}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Parameters of a Sumo Logic integration.
type Parameters struct {
	URL      string `json:"source_url" jsonschema:"required,title=HTTP Source Address (URL),format=uri,minLength=1,maxLength=2048,writeOnly=true" jsonschema_description:"The address that Sumo Logic shows for an HTTP Logs and Metrics source: https://endpoint….collection.….sumologic.com/receiver/v1/http/…. Whoever has it can write logs, so it is kept secret."`
	Category string `json:"source_category,omitempty" form:"advanced" jsonschema:"title=Source category,maxLength=1024,pattern=^[!-~]*$" jsonschema_description:"Overrides the category that the source sets, such as security/platform. Leave it empty to keep the source's own."`
}

// Destination is Sumo Logic.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "sumo_logic", Title: "Sumo Logic", Group: destination.SIEM, Class: notification.Advanced,
		Events: event.Advanced(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
		Batch:  batch,
	}}
}

// System describes Sumo Logic.
func (d Destination) System() destination.System { return d.system }

// Encode writes the envelopes as compressed lines.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	messages := make([][]byte, len(ns))
	for i, n := range ns {
		messages[i] = ijson.Fit(n.Envelope(), messageLimit)
	}
	return destination.Batched(messages, batch, func(part [][]byte) destination.Request {
		q := destination.Post(p.URL, destination.JoinLines(part)).Gzip()
		if p.Category != "" {
			q.Header.Set("X-Sumo-Category", p.Category)
		}
		return q
	}), nil
}

// reasons of Sumo Logic, "Troubleshooting HTTP sources".
var reasons = map[int]string{
	401: "Sumo Logic does not know the address: copy the HTTP source's URL again",
	403: "Sumo Logic refuses the address: check that the source is enabled, copy its URL again",
	404: "Sumo Logic knows no such address: copy the HTTP source's URL again",
	408: "Sumo Logic waited too long for the request",
	429: "Sumo Logic throttles this account: its ingest is at the limit of the plan",
	503: "Sumo Logic is busy or down",
	504: "Sumo Logic took too long",
}

// Judge takes 200 for a success, and adds Sumo Logic's own words to a failure. Sumo Logic, "Troubleshooting HTTP
// Sources": 200 is the success, any other status tells of a trouble; of the body nothing is documented, but one with an
// error's code is none of a success.
func (Destination) Judge(r destination.Response) destination.Verdict {
	var answer struct {
		Code    json.RawMessage `json:"code"` // a text here, a number there
		Message string          `json:"message"`
		Errors  []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(r.Body, &answer) // what is not Sumo Logic's JSON says nothing
	code, err := strconv.Unquote(string(answer.Code))
	if err != nil {
		code = "" // a number repeats the status
	}
	words := []string{code, answer.Message}
	for _, e := range answer.Errors {
		words = append(words, e.Code, e.Message)
	}
	said := destination.Said(words...)
	switch {
	case !destination.Success(r.Status):
		return destination.WithoutCompression(r, destination.JudgeSaid(r, reasons, said))
	case r.Status != http.StatusOK, destination.WebPage(r):
		return destination.Unproven(r, "Sumo Logic answers 200 without a page")
	case code != "" || len(answer.Errors) > 0:
		return destination.Failed(r, "Sumo Logic answered "+destination.StatusText(r.Status)+
			" with an error in it (it says: "+said+")")
	case r.Broken:
		return destination.BrokenOff(r)
	}
	return destination.Delivered()
}
