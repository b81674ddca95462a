// Package eventbus publishes events by EventBridge.
package eventbus

import (
	"context"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// putLimit is how many events one call takes. EventBridge, API reference, "PutEvents".
const putLimit = 10

// putBytes is the size of a call in bytes, and entryOverhead what an entry adds to its detail (EventBridge,
// "Calculating PutEvents event entry size": the names of source and type, and 14 for the time).
const putBytes, entryOverhead = 256 << 10, 128

// Source is that of the events that Tocsin itself publishes.
const Source = "tocsin"

// Publisher puts events on the bus.
type Publisher struct {
	Events *eventbridge.Client
	Bus    string // name or ARN
}

var _ event.Publisher = (*Publisher)(nil)

// Publish publishes; an entry that the bus did not take makes the whole call an error.
func (p *Publisher) Publish(ctx context.Context, events ...event.Event) error {
	for len(events) > 0 {
		in := &eventbridge.PutEventsInput{}
		size := 0
		for _, e := range events[:min(len(events), putLimit)] {
			detail, err := e.Encode()
			if err != nil {
				return fmt.Errorf("encode event %s: %w", e.ID, err)
			}
			if size += len(detail) + entryOverhead; size > putBytes && len(in.Entries) > 0 {
				break
			}
			entry := types.PutEventsRequestEntry{
				EventBusName: &p.Bus, Source: awssdk.String(Source), DetailType: awssdk.String(string(e.Kind)),
				Detail: awssdk.String(string(detail)), Time: awssdk.Time(e.Time),
			}
			if header := e.Trace.XRay(); header != "" {
				entry.TraceHeader = &header
			}
			in.Entries = append(in.Entries, entry)
		}
		chunk := events[:len(in.Entries)]
		events = events[len(in.Entries):]
		out, err := p.Events.PutEvents(ctx, in)
		if err != nil {
			return fmt.Errorf("publish event %s: %w", chunk[0].ID, err)
		}
		for n, entry := range out.Entries {
			if entry.ErrorCode != nil {
				return fmt.Errorf("publish event %s: %s: %s", chunk[n].ID, *entry.ErrorCode,
					awssdk.ToString(entry.ErrorMessage))
			}
		}
	}
	return nil
}

// Forward publishes an entry as it is. Error: delivery.ErrNoEntry when the bus does not take what it holds.
func (p *Publisher) Forward(ctx context.Context, e delivery.Entry) error {
	out, err := p.Events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &p.Bus, Source: awssdk.String(Source), DetailType: &e.DetailType,
		Detail: awssdk.String(string(e.Detail)), Time: awssdk.Time(e.At),
	}}})
	if err != nil {
		return fmt.Errorf("publish an entry again: %w", err)
	}
	for _, r := range out.Entries {
		switch awssdk.ToString(r.ErrorCode) {
		case "":
		case "MalformedDetail", "InvalidArgument":
			return fmt.Errorf("publish an entry again: %s: %w", awssdk.ToString(r.ErrorMessage), delivery.ErrNoEntry)
		default:
			return fmt.Errorf("publish an entry again: %s: %s", awssdk.ToString(r.ErrorCode),
				awssdk.ToString(r.ErrorMessage))
		}
	}
	return nil
}
