package eventbus

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/event"
)

// Bus takes events in and hands them to fan-out: the embedded engine's EventBridge.
type Bus struct {
	db      *db.File
	arrived chan struct{} // see Arrived
	seq     int64         // of the newest event; the writer's own, and newest
	newest  int64         // the latest time of arrival, in Unix nanoseconds
	turns   turns

	mu      sync.Mutex
	recent  recent
	passed  int64     // progress.fanout
	batches int64     // that fan-out had accepted since the start
	looked  int64     // batches when Moving looked last
	moved   time.Time // when it saw that batches had grown
}

// New makes the bus of a state file; share is how many events of a tenant stand in the line, 0 = DefaultShare.
func New(file *db.File, share int) *Bus {
	return &Bus{db: file, arrived: make(chan struct{}, 1), turns: turns{share: cmp.Or(share, DefaultShare)}}
}

// Load reads anew what the bus remembers: the number of the newest event, which pruning may have removed, and how far
// fan-out came.
func (b *Bus) Load(w *db.Writer) error {
	passed, err := db.Number(w.Conn, "SELECT value FROM progress WHERE name = 'fanout'")
	if err != nil {
		return fmt.Errorf("find how far fan-out came: %w", err)
	}
	newest, err := db.Number(w.Conn, "SELECT ifnull(max(seq), 0) FROM events")
	if err != nil {
		return fmt.Errorf("find the newest event: %w", err)
	}
	at, err := db.Number(w.Conn, "SELECT ifnull((SELECT at FROM events ORDER BY seq DESC LIMIT 1), 0)")
	if err != nil {
		return fmt.Errorf("find when the newest event arrived: %w", err)
	}
	b.seq, b.newest = max(newest, passed), at
	b.mu.Lock()
	b.passed = max(b.passed, passed)
	b.recent.writes = void // what is there against what its writer was told is in the file only
	b.mu.Unlock()
	b.turns.undone(b.seq)
	return b.turns.load(w)
}

// Put appends entries to the inbox; they are durable when it returns. Receipts are assigned here.
func (b *Bus) Put(ctx context.Context, entries []delivery.Entry) error {
	err := b.db.WriteRepeatable(ctx, func(w *db.Writer) error {
		shared := map[string]bool{}
		for _, e := range entries {
			if err := b.put(w, e, shared); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %d events on the bus: %w", len(entries), err)
	}
	b.Wake()
	return nil
}

// Append writes an entry into the line, in the transaction of what leads to it. Wake is due after it.
func (b *Bus) Append(w *db.Writer, e delivery.Entry) error {
	b.seq++
	b.newest = max(b.newest, e.At.UnixNano())
	b.turns.stand(e.Tenant, b.seq)
	written := numbered{b.seq, e}
	w.OnCommit(func() { b.keep(written) })
	return w.Do("INSERT INTO events (seq, at, kind, detail, trace) VALUES (?, ?, ?, ?, ?)", func(s *driver.Stmt) {
		s.BindInt64(1, b.seq)
		bind(s, e)
	})
}

// Publish puts events of our own on the bus (event.Publisher).
func (b *Bus) Publish(ctx context.Context, events ...event.Event) error {
	entries := make([]delivery.Entry, len(events))
	for i, e := range events {
		var err error
		if entries[i], err = Entry(e); err != nil {
			return err
		}
	}
	return b.Put(ctx, entries)
}

// Entry is an event as the bus takes it.
func Entry(e event.Event) (delivery.Entry, error) {
	detail, err := e.Encode()
	if err != nil {
		return delivery.Entry{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return delivery.Entry{DetailType: string(e.Kind), Detail: detail, At: e.Time, Trace: e.Trace}, nil
}
