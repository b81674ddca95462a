package integration

import (
	"tocsin/shared/destination"
	"tocsin/shared/messagetemplate"
)

// CheckTemplated refuses a message template of a system that would never send it.
func CheckTemplated(system destination.System, s messagetemplate.Source) InvalidError {
	if s == (messagetemplate.Source{}) || system.Name == "" || system.Templated() {
		return nil
	}
	return InvalidError{{Field: "message_template",
		Reason: "must be empty: " + system.Title + " shows nobody a title or a text"}}
}

// checkTemplate tries a message template on each kind that the integration can get.
func checkTemplate(system destination.System, s messagetemplate.Source, subs []Subscription) InvalidError {
	if s == (messagetemplate.Source{}) || system.Name == "" {
		return nil
	}
	if problems := CheckTemplated(system, s); problems != nil {
		return problems
	}
	return messagetemplate.Check(s, messagetemplate.Kinds(typesOf(subs), system.Triggered))
}
