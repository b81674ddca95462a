package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/smithy-go"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
	"tocsin/shared/trace"
)

// Processor is the part of fanout.Fanout that the fanout function calls.
type Processor interface {
	Process(ctx context.Context, entries []delivery.Entry) ([]delivery.Lane, error)
}

// tenantsAtOnce is how many tenants of a batch are processed side by side: they wait for the network most of the time.
const tenantsAtOnce = 8

// giveUpAfter is how many entries may fail one by one before the rest is left for another time: then it is not the
// entries.
const giveUpAfter = 3

// Fanout answers batches of the events queue. Each tenant's entries are processed by themselves: what fails
// for one keeps no other waiting. again says when messages that failed come again.
func Fanout(
	p Processor, again *queue.Visibility, log *slog.Logger,
) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
		failed := queue.SideBySide(queue.Grouped(in.Records, tenantOf), tenantsAtOnce,
			func(messages []events.SQSMessage) []events.SQSMessage {
				return fanoutTenant(ctx, p, messages, log)
			})
		return again.Again(ctx, failed), nil
	}
}

// tenantOf is what messages are grouped by. The message group is the tenant where there is one; what has none comes of
// events that nobody knows. It only bounds what fails together: who an event belongs to is said by the event.
func tenantOf(m events.SQSMessage) string {
	if group := m.Attributes["MessageGroupId"]; group != "" {
		return group
	}
	var detail struct {
		Tenant string `json:"tenant"`
	}
	_ = json.Unmarshal(entry(m).Detail, &detail) // what can not be read has no tenant
	return detail.Tenant
}

// fanoutTenant processes one tenant's messages and returns those that are to come again. Only an error that an entry
// itself can be the cause of has them tried one by one: where a table is short of capacity, that would ask for more
// of it.
func fanoutTenant(
	ctx context.Context, p Processor, messages []events.SQSMessage, log *slog.Logger,
) []events.SQSMessage {
	failed, err := process(ctx, p, messages)
	switch {
	case err == nil:
		return nil
	case len(failed) < len(messages) || len(messages) == 1 || !poisonous(err):
		log.Warn("fan out: entries come again", "entries", len(failed), "of", len(messages), "error", err.Error())
		return failed
	}
	log.Error("fan out a batch: trying one by one", "entries", len(messages), "error", err.Error())
	failed = nil
	for n, m := range messages {
		if len(failed) == giveUpAfter {
			return append(failed, messages[n:]...)
		}
		if _, err := process(ctx, p, messages[n:n+1]); err != nil {
			log.Error("fan out: the entry comes again", "message", m.MessageId, "error", err.Error())
			failed = append(failed, m)
		}
	}
	return failed
}

// process processes messages and returns those that are to come again, and why.
func process(ctx context.Context, p Processor, messages []events.SQSMessage) (failed []events.SQSMessage, err error) {
	defer func() {
		// what upstream writes must not end the function, which has other tenants' entries too
		if v := recover(); v != nil {
			failed, err = messages, fmt.Errorf("a fault of ours: %v\n%s", v, debug.Stack())
		}
	}()
	entries := make([]delivery.Entry, len(messages))
	for n, m := range messages {
		entries[n] = entry(m)
	}
	_, err = p.Process(ctx, entries)
	var unfinished *fanout.Unfinished
	switch {
	case err == nil:
		return nil, nil
	case !errors.As(err, &unfinished):
		return messages, err
	}
	again := map[string]bool{}
	for _, e := range unfinished.Entries {
		again[e.Receipt] = true
	}
	for _, m := range messages {
		if again[m.MessageId] {
			failed = append(failed, m)
		}
	}
	return failed, err
}

// poisonous reports whether an entry can be why its batch failed, and not the state of the services or another
// function.
func poisonous(err error) bool {
	for _, passing := range []error{context.Canceled, context.DeadlineExceeded, fanout.ErrBusy, intakes.ErrAborted,
		table.ErrCapacity} {
		if errors.Is(err, passing) {
			return false
		}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "ValidationException", "ValidationError", "SerializationException":
			return true
		}
		return false
	}
	var call *smithy.OperationError
	return !errors.As(err, &call) // a call that had no answer
}

// envelope is an event as EventBridge hands it to a queue.
type envelope struct {
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
	Time       time.Time       `json:"time"`
}

// entry reads a message of the events queue. What is no event becomes an entry that fan-out rejects and keeps.
func entry(r events.SQSMessage) delivery.Entry {
	e := delivery.Entry{Receipt: r.MessageId, Trace: trace.FromXRay(r.Attributes["AWSTraceHeader"])}
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
