// Command stuck finds deliveries that are open and that nothing works at: pending ones whose message is gone, such as
// after a purge of the queue, and retrying ones whose next attempt is long overdue, such as after an execution was
// stopped. The retry function takes up both by itself, the first after 30 minutes, the others each hour; this is to see
// them, and for a time when it does not work. So it goes by the rows alone, and shares with that function only what
// messages say (deliveries.Message) and what time an id holds (delivery.MadeAt). It does not ask Step Functions: an
// execution that is still at work ends at its next round.
//
//	go run ./scripts/stuck -stack tocsin             # what there is; changes nothing
//	go run ./scripts/stuck -stack tocsin -repair     # gives each a message again
//
// It reads the whole table of deliveries: a read unit for 8 KB, some $0.13 for a million deliveries. It needs
// dynamodb:ListTables and Scan, sqs:ListQueues and GetQueueAttributes, and to repair sqs:SendMessage.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tocsin/scripts/tool"
)

func main() { tool.Main("stuck", run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("stuck", flag.ContinueOnError)
	stack := flags.String("stack", "tocsin", "name of the stack")
	older := flags.Duration("older", time.Hour,
		"how long a pending delivery has waited, or a retry is overdue, before it counts")
	repair := flags.Bool("repair", false, "give each a message again; without it nothing is changed")
	sample := flags.Int("sample", 10, "deliveries that are shown of each kind")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("read the AWS configuration: %w", err)
	}
	s := &search{
		DB: dynamodb.NewFromConfig(c), SQS: sqs.NewFromConfig(c), Out: os.Stdout, Stack: *stack, Older: *older,
		Sample: *sample, Now: time.Now,
	}
	return s.run(ctx, *repair)
}
