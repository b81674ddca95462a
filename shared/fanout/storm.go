package fanout

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
)

// The storm guard makes one message of what people would have too many of. While a minute has no more messages of an
// integration than its guard says, each is sent at once. What comes beyond is told in one digest, at the minute's end.
// So is all of each minute that follows one with too many: a storm is over when a minute had no more than the guard
// says.
//
// Messages are counted when they are made, in the minute of that moment, which is the minute in which people get them:
// what our own standstill kept back comes as a storm, too. They are counted once for each batch of events.
//
// The guard is for people: a program is to have each event. What was asked for by hand is not counted and does not
// wait: tests, replays, recoveries. Nor does what holds never hold, and what the integration's holds let pass, which is
// what a trigger tells of incidents unless it says otherwise: whoever is to be told in the night is not to be told
// later by day, and an incident is not to be looked for in the digest of the storm that it is about. A trigger tells of
// incidents once in a while, so that those make no storm. What closes an incident goes alone (see mayJoin). What is
// held waits already, and whoever holds it says whether it comes as a digest.
//
// Where events are grouped, messages are those of the grouping: a guard of 60 lets 60 of them through for each of its
// spans.

// StormSpan is the time by which messages are counted and gathered.
const StormSpan = time.Minute

// MessageCounter counts messages for the storm guard. Implementations are safe for concurrent use.
type MessageCounter interface {
	// CountMessages counts a batch's messages to each of several integrations and says, in their order, how each minute
	// stood. A batch that is counted again, and none since, counts once: its answer was lost. One that is counted again
	// later counts twice, so that a digest begins earlier; what an intake made of it is accepted once all the same.
	// A minute that has more than Enough need not be counted on, as long as it is told to have more.
	CountMessages(ctx context.Context, batches []BatchMessages) ([]MinuteMessages, error)
}

// BatchMessages are the messages of a batch to one integration.
type BatchMessages struct {
	Tenant, Integration string
	Minute              time.Time // its beginning
	Batch               string    // its name: the same for the same events
	Messages            int
	Enough              int
}

// MinuteMessages is how a minute stands.
type MinuteMessages struct {
	Before int // messages of the minute before the batch
	Last   int // messages of the minute that went before
}

// stormGuard gathers what a batch of events sends to people until it is counted. It outlasts the tries at a batch, so
// that none is counted twice.
type stormGuard struct {
	waiting []guarded
	counted map[delivery.Lane]MinuteMessages
	minute  time.Time
}

// guarded are the events of a batch that the storm guard of an integration counts.
type guarded struct {
	to     integration.Integration
	events []routed
}

// guard takes the events of an integration that its storm guard counts, and returns the others.
func (f *Fanout) guard(g *stormGuard, i integration.Integration, events []routed) []routed {
	if g == nil || f.Messages == nil || len(events) == 0 || i.StormGuard.Limit() == 0 {
		return events
	}
	system, _, _ := f.Systems.Lookup(i.System)
	if !system.Class.Read() {
		return events
	}
	others, counted := joinable(system, i, events)
	if len(counted) == 0 {
		return others
	}
	for n := range g.waiting {
		if w := &g.waiting[n]; w.to.ID == i.ID && w.to.Tenant == i.Tenant { // by its subscriptions, and by a trigger
			w.events = append(slices.Clip(w.events), counted...)
			return others
		}
	}
	g.waiting = append(g.waiting, guarded{i, counted})
	return others
}

// stormy is what becomes of guarded events.
type stormy struct {
	deliveries []delivery.Delivery // as they are without a storm
	messages   int
	limit      int
}

// unguarded are the deliveries of guarded events as long as there is no storm.
func (f *Fanout) unguarded(g guarded) stormy {
	if every := g.to.Grouping.Every(); every > 0 {
		// A message is so many events. The spans of minutes share what may come at the end of one.
		perMinute := g.to.StormGuard.Limit() * g.to.Grouping.UpTo() / int(every/StormSpan)
		return stormy{groups(g.to, g.events), len(g.events), max(1, perMinute)}
	}
	made := batched(g.to, g.events, f.batch(g.to))
	return stormy{made, len(made), g.to.StormGuard.Limit()}
}

// settle adds the deliveries of what the storm guards counted to an intake. Where they can not be counted everything is
// sent: what is too much is better than what is missed.
func (f *Fanout) settle(ctx context.Context, in *Intake, g *stormGuard) {
	if len(g.waiting) == 0 {
		return
	}
	if g.minute.IsZero() {
		g.minute = f.now().Truncate(StormSpan).UTC()
	}
	all := make([]stormy, len(g.waiting))
	var batches []BatchMessages
	for n, w := range g.waiting {
		all[n] = f.unguarded(w)
		if _, ok := g.counted[all[n].lane()]; !ok {
			batches = append(batches, all[n].batch(g.minute))
		}
	}
	if len(batches) > 0 {
		f.count(ctx, g, batches)
	}
	for n, w := range g.waiting {
		in.Deliveries = append(in.Deliveries,
			f.gathering(f.holdsOf(ctx, w.to.Tenant), w.to, f.through(g, w, all[n]))...)
	}
}

func (f *Fanout) count(ctx context.Context, g *stormGuard, batches []BatchMessages) {
	counts, err := f.Messages.CountMessages(ctx, batches)
	if err != nil {
		f.sample(slog.LevelError, batches[0].Tenant, "storm guard", "messages are sent without a storm guard",
			"tenant", batches[0].Tenant, "integrations", len(batches), "error", err.Error())
		counts = make([]MinuteMessages, len(batches))
		for n, b := range batches {
			counts[n].Before = -b.Messages
		}
	}
	if g.counted == nil {
		g.counted = make(map[delivery.Lane]MinuteMessages, len(counts))
	}
	for n, b := range batches {
		g.counted[delivery.Lane{Tenant: b.Tenant, Integration: b.Integration}] = counts[n]
	}
}

func (s stormy) lane() delivery.Lane {
	return delivery.Lane{Tenant: s.deliveries[0].Tenant, Integration: s.deliveries[0].Integration}
}

// batch is known by its first message, which no other has.
func (s stormy) batch(minute time.Time) BatchMessages {
	l := s.lane()
	return BatchMessages{Tenant: l.Tenant, Integration: l.Integration, Minute: minute, Batch: s.deliveries[0].ID,
		Messages: s.messages, Enough: s.limit}
}

// through are the deliveries of guarded events: those that the guard lets through, and a digest of the others.
func (f *Fanout) through(g *stormGuard, w guarded, s stormy) []delivery.Delivery {
	minute := g.counted[s.lane()]
	free := max(0, s.limit-minute.Before)
	if minute.Last > s.limit {
		free = 0
	}
	if s.messages <= free {
		return s.deliveries
	}
	f.sample(slog.LevelInfo, w.to.Tenant, "storm "+w.to.ID, "a storm guard makes digests of what comes", "tenant",
		w.to.Tenant, "integration", w.to.ID, "messages_per_minute", s.limit)
	every := w.to.Grouping.Every()
	if every > 0 {
		return append(groups(w.to, w.events[:free]), stormDigests(w.to, w.events[free:], every)...)
	}
	first := 0
	for _, d := range s.deliveries[:free] {
		first += d.Count
	}
	out := slices.Clone(s.deliveries[:free])
	for _, d := range stormDigests(w.to, w.events[first:], 0) {
		d.Due = stormEnd(g.minute, d.CreatedAt)
		out = append(out, d)
	}
	return out
}

func stormDigests(i integration.Integration, events []routed, every time.Duration) []delivery.Delivery {
	batch := destination.File
	batch.Every = every
	out := batched(i, events, batch)
	for n := range out {
		out[n].Digest = delivery.DigestStormOf(every)
	}
	return out
}

// stormEnd is when a digest of a storm is told, whose first event arrived at a time. It is the end of the minute.
// Engines look for what waits among what arrived within destination.File.Every before: what arrived earlier, or by a
// clock that is ahead of ours, is told at the end of its own span.
func stormEnd(minute, at time.Time) time.Time {
	end := minute.Add(StormSpan)
	if at.After(end) || end.Sub(at) > destination.File.Every-StormSpan {
		return spanEnd(at, destination.File.Every)
	}
	return end
}

func (f *Fanout) now() time.Time {
	if f.Now == nil {
		return time.Now()
	}
	return f.Now()
}

// MessageCounts is the MessageCounter of an engine that is one process: what it forgets when that ends is the messages
// of the minute. The zero value is ready.
type MessageCounts struct {
	mu      sync.Mutex
	minutes map[int64]map[delivery.Lane]minuteCount // by their beginnings, Unix time
}

// minuteCount is what a minute has of an integration.
type minuteCount struct {
	messages int
	batch    string // the last
}

var _ MessageCounter = (*MessageCounts)(nil)

// CountMessages counts. It remembers the newest minute and the one that went before.
func (c *MessageCounts) CountMessages(_ context.Context, batches []BatchMessages) ([]MinuteMessages, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]MinuteMessages, len(batches))
	for n, b := range batches {
		l := delivery.Lane{Tenant: b.Tenant, Integration: b.Integration}
		out[n].Last = c.minutes[b.Minute.Add(-StormSpan).Unix()][l].messages
		of := c.of(b.Minute)
		m := of[l]
		out[n].Before = m.messages
		switch {
		case m.messages > b.Enough:
			continue
		case m.batch == b.Batch:
			out[n].Before -= b.Messages
			continue
		}
		of[l] = minuteCount{m.messages + b.Messages, b.Batch}
	}
	return out, nil
}

// of are the counts of a minute. A newer one forgets all but the one that goes before it.
func (c *MessageCounts) of(minute time.Time) map[delivery.Lane]minuteCount {
	at := minute.Unix()
	if c.minutes[at] == nil {
		for m := range c.minutes {
			if m < minute.Add(-StormSpan).Unix() {
				delete(c.minutes, m)
			}
		}
		if c.minutes == nil {
			c.minutes = map[int64]map[delivery.Lane]minuteCount{}
		}
		c.minutes[at] = map[delivery.Lane]minuteCount{}
	}
	return c.minutes[at]
}
