package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/trigger"
)

// Processor is the part of delivery.Fanout that the fanout function calls.
type Processor interface {
	Process(ctx context.Context, entries []delivery.Entry) ([]delivery.Lane, error)
}

// giveUpAfter is how many entries may fail one by one before the rest of a batch is left for another time: then it
// is not the entries.
const giveUpAfter = 3

// FanoutHandler answers batches of the events queue. A batch that fails as a whole is tried entry by entry, so that
// one poisonous entry keeps nobody else's from going on.
func FanoutHandler(p Processor, log *slog.Logger) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
		var out events.SQSEventResponse
		entries := make([]delivery.Entry, len(in.Records))
		for n, r := range in.Records {
			entries[n] = entry(r)
		}
		if len(entries) == 0 {
			return out, nil
		}
		_, err := p.Process(ctx, entries)
		if err == nil {
			return out, nil
		}
		if errors.Is(err, trigger.ErrStale) {
			// Others count for the same triggers: one by one there would be more of that.
			log.Warn("fan out a batch: it comes again", "entries", len(entries), "error", err.Error())
			for _, r := range in.Records {
				out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
			}
			return out, nil
		}
		log.Error("fan out a batch: trying one by one", "entries", len(entries), "error", err.Error())
		failed := 0
		for n := range entries {
			if failed < giveUpAfter && len(entries) > 1 {
				if _, err = p.Process(ctx, entries[n:n+1]); err == nil {
					continue
				}
			}
			failed++
			log.Error("fan out: the entry comes again", "message", in.Records[n].MessageId, "error", err.Error())
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: in.Records[n].MessageId})
		}
		return out, nil
	}
}

// envelope is an event as EventBridge hands it to a queue.
type envelope struct {
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
	Time       time.Time       `json:"time"`
}

// entry reads a message of the events queue. What is no event becomes an entry that fan-out rejects and keeps.
func entry(r events.SQSMessage) delivery.Entry {
	e := delivery.Entry{Receipt: r.MessageId}
	var v envelope
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil || v.Detail == nil {
		e.Detail = []byte(r.Body)
	} else {
		e.DetailType, e.Detail, e.At = v.DetailType, v.Detail, v.Time.UTC()
	}
	// The queue's own time is finer than EventBridge's seconds, and the same whenever the message comes again.
	if ms, err := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64); err == nil {
		e.At = time.UnixMilli(ms).UTC()
	}
	return e
}

// DeliverHandler answers batches of the deliveries queue. again says when messages that fail come again.
func DeliverHandler(s *delivery.Sender, again *Visibility, log *slog.Logger) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
		var failed []events.SQSMessage
		fail := func(r events.SQSMessage, err error) {
			log.Error("deliver: the message comes again", "message", r.MessageId, "error", err.Error())
			failed = append(failed, r)
		}
		var list []delivery.Parcel
		var of []events.SQSMessage
		for _, r := range in.Records {
			var m message
			err := json.Unmarshal([]byte(r.Body), &m)
			switch {
			case err != nil:
				fail(r, fmt.Errorf("it is not a parcel: %w", err))
			case m.Batch != "":
				if err := s.Resume(ctx, m.Batch, m.Batch+"-"+r.MessageId); err != nil {
					fail(r, err)
				}
			default:
				list = append(list, delivery.Parcel{Tenant: m.Tenant, Integration: m.Integration, IDs: m.Deliveries})
				of = append(of, r)
			}
		}
		for n, err := range s.Deliver(ctx, list) {
			if err != nil {
				fail(of[n], err)
			}
		}
		again.Again(ctx, failed)
		var out events.SQSEventResponse
		for _, r := range failed {
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
		return out, nil
	}
}

// Turn is what the retry function is called with: a turn of the state machine, or, by a schedule, the order to publish
// what was left behind.
type Turn struct {
	delivery.Round
	Relay bool `json:"relay,omitempty"`
}

// RetryHandler answers the state machine and the schedule.
func RetryHandler(s *delivery.Sender, relay func(context.Context) (int, error), log *slog.Logger) func(context.Context, Turn) (delivery.Round, error) {
	return func(ctx context.Context, t Turn) (delivery.Round, error) {
		if !t.Relay {
			return s.Retry(ctx, t.Round)
		}
		count, err := relay(ctx)
		if count > 0 {
			log.Info("finished what was left behind: announcements published, intakes settled", "count", count)
		}
		if err == nil {
			metrics.Count(ctx, metrics.Swept, 1)
		}
		return delivery.Round{}, err
	}
}
