// Command redrive moves dead letters back to the queues that they came from, once what made them fail is mended.
//
//	go run ./scripts/redrive -stack tocsin                            # what there is; changes nothing
//	go run ./scripts/redrive -stack tocsin -move EventsDeadLetters
//
// It shows how many there are and a sample with tenant and reason, never a message's content. The region and the
// credentials are those of the AWS SDK. It needs sqs:ListQueues, GetQueueAttributes, ReceiveMessage and
// ChangeMessageVisibility, to move sqs:StartMessageMoveTask and ListMessageMoveTasks, and SendMessage and DeleteMessage
// for what such a task does not move.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tocsin/scripts/tool"
)

func main() { tool.Main("redrive", run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("redrive", flag.ContinueOnError)
	stack := flags.String("stack", "tocsin", "name of the stack")
	move := flags.Bool("move", false, "move the messages; without it nothing is changed")
	to := flags.String("to", "", "queue, by its name in the template, for messages whose own queue SQS does not know")
	sample := flags.Int("sample", 10, "messages that are shown of each queue, up to 10")
	rate := flags.Int("rate", 0, "messages a second, up to 500; 0 leaves it to SQS")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "redrive [flags] [dead-letter queue, by its name in the template] …")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("read the AWS configuration: %w", err)
	}
	r := &redrive{SQS: sqs.NewFromConfig(c), Out: os.Stdout, Stack: *stack, Rate: int32(*rate),
		Sample: int32(min(max(*sample, 0), receiveLimit)), Pause: 2 * time.Second}
	return r.run(ctx, flags.Args(), *move, *to)
}
