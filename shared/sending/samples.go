package sending

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

// Sample is an event of a type as a system is sent it.
type Sample struct {
	Event       event.Type
	Summary     string
	Description string
	Requests    []RequestPreview
	// Reason is why there are no requests, or why they have our words and not those of the message template.
	Reason string
}

// SampleOf is what samples are written by: what is known of an integration.
type SampleOf struct {
	Parameters json.RawMessage
	Words      messagetemplate.Source
	Language   wording.Language // "" = the tenant's
}

// Samples writes an event of each type of a system with the system's own encoder: by the parameters as far as they are
// given and right, and by made-up ones for the rest. Nothing is sent, and no secret is shown. Error:
// InvalidParameters where the message template or the language is none, or the system is sent no template's words.
func (s *Sender) Samples(ctx context.Context, system destination.System, of SampleOf, who activity.Actor,
	id string) ([]Sample, error) {
	d, ok := s.Destinations.Destination(system.Name)
	if !ok {
		return nil, &unavailableError{system.Name}
	}
	template, problems := messagetemplate.Compile(of.Words)
	problems = append(problems, integration.CheckTemplated(system, of.Words)...)
	if problems = append(problems, integration.CheckLanguage(of.Language)...); len(problems) > 0 {
		return nil, problems
	}
	opened, secrets, err := system.Parameters.Example(of.Parameters)
	if err != nil {
		return nil, err
	}
	r := &Target{Integration: integration.Integration{Tenant: who.Tenant, System: system.Name, Language: of.Language},
		opened: integration.Opened{System: system}, destination: d, template: template,
		redact: redactor(d, secrets)}
	now := s.Now().UTC()
	read := s.locale(ctx, r)
	var out []Sample
	var many []notification.Notification
	for _, t := range system.Events {
		one := Sample{Event: t}
		n, ok := notification.Example(t, s.Platform, who.Tenant, who.ClientName, id, now)
		if !ok {
			one.Reason = noSample
			out = append(out, one)
			continue
		}
		n.Language, n.Zone = read.Language, read.Zone
		many = append(many, n)
		if err := r.show(&one, n, opened); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	if !system.Class.Read() || len(many) < 2 {
		return out, nil
	}
	r.template = nil // a digest has our words
	digest := Sample{Event: event.Type(notification.DigestKind)}
	err = r.show(&digest, notification.Together(delivery.DigestGroup, id, "", many), opened)
	return append(out, digest), err
}

// Shown is an event as a system is sent it, by made-up parameters.
func (s *Sender) Shown(system destination.System, e event.Event) (Sample, error) {
	d, ok := s.Destinations.Destination(system.Name)
	if !ok {
		return Sample{}, &unavailableError{system.Name}
	}
	opened, secrets, err := system.Parameters.Example(nil)
	if err != nil {
		return Sample{}, err
	}
	r := &Target{destination: d, redact: redactor(d, secrets)}
	one, n := Sample{Event: e.Type()}, notification.Notification{Event: e, Platform: s.Platform, Headers: true}
	if system.Class.Read() {
		n.Zone = time.UTC
	}
	err = r.show(&one, n, opened)
	return one, err
}

// show writes a notification with the encoder of the target, at its event's time.
func (r *Target) show(one *Sample, n notification.Notification, opened any) error {
	if r.template != nil {
		one.Reason = joined("", r.word(&n, nil))
	}
	one.Summary, one.Description = n.Summary(), n.Description()
	requests, err := r.destination.Encode(destination.Target{Parameters: opened, Delivery: n.Event.ID,
		Now: n.Event.Time},
		[]notification.Notification{n})
	var notReady *destination.NotReady
	if errors.As(err, &notReady) {
		one.Reason = notReady.Reason
	} else if err != nil {
		one.Reason = notWritten
	}
	for _, q := range requests {
		shown, err := r.preview(q)
		if err != nil {
			return err
		}
		one.Requests = append(one.Requests, shown)
	}
	return nil
}

const (
	noSample   = "a report is made of your own record: order one under Reports to see it"
	notWritten = "with these settings the event can not be written: fill in the form first"
)
