package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/memory/counters"
	"tocsin/shared/engine/memory/erasures"
	"tocsin/shared/engine/memory/parts"
	"tocsin/shared/erasure"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/worker"
)

// Erasure reads and removes all that is kept of a tenant, but for sessions, which have an engine of their own.
type Erasure struct{ e *Engine }

// Erasures keeps those that the API is asked for.
func (e *Engine) Erasures() *erasures.Store { return e.erasures }

// Erasure returns it.
func (e *Engine) Erasure() *Erasure { return &Erasure{e} }

var _ erasure.Store = (*Erasure)(nil)

func byKey[V any](k key, _ V) string { return k.tenant }

// parts are all of them; the activity log is the end.
func (e *Engine) parts() []parts.Part {
	return []parts.Part{
		parts.Map("integrations", e.integrations, byKey), parts.Map("triggers", e.triggers, byKey),
		parts.Map("seeded", e.seeded, func(tenant string, _ bool) string { return tenant }),
		parts.Map("states", e.states, byKey), parts.Map("firings", e.firings, byKey),
		parts.Map("commands", e.commands, byKey),
		parts.Map("untaken", e.untaken, byKey),
		e.references.Part(),
		parts.Map("settings", e.settings, func(tenant string, _ report.Settings) string { return tenant }),
		parts.Map("schedule", e.schedule, func(k subscription, _ report.Subscription) string { return k.tenant }),
		parts.Map("people", e.people, byKey), parts.Map("tokens", e.tokens, byKey),
		parts.Map("suppressions", e.suppressions,
			func(k suppressionKey, _ mail.Suppression) string { return k.tenant }),
		parts.Map("reports", e.reports, byKey),
		parts.Map("counters", e.counters, func(k counters.Key, _ health.Count) string { return k.Tenant }),
		parts.Map("days", e.days, func(k dayOf, _ *daily.Totals) string { return k.tenant }),
		parts.Map("deliveries", e.deliveries, byKey), parts.Map("merged", e.merged, byKey),
		parts.Map("batches", e.batches, func(_ string, b worker.Batch) string { return b.Tenant }),
		parts.List("queue", &e.queue, func(b worker.MessageBatch) string { return b.Tenant }),
		parts.List("deadLetters", &e.deadLetters, func(l delivery.DeadLetter) string { return l.Tenant }),
		parts.List("accepted", &e.accepted, func(a accepted) string { return a.Event.Tenant }), e.onBus(),
		parts.Map("known", e.known, byKey), parts.Map("links", e.links, byKey),
		parts.Map("links", e.links, func(k key, _ tenant.Link) string { return k.id }),
		parts.List("activity", &e.activity, func(a activity.Entry) string { return a.Tenant }),
	}
}

// onBus are the entries of the bus. Those that fan-out has passed keep their places: receipts name them.
func (e *Engine) onBus() parts.Part {
	of := func(entry delivery.Entry) string {
		parsed, err := event.Parse(entry.DetailType, entry.Detail)
		if err != nil {
			return event.KnownTenant(parsed.Tenant)
		}
		return parsed.Tenant
	}
	remove := func(tenant string) (n int) {
		for i := range e.entries[:e.passed] {
			if of(e.entries[i]) == tenant {
				e.entries[i] = delivery.Entry{Receipt: e.entries[i].Receipt}
				n++
			}
		}
		waiting := slices.DeleteFunc(slices.Clone(e.entries[e.passed:]), func(v delivery.Entry) bool {
			return of(v) == tenant
		})
		n += len(e.entries) - e.passed - len(waiting)
		e.entries = e.entries[:e.passed]
		for _, v := range waiting {
			v.Receipt = strconv.Itoa(len(e.entries) + 1)
			e.entries = append(e.entries, v)
		}
		return n
	}
	all := parts.List("entries", &e.entries, of)
	all.Remove = remove
	return all
}

// Erase makes a whole pass.
func (s *Erasure) Erase(_ context.Context, tenant, _ string) (erasure.Counts, string, error) {
	defer s.e.lock()()
	rows := erasure.Counts{}
	for _, p := range s.e.parts() {
		rows[p.Name] += p.Remove(tenant)
	}
	return rows, "", nil
}

// ErasePerson makes a whole pass.
func (s *Erasure) ErasePerson(_ context.Context, tenant string, w pseudonym.Writer, _ string) (erasure.Counts, string,
	error) {
	defer s.e.lock()()
	return parts.ErasePerson(s.e.parts(), tenant, w), "", nil
}

// Page reads one of the collections.
func (s *Erasure) Page(_ context.Context, tenant, after string) (rows []erasure.Row, next string, err error) {
	defer s.e.lock()()
	return parts.Page(s.e.parts(), tenant, after, shown)
}

// shown is a value with what its type keeps for itself, and without what is secret.
func shown(v any) any {
	switch v := v.(type) {
	case integration.Integration:
		v.Sealed = nil
		return v
	case token.Token:
		v.Digest = nil
		return v
	case accepted:
		return v.Event
	case *daily.Totals:
		return map[string]any{"totals": fmt.Sprintf("%+v", *v)}
	case delivery.Entry:
		return string(v.Detail)
	}
	return v
}
