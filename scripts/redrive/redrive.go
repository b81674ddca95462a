package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// receiveLimit is how many messages one call brings. SQS, API reference, "ReceiveMessage".
const receiveLimit = 10

// looking is for how long a message is hidden while it is looked at, moving while it is moved by hand.
const looking, moving = 20, 120 // seconds

type redrive struct {
	SQS    *sqs.Client
	Out    io.Writer
	Stack  string
	Rate   int32
	Sample int32
	Pause  time.Duration // between two looks at a task
}

// queue of the stack.
type queue struct {
	name, url, arn string
	fifo           bool
	target         string // ARN of its own dead-letter queue, "" for none
	waiting        int    // messages, hidden ones included
}

func (r *redrive) run(ctx context.Context, names []string, move bool, to string) error {
	queues, err := r.queues(ctx)
	if err != nil {
		return err
	}
	if len(queues) == 0 {
		return fmt.Errorf("the stack %q has no queue in this account and region", r.Stack)
	}
	if len(names) == 0 {
		for name, q := range queues {
			if q.target == "" {
				names = append(names, name)
			}
		}
		slices.Sort(names)
	}
	if to != "" && queues[to] == nil {
		return fmt.Errorf("there is no queue %s: there are %s", to, list(queues))
	}
	for _, name := range names {
		q := queues[name]
		if q == nil {
			return fmt.Errorf("there is no queue %s: there are %s", name, list(queues))
		}
		if q.target != "" {
			return fmt.Errorf("%s is no dead-letter queue", name)
		}
		if err := r.show(ctx, q, sources(queues, q)); err != nil {
			return err
		}
		if move && q.waiting > 0 {
			if err := r.move(ctx, q, queues, to); err != nil {
				return fmt.Errorf("move %s: %w", name, err)
			}
		}
	}
	if !move {
		fmt.Fprintln(r.Out, "Nothing was changed. -move moves them.")
	}
	return nil
}

func list(queues map[string]*queue) string {
	return strings.Join(slices.Sorted(maps.Keys(queues)), ", ")
}

// suffix is what CloudFormation puts behind the name of a resource.
var suffix = regexp.MustCompile(`-[A-Za-z0-9]{8,14}$`)

// queues are those of the stack by their names in the template. CloudFormation names a queue by the stack and that
// name.
func (r *redrive) queues(ctx context.Context) (map[string]*queue, error) {
	out := map[string]*queue{}
	prefix := r.Stack + "-"
	pages := sqs.NewListQueuesPaginator(r.SQS,
		&sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: awssdk.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the queues of %s: %w", r.Stack, err)
		}
		for _, url := range page.QueueUrls {
			q, err := r.queue(ctx, url)
			if err != nil {
				return nil, err
			}
			out[q.name] = q
		}
	}
	return out, nil
}

func (r *redrive) queue(ctx context.Context, url string) (*queue, error) {
	q := &queue{url: url, name: strings.TrimPrefix(url[strings.LastIndex(url, "/")+1:], r.Stack+"-")}
	q.name, q.fifo = strings.CutSuffix(q.name, ".fifo")
	q.name = suffix.ReplaceAllString(q.name, "")
	a, err := r.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url,
		AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		return nil, fmt.Errorf("read the attributes of %s: %w", q.name, err)
	}
	q.arn = a.Attributes["QueueArn"]
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
		"ApproximateNumberOfMessagesDelayed"} {
		n, _ := strconv.Atoi(a.Attributes[name]) // what is not told counts as none
		q.waiting += n
	}
	if policy := a.Attributes["RedrivePolicy"]; policy != "" {
		var p struct {
			Target string `json:"deadLetterTargetArn"`
		}
		if err := json.Unmarshal([]byte(policy), &p); err != nil {
			return nil, fmt.Errorf("read the redrive policy of %s: %w", q.name, err)
		}
		q.target = p.Target
	}
	return q, nil
}

// sources are the queues whose dead letters come here, in the order of their names.
func sources(queues map[string]*queue, dead *queue) (out []*queue) {
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		if queues[name].target == dead.arn {
			out = append(out, queues[name])
		}
	}
	return out
}

// show prints how many messages there are, and a sample, which is visible again at once.
func (r *redrive) show(ctx context.Context, q *queue, from []*queue) error {
	var names []string
	for _, s := range from {
		names = append(names, s.name)
	}
	fmt.Fprintf(r.Out, "%s: %d messages, of %s\n", q.name, q.waiting, orNone(strings.Join(names, ", ")))
	if q.waiting == 0 || r.Sample == 0 {
		return nil
	}
	messages, err := r.receive(ctx, q, r.Sample, looking)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fmt.Fprintln(r.Out, "  "+read(m).String())
	}
	return r.release(ctx, q, messages)
}

func orNone(s string) string {
	if s == "" {
		return "no queue"
	}
	return s
}

func (r *redrive) receive(ctx context.Context, q *queue, most, hidden int32) ([]types.Message, error) {
	out, err := r.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: most, VisibilityTimeout: hidden, WaitTimeSeconds: 1,
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", q.name, err)
	}
	return out.Messages, nil
}

// release makes messages visible again.
func (r *redrive) release(ctx context.Context, q *queue, messages []types.Message) error {
	var entries []types.ChangeMessageVisibilityBatchRequestEntry
	for n, m := range messages {
		entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: awssdk.String(strconv.Itoa(n)),
			ReceiptHandle: m.ReceiptHandle})
	}
	if len(entries) == 0 {
		return nil
	}
	if _, err := r.SQS.ChangeMessageVisibilityBatch(ctx,
		&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries}); err != nil {
		return fmt.Errorf("show the messages of %s again: %w", q.name, err)
	}
	return nil
}

// move has SQS move the messages. With one queue that has its dead letters here they go there; with several each goes
// to the queue that it came from, and those that came from none (the bus or the state machine put them here) to the
// first, or to the one that -to names. Where SQS has no such task it is done by hand.
func (r *redrive) move(ctx context.Context, q *queue, queues map[string]*queue, to string) error {
	from := sources(queues, q)
	target := queues[to]
	if target == nil && len(from) > 0 {
		target = from[0]
	}
	if target == nil {
		return fmt.Errorf("no queue has its dead letters here: name one with -to")
	}
	all := ""
	if len(from) == 1 || to != "" {
		all = target.arn
	}
	done, err := false, error(nil)
	if len(from) > 0 { // else SQS refuses: "The source queue must be a dead-letter queue"
		if done, err = r.task(ctx, q, all); err == nil && !done {
			done, err = r.task(ctx, q, target.arn)
		}
	}
	if done || err != nil && !unsupported(err) {
		return err
	}
	return r.byHand(ctx, q, queues, target)
}

// unsupported reports whether the server has no tasks that move messages, or none for this queue.
func unsupported(err error) bool {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return false
	}
	code := answer.ErrorCode()
	return slices.ContainsFunc([]string{"Unsupported", "InvalidAction", "Unknown", "NotImplemented"},
		func(part string) bool {
			return strings.Contains(code, part)
		})
}

// task starts a task of SQS and waits for its end; to is the queue for all messages, "" for the queue of each. It
// reports false where messages are left that SQS can not place.
func (r *redrive) task(ctx context.Context, q *queue, to string) (done bool, err error) {
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &q.arn}
	if to != "" {
		in.DestinationArn = &to
	}
	if r.Rate > 0 {
		in.MaxNumberOfMessagesPerSecond = &r.Rate
	}
	started, err := r.SQS.StartMessageMoveTask(ctx, in)
	if err != nil {
		return false, fmt.Errorf("start to move: %w", err)
	}
	fmt.Fprintf(r.Out, "  SQS moves them; to stop it: aws sqs cancel-message-move-task --task-handle %s\n",
		awssdk.ToString(started.TaskHandle))
	for {
		tasks, err := r.SQS.ListMessageMoveTasks(ctx,
			&sqs.ListMessageMoveTasksInput{SourceArn: &q.arn, MaxResults: awssdk.Int32(1)})
		if err != nil {
			return false, fmt.Errorf("look at the move: %w", err)
		}
		if len(tasks.Results) > 0 && awssdk.ToString(tasks.Results[0].Status) != "RUNNING" {
			t := tasks.Results[0]
			fmt.Fprintf(r.Out, "  %s: %d moved\n", strings.ToLower(awssdk.ToString(t.Status)),
				t.ApproximateNumberOfMessagesMoved)
			if awssdk.ToString(t.Status) == "COMPLETED" {
				return true, nil
			}
			if strings.Contains(awssdk.ToString(t.FailureReason), "CouldNotDetermineMessageSource") {
				return false, nil
			}
			return false, fmt.Errorf("the move is %s: %s", awssdk.ToString(t.Status), awssdk.ToString(t.FailureReason))
		}
		select {
		case <-time.After(r.Pause):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// byHand receives each message, sends it to its queue, and deletes it then: a message that breaks off in between is
// there twice, which does no harm, and never lost. It ends when it has moved as many as there were.
func (r *redrive) byHand(ctx context.Context, q *queue, queues map[string]*queue, otherwise *queue) error {
	byARN := map[string]*queue{}
	for _, s := range queues {
		byARN[s.arn] = s
	}
	moved, empty := 0, 0
	for moved < q.waiting && empty < 3 {
		messages, err := r.receive(ctx, q, receiveLimit, moving)
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			empty++
			continue
		}
		for _, m := range messages { // one by one: FIFO keeps its order
			to := byARN[m.Attributes[string(types.MessageSystemAttributeNameDeadLetterQueueSourceArn)]]
			if to == nil {
				to = otherwise
			}
			if err := r.carry(ctx, m, q, to); err != nil {
				return fmt.Errorf("%d moved: %w", moved, err)
			}
			moved++
		}
	}
	fmt.Fprintf(r.Out, "  %d moved by hand\n", moved)
	return nil
}

func (r *redrive) carry(ctx context.Context, m types.Message, from, to *queue) error {
	in := &sqs.SendMessageInput{QueueUrl: &to.url, MessageBody: m.Body, MessageAttributes: m.MessageAttributes}
	if group := m.Attributes["MessageGroupId"]; group != "" {
		in.MessageGroupId = &group
	}
	if to.fifo {
		in.MessageDeduplicationId = awssdk.String(m.Attributes["MessageDeduplicationId"])
		if *in.MessageDeduplicationId == "" {
			in.MessageDeduplicationId = m.MessageId
		}
	}
	if _, err := r.SQS.SendMessage(ctx, in); err != nil {
		return fmt.Errorf("send message %s to %s: %w", awssdk.ToString(m.MessageId), to.name, err)
	}
	if _, err := r.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &from.url,
		ReceiptHandle: m.ReceiptHandle}); err != nil {
		return fmt.Errorf("delete message %s: %w", awssdk.ToString(m.MessageId), err)
	}
	return nil
}
