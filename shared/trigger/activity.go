package trigger

import (
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/event"
)

// record is what is written with a change of a trigger: its announcement, and its entry of the activity log. before is
// nil for a new one, after for one that is deleted.
func (s *Service) record(who activity.Actor, before, after *Trigger, also ...activity.Change) activity.Record {
	kind, action, t := event.TriggerUpdate, activity.Update, after
	switch {
	case before == nil:
		kind, action = event.TriggerCreate, activity.Create
	case after == nil:
		kind, action, t = event.TriggerDelete, activity.Delete, before
	case before.Off && !after.Off:
		action = activity.Enable
	case !before.Off && after.Off:
		action = activity.Disable
	}
	changes := append(activity.Diff(before.fields(), after.fields()), also...)
	return activity.Record{Event: s.announce(kind, *t, who), Entry: s.entry(who, *t, action, changes)}
}

func (s *Service) entry(who activity.Actor, t Trigger, a activity.Action, changes []activity.Change) activity.Entry {
	return activity.Entry{ID: s.NewID(), At: s.Now(), Actor: who, Object: activity.Trigger, ObjectID: t.ID,
		ObjectName: t.Name, Action: a, Changes: changes}.Bounded()
}

// seeding is the entry that the triggers of a new account were stored, which is done once for a tenant.
func seeding(tenant string, list []Trigger, at time.Time) activity.Entry {
	var changes []activity.Change
	for _, t := range list {
		changes = append(changes, activity.Change{Field: t.ID, After: t.Name})
	}
	return activity.Entry{ID: "new-account", At: at, Actor: activity.System(tenant), Object: activity.Trigger,
		ObjectName: "the triggers of a new account", Action: activity.Create, Changes: changes}.Bounded()
}

// fields are those that a person sets; nil has none.
func (t *Trigger) fields() map[string]any {
	if t == nil {
		return nil
	}
	return map[string]any{"name": t.Name, "comment": t.Comment, "enabled": !t.Off, "template_id": t.Template,
		"filters": t.Filters, "threshold": t.Threshold, "actions": t.Actions}
}

// BySystem is in place of a person where a trigger is of a new account.
const BySystem = "system"
