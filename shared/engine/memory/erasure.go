package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/memory/collection"
	"tocsin/shared/engine/memory/erasures"
	"tocsin/shared/erasure"
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
func (e *Engine) parts() []collection.Part {
	return []collection.Part{
		collection.OfMap("integrations", e.integrations, byKey), collection.OfMap("triggers", e.triggers, byKey),
		collection.OfMap("seeded", e.seeded, func(tenant string, _ bool) string { return tenant }),
		collection.OfMap("states", e.states, byKey), collection.OfMap("firings", e.firings, byKey), collection.OfMap("commands", e.commands, byKey),
		collection.OfMap("untaken", e.untaken, byKey),
		{Name: "references", Rows: e.references.Of, Remove: e.references.Remove},
		collection.OfMap("settings", e.settings, func(tenant string, _ report.Settings) string { return tenant }),
		collection.OfMap("schedule", e.schedule, func(k subscription, _ report.Subscription) string { return k.tenant }),
		collection.OfMap("people", e.people, byKey), collection.OfMap("tokens", e.tokens, byKey),
		collection.OfMap("suppressions", e.suppressions, func(k suppressionKey, _ mail.Suppression) string { return k.tenant }),
		collection.OfMap("reports", e.reports, byKey),
		collection.OfMap("counters", e.counters, func(k bucket, _ health.Count) string { return k.tenant }),
		collection.OfMap("days", e.days, func(k dayOf, _ *daily.Totals) string { return k.tenant }),
		collection.OfMap("deliveries", e.deliveries, byKey), collection.OfMap("merged", e.merged, byKey),
		collection.OfMap("batches", e.batches, func(_ string, b worker.Batch) string { return b.Tenant }),
		collection.OfList("queue", &e.queue, func(b worker.MessageBatch) string { return b.Tenant }),
		collection.OfList("deadLetters", &e.deadLetters, func(l delivery.DeadLetter) string { return l.Tenant }),
		collection.OfList("accepted", &e.accepted, func(a accepted) string { return a.event.Tenant }), e.onBus(),
		collection.OfMap("known", e.known, byKey), collection.OfMap("links", e.links, byKey),
		collection.OfMap("links", e.links, func(k key, _ tenant.Link) string { return k.id }),
		collection.OfList("activity", &e.activity, func(a activity.Entry) string { return a.Tenant }),
	}
}

// onBus are the entries of the bus. Those that fan-out has passed keep their places: receipts name them.
func (e *Engine) onBus() collection.Part {
	of := func(entry delivery.Entry) string {
		parsed, err := event.Parse(entry.DetailType, entry.Detail)
		if err != nil {
			return event.KnownTenant(parsed.Tenant)
		}
		return parsed.Tenant
	}
	p := collection.OfList("entries", &e.entries, of)
	p.Remove = func(tenant string) (n int) {
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
	return p
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

// Page reads one of the collections.
func (s *Erasure) Page(_ context.Context, tenant, after string) (rows []erasure.Row, next string, err error) {
	defer s.e.lock()()
	all := s.e.parts()
	n := 0
	if after != "" {
		if n, err = strconv.Atoi(after); err != nil || n < 0 || n >= len(all) {
			return nil, "", fmt.Errorf("%q is no place in an export", after)
		}
	}
	for _, v := range all[n].Rows(tenant) {
		body, err := json.Marshal(shown(v))
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, erasure.Row{Table: all[n].Name, Body: body})
	}
	if n++; n < len(all) {
		next = strconv.Itoa(n)
	}
	return rows, next, nil
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
	case kept:
		return map[string]any{"report": v.report, "files": v.files}
	case accepted:
		return v.event
	case *daily.Totals:
		return map[string]any{"totals": fmt.Sprintf("%+v", *v)}
	case delivery.Entry:
		return json.RawMessage(v.Detail)
	}
	return v
}
