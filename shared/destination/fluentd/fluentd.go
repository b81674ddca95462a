// Package fluentd sends what a webhook sends to the http input of a Fluentd or Fluent Bit of the customer's (product
// facts, 2.12). Its folder collector holds configurations of Fluentd that pass the events on to a SIEM.
package fluentd

import (
	"embed"

	"tocsin/shared/destination"
	"tocsin/shared/destination/webhook"
)

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Fluentd.
type Destination struct{ webhook.Destination }

// New makes the destination.
func New() Destination {
	return Destination{webhook.As(destination.System{
		Name: "fluentd", Title: "Fluentd", Group: destination.Collectors, Folder: destination.ReadFolder(files),
	})}
}

// reasons are those of Fluentd's in_http.
var reasons = map[int]string{
	400: "Fluentd could not read the events: its http input must parse JSON (the default), and the format must be json",
	401: "whatever stands before Fluentd asks for credentials: set the Authorization header",
	403: "Fluentd's cors_allow_origins, or whatever stands before it, refuses the request",
	413: "the request is over Fluentd's body_size_limit: raise it, or send fewer events in one request",
	500: "Fluentd could not pass the events on: read its log, its buffer may be full",
}

// Judge takes any 2xx for a success: Fluentd answers 200 or 204, Fluent Bit 201.
func (Destination) Judge(r destination.Response) destination.Verdict {
	return destination.JudgeStatus(r, reasons)
}
