package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/trace"
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

// Receive returns the oldest entries that fan-out has not passed (fanout.Inbox).
func (b *Bus) Receive(ctx context.Context, limit int) ([]delivery.Entry, error) {
	after := b.Passed()
	var out []delivery.Entry
	err := b.db.Query(ctx, "SELECT seq, at, kind, detail, trace FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
		func(s *driver.Stmt) {
			s.BindInt64(1, after)
			s.BindInt64(2, int64(limit))
		}, func(s *driver.Stmt) error {
			out = append(out, delivery.Entry{
				Receipt: strconv.FormatInt(s.ColumnInt64(0), 10), At: time.Unix(0, s.ColumnInt64(1)).UTC(),
				DetailType: s.ColumnText(2), Detail: db.Blob(s, 3), Trace: trace.Parent(s.ColumnText(4)),
			})
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
	defer b.mu.Unlock()
	b.passed = max(b.passed, seq)
}

// Seq is the number of an entry that Receive returned.
func Seq(e delivery.Entry) (int64, error) {
	seq, err := strconv.ParseInt(e.Receipt, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("receipt %q is not of this engine: %w", e.Receipt, err)
	}
	return seq, nil
}

// stuckAfter is how long the oldest event may wait for fan-out.
const stuckAfter = 2 * time.Minute

// Moving checks that fan-out takes events up.
func (b *Bus) Moving(ctx context.Context, now time.Time) error {
	passed := b.Passed()
	stuck := false
	err := b.db.Query(ctx, "SELECT at FROM events WHERE seq > ? ORDER BY seq LIMIT 1",
		func(s *driver.Stmt) { s.BindInt64(1, passed) }, func(s *driver.Stmt) error {
			stuck = now.Sub(time.Unix(0, s.ColumnInt64(0))) > stuckAfter
			return nil
		})
	if err != nil {
		b.db.Log().Error("look at the oldest event", "error", err.Error())
		return errors.New("the state file can not be read")
	}
	if stuck {
		return errors.New("events wait longer than they should to be taken up")
	}
	return nil
}
