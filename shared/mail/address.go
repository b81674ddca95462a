package mail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/mail/address"
	"tocsin/shared/mail/reply"
)

// Why nothing is sent to an address.
type Why string

// The reasons.
const (
	Bounced      Why = "bounced"    // the address does not exist
	Complained   Why = "complained" // its owner called a mail spam
	Unsubscribed Why = "unsubscribed"
)

// Suppression says that nothing is sent to an address of a tenant.
type Suppression struct {
	Tenant  string
	Address string // in lower case
	// Integration is the one that the address left, "" for all of the tenant.
	Integration string
	Why         Why
	Reason      string
	At          time.Time
}

// SuppressionList keeps them. Implementations are safe for concurrent use.
type SuppressionList interface {
	// Suppress adds one, with its Entry; added is false when the address was blocked already, and then nothing changes.
	Suppress(ctx context.Context, b Suppression) (added bool, err error)
	// Blocked returns the block that holds for a mail of the integration, ok false when there is none.
	Blocked(ctx context.Context, tenant, integration, address string) (b Suppression, ok bool, err error)
	// List returns the blocks of a tenant's addresses in their order: of at most limit addresses after the one given.
	// An address has one block for the tenant and one for each integration that it left.
	List(ctx context.Context, tenant, after string, limit int) ([]Suppression, error)
	// Allow removes every block of an address, with the entry of it; it is no error when there is none, and then
	// nothing changes.
	Allow(ctx context.Context, tenant, address string, e activity.Entry) error
}

// Entry is what the activity log says of a suppression that was added.
func (b Suppression) Entry() activity.Entry {
	e := activity.Entry{ID: "suppressed:" + b.digest(), At: b.At, Actor: activity.System(b.Tenant),
		Object: activity.Suppression, ObjectID: b.Address, ObjectName: b.Address, Action: activity.Create,
		Changes: []activity.Change{{Field: "why", After: string(b.Why)}}}
	if b.Why == Unsubscribed {
		e.Email, e.Source = b.Address, access.FromMail
	}
	if b.Integration != "" {
		e.Changes = append(e.Changes, activity.Change{Field: "integration", After: b.Integration})
	}
	return e.Bounded()
}

// digest names a suppression: the same address may be suppressed again later.
func (b Suppression) digest() string {
	sum := sha256.Sum256([]byte(b.Tenant + "\x00" + b.Address + "\x00" + b.Integration + "\x00" +
		b.At.Format(time.RFC3339Nano)))
	return hex.EncodeToString(sum[:12])
}

// Canonical is the form in which addresses are compared: see package address.
func Canonical(s string) string { return address.Canonical(s) }

// Sender carries one mail and returns what the mail service answered. The error, a sentence for an administrator, is
// that there was no answer.
type Sender interface {
	Send(ctx context.Context, m destination.Mail) (destination.Response, error)
}

// Guard keeps mails from addresses that do not want or can not take them.
type Guard struct {
	Next     Sender
	Blocks   SuppressionList
	Feedback *Feedback // told of an address that the mail server does not know; nil = nobody
}

// Send sends a mail, or answers destination.MailNotSent.
func (g Guard) Send(ctx context.Context, m destination.Mail) (destination.Response, error) {
	if err := address.Check(m.To); err != nil { // saved by an older release
		return notSent(m.To, "it "+err.Error()), nil
	}
	b, ok, err := g.Blocks.Blocked(ctx, m.Tenant, m.Integration, Canonical(m.To))
	if err != nil {
		return destination.Response{}, fmt.Errorf("the state of %s could not be read: %w", m.To, err)
	}
	if ok {
		return notSent(m.To, b.sentence()), nil
	}
	answer, err := g.Next.Send(ctx, m)
	if err != nil || g.Feedback == nil || !answer.Recipient ||
		!reply.Read(answer.Status, string(answer.Body)).NoSuchMailbox() {
		return answer, err
	}
	said := fmt.Sprintf("the mail server answered %d %s", answer.Status, answer.Body)
	if err := g.Feedback.note(ctx, Notice{Tenant: m.Tenant, Address: m.To, Why: Bounced, Reason: said}); err != nil {
		return destination.Response{}, fmt.Errorf("%s: %w", said, err)
	}
	return notSent(m.To, said), nil
}

func notSent(to, why string) destination.Response {
	return destination.Response{Status: destination.MailNotSent, Body: []byte("not sent to " + to + ": " + why),
		Recipient: true}
}

func (b Suppression) sentence() string {
	switch b.Why {
	case Unsubscribed:
		return "it has unsubscribed since " + b.At.Format(time.DateOnly)
	case Complained:
		return "its owner called a mail of ours spam on " + b.At.Format(time.DateOnly)
	}
	return "it is undeliverable since " + b.At.Format(time.DateOnly) + " (" + b.Reason + ")"
}

// Feedback takes in what mail servers say about mails that were sent, and tells the administrators.
type Feedback struct {
	Blocks SuppressionList
	Bus    event.Publisher
	Now    func() time.Time
	Log    *slog.Logger
}

// Handle takes one event of SES: as an SNS notification, as an EventBridge event, or bare. It returns how many
// addresses it blocked. The error of something that is no such event is an *UnreadableError: it will never be one.
func (f *Feedback) Handle(ctx context.Context, raw []byte) (blocked int, err error) {
	notices, err := ParseSES(raw)
	if err != nil {
		return 0, err
	}
	for _, n := range notices {
		if n.Tenant == "" {
			f.Log.Warn("mail feedback names no tenant: nothing is blocked", "why", n.Why)
			continue
		}
		if err := f.note(ctx, n); err != nil {
			return blocked, err
		}
		blocked++
	}
	return blocked, nil
}

// tellAgain is from which age of a block on a notice is taken for one that comes again: several at once are told by
// the first.
const tellAgain = time.Minute

// note blocks an address and tells of it, once.
func (f *Feedback) note(ctx context.Context, n Notice) error {
	b := Suppression{Tenant: n.Tenant, Address: Canonical(n.Address), Why: n.Why, Reason: clean(n.Reason),
		At: f.Now().UTC()}
	added, err := f.Blocks.Suppress(ctx, b)
	if err != nil {
		return fmt.Errorf("block %s of tenant %s: %w", n.Address, n.Tenant, err)
	}
	if added {
		f.Log.Warn("address blocked", "tenant", n.Tenant, "why", n.Why)
	} else {
		kept, blocked, err := f.Blocks.Blocked(ctx, b.Tenant, "", b.Address)
		age := b.At.Sub(kept.At)
		if err != nil || !blocked || kept.Why == Unsubscribed || age < tellAgain || age > 24*time.Hour {
			return err
		}
		b = kept // the notice may come again because it could not be told
	}
	data, err := addressData(b)
	if err != nil {
		return err
	}
	// The id is the block's, so that administrators are told once.
	sum := sha256.Sum256([]byte(b.Tenant + "\x00" + b.Address + "\x00" + b.At.Format(time.RFC3339Nano)))
	if err := f.Bus.Publish(ctx, event.Event{ID: "undeliverable:" + hex.EncodeToString(sum[:12]), Tenant: b.Tenant,
		Kind: event.AddressUndeliverable, Time: f.Now().UTC(), Data: data}); err != nil {
		return fmt.Errorf("tell of the blocked address of tenant %s: %w", b.Tenant, err)
	}
	return nil
}
