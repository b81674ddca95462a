package docs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// AsyncAPIPath is where the document of the events is.
const AsyncAPIPath = "/asyncapi.json"

// object is one of JSON.
type object = map[string]any

func ref(to string) object { return object{"$ref": to} }

// AsyncAPI is the document of the events: each kind with its schema and an example. AsyncAPI 3.0.0.
func AsyncAPI(platform string) object {
	messages, byName := object{}, object{}
	var taken, sent []object
	for _, k := range event.Kinds() {
		name := string(k)
		messages[name] = message(k)
		byName[name] = ref("#/components/messages/" + name)
		on := ref("#/channels/bus/messages/" + name)
		taken = append(taken, on)
		if k.Own() {
			sent = append(sent, on)
		}
	}
	bus := ref("#/channels/bus")
	return object{
		"asyncapi": "3.0.0",
		"info": object{"title": platform + " events", "version": fmt.Sprintf("%d.0.0", event.Version),
			"description": "What goes over the bus: what the platform publishes, and what " + platform +
				" adds. The page " +
				"`" + EventsPath + "` shows what each system is sent of each kind.\n\n" + PutEvents},
		"defaultContentType": "application/json",
		"servers": object{
			"machine": object{"host": "localhost:8081", "protocol": "http", "pathname": "/",
				"description": "one machine: a listener of its own"},
			"aws": object{"host": "events.{region}.amazonaws.com", "protocol": "https", "pathname": "/",
				"description": "Amazon EventBridge: the bus of the stack",
				"variables":   object{"region": object{"default": "eu-central-1", "description": "the stack's"}},
				"security":    []object{ref("#/components/securitySchemes/signature")}},
		},
		"channels": object{"bus": object{"address": "tocsin", "title": "The bus", "messages": byName,
			"description": "An entry of PutEvents: `DetailType` is the name of the message, `Detail` its payload as a " +
				"text."}},
		"operations": object{
			"take": object{"action": "receive", "channel": bus, "messages": taken,
				"summary": "Take an event to the integrations and triggers of its tenant"},
			"publish": object{"action": "send", "channel": bus, "messages": sent,
				"summary": "Say what happened here, and ask the platform for what a trigger wants"},
		},
		"components": object{"messages": messages, "securitySchemes": object{"signature": object{"type": "http",
			"scheme": "AWS4-HMAC-SHA256", "description": "AWS Signature Version 4, of the service events"}}},
	}
}

// message is a kind of event.
func message(k event.Kind) object {
	e := k.Example()
	n := notification.Notification{Event: e}
	payload, err := e.Encode()
	if err != nil {
		panic(err) // an example encodes
	}
	return object{
		"name": string(k), "title": n.Headline(), "summary": n.Sentence(), "description": subscribed(e),
		"contentType": "application/json", "payload": k.Schema(),
		"examples": []object{{"name": string(k), "payload": json.RawMessage(payload)}},
	}
}

// subscribed says how an event comes to an integration.
func subscribed(e event.Event) string {
	by := "The platform publishes it. "
	if e.Kind.Own() {
		by = "Published here. "
	}
	if _, direct := e.Direct(); direct {
		return by + "It reaches the receiver that its data names."
	}
	switch t := e.Type(); t {
	case "":
		return by + "It reaches integrations through triggers and reports alone."
	default:
		return by + "An integration takes it with the event type `" + string(t) + "`."
	}
}

// PutEvents is how an event is published, in Markdown.
const PutEvents = "Publish with PutEvents, the call of Amazon EventBridge: any AWS SDK and the aws CLI make it. " +
	"One machine answers it on a listener of its own (`http://localhost:8081`, for programs of that machine without " +
	"a signature, for others with a key pair of `tocsin publisher-key add`); on AWS it goes to EventBridge and the " +
	"bus of the stack, whose policy names the publishers. A call has at most ten entries of 256 KB each. The answer " +
	"is sent when the events are kept. Entries that it gives the ErrorCode ThrottlingException or " +
	"InternalFailure were " +
	"not kept: send those again, alone and in their order, after a pause. An id counts once: what is published again " +
	"is left out. An entry that is no event of a known kind is a dead letter (`GET /v1/dead-letters`), with the reason."

// serveAsyncAPI answers with the document. It is made when somebody first asks: a function that starts need not wait.
func serveAsyncAPI(platform string) http.HandlerFunc {
	made := sync.OnceValue(func() []byte {
		raw, err := json.Marshal(AsyncAPI(platform))
		if err != nil {
			panic(err) // it is made of maps and texts
		}
		return raw
	})
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(made())
	}
}
