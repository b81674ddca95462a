// Package handlers has what Lambda calls in the functions that take in events, send deliveries and serve the API. The
// functions that count and that make reports have theirs beside their queues, in packages counts and reports.
package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"tocsin/shared/engine/aws/deliveries"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/mail"
	"tocsin/shared/worker"
)

// Deliver answers batches of the deliveries queue. again says when messages that fail come again.
func Deliver(s *worker.Handler, again *queue.Visibility, log *slog.Logger) func(context.Context,
	events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
		var failed []events.SQSMessage
		fail := func(r events.SQSMessage, err error) {
			log.Error("deliver: the message comes again", "message", r.MessageId, "error", err.Error())
			failed = append(failed, r)
		}
		var list []worker.MessageBatch
		var of []events.SQSMessage
		for _, r := range in.Records {
			var m deliveries.Message
			err := json.Unmarshal([]byte(r.Body), &m)
			switch {
			case err != nil:
				fail(r, fmt.Errorf("it is not a message batch: %w", err))
			case m.Batch != "":
				if err := s.Resume(ctx, m.Batch, r.MessageId); err != nil {
					fail(r, err)
				}
			default:
				list = append(list, m.MessageBatch())
				of = append(of, r)
			}
		}
		for n, err := range s.Deliver(ctx, list) {
			if err != nil {
				fail(of[n], err)
			}
		}
		return again.Again(ctx, failed), nil
	}
}

// RetryCall is what the retry function is called with: a round of the state machine, or, by a schedule, the order to
// publish what was left behind, or to take up retries that no execution works at.
type RetryCall struct {
	worker.Round
	Relay bool `json:"relay,omitempty"`
	Sweep bool `json:"sweep,omitempty"`
	Dry   bool `json:"dry,omitempty"` // a sweep that only counts
}

// Upkeep is what schedules have the retry function do.
type Upkeep struct {
	Relay func(context.Context) (int, error)
	Sweep func(ctx context.Context, dry bool) (worker.Swept, error)
}

// Retry answers the state machine with a worker.Round, and the schedules.
func Retry(s *worker.Handler, u Upkeep, log *slog.Logger) func(context.Context, RetryCall) (any, error) {
	return func(ctx context.Context, t RetryCall) (any, error) {
		switch {
		case t.Sweep:
			return u.Sweep(ctx, t.Dry)
		case !t.Relay:
			next, err := s.Retry(ctx, t.Round)
			return next, typed(err)
		}
		count, err := u.Relay(ctx)
		if count > 0 {
			log.Info("finished what was left behind: events of the outbox published, intakes settled", "count", count)
		}
		if err == nil {
			metrics.Count(ctx, metrics.Swept, 1)
		}
		return worker.Round{}, err
	}
}

// Unavailable is the type of a round's error when a service is out of order, and not the function: retry.asl.json tries
// the round again for hours.
const Unavailable = "Unavailable"

// typed gives an error the type that the state machine looks at.
func typed(err error) error {
	if err == nil || !errors.Is(err, table.ErrCapacity) && !retry.NewStandard().IsErrorRetryable(err) {
		return err
	}
	return messages.InvokeResponse_Error{Message: err.Error(), Type: Unavailable}
}

// Feedback takes in what SES says about mails. What is no event of SES fails: after its last receive it is kept
// in the dead-letter queue.
func Feedback(f *mail.Feedback, log *slog.Logger) func(context.Context,
	events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
		var out events.SQSEventResponse
		for _, r := range in.Records {
			if _, err := f.Handle(ctx, []byte(r.Body)); err != nil {
				log.Error("mail feedback: the message comes again", "message", r.MessageId, "error", err.Error())
				out.BatchItemFailures = append(out.BatchItemFailures,
					events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
			}
		}
		return out, nil
	}
}
