// Package notified knows what lies between triggers and the integrations that they notify: what triggers send to an
// integration, and what a person should know of the integrations that a trigger names.
package notified

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/trigger"
)

// Triggers lists triggers: the part of trigger.Store that is read.
type Triggers interface {
	List(ctx context.Context, tenant string) (list []trigger.Trigger, seeded bool, err error)
}

// By is what triggers send.
type By struct{ Store Triggers }

// SentTo does integration.Triggers. The triggers of a new account, which may not be stored yet, notify nobody.
func (b By) SentTo(ctx context.Context, tenant, id string) (out []messagetemplate.Triggered, err error) {
	list, _, err := b.Store.List(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("list the triggers that notify integration %s: %w", id, err)
	}
	for _, t := range list {
		condition, ok := trigger.Find(t.Template)
		if ok && slices.Contains(t.Notifies(), id) {
			out = append(out, messagetemplate.Triggered{Kind: condition.Notice, Trigger: t.Name})
		}
	}
	return out, nil
}

// Warnings tell of integrations that triggers of one tenant name: of those that get nothing, because they were deleted
// or are disabled, and of those whose message template makes nothing of what the trigger sends. They tell of patterns
// that are too large, too. The answer is by the triggers' ids. Each integration is read once.
func Warnings(ctx context.Context, from trigger.Integrations,
	list ...trigger.Trigger) (map[string][]destination.FieldProblem, error) {
	of := warner{from: from, seen: map[string]*integration.Integration{}}
	out := map[string][]destination.FieldProblem{}
	for _, t := range list {
		warnings := t.TooLarge()
		for n, a := range t.Actions {
			for k, id := range a.Integrations {
				reasons, err := of.reasons(ctx, t, id)
				if err != nil {
					return nil, err
				}
				for _, reason := range reasons {
					warnings = append(warnings, destination.FieldProblem{
						Field: fmt.Sprintf("actions.%d.params.integration_ids.%d", n, k), Reason: reason})
				}
			}
		}
		if len(warnings) > 0 {
			out[t.ID] = warnings
		}
	}
	return out, nil
}

type warner struct {
	from trigger.Integrations
	seen map[string]*integration.Integration // nil: it was deleted
}

func (w *warner) read(ctx context.Context, t trigger.Trigger, id string) (*integration.Integration, error) {
	if i, ok := w.seen[id]; ok {
		return i, nil
	}
	i, err := w.from.Get(ctx, t.Tenant, id)
	switch {
	case errors.Is(err, integration.ErrNotFound):
		w.seen[id] = nil
	case err != nil:
		return nil, fmt.Errorf("read integration %s of trigger %s: %w", id, t.ID, err)
	default:
		w.seen[id] = &i
	}
	return w.seen[id], nil
}

func (w *warner) reasons(ctx context.Context, t trigger.Trigger, id string) (out []string, err error) {
	i, err := w.read(ctx, t, id)
	switch {
	case err != nil:
		return nil, err
	case i == nil:
		return []string{"this integration was deleted: nothing is sent to it"}, nil
	case !i.Enabled():
		out = append(out, "this integration is disabled: nothing is sent to it until it is enabled")
	}
	if condition, ok := trigger.Find(t.Template); ok {
		title, text := messagetemplate.Unsaid(i.MessageTemplate, condition.Notice)
		if title {
			out = append(out, fmt.Sprintf(`the message template of "%s" makes no title of what this trigger sends: `+
				"the standard title is sent", i.Name))
		}
		if text {
			out = append(out, fmt.Sprintf(`the message template of "%s" makes no text of what this trigger sends: `+
				"the standard text is sent", i.Name))
		}
	}
	return out, nil
}
