package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// Bus takes events in and hands them to fan-out: the embedded engine's EventBridge.
type Bus struct{ db *DB }

// Bus returns the bus.
func (db *DB) Bus() *Bus { return &Bus{db} }

// Put appends entries to the inbox; they are durable when it returns. Receipts are assigned here.
func (b *Bus) Put(ctx context.Context, entries []delivery.Entry) error {
	err := b.db.writer.write(ctx, func(w *writer) error {
		for _, e := range entries {
			if err := w.put(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %d events on the bus: %w", len(entries), err)
	}
	b.db.wakeFanout()
	return nil
}

func (w *writer) put(e delivery.Entry) error {
	w.seq++
	return w.do("INSERT INTO events (seq, at, kind, detail) VALUES (?, ?, ?, ?)", func(s *driver.Stmt) {
		s.BindInt64(1, w.seq)
		s.BindInt64(2, e.At.UnixNano())
		s.BindText(3, e.DetailType)
		s.BindBytes(4, e.Detail)
	})
}

// Publish puts events of our own on the bus (event.Publisher).
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	entries := make([]delivery.Entry, len(events))
	for i, e := range events {
		var err error
		if entries[i], err = entry(e); err != nil {
			return err
		}
	}
	return b.Put(ctx, entries)
}

func entry(e event.Event) (delivery.Entry, error) {
	detail, err := e.Encode()
	if err != nil {
		return delivery.Entry{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return delivery.Entry{DetailType: string(e.Kind), Detail: detail, At: e.Time}, nil
}

// Arrived is signalled when entries have come in since the last signal was taken.
func (b *Bus) Arrived() <-chan struct{} { return b.db.arrived }

func (db *DB) wakeFanout() {
	select {
	case db.arrived <- struct{}{}:
	default:
	}
}

// Receive returns the oldest entries that fan-out has not passed (fanout.Inbox).
func (b *Bus) Receive(ctx context.Context, limit int) ([]delivery.Entry, error) {
	b.db.mu.Lock()
	after := b.db.fanout
	b.db.mu.Unlock()
	var out []delivery.Entry
	err := b.db.query(ctx, "SELECT seq, at, kind, detail FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
		func(s *driver.Stmt) {
			s.BindInt64(1, after)
			s.BindInt64(2, int64(limit))
		}, func(s *driver.Stmt) error {
			out = append(out, delivery.Entry{
				Receipt: strconv.FormatInt(s.ColumnInt64(0), 10), At: time.Unix(0, s.ColumnInt64(1)).UTC(),
				DetailType: s.ColumnText(2), Detail: blob(s, 3),
			})
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("receive from the inbox: %w", err)
	}
	return out, nil
}

func receipt(e delivery.Entry) (int64, error) {
	seq, err := strconv.ParseInt(e.Receipt, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("receipt %q is not of this engine: %w", e.Receipt, err)
	}
	return seq, nil
}
