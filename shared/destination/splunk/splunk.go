// Package splunk sends envelopes to a Splunk HTTP Event Collector (product facts, 2.8).
package splunk

import (
	"embed"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Limits of one request. Splunk, limits.conf, [http_input] max_content_length: 1 MB in the oldest release in use.
const (
	maxEvents  = 100
	maxBytes   = 900 << 10
	eventLimit = maxBytes - 4<<10 // of one envelope; the rest is for what is around it
)

// eventPath is the collector's endpoint for JSON events. Splunk, "HTTP Event Collector REST API endpoints".
const eventPath = "/services/collector/event"

// Parameters of a Splunk integration (facts, 1.2 and 2.8).
type Parameters struct {
	API   string `json:"api" jsonschema:"required,title=HEC URI:PORT,format=uri,minLength=1,maxLength=2048" jsonschema_description:"Address and port of the HTTP Event Collector, such as https://hec.splunk.com:8088. The path /services/collector/event is added when there is none."`
	Token string `json:"token" jsonschema:"required,title=HEC token,format=uuid,writeOnly=true" jsonschema_description:"From Splunk: Settings, Data inputs, HTTP Event Collector, New token. The defaults are enough."`
}

var batch = destination.Batch{Count: maxEvents, Bytes: maxBytes}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Splunk.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "splunk", Title: "Splunk", Group: destination.Logs, Class: notification.Advanced,
		Events: event.Advanced(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
		Batch:  batch,
	}}
}

// System describes Splunk.
func (d Destination) System() destination.System { return d.system }

type wrapper struct {
	Time       json.Number     `json:"time"` // seconds with a fraction
	Host       string          `json:"host"`
	Source     string          `json:"source"`
	Sourcetype string          `json:"sourcetype"`
	Event      json.RawMessage `json:"event"`
}

// Encode writes one event object after another, not an array.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	events := make([][]byte, len(ns))
	for i, n := range ns {
		w := wrapper{
			Time: json.Number(strconv.FormatFloat(float64(n.Event.Time.UnixMilli())/1000, 'f', 3, 64)),
			Host: n.Platform.Name, Source: strings.ToLower(n.Platform.Name), Sourcetype: "_json",
			Event: ijson.Fit(n.Envelope(), eventLimit),
		}
		raw, err := ijson.Marshal(w)
		if err != nil {
			return nil, err
		}
		events[i] = raw
	}
	return destination.Batched(events, batch, func(part [][]byte) destination.Request {
		return destination.Post(endpoint(p.API), destination.JoinLines(part), "Authorization", "Splunk "+p.Token)
	}), nil
}

func endpoint(api string) string {
	u, err := url.Parse(api)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return api
	}
	u.Path = eventPath
	return u.String()
}

// Codes of the collector. Splunk, "Troubleshoot HTTP Event Collector", "Possible error codes".
var (
	codes = map[int]string{
		1: "the token is disabled: enable it in Splunk", 2: "a token is required: enter it again",
		3: "the authorization is not right: enter the token again",
		4: "the token is not known to Splunk: enter the token of this collector",
		5: "Splunk found no data in the request", 6: "Splunk could not read the request",
		7: "the token may not write to its index: allow the index in the token's settings",
		8: "Splunk has a fault of its own", 9: "Splunk is busy",
		10: "the token demands a data channel: switch indexer acknowledgement off for it",
		11: "the data channel is not right",
		12: "Splunk misses the event", 13: "Splunk found the event empty",
		14: "indexer acknowledgement is switched off at Splunk",
		15: "Splunk could not take the indexed fields", 16: "Splunk takes no token in an address",
		17: "this is the collector's health check: enter the address without /health", 18: "Splunk's queues are full",
		19: "Splunk's acknowledgement service is not there",
		20: "Splunk's queues are full, and its acknowledgement service is not there",
		21: "the token is not known to Splunk: enter the token of this collector",
		22: "the token is disabled: enable it in Splunk",
		23: "Splunk is shutting down", 24: "Splunk's queue is at its limit",
		25: "Splunk's acknowledgement channel is at its limit",
		26: "Splunk's queue and acknowledgement channel are at their limits",
		27: "the request is over max_content_length of Splunk's HTTP Event Collector",
	}
	// busy asks to slow down; content is about the events: the ones before the bad one may have been taken.
	busy    = map[int]bool{9: true, 18: true, 20: true, 24: true, 25: true, 26: true}
	content = map[int]bool{5: true, 6: true, 12: true, 13: true, 15: true, 27: true}
)

// Judge takes code 0 for a success. Splunk, "Format events for HTTP Event Collector" and "Possible error codes": 200
// with the text Success and code 0. Without a code it is not the collector that answered, but for the one of
// OpenTelemetry (splunkhecreceiver), whose older releases say OK.
func (Destination) Judge(r destination.Response) destination.Verdict {
	fields := ijson.Fields(r.Body)
	code, err := strconv.Atoi(fields["code"])
	read := err == nil
	switch {
	case destination.Success(r.Status) && (read && code == 0 ||
		strings.EqualFold(strings.Trim(string(r.Body), "\" \r\n"), "ok")):
		return destination.Delivered()
	case destination.Success(r.Status) && !read:
		return destination.Unproven(r, "Splunk's HTTP Event Collector answers 200 with code 0")
	case !read:
		return destination.JudgeSaid(r, map[int]string{
			404: "there is no HTTP Event Collector at this address: check host, port and path",
			413: "the request is over max_content_length of Splunk's HTTP Event Collector: raise it in limits.conf",
		}, "")
	}
	reason := "Splunk answered " + destination.StatusText(r.Status) + " with code " + strconv.Itoa(code) + ": " +
		explain(code)
	if said := destination.Said(fields["text"]); codes[code] == "" && said != "" {
		reason += " (it says: " + said + ")"
	}
	if n, err := strconv.Atoi(fields["invalid-event-number"]); err == nil {
		reason += " (its event number " + strconv.Itoa(n+1) + ")"
	}
	v := destination.Failed(r, reason)
	v.Pace = v.Pace || busy[code]
	v.Unread = content[code] || r.Status == http.StatusRequestEntityTooLarge
	return v
}

func explain(code int) string {
	if why, ok := codes[code]; ok {
		return why
	}
	return "its meaning is in Splunk's documentation of the HTTP Event Collector"
}
