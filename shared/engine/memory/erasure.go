package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/erasure"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/token"
	"tocsin/shared/worker"
)

// Erasure reads and removes all that is kept of a tenant, but for sessions, which have an engine of their own.
type Erasure struct{ e *Engine }

// Erasure returns it.
func (e *Engine) Erasure() *Erasure { return &Erasure{e} }

var (
	_ erasure.Store  = (*Erasure)(nil)
	_ erasure.Source = (*Erasure)(nil)
	_ erasure.Jobs   = (*Erasure)(nil)
)

// part is one of the engine's collections.
type part struct {
	name   string
	rows   func(tenant string) []any
	remove func(tenant string) int
}

// ofMap is a map; of says whose an entry is.
func ofMap[K comparable, V any](name string, m map[K]V, of func(K, V) string) part {
	return part{name, func(tenant string) (out []any) {
		for k, v := range m {
			if of(k, v) == tenant {
				out = append(out, v)
			}
		}
		return out
	}, func(tenant string) (n int) {
		for k, v := range m {
			if of(k, v) == tenant {
				delete(m, k)
				n++
			}
		}
		return n
	}}
}

// ofList is a list.
func ofList[V any](name string, l *[]V, of func(V) string) part {
	return part{name, func(tenant string) (out []any) {
		for _, v := range *l {
			if of(v) == tenant {
				out = append(out, v)
			}
		}
		return out
	}, func(tenant string) int {
		before := len(*l)
		*l = slices.DeleteFunc(*l, func(v V) bool { return of(v) == tenant })
		return before - len(*l)
	}}
}

func byKey[V any](k key, _ V) string { return k.tenant }

// parts are all of them; the activity log is the end.
func (e *Engine) parts() []part {
	return []part{
		ofMap("integrations", e.integrations, byKey), ofMap("triggers", e.triggers, byKey),
		ofMap("seeded", e.seeded, func(tenant string, _ bool) string { return tenant }),
		ofMap("states", e.states, byKey), ofMap("firings", e.firings, byKey), ofMap("commands", e.commands, byKey),
		ofMap("untaken", e.untaken, byKey),
		ofMap("references", e.references, func(k referenceKey, _ reference) string { return k.tenant }),
		ofMap("settings", e.settings, func(tenant string, _ report.Settings) string { return tenant }),
		ofMap("schedule", e.schedule, func(k subscription, _ report.Subscription) string { return k.tenant }),
		ofMap("people", e.people, byKey), ofMap("tokens", e.tokens, byKey),
		ofMap("suppressions", e.suppressions, func(k suppressionKey, _ mail.Suppression) string { return k.tenant }),
		ofMap("reports", e.reports, byKey),
		ofMap("counters", e.counters, func(k bucket, _ health.Count) string { return k.tenant }),
		ofMap("days", e.days, func(k dayOf, _ *daily.Totals) string { return k.tenant }),
		ofMap("deliveries", e.deliveries, byKey), ofMap("merged", e.merged, byKey),
		ofMap("batches", e.batches, func(_ string, b worker.Batch) string { return b.Tenant }),
		ofList("queue", &e.queue, func(b worker.MessageBatch) string { return b.Tenant }),
		ofList("deadLetters", &e.deadLetters, func(l delivery.DeadLetter) string { return l.Tenant }),
		ofList("accepted", &e.accepted, func(a accepted) string { return a.event.Tenant }), e.onBus(),
		ofMap("known", e.known, byKey), e.linked(),
		ofList("activity", &e.activity, func(a activity.Entry) string { return a.Tenant }),
	}
}

// onBus are the entries of the bus. Those that fan-out has passed keep their places: receipts name them.
func (e *Engine) onBus() part {
	of := func(entry delivery.Entry) string {
		parsed, err := event.Parse(entry.DetailType, entry.Detail)
		if err != nil {
			return event.KnownTenant(parsed.Tenant)
		}
		return parsed.Tenant
	}
	p := ofList("entries", &e.entries, of)
	p.remove = func(tenant string) (n int) {
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

// linked are the links of which a tenant is one side.
func (e *Engine) linked() part {
	return part{"links", func(tenant string) (out []any) {
		for k, l := range e.links {
			if k.tenant == tenant || k.id == tenant {
				out = append(out, l)
			}
		}
		return out
	}, func(tenant string) (n int) {
		for k := range e.links {
			if k.tenant == tenant || k.id == tenant {
				delete(e.links, k)
				n++
			}
		}
		return n
	}}
}

// Erase makes a whole pass.
func (s *Erasure) Erase(_ context.Context, tenant, _ string) (erasure.Counts, string, error) {
	defer s.e.lock()()
	rows := erasure.Counts{}
	for _, p := range s.e.parts() {
		rows[p.name] = p.remove(tenant)
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
	for _, v := range all[n].rows(tenant) {
		body, err := json.Marshal(shown(v))
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, erasure.Row{Table: all[n].name, Body: body})
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
	case reference:
		return v.Reference
	case delivery.Entry:
		return map[string]any{"kind": v.DetailType, "detail": string(v.Detail)}
	}
	return v
}

// Job reads one.
func (s *Erasure) Job(_ context.Context, tenant string) (erasure.Job, error) {
	defer s.e.lock()()
	j, ok := s.e.erasures[tenant]
	if !ok {
		return j, fmt.Errorf("read the erasure of tenant %s: %w", tenant, erasure.ErrNotFound)
	}
	return clone(j), nil
}

// SaveJob replaces one, with the entries of it.
func (s *Erasure) SaveJob(_ context.Context, j erasure.Job, entries ...activity.Entry) error {
	defer s.e.lock()()
	if s.e.erasures[j.Tenant].Revision != j.Revision-1 {
		return fmt.Errorf("save the erasure of tenant %s: %w", j.Tenant, erasure.ErrConflict)
	}
	s.e.erasures[j.Tenant] = clone(j)
	s.e.activity = append(s.e.activity, clone(entries)...)
	return nil
}

// DueJobs lists those that are due.
func (s *Erasure) DueJobs(_ context.Context, now time.Time, limit int) (out []erasure.Job, err error) {
	defer s.e.lock()()
	for _, j := range s.e.erasures {
		if !j.Due.IsZero() && !j.Due.After(now) {
			out = append(out, clone(j))
		}
	}
	slices.SortFunc(out, func(a, b erasure.Job) int { return a.Due.Compare(b.Due) })
	return out[:min(limit, len(out))], nil
}
