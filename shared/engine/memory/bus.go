package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
)

// Bus takes events in and hands them to fan-out.
type Bus struct{ e *Engine }

// Bus returns the bus.
func (e *Engine) Bus() *Bus { return &Bus{e} }

var (
	_ event.Publisher = (*Bus)(nil)
	_ fanout.Inbox    = (*Bus)(nil)
)

// Put appends entries.
func (b *Bus) Put(_ context.Context, entries []delivery.Entry) error {
	defer b.e.lock()()
	for _, entry := range entries {
		b.e.put(entry)
	}
	return nil
}

func (e *Engine) put(entry delivery.Entry) {
	entry.Receipt = strconv.Itoa(len(e.entries) + 1)
	e.entries = append(e.entries, entry)
	select {
	case e.arrived <- struct{}{}:
	default:
	}
}

// Publish puts events of our own on the bus.
func (b *Bus) Publish(_ context.Context, events ...event.Event) error {
	defer b.e.lock()()
	return b.e.publish(events...)
}

func (e *Engine) publish(events ...event.Event) error {
	for _, v := range events {
		detail, err := v.Encode()
		if err != nil {
			return fmt.Errorf("encode event %s: %w", v.ID, err)
		}
		e.put(delivery.Entry{DetailType: string(v.Kind), Detail: detail, At: v.Time, Trace: v.Trace})
	}
	return nil
}

// Receive returns the oldest entries that fan-out is not done with, by turns.
func (b *Bus) Receive(_ context.Context, limit int) ([]delivery.Entry, error) {
	defer b.e.lock()()
	rest := b.e.entries[b.e.passed:]
	for n, e := range delivery.Turns(rest, 256) {
		rest[n], rest[n].Receipt = e, strconv.Itoa(b.e.passed+n+1)
	}
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

// Arrived is signalled when entries have come in since the last signal was taken.
func (b *Bus) Arrived() <-chan struct{} { return b.e.arrived }
