package integration

import (
	"context"
	"fmt"

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

// Triggers tells what triggers send to integrations.
type Triggers interface {
	// SentTo is what the triggers of a tenant send to an integration. One that is disabled counts: enabling it asks
	// nobody about templates.
	SentTo(ctx context.Context, tenant, integration string) ([]messagetemplate.Triggered, error)
}

// checkTriggered tries those parts of a message template that are other ones than before on what triggers send to the
// integration. Of the others that is told where a trigger is saved.
func (s *Service) checkTriggered(ctx context.Context, now, before Integration) (InvalidError, error) {
	parts := now.MessageTemplate.Changed(before.MessageTemplate)
	if parts == (messagetemplate.Source{}) || s.Triggers == nil {
		return nil, nil
	}
	sent, err := s.Triggers.SentTo(ctx, now.Tenant, now.ID)
	if err != nil {
		return nil, fmt.Errorf("try the message template of integration %s on what triggers send: %w", now.ID, err)
	}
	return messagetemplate.CheckTriggered(parts, sent), nil
}

// checkTemplate tries a message template on each kind that the integration subscribes to.
func checkTemplate(system destination.System, s messagetemplate.Source, subs []Subscription) InvalidError {
	if s == (messagetemplate.Source{}) || system.Name == "" {
		return nil
	}
	if problems := CheckTemplated(system, s); problems != nil {
		return problems
	}
	return messagetemplate.Check(s, messagetemplate.Kinds(typesOf(subs)))
}
