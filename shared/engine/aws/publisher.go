package aws

import (
	"context"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"tocsin/shared/event"
)

// putLimit is how many events one call takes. EventBridge, API reference, "PutEvents".
const putLimit = 10

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
	for chunk := range slices.Chunk(events, putLimit) {
		in := &eventbridge.PutEventsInput{}
		for _, e := range chunk {
			detail, err := e.Encode()
			if err != nil {
				return fmt.Errorf("encode event %s: %w", e.ID, err)
			}
			in.Entries = append(in.Entries, types.PutEventsRequestEntry{
				EventBusName: &p.Bus, Source: awssdk.String(Source), DetailType: awssdk.String(string(e.Kind)),
				Detail: awssdk.String(string(detail)), Time: awssdk.Time(e.Time),
			})
		}
		out, err := p.Events.PutEvents(ctx, in)
		if err != nil {
			return fmt.Errorf("publish event %s: %w", chunk[0].ID, err)
		}
		for n, entry := range out.Entries {
			if entry.ErrorCode != nil {
				return fmt.Errorf("publish event %s: %s: %s", chunk[n].ID, *entry.ErrorCode, awssdk.ToString(entry.ErrorMessage))
			}
		}
	}
	return nil
}
