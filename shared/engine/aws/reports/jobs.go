package reports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/report"
)

// Jobs is the queue of reports that are to be made: a message for each recipient of a scheduled report, one for
// each report on demand. It is a FIFO queue whose group is the report, so that the first recipient's job renders it and
// the others find it made; a job that is sent twice within five minutes is one (SQS, "Exactly-once processing").
type Jobs struct {
	SQS   *sqs.Client
	Queue string // URL
}

// reportJob is a message: a job of the schedule, or the id of a report on demand.
type reportJob struct {
	Job    *report.Job `json:"job,omitempty"`
	Tenant string      `json:"tenant,omitempty"`
	Report string      `json:"report,omitempty"`
}

// group is what is done one after another.
func (j reportJob) group() string {
	if j.Job != nil {
		return queue.Digest(j.Job.Tenant, string(j.Job.Period.Frequency), j.Job.Period.Key())
	}
	return queue.Digest(j.Tenant, j.Report)
}

// Enqueue takes the jobs of the schedule (report.Service.Enqueue).
func (q *Jobs) Enqueue(ctx context.Context, jobs []report.Job) error {
	list := make([]reportJob, len(jobs))
	for n := range jobs {
		list[n].Job = &jobs[n]
	}
	if err := q.send(ctx, list); err != nil {
		return fmt.Errorf("enqueue %d reports: %w", len(jobs), err)
	}
	return nil
}

// Order takes a report on demand.
func (q *Jobs) Order(ctx context.Context, tenant, id string) error {
	if err := q.send(ctx, []reportJob{{Tenant: tenant, Report: id}}); err != nil {
		return fmt.Errorf("enqueue report %s of tenant %s: %w", id, tenant, err)
	}
	return nil
}

func (q *Jobs) send(ctx context.Context, list []reportJob) error {
	var entries []types.SendMessageBatchRequestEntry
	for n, j := range list {
		body, err := json.Marshal(j)
		if err != nil {
			return err
		}
		entries = append(entries, types.SendMessageBatchRequestEntry{
			Id: awssdk.String(strconv.Itoa(n)), MessageBody: awssdk.String(string(body)),
			MessageGroupId: awssdk.String(j.group()), MessageDeduplicationId: awssdk.String(queue.Digest(string(body))),
		})
	}
	for chunk := range slices.Chunk(entries, queue.SendLimit) {
		if err := queue.SendBatch(ctx, q.SQS, q.Queue, chunk); err != nil {
			return err
		}
	}
	return nil
}

// leftBehind is when a report on demand that waits still was left behind: its message is taken within seconds.
const leftBehind = 15 * time.Minute

// Answer is what the report function answers: to the schedule how many jobs it handed over, to its queue what
// failed.
type Answer struct {
	Due               *int                         `json:"due,omitempty"`
	BatchItemFailures []events.SQSBatchItemFailure `json:"batchItemFailures,omitempty"`
}

// Notices tells people of what is due and is no report: API tokens that expire.
type Notices interface {
	Send(ctx context.Context) (sent int, err error)
}

// Handler answers the schedule, and batches of the queue of jobs.
func Handler(s *report.Service, notices Notices, log *slog.Logger) func(context.Context, json.RawMessage) (Answer,
	error) {
	return func(ctx context.Context, raw json.RawMessage) (Answer, error) {
		var in events.SQSEvent
		if err := json.Unmarshal(raw, &in); err != nil {
			return Answer{}, fmt.Errorf("read the call: %w", err)
		}
		if in.Records != nil {
			failed := perform(ctx, s, log, in.Records)
			metrics.Count(ctx, metrics.FailedItems, len(failed))
			return Answer{BatchItemFailures: failed}, nil
		}
		due, err := s.RunSchedule(ctx)
		_, failed := notices.Send(ctx)
		return Answer{Due: &due}, errors.Join(err, takeUp(ctx, s), failed)
	}
}

// takeUp makes reports on demand whose message was lost between two writes of the API.
func takeUp(ctx context.Context, s *report.Service) error {
	const most = 20
	waiting, err := s.Store.Waiting(ctx, most)
	if err != nil {
		return err
	}
	for _, r := range waiting {
		if s.Now().Sub(r.CreatedAt) < leftBehind {
			continue
		}
		if err := s.MakeOrdered(ctx, r); err != nil {
			return fmt.Errorf("make report %s of tenant %s: %w", r.ID, r.Tenant, err)
		}
	}
	return nil
}

// perform does jobs. After one that failed, those of its group fail too: they keep their order (Lambda developer guide,
// "Handling errors for an SQS event source", FIFO queues).
func perform(ctx context.Context, s *report.Service, log *slog.Logger,
	records []events.SQSMessage) (failed []events.SQSBatchItemFailure) {
	broken := map[string]bool{}
	for _, r := range records {
		group := r.Attributes["MessageGroupId"]
		err := errors.New("another job of its report failed")
		if group == "" || !broken[group] {
			err = performOne(ctx, s, r.Body)
		}
		if err != nil {
			broken[group] = true
			log.Error("report: the job comes again", "message", r.MessageId, "error", err.Error())
			failed = append(failed, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
	}
	return failed
}

func performOne(ctx context.Context, s *report.Service, body string) error {
	var j reportJob
	if err := json.Unmarshal([]byte(body), &j); err != nil {
		return fmt.Errorf("it is no job: %w", err)
	}
	if j.Job != nil {
		return s.Perform(ctx, *j.Job)
	}
	r, err := s.Store.Get(ctx, j.Tenant, j.Report)
	if errors.Is(err, report.ErrNotFound) || err == nil && r.State != report.Waiting {
		return nil // it was done, or is kept no longer
	}
	if err != nil {
		return err
	}
	return s.MakeOrdered(ctx, r)
}
