//go:build awslocal

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal/sim"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/health"
	"tocsin/shared/integration"
)

// fallbacks may let one receiver's events fall back to another one, and that one's to a third. Each gets those of one
// other at most. The first of them dies or is disabled often enough, and is the only one that is disabled.
func (t *tenant) fallbacks(r *rand.Rand) {
	if len(t.receivers) < 2 || r.Float64() < 0.3 {
		return
	}
	order := r.Perm(len(t.receivers))
	at := func(n int) *receiver { return t.receivers[order[n]] }
	if at(0).fallback = at(1); len(order) > 2 && r.IntN(2) == 0 {
		at(1).fallback = at(2)
	}
	at(0).off = r.IntN(2) == 0
	for n := range 2 {
		if !at(n).single && r.IntN(3) == 0 {
			at(n).down = true
		}
	}
}

// drawSwitching draws what people and health do with those that fall back, and what people do with their fallbacks.
func drawSwitching(seed uint64, p *plan) {
	r := sim.Random(seed, "switching")
	within := func() time.Duration { return time.Duration(r.Int64N(int64(p.during))) }
	for _, t := range p.tenants {
		for _, v := range t.receivers {
			if v.off {
				at := within()
				p.acts = append(p.acts, act{at, []string{"off", "broken"}[r.IntN(2)], v.name},
					act{at + time.Duration(r.Int64N(int64(30*time.Minute))), "on", v.name})
			}
			if v.fallback != nil && r.IntN(3) == 0 {
				at := within()
				p.acts = append(p.acts, act{at, "mute", v.fallback.name},
					act{at + time.Duration(r.Int64N(int64(time.Hour))), "unmute", v.fallback.name})
			}
		}
	}
}

func (w *world) setFallbacks(ctx context.Context, service *integration.Service, t tenant) {
	for _, r := range t.receivers {
		if r.fallback != nil {
			_, err := service.Update(ctx, actor(t), r.id, 1, integration.Patch{Fallback: &r.fallback.id})
			require.NoError(w.t, err)
		}
	}
}

func actor(t tenant) activity.Actor {
	return activity.Actor{Tenant: t.id, ClientName: "Acme", Email: "ada@example.com"}
}

// switches does what people and health do with an integration. Others may change it at the same time.
func (w *world) switches(a act) {
	ctx, service := context.Background(), w.tool.Service()
	t, r := w.tenantOf(a.on)
	for {
		i, err := service.Get(ctx, t.id, r.id)
		require.NoError(w.t, err)
		switch a.what {
		case "off", "on":
			_, err = service.SetEnabled(ctx, actor(t), r.id, i.Revision, a.what == "on")
		case "broken":
			_, err = service.DisableBroken(ctx, t.id, r.id, i.Window, "too much failed", health.Answer{})
		case "mute":
			_, err = service.Mute(ctx, actor(t), r.id, i.Revision, 1, "it is loud", "")
		case "unmute":
			_, err = service.Unmute(ctx, actor(t), r.id, i.Revision)
		}
		if !errors.Is(err, integration.ErrConflict) {
			require.NoError(w.t, err)
			return
		}
	}
}

func (w *world) tenantOf(name string) (tenant, *receiver) {
	for _, t := range w.plan.tenants {
		for _, r := range t.receivers {
			if r.name == name {
				return t, r
			}
		}
	}
	panic("no receiver " + name)
}

// lane is what became of what was for a receiver.
type lane struct {
	all    []delivery.Delivery
	own    map[string][]string            // its own deliveries, by event
	fallen map[string][]delivery.Delivery // those of other receivers' events, by event
}

// judgeFallbacks: each event that could not be delivered is in one delivery to the fallback, under no other name than
// that of where it comes from; what came by fallback falls back no more.
func (w *world) judgeFallbacks(t tenant, lanes map[*receiver]lane) (wrong []string) {
	for _, r := range t.receivers {
		// By event: the dead delivery that it was in, "" of what came while r was disabled.
		should := map[string]string{}
		if r.fallback != nil {
			wrong = append(wrong, w.missed(t, r, lanes, should)...)
		}
		for _, d := range lanes[r].all {
			wrong = append(wrong, w.judgeDead(r, d, should)...)
		}
		if r.fallback != nil {
			wrong = append(wrong, arrivedAt(r, lanes[r.fallback], should)...)
		}
		for id, list := range lanes[r].fallen {
			from := list[0].From.Integration
			if len(list) > 1 || r.source(t) == nil || from != r.source(t).id {
				wrong = append(wrong, fmt.Sprintf("event %s fell back to %s in %d deliveries, from %s", id, r.name,
					len(list), from))
			}
		}
	}
	return wrong
}

// source is whose fallback a receiver is.
func (r *receiver) source(t tenant) *receiver {
	for _, v := range t.receivers {
		if v.fallback == r {
			return v
		}
	}
	return nil
}

// missed are the events that came while a receiver was disabled: its fallback has each, unless it gets them anyway.
func (w *world) missed(t tenant, r *receiver, lanes map[*receiver]lane, should map[string]string) (wrong []string) {
	kind, _ := r.takes()
	for _, v := range w.plan.events {
		if v.event.Tenant != t.id || v.kind != kind || len(lanes[r].own[v.event.ID]) > 0 {
			continue
		}
		if anyway, _ := r.fallback.takes(); anyway == kind {
			continue
		}
		should[v.event.ID] = ""
	}
	if r == t.receivers[0] {
		for id := range w.fired(t.id) {
			if len(lanes[r].own[id]) == 0 && slices.Contains([]string{"all", "more", "user"}, triggerOf(id)) {
				should[id] = ""
			}
		}
	}
	return wrong
}

// judgeDead: a dead delivery says where its events went, or why they did not go.
func (w *world) judgeDead(r *receiver, d delivery.Delivery, should map[string]string) (wrong []string) {
	switch f := d.Fallback; {
	case d.State != delivery.Dead && f != nil:
		return []string{fmt.Sprintf("delivery %s of %s is %s and fell back", d.ID, r.name, d.State)}
	case d.State != delivery.Dead, r.fallback == nil && f == nil:
	case f == nil || r.fallback == nil || f.Integration != r.fallback.id:
		return []string{fmt.Sprintf("dead delivery %s of %s fell back to %v", d.ID, r.name, f)}
	case d.From != nil:
		w.cover.fall("once")
		if f.Why != delivery.FallbackOnce {
			return []string{fmt.Sprintf("delivery %s of %s fell back twice: %+v", d.ID, r.name, f)}
		}
	case f.Why != "":
		return []string{fmt.Sprintf("dead delivery %s of %s did not fall back: %s", d.ID, r.name, f.Why)}
	default:
		switch d.Reason {
		case "the integration was disabled":
			w.cover.fall("died: by hand")
		case "the integration was disabled because it kept failing: too much failed":
			w.cover.fall("died: by health")
		}
		w.cover.fall("died")
		for _, n := range d.Undelivered() {
			should[d.Events[n].ID] = d.ID
		}
	}
	return nil
}

// arrivedAt: the fallback has what should have fallen back, and nothing else.
func arrivedAt(r *receiver, at lane, should map[string]string) (wrong []string) {
	for id, dead := range should {
		if len(at.fallen[id]) == 0 {
			wrong = append(wrong, fmt.Sprintf("event %s of %s (dead: %q) is in no delivery to its fallback %s", id,
				r.name, dead, r.fallback.name))
		}
	}
	for id, list := range at.fallen {
		if _, ok := should[id]; !ok {
			wrong = append(wrong, fmt.Sprintf("event %s fell back from %s to %s, and did not have to: %s", id, r.name,
				r.fallback.name, list[0].ID))
		}
	}
	return wrong
}

// fall notes how a delivery fell back.
func (c *coverage) fall(how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fell == nil {
		c.fell = map[string]int{}
	}
	c.fell[how]++
}

// fallen notes a delivery that came by fallback.
func (c *coverage) fallen(d delivery.Delivery, people bool) {
	if d.From.Delivery == "" {
		c.fall("at arrival")
	}
	if people {
		c.fall("to people")
	}
	if d.Held != nil && d.Held.By != delivery.HeldByFallback {
		c.fall("held")
	}
}
