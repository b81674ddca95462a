package integration

import (
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/messagetemplate"
)

// checkTemplate tries a message template on each kind that the integration takes.
func checkTemplate(system destination.System, s messagetemplate.Source, subs []Subscription) InvalidError {
	if s == (messagetemplate.Source{}) || system.Name == "" {
		return nil
	}
	if !system.Templated() {
		return InvalidError{{Field: "message_template",
			Reason: "must be empty: " + system.Title + " shows nobody a title or a text"}}
	}
	types := make([]event.Type, len(subs))
	for n, sub := range subs {
		types[n] = sub.Event
	}
	return messagetemplate.Check(s, messagetemplate.Kinds(types, system.Triggered))
}
