package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/deliveries"
)

type search struct {
	DB     *dynamodb.Client
	SQS    *sqs.Client
	Out    io.Writer
	Stack  string
	Older  time.Duration
	Sample int
	Now    func() time.Time

	tables, queues map[string]string // names and addresses, by their names in the template
}

// open is a delivery that nothing seems to work at.
type open struct {
	tenant, integration, id, batch string
	since                          time.Time // when it was made, or when its next attempt was due
}

// found is all that is stuck.
type found struct {
	pending, retrying, markers []open
	lost                       int // retrying ones without a batch: nobody can resume them
}

func (s *search) run(ctx context.Context, repair bool) error {
	if err := s.resources(ctx); err != nil {
		return err
	}
	f, err := s.look(ctx)
	if err != nil {
		return err
	}
	waiting, err := s.waiting(ctx, "DeliveriesQueue")
	if err != nil {
		return err
	}
	s.show("pending for more than "+s.Older.String(), f.pending)
	s.show("overdue for a retry by more than "+s.Older.String(), f.retrying)
	s.show("marks of the outbox that the sweeper should have looked at", f.markers)
	fmt.Fprintf(s.Out, "%d messages are in DeliveriesQueue.\n", waiting)
	if f.lost > 0 {
		fmt.Fprintf(s.Out,
			"%d of those that are overdue are in no batch: replay them in the Console when they are dead.\n", f.lost)
	}
	if !repair {
		fmt.Fprintln(s.Out,
			"Nothing was changed. -repair gives each delivery a message again; marks are the sweeper's.")
		return nil
	}
	return s.repair(ctx, f, waiting)
}

// suffix is what CloudFormation puts behind the name of a resource.
var suffix = regexp.MustCompile(`-[A-Za-z0-9]{8,14}$`)

// resources finds the tables and queues of the stack: CloudFormation names them by the stack and the name in the
// template.
func (s *search) resources(ctx context.Context) error {
	s.tables, s.queues = map[string]string{}, map[string]string{}
	prefix := s.Stack + "-"
	tables := dynamodb.NewListTablesPaginator(s.DB, &dynamodb.ListTablesInput{})
	for tables.HasMorePages() {
		page, err := tables.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list the tables: %w", err)
		}
		for _, name := range page.TableNames {
			if short, ok := strings.CutPrefix(name, prefix); ok {
				s.tables[suffix.ReplaceAllString(short, "")] = name
			}
		}
	}
	queues := sqs.NewListQueuesPaginator(s.SQS,
		&sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: awssdk.Int32(1000)})
	for queues.HasMorePages() {
		page, err := queues.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list the queues: %w", err)
		}
		for _, url := range page.QueueUrls {
			short := strings.TrimPrefix(url[strings.LastIndex(url, "/")+1:], prefix)
			s.queues[suffix.ReplaceAllString(strings.TrimSuffix(short, ".fifo"), "")] = url
		}
	}
	if s.tables["DeliveriesTable"] == "" || s.queues["DeliveriesQueue"] == "" {
		return fmt.Errorf("the stack %q has no DeliveriesTable or no DeliveriesQueue in this account and region",
			s.Stack)
	}
	return nil
}

func (s *search) waiting(ctx context.Context, queue string) (n int, err error) {
	url := s.queues[queue]
	out, err := s.SQS.GetQueueAttributes(ctx,
		&sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil {
		return 0, fmt.Errorf("read the depth of %s: %w", queue, err)
	}
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
		"ApproximateNumberOfMessagesDelayed"} {
		count, _ := strconv.Atoi(out.Attributes[name]) // what is not told counts as none
		n += count
	}
	return n, nil
}

func (s *search) look(ctx context.Context) (f found, err error) {
	pages := dynamodb.NewScanPaginator(s.DB, &dynamodb.ScanInput{
		TableName:                awssdk.String(s.tables["DeliveriesTable"]),
		FilterExpression:         awssdk.String("#state IN (:pending, :retrying)"),
		ProjectionExpression:     awssdk.String("lane, id, #state, due, #batch"),
		ExpressionAttributeNames: map[string]string{"#state": "state", "#batch": "batch"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pending":  &types.AttributeValueMemberS{Value: "pending"},
			":retrying": &types.AttributeValueMemberS{Value: "retrying"},
		},
	})
	before := s.Now().Add(-s.Older)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return f, fmt.Errorf("read the deliveries: %w", err)
		}
		for _, row := range page.Items {
			d := read(row)
			switch {
			case !d.since.Before(before):
			case text(row, "state") == "pending":
				f.pending = append(f.pending, d)
			default:
				if d.batch == "" {
					f.lost++
				}
				f.retrying = append(f.retrying, d)
			}
		}
	}
	f.markers, err = s.markers(ctx)
	return f, err
}

// read reads the row of a delivery. One whose batch window is open, or that is retried, is due at a time of its own;
// any other was due when it was made, which its id says.
func read(row map[string]types.AttributeValue) open {
	d := open{id: text(row, "id"), batch: text(row, "batch")}
	d.tenant, d.integration, _ = strings.Cut(text(row, "lane"), " ")
	if due, err := strconv.ParseInt(numeral(row, "due"), 10, 64); err == nil {
		d.since = time.Unix(0, due)
	} else if at, err := delivery.MadeAt(d.id); err == nil {
		d.since = at
	}
	return d
}

// markerOld is how long after its time the sweeper should have looked at a mark of the outbox.
const markerOld = 5 * time.Minute

func (s *search) markers(ctx context.Context) (out []open, err error) {
	table := s.tables["OutboxTable"]
	if table == "" {
		return nil, nil
	}
	pages := dynamodb.NewScanPaginator(s.DB, &dynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the outbox: %w", err)
		}
		for _, row := range page.Items {
			due, err := strconv.ParseInt(numeral(row, "due"), 10, 64)
			if err != nil {
				continue // no mark: the row of a span that gathers
			}
			m := open{tenant: text(row, "tenant"), integration: text(row, "integration"), id: text(row, "id"),
				since: time.Unix(due, 0)}
			if m.since.Before(s.Now().Add(-markerOld)) {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

func (s *search) show(what string, list []open) {
	fmt.Fprintf(s.Out, "%d %s", len(list), what)
	tenants := map[string]bool{}
	for _, d := range list {
		tenants[d.tenant] = true
	}
	if len(list) > 0 {
		fmt.Fprintf(s.Out, ", of %d tenants", len(tenants))
	}
	fmt.Fprintln(s.Out)
	slices.SortFunc(list, func(a, b open) int { return a.since.Compare(b.since) })
	for _, d := range list[:min(s.Sample, len(list))] {
		fmt.Fprintf(s.Out, "  %q since %s  tenant %q integration %q batch %q\n", d.id,
			d.since.UTC().Format(time.RFC3339), d.tenant, d.integration, d.batch)
	}
}

// repair sends the messages. A delivery of which a message is still on its way could be sent twice: while the queue
// holds any, pending ones are left alone.
func (s *search) repair(ctx context.Context, f found, waiting int) error {
	batches := map[string]string{} // tenants by batch
	for _, d := range f.retrying {
		if d.batch != "" {
			batches[d.batch] = d.tenant
		}
	}
	queue := "RetriesQueue"
	if s.queues[queue] == "" {
		queue = "DeliveriesQueue"
	}
	for batch, tenant := range batches {
		if err := s.send(ctx, queue, tenant, deliveries.Message{Batch: batch}); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.Out, "%d retry batches are taken up again.\n", len(batches))
	if waiting > 0 && len(f.pending) > 0 {
		return errors.New(
			"DeliveriesQueue is not empty, and what is pending may be in it: wait until it is, then run this again")
	}
	lanes := map[[2]string][]string{}
	for _, d := range f.pending {
		lane := [2]string{d.tenant, d.integration}
		lanes[lane] = append(lanes[lane], d.id)
	}
	for lane, ids := range lanes {
		for chunk := range slices.Chunk(ids, deliveries.Capacity.Deliveries) {
			m := deliveries.Message{Tenant: lane[0], Integration: lane[1], Deliveries: chunk}
			if err := s.send(ctx, "DeliveriesQueue", lane[0], m); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(s.Out, "%d pending deliveries have a message again.\n", len(f.pending))
	return nil
}

func (s *search) send(ctx context.Context, queue, tenant string, m deliveries.Message) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = s.SQS.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: awssdk.String(s.queues[queue]), MessageBody: awssdk.String(string(raw)), MessageGroupId: &tenant,
	})
	if err != nil {
		return fmt.Errorf("send to %s: %w", queue, err)
	}
	return nil
}

func text(row map[string]types.AttributeValue, name string) string {
	v, _ := row[name].(*types.AttributeValueMemberS)
	if v == nil {
		return ""
	}
	return v.Value
}

func numeral(row map[string]types.AttributeValue, name string) string {
	v, _ := row[name].(*types.AttributeValueMemberN)
	if v == nil {
		return ""
	}
	return v.Value
}
