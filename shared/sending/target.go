package sending

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/cache"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
	"tocsin/shared/redact"
	"tocsin/shared/report"
	"tocsin/shared/sending/credential"
	"tocsin/shared/sending/fit"
)

// Integrations is the part of integration.Store that sending reads.
type Integrations interface {
	Get(ctx context.Context, tenant, id string) (integration.Integration, error)
}

// maxTargets bounds the opened integrations that are kept in memory.
const maxTargets = 10_000

// TargetCache opens integrations for sending, each once for each of its revisions. It is safe for concurrent use.
type TargetCache struct {
	sender       *Sender
	integrations Integrations
	opener       Opener
	targets      cache.LRU[string, *Target] // by the integration's id
}

// NewTargetCache makes one.
func NewTargetCache(c *Sender, integrations Integrations, opener Opener) *TargetCache {
	return &TargetCache{sender: c, integrations: integrations, opener: opener}
}

// gone says of a receiver that is not there any more what it was.
func gone(id string) string {
	switch report.KindOf(id) {
	case report.PersonReceiver:
		return "the person was deleted"
	case report.OrderReceiver:
		return "the report is kept no longer: order it anew"
	}
	return "the integration was deleted"
}

// End says why nothing may be sent to an integration any more; its zero value is that something may.
type End struct {
	Why    string
	Window int64                    // of the integration, see integration.Integration; 0 when it is gone
	System string                   // of the integration; "" when it is gone
	Of     *integration.Integration // nil when it is gone
}

func endOf(i integration.Integration, why string) End {
	return End{Why: why, Window: i.Window, System: i.System, Of: &i}
}

// Target is the way to an integration as it is now, or why there is none.
func (r *TargetCache) Target(ctx context.Context, tenant, id string) (target *Target, end End, err error) {
	i, err := r.integrations.Get(ctx, tenant, id)
	switch {
	case errors.Is(err, integration.ErrNotFound):
		return nil, End{Why: gone(id)}, nil
	case err != nil:
		return nil, End{}, fmt.Errorf("read integration %s: %w", id, err)
	case !i.Enabled() && report.KindOf(id) == report.PersonReceiver:
		return nil, endOf(i, i.Off.Reason), nil
	case !i.Enabled():
		return nil, endOf(i, i.Off.Ends()), nil
	}
	if target, _ = r.targets.Get(i.ID); target != nil && target.Integration.Tenant == tenant &&
		target.Integration.Revision == i.Revision &&
		// the mark of a failing one is no change of its settings
		FailingSince(target.Integration).Equal(FailingSince(i)) {
		return target, End{}, nil
	}
	if target, err = r.sender.Open(ctx, r.opener, i); errors.Is(err, integration.ErrUnsealable) {
		// trying again helps nobody; what ends can be sent again
		return nil, endOf(i, integration.LostSecrets), nil
	} else if err != nil {
		return nil, End{}, err
	}
	r.targets.Keep(i.ID, target, maxTargets)
	return target, End{}, nil
}

// Target is an integration opened for sending. It is made once for many deliveries.
type Target struct {
	Integration integration.Integration
	opened      integration.Opened
	destination destination.Destination
	redact      *redact.Redactor
	template    *messagetemplate.Template // nil: its messages are ours
	credentials credential.Cache
	features    fit.Features
}

// Mails reports whether the target is to the deployment's own mail service, and not a system of the customer's.
func (r *Target) Mails() bool { return r.opened.System.Class == notification.Mail }

// Opener opens an integration for sending.
type Opener interface {
	Open(ctx context.Context, i integration.Integration) (integration.Opened, error)
}

// redactor masks the secrets of an integration, and those that its system's destination has of its own.
func redactor(d destination.Destination, secrets []string) *redact.Redactor {
	if k, ok := d.(destination.SecretHolder); ok {
		secrets = append(slices.Clip(secrets), k.Secrets()...)
	}
	return redact.New(secrets...)
}

// Open opens an integration for sending.
func (s *Sender) Open(ctx context.Context, opener Opener, i integration.Integration) (*Target, error) {
	opened, err := opener.Open(ctx, i)
	if err != nil {
		return nil, err
	}
	d, ok := s.Destinations.Destination(i.System)
	if !ok {
		return nil, fmt.Errorf("open integration %s: its system %s is not available in this release", i.ID, i.System)
	}
	return &Target{Integration: i, opened: opened, destination: d, redact: redactor(d, opened.Secrets),
		template: messagetemplate.New(i.MessageTemplate)}, nil
}

// FailingSince is when an integration began to fail, zero when it works.
func FailingSince(i integration.Integration) time.Time {
	if i.Failing == nil {
		return time.Time{}
	}
	return i.Failing.Since
}
