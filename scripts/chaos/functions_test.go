//go:build awslocal

package chaos_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/oklog/ulid/v2"

	"tocsin/scripts/awslocal/sim"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/aws"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/report"
	"tocsin/shared/trigger"
)

// shop is what a function has of the stack, as functions/stack wires it: the same types, with clients and a clock of
// the sandbox.
type shop struct {
	*sim.Sandbox
	prefix string
	queues map[string]*sim.Queue
	log    *slog.Logger
	db     *dynamodb.Client
	all    *catalogue.Catalogue
}

func (w *world) shop(s *sim.Sandbox) *shop {
	return &shop{
		Sandbox: s, prefix: w.cloud.Prefix, queues: w.cloud.Queues, log: w.log.With("function",
			s.Function), db: dynamodb.NewFromConfig(s.Config()),
		all: catalogue.Default(),
	}
}

func (s *shop) bus() *aws.Publisher {
	return &aws.Publisher{Events: eventbridge.NewFromConfig(s.Config()), Bus: "tocsin"}
}

func (s *shop) integrations() *aws.Integrations {
	return &aws.Integrations{
		DB: s.db, Table: s.prefix + "IntegrationsTable", Schedule: s.prefix + "ReportsTable", Now: s.Now, Log: s.log,
		Publisher: s.bus(),
	}
}

func (s *shop) triggers() *aws.Triggers {
	return &aws.Triggers{DB: s.db, Table: s.prefix + "TriggersTable", Announcements: s.integrations().Announcements(),
		Now: s.Now}
}

func (s *shop) record() *aws.Record {
	return &aws.Record{DB: s.db, Table: s.prefix + "RecordTable", Now: s.Now, Log: s.log}
}

func (s *shop) reports() *aws.Reports {
	return &aws.Reports{DB: s.db, Table: s.prefix + "ReportsTable", Now: s.Now}
}

func (s *shop) deliveries() *aws.Deliveries {
	return &aws.Deliveries{
		DB: s.db, SQS: sqs.NewFromConfig(s.Config()), Queue: s.queues["DeliveriesQueue"].URL, Now: s.Now,
		Tables: aws.Tables{
			Deliveries: s.prefix + "DeliveriesTable", Events: s.prefix + "EventsTable", Batches: s.prefix + "BatchesTable",
			DeadLetters: s.prefix + "DeadLettersTable", Journal: s.prefix + "JournalTable",
		},
	}
}

func (s *shop) visibility(queues ...string) *aws.Visibility {
	v := &aws.Visibility{SQS: sqs.NewFromConfig(s.Config()), Log: s.log}
	for _, q := range queues {
		v.Queues = append(v.Queues, s.queues[q].URL)
	}
	return v
}

func (s *shop) service() *integration.Service {
	return &integration.Service{
		Store: s.integrations(), Systems: s.all, Addresses: anywhere{}, Now: s.Now, NewID: newID, Log: s.log,
		Keys: &aws.KeyRing{KMS: kms.NewFromConfig(s.Config()), Key: "local", Now: s.Now}, Backlog: s.deliveries(),
	}
}

type anywhere struct{}

func (anywhere) CheckURL(string) error { return nil }

var ids atomic.Uint64

// newID is unique, and the same time twice makes it no less so.
func newID() string { return ulid.MustNew(ulid.Now(), counter{}).String() }

type counter struct{}

func (counter) Read(p []byte) (int, error) {
	n := ids.Add(1)
	for i := range p {
		p[len(p)-1-i] = byte(n)
		n >>= 8
	}
	return len(p), nil
}

func (s *shop) sender(w *world, budget time.Duration) *delivery.Sender {
	service := s.service()
	courier := &delivery.Courier{
		Destinations: s.all, Carrier: carrier{w, s.Sandbox}, Now: s.Now, Log: s.log, Adapter: service,
		Platform: notification.Platform{Name: "Tocsin", Console: "https://console.example.com", Cloud: "eu"},
	}
	return &delivery.Sender{
		Shelf: s.deliveries(), Courier: courier, Router: delivery.NewRouter(courier, service.Store, service),
		Executions: &aws.Executions{SFN: sfn.NewFromConfig(s.Config()),
			StateMachine: "arn:aws:states:eu-west-1:000000000000:stateMachine:retry"},
		Monitor: &health.Monitor{
			Counters: &aws.Counters{DB: s.db, Table: s.prefix + "CountersTable"}, Switch: service, Now: s.Now,
			Rule: health.Rule{Minimum: 1_000_000}, // nothing is switched off: what is delivered must not depend on luck
		},
		NewID: newID, Log: s.log, Budget: budget,
	}
}

// deploy makes the functions, as the mains in functions/ do.
func (w *world) deploy() {
	w.cloud.Deploy("Fanout", func(b *sim.Sandbox) sim.Handler {
		s := w.shop(b)
		log, triggers := s.deliveries(), s.triggers()
		log.Record, log.Triggers = s.record(), triggers
		f := &delivery.Fanout{
			Integrations: s.integrations(), Systems: s.all, Log: log, Logger: s.log, Now: s.Now,
			Recorder: &report.Recorder{Zones: s.reports(), Now: s.Now}, Items: aws.BatchItems,
			Triggers: &trigger.Evaluator{Store: triggers, Now: s.Now, Log: s.log},
		}
		return lambda.NewHandler(aws.FanoutHandler(f, s.log)).Invoke
	})
	w.cloud.Deploy("Deliver", func(b *sim.Sandbox) sim.Handler {
		s := w.shop(b)
		return lambda.NewHandler(aws.DeliverHandler(s.sender(w, time.Minute), s.visibility("DeliveriesQueue"), s.log)).Invoke
	})
	w.cloud.Deploy("Retry", func(b *sim.Sandbox) sim.Handler {
		s := w.shop(b)
		store, sender := s.integrations(), s.sender(w, time.Minute)
		relay := func(ctx context.Context) (int, error) {
			count, err := store.Relay(ctx)
			_, lost := sender.Monitor.Sweep(ctx, nil)
			return count, errors.Join(err, lost)
		}
		return lambda.NewHandler(aws.RetryHandler(sender, relay, s.log)).Invoke
	})
}

// schedules are the calls that EventBridge Scheduler makes, by function.
var schedules = map[string]string{"Retry": `{"relay":true}`}

// redrives are where an operator moves the messages of a dead-letter queue to, as the alarms ask.
var redrives = map[string]string{
	"EventsDeadLetters": "EventsQueue", "DeliveriesDeadLetters": "DeliveriesQueue", "RetryDeadLetters": "DeliveriesQueue",
}
