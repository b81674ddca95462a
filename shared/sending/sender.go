package sending

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/logsample"
	"tocsin/shared/notification"
	"tocsin/shared/retry"
	"tocsin/shared/sending/fit"
	"tocsin/shared/sending/reachability"
	"tocsin/shared/sending/reference"
	"tocsin/shared/trace"
	"tocsin/shared/wording"
)

// Destinations finds the code of a system.
type Destinations interface {
	Destination(system string) (destination.Destination, bool)
}

// Adapter changes an integration as an answer of its system demands (destination.Verdict.Adapt).
type Adapter interface {
	Adapt(ctx context.Context, i integration.Integration, change json.RawMessage,
		reason string) (integration.Integration, error)
}

// Reports finds the message of a report. Its error is a sentence for an administrator.
type Reports interface {
	Report(ctx context.Context, e event.Event, l wording.Language) (*notification.Report, error)
}

// Locales knows how people of a tenant read.
type Locales interface {
	Locale(ctx context.Context, tenant string) wording.Locale
}

// locale is that of what an integration sends. Machines get the same in every language and zone.
func (s *Sender) locale(ctx context.Context, r *Target) wording.Locale {
	l := wording.Locale{Language: wording.English}
	if !r.opened.System.Class.Read() {
		return l
	}
	if l.Zone = time.UTC; s.Locales != nil {
		l = s.Locales.Locale(ctx, r.Integration.Tenant)
	}
	l.Language = r.Integration.Language.Or(l.Language)
	if r.Integration.Zone != nil {
		l.Zone = r.Integration.Zone
	}
	return l
}

// Unsubscriber makes the link by which an address leaves an integration.
type Unsubscriber interface {
	Link(tenant, integration, address string) string
}

// MailQuota bounds the mails that tests send to addresses other than that of who tests. Its error is for a person.
type MailQuota interface {
	Spend(ctx context.Context, tenant string, mails int) error
}

// Sender sends deliveries and decides what becomes of each.
type Sender struct {
	Reports      Reports      // nil: this deployment makes no reports
	Locales      Locales      // nil: what is sent is in English, where the integration says nothing else, and in UTC
	Unsubscribe  Unsubscriber // nil: mails carry no such link
	Destinations Destinations
	Transport    Transport
	Platform     notification.Platform
	Schedule     retry.Schedule
	Now          func() time.Time
	Log          *slog.Logger
	// Adapter is nil where answers change nothing.
	Adapter Adapter
	// Reachability is nil where one process is the whole worker.
	Reachability reachability.Store
	// References is nil where each event of an object is told as a thing of its own.
	References reference.Store
	// MailQuota is nil where the mails of tests are not bounded.
	MailQuota MailQuota
	// Tracer is nil where nothing is traced.
	Tracer *trace.Tracer

	lines  logsample.Sampler
	egress reachability.Breaker
	fits   fit.Memory // what this process learned of what systems take
}
