package console

import (
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/bus"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/console/docs"
	"tocsin/shared/event"
)

// putEvents describes the call that events come in by. It is no call of this API: its servers are others.
func putEvents() *huma.PathItem {
	entry := &huma.Schema{Type: huma.TypeObject, Required: []string{"Source", "DetailType", "Detail"},
		Properties: map[string]*huma.Schema{
			"Source":     {Type: huma.TypeString, Description: "who publishes it"},
			"DetailType": {Type: huma.TypeString, Description: "the kind of the event: see /docs/events"},
			"Detail": {Type: huma.TypeString,
				Description: "the event, as the text of its JSON: see /asyncapi.json"},
			"EventBusName": {Type: huma.TypeString, Description: "the bus; absent: the default one"},
		}}
	of := func(s *huma.Schema, least, most int) *huma.Schema {
		return &huma.Schema{Type: huma.TypeArray, Items: s, MinItems: &least, MaxItems: &most}
	}
	result := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
		"EventId": {Type: huma.TypeString}, "ErrorCode": {Type: huma.TypeString},
		"ErrorMessage": {Type: huma.TypeString}}}
	refusal := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
		"__type": {Type: huma.TypeString}, "message": {Type: huma.TypeString}}}
	content := func(s *huma.Schema, example any) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"application/x-amz-json-1.1": {Schema: s, Example: example}}
	}
	detail, err := event.CreateUser.Example().Encode()
	if err != nil {
		panic(err) // an example encodes
	}
	return &huma.PathItem{
		Servers: []*huma.Server{
			{URL: "http://localhost:8081", Description: "one machine: a listener of its own"},
			{URL: "https://events.{region}.amazonaws.com", Description: "on AWS: Amazon EventBridge",
				Variables: map[string]*huma.ServerVariable{"region": {Default: "eu-central-1"}}},
		},
		Post: &huma.Operation{
			OperationID: "put-events", Method: http.MethodPost, Path: "/", Tags: []string{"Events"},
			Summary: "Publish events", Description: docs.PutEvents,
			Security: []map[string][]string{{}, {"signature": {}}},
			Parameters: []*huma.Param{{Name: "X-Amz-Target", In: "header", Required: true,
				Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{bus.Target}}, Example: bus.Target}},
			RequestBody: &huma.RequestBody{Required: true, Content: content(&huma.Schema{Type: huma.TypeObject,
				Required: []string{"Entries"}, Properties: map[string]*huma.Schema{"Entries": of(entry, 1, 10)}},
				map[string]any{"Entries": []any{map[string]any{"Source": "platform.users",
					"DetailType": string(event.CreateUser), "Detail": string(detail)}}})},
			Responses: map[string]*huma.Response{
				"200": {Description: "Each entry was kept, or says why not.", Content: content(
					&huma.Schema{Type: huma.TypeObject, Required: []string{"FailedEntryCount", "Entries"},
						Properties: map[string]*huma.Schema{"FailedEntryCount": {Type: huma.TypeInteger},
							"Entries": of(result, 1, 10)}},
					map[string]any{"FailedEntryCount": 0,
						"Entries": []any{map[string]any{"EventId": "01JD0000000000000000000000"}}})},
				"400": {Description: "The call can not be read.", Content: content(refusal,
					map[string]any{"__type": "SerializationException", "message": "the request can not be read: …"})},
				"403": {Description: "The signature is missing, or does not hold.", Content: content(refusal,
					map[string]any{"__type": "UnrecognizedClientException", "message": "…"})},
				"413": {Description: "The call is too large.", Content: content(refusal, nil)},
				"429": {Description: "Come again: too much is being taken in.", Content: content(refusal, nil)},
				"500": {Description: "Nothing was kept: send it again.", Content: content(refusal, nil)},
			},
		},
	}
}

// receivers are the systems that get an event, each with what it is sent of it by made-up settings.
func (s *server) receivers(e event.Event) (out []docs.Receiver) {
	if _, direct := e.Direct(); direct {
		return nil
	}
	for _, entry := range s.Systems.All() {
		of := entry.System
		takes := slices.Contains(of.Events, e.Type()) || slices.Contains(of.Triggered, e.Kind)
		if !takes || !entry.Available || of.Personal {
			continue
		}
		r := docs.Receiver{Title: of.Title}
		shown, err := s.Tester.Shown(of, e)
		if r.Reason = shown.Reason; err != nil {
			s.Log.Error("show an event", "kind", string(e.Kind), "system", of.Name, "error", err.Error())
			r.Reason = "this could not be done now: try again"
		}
		for _, q := range shown.Requests {
			r.Sent = append(r.Sent, deliveries.ViewOf(q).Text())
		}
		out = append(out, r)
	}
	return out
}
