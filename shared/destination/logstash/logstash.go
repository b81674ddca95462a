// Package logstash sends what a webhook sends to the http input of a Logstash of the customer's (product facts, 2.13).
// Its folder collector holds configurations of Logstash that pass the events on to a SIEM.
package logstash

import (
	"embed"

	"tocsin/shared/destination"
	"tocsin/shared/destination/webhook"
)

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Logstash.
type Destination struct{ webhook.Destination }

// New makes the destination.
func New() Destination {
	return Destination{webhook.As(destination.System{
		Name: "logstash", Title: "Logstash", Group: destination.Collectors, Folder: destination.ReadFolder(files),
	})}
}

// reasons are those of Logstash's http input.
var reasons = map[int]string{
	400: "Logstash could not read the request",
	401: "Logstash's http input asks for a user and a password: set the Authorization header",
	403: "whatever stands before Logstash refuses the request",
	413: "the request is over max_content_length of Logstash's http input: raise it, or send fewer events in one " +
		"request",
	429: "Logstash is busy: its queue is full",
	500: "Logstash has a fault of its own: read its log",
	503: "Logstash is stopping, or down",
}

// Judge takes any 2xx for a success.
func (Destination) Judge(r destination.Response) destination.Verdict {
	return destination.JudgeStatus(r, reasons)
}
