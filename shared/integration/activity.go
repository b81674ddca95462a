package integration

import (
	"cmp"
	"context"
	"encoding/json"

	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
	"tocsin/shared/trace"
)

// change is what is told of a change of an integration: to people by its announcement, and to the activity log.
type change struct {
	kind    event.Kind
	data    event.IntegrationData
	who     *activity.Actor // nil = Tocsin itself
	before  *Integration    // nil = the integration is new
	secrets []string        // the names of parameters whose secret changed
	action  activity.Action // "" = that of the kind
	waits   *Waiting        // what waits for it, where that was counted
}

// actions are what the activity log calls the kinds of changes.
var actions = map[event.Kind]activity.Action{
	event.CreateIntegration: activity.Create, event.UpdateIntegration: activity.Update,
	event.EnableIntegration: activity.Enable, event.DisableIntegration: activity.Disable,
	event.DeleteIntegration: activity.Delete, event.IntegrationBroken: activity.Disable,
	event.IntegrationFailing: activity.Fail, event.IntegrationWorking: activity.Work,
}

// Entry is the entry of the activity log about something that is done with an integration.
func (s *Service) Entry(who activity.Actor, i Integration, a activity.Action, c ...activity.Change) activity.Entry {
	return activity.Entry{ID: s.NewID(), At: s.Now(), Actor: who, Object: s.Object(i.System), ObjectID: i.ID,
		ObjectName: i.Name, Action: a, Changes: c}.Bounded()
}

// Object is what the activity log calls an integration with a system.
func (s *Service) Object(systemName string) activity.Object {
	if system, _, ok := s.Systems.Lookup(systemName); ok && system.Class == notification.Mail {
		return activity.EmailIntegration
	}
	return activity.Integration
}

// record is what is written with a change; i is the integration after it, or the last that there was of it.
func (s *Service) record(i Integration, c change) activity.Record {
	who := activity.System(i.Tenant)
	if c.who != nil {
		who = *c.who
	}
	var was, is any
	if c.before != nil {
		was = c.before.fields()
	}
	if c.kind != event.DeleteIntegration {
		is = i.fields()
	}
	changes := activity.Diff(was, is)
	for _, name := range c.secrets {
		changes = append(changes, activity.SecretChange("parameters."+name))
	}
	if c.data.Reason != "" {
		changes = append(changes, activity.Change{Field: "reason", After: c.data.Reason})
	}
	return activity.Record{Event: s.announcement(i, c),
		Entry: s.Entry(who, i, cmp.Or(c.action, actions[c.kind]), changes...)}
}

// fields are those that a person sets, without secrets.
func (i Integration) fields() map[string]any {
	events := map[string]string{}
	for _, sub := range i.Subscriptions {
		events[string(sub.Event)] = "yes"
		if sub.WithHeaders {
			events[string(sub.Event)] = "with headers"
		}
	}
	out := map[string]any{"system": i.System, "name": i.Name, "enabled": i.Enabled(), "failing": i.Failing != nil,
		"events": events, "parameters": i.Parameters}
	if len(i.Filters) > 0 {
		out["filters"] = i.Filters
	}
	if !i.Hold.Zero() {
		out["hold"] = i.Hold
	}
	if i.Language != "" {
		out["language"] = string(i.Language)
	}
	if i.Rate != "" {
		out["rate"] = string(i.Rate)
	}
	if i.Grouping != "" {
		out["grouping"] = string(i.Grouping)
	}
	if i.StormGuard != "" {
		out["storm_guard"] = string(i.StormGuard)
	}
	if i.Fallback != "" {
		out["fallback"] = i.Fallback
	}
	if i.MessageTemplate != (messagetemplate.Source{}) {
		out["message_template"] = i.MessageTemplate
	}
	return out
}

func (s *Service) announcement(i Integration, c change) event.Event {
	d := c.data
	d.Integration.ID, d.Integration.Name, d.Integration.System = i.ID, i.Name, i.System
	e := event.Event{ID: s.NewID(), Tenant: i.Tenant, ClientName: i.ClientName, Kind: c.kind, Time: s.Now().UTC()}
	if c.who != nil {
		d.By = &event.Person{Name: c.who.Name, Email: c.who.Email}
		e.ClientName = cmp.Or(c.who.ClientName, i.ClientName)
	}
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings always encode
	}
	e.Data = data
	return e
}

// caused begins the trace of an announcement that comes of attempts. The span is to be recorded once it is written.
func (s *Service) caused(ctx context.Context, i Integration, e *event.Event) (span trace.Span) {
	span, e.Trace = s.Tracer.Caused("health", e.Tenant, e.ID, e.Time, trace.By(ctx),
		trace.Attribute{Name: trace.EventKind, Value: string(e.Kind)},
		trace.Attribute{Name: trace.Integration, Value: i.ID}, trace.Attribute{Name: trace.System, Value: i.System})
	return span
}

// by is who made a change, for the integration and our log.
func (c change) by() string {
	if c.who == nil {
		return BySystem
	}
	return c.who.Who()
}

// BySystem is in place of a person where Tocsin made a change itself.
const BySystem = "system"

// secretsOf are the parameters that are secret and set.
func secretsOf(system destination.System, full json.RawMessage) []string {
	return system.Parameters.ChangedSecrets(nil, full)
}
