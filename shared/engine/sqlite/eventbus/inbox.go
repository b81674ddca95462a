package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
)

// Arrived is signalled when entries have come in since the last signal was taken.
func (b *Bus) Arrived() <-chan struct{} { return b.arrived }

// Wake signals that entries have come in.
func (b *Bus) Wake() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// Receive returns the oldest entries that fan-out has not passed (fanout.Inbox), after those whose turn it is have
// moved up. What can not move up, because the disk is full, holds nothing up that stands in the line.
func (b *Bus) Receive(ctx context.Context, limit int) (out []delivery.Entry, err error) {
	moved := b.moveUp(ctx, limit)
	if out, err = b.line(ctx, limit); err != nil || len(out) > 0 {
		return out, err
	}
	if moved == nil && b.turns.recount() {
		if moved = b.moveUp(ctx, limit); moved == nil {
			return b.line(ctx, limit)
		}
	}
	return nil, moved
}

// line reads the oldest entries that fan-out has not passed.
func (b *Bus) line(ctx context.Context, limit int) (out []delivery.Entry, err error) {
	writes, _ := b.db.Quiet()
	b.mu.Lock()
	after := b.passed
	out = b.recent.after(after, writes, limit)
	b.mu.Unlock()
	if len(out) > 0 {
		return out, nil
	}
	err = b.db.Query(ctx, "SELECT seq, at, kind, detail, trace FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
		func(s *driver.Stmt) {
			s.BindInt64(1, after)
			s.BindInt64(2, int64(limit))
		}, func(s *driver.Stmt) error {
			out = append(out, entry(s))
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("receive from the inbox: %w", err)
	}
	return out, nil
}

// Passed is the number of the last entry that fan-out passed.
func (b *Bus) Passed() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.passed
}

// Pass notes that fan-out passed the entries up to this one: the transaction that says so is committed.
func (b *Bus) Pass(seq int64) {
	b.mu.Lock()
	b.passed = max(b.passed, seq)
	b.batches++
	b.mu.Unlock()
	b.turns.passed(seq)
}

// Seq is the number of an entry that Receive returned.
func Seq(e delivery.Entry) (int64, error) {
	seq, err := strconv.ParseInt(e.Receipt, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("receipt %q is not of this engine: %w", e.Receipt, err)
	}
	return seq, nil
}

// stuckAfter is how long the oldest event may wait for fan-out while nothing is taken up.
const stuckAfter = 2 * time.Minute

// Moving checks that fan-out takes events up: however many wait, it is at work while it has batches accepted.
func (b *Bus) Moving(ctx context.Context, now time.Time) error {
	passed := b.Passed()
	late := false
	err := b.db.Query(ctx, "SELECT at FROM events WHERE seq > ? ORDER BY seq LIMIT 1",
		func(s *driver.Stmt) { s.BindInt64(1, passed) }, func(s *driver.Stmt) error {
			late = now.Sub(time.Unix(0, s.ColumnInt64(0))) > stuckAfter
			return nil
		})
	if err == nil && !late {
		var oldest time.Time
		_, oldest, err = b.Deferred(ctx)
		late = !oldest.IsZero() && now.Sub(oldest) > stuckAfter
	}
	if err != nil {
		b.db.Log().Error("look at the oldest event", "error", err.Error())
		return errors.New("the state file can not be read")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.batches != b.looked {
		b.looked, b.moved = b.batches, now
	}
	if late && now.Sub(b.moved) > stuckAfter {
		return errors.New("events wait longer than they should to be taken up")
	}
	return nil
}
