package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"tocsin/shared/event"
)

// DefaultWait is how long a command may wait to be taken: several times what the platform's nodes need to take
// settings over, which is 2 to 4 minutes.
const DefaultWait = 10 * time.Minute

// Watcher knows the commands that nobody takes.
type Watcher interface {
	// Overdue lists pending commands of all tenants that were asked for until a time and are not marked, oldest first.
	Overdue(ctx context.Context, until time.Time, limit int) ([]Command, error)
	// MarkOverdue notes that nobody took a command within its time, and with it publishes the notice, unless the tenant
	// was told of the kind before and nobody took one since; told says whether it did. A command of which something was
	// said meanwhile stays as it is. It is listed as untaken until until.
	MarkOverdue(ctx context.Context, c Command, notice event.Event, until time.Time) (told bool, err error)
	// Untaken lists what the tenant was told of and what is not over now: the first overdue command of each kind, in
	// the order of kinds.
	Untaken(ctx context.Context, tenant string, now time.Time) ([]Command, error)
}

// remember is how long a tenant that was told is not told again while nobody takes commands of the kind.
const remember = 30 * 24 * time.Hour

// page is how many commands are looked at at a time.
const page = 100

// Notices tells administrators of commands that nobody takes: once for a kind of command, until somebody takes one of
// it, so that an upstream that is gone is one notice and no storm.
type Notices struct {
	Store Watcher
	Wait  time.Duration // 0: nobody is told
	Now   func() time.Time
	Log   *slog.Logger
}

// Send looks at the commands whose time is over. It may be called at any time, by several processes at once.
func (n *Notices) Send(ctx context.Context) (told int, err error) {
	if n.Wait <= 0 {
		return 0, nil
	}
	for {
		now := n.Now().UTC()
		found, err := n.Store.Overdue(ctx, now.Add(-n.Wait), page)
		if err != nil {
			return told, err
		}
		for _, c := range found {
			c.OverdueAt = now
			first, err := n.Store.MarkOverdue(ctx, c, c.notice(now), now.Add(remember))
			if err != nil {
				return told, fmt.Errorf("tell that nobody took command %s of tenant %s: %w", c.ID, c.Tenant, err)
			}
			if first {
				told++
				n.Log.Warn("nobody takes commands", "tenant", c.Tenant, "kind", string(c.Kind), "command", c.ID,
					"asked", c.At)
			}
		}
		if len(found) < page {
			return told, nil
		}
	}
}

// notice is the event that tells of it.
func (c Command) notice(now time.Time) event.Event {
	var d event.NotTakenData
	d.Command.ID, d.Command.Kind, d.Command.AskedAt = c.ID, c.Kind, event.Timestamp{Time: c.At}
	d.Trigger.ID, d.Trigger.Name = c.Data.TriggerID, c.Data.TriggerName
	d.IP, d.Waited = c.Data.IP, int64(now.Sub(c.At)/time.Second)
	id := sha256.Sum256([]byte(c.Tenant + " " + c.ID)) // an event's id has a limit, which the command's may reach
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // it has no member that can not be written
	}
	return event.Event{ID: "command-not-taken:" + hex.EncodeToString(id[:16]), Tenant: c.Tenant,
		ClientName: c.ClientName, Kind: event.CommandNotTaken, Time: now, Data: data}
}
