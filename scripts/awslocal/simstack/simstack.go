// Package simstack wires the distributed engine's functions for the sandboxes of package sim, as functions/stack and
// the mains in functions/ wire them for Lambda. It is a second wiring on purpose: that one reads the environment,
// starts metrics and asks AWS who it is, once for each process; here hundreds of sandboxes live in one process, each
// with a clock and clients of its own, and the systems are shared.
package simstack

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
	"tocsin/shared/counting"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/aws/accept"
	"tocsin/shared/engine/aws/counters"
	"tocsin/shared/engine/aws/counts"
	"tocsin/shared/engine/aws/dailytotals"
	"tocsin/shared/engine/aws/deadletters"
	"tocsin/shared/engine/aws/deliveries"
	"tocsin/shared/engine/aws/eventbus"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/keys"
	"tocsin/shared/engine/aws/paces"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/aws/stepfunctions"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/sending"
	"tocsin/shared/trigger"
	"tocsin/shared/worker"
)

// Stack is what a function has of the stack, with clients and a clock of its sandbox.
type Stack struct {
	*sim.Sandbox
	DB *dynamodb.Client

	prefix string
	queues map[string]*sim.Queue
	log    *slog.Logger
	all    *catalogue.Catalogue
}

// systems are the same for all, and much to make for each sandbox.
var systems = catalogue.Default()

// Open makes the stack of a sandbox.
func Open(c *sim.Cloud, s *sim.Sandbox, log *slog.Logger) *Stack {
	return &Stack{
		Sandbox: s, DB: dynamodb.NewFromConfig(s.Config()), prefix: c.Prefix, queues: c.Queues,
		log: log.With("function", s.Function),
		all: systems,
	}
}

func (s *Stack) bus() *eventbus.Publisher {
	return &eventbus.Publisher{Events: eventbridge.NewFromConfig(s.Config()), Bus: "tocsin"}
}

func (s *Stack) Integrations() *settings.Integrations {
	return &settings.Integrations{
		DB: s.DB, Table: s.prefix + "IntegrationsTable", Schedule: s.prefix + "ReportsTable", Now: s.Now, Log: s.log,
		Activity: s.prefix + "ActivityTable", Triggers: s.prefix + "TriggersTable", Publisher: s.bus(),
	}
}

func (s *Stack) Triggers() *settings.Triggers {
	return &settings.Triggers{DB: s.DB, Table: s.prefix + "TriggersTable", Outbox: s.Integrations().EventOutbox(),
		Now: s.Now}
}

func (s *Stack) DailyTotals() *dailytotals.Store {
	return &dailytotals.Store{DB: s.DB, Table: s.prefix + "DailyTotalsTable", Now: s.Now, Log: s.log}
}

func (s *Stack) Reports() *reports.Store {
	return &reports.Store{DB: s.DB, Table: s.prefix + "ReportsTable", Activity: s.prefix + "ActivityTable", Now: s.Now}
}

func (s *Stack) tables() table.Set {
	return table.Set{
		DB: s.DB, Now: s.Now, Log: s.log,
		Tables: table.Names{
			Deliveries: s.prefix + "DeliveriesTable", Events: s.prefix + "EventsTable",
			Batches: s.prefix + "BatchesTable", DeadLetters: s.prefix + "DeadLettersTable",
			EventLog: s.prefix + "EventLogTable", Intakes: s.prefix + "IntakesTable", Outbox: s.prefix + "OutboxTable",
		},
	}
}

// Intakes are what was accepted.
func (s *Stack) Intakes() *intakes.Store { return &intakes.Store{Set: s.tables()} }

// DeadLetters are the entries that held no event.
func (s *Stack) DeadLetters() *deadletters.Store { return &deadletters.Store{Set: s.tables()} }

// Deliveries keeps deliveries and their history.
func (s *Stack) Deliveries() *deliveries.Store {
	return &deliveries.Store{Set: s.tables(), SQS: sqs.NewFromConfig(s.Config()),
		Queue: s.queues["DeliveriesQueue"].URL}
}

// accepting is the store of a function that takes events in, or finishes what was taken in.
func (s *Stack) accepting() *accept.Store {
	return &accept.Store{Store: *s.Deliveries(), Commands: s.Triggers().Commands(), Counting: s.counting(),
		Marks:    &counts.Store{Totals: s.DailyTotals()},
		Arrivals: &counters.Store{DB: s.DB, Table: s.prefix + "CountersTable"}}
}

func (s *Stack) counting() *counts.Queue {
	return &counts.Queue{
		SQS: sqs.NewFromConfig(s.Config()), Queue: s.queues["CountingQueue"].URL,
		DeadLetters: s.queues["CountingDeadLetters"].URL,
	}
}

// Counter counts what was accepted.
func (s *Stack) Counter() *counting.Counter {
	triggers := s.Triggers()
	store := &counts.Store{Intakes: s.Intakes(), Totals: s.DailyTotals(), Triggers: triggers}
	return &counting.Counter{
		Source: store, Store: store, Log: s.log, Now: s.Now,
		Recorder: &daily.Recorder{Zone: report.ZoneOf(s.Reports()), Now: s.Now},
		Triggers: &trigger.Evaluator{Store: triggers, Now: s.Now, Log: s.log},
	}
}

func (s *Stack) visibility(queues ...string) *queue.Visibility {
	v := &queue.Visibility{SQS: sqs.NewFromConfig(s.Config()), Log: s.log}
	for _, q := range queues {
		v.Queues = append(v.Queues, s.queues[q].URL)
	}
	return v
}

func (s *Stack) Service() *integration.Service {
	return &integration.Service{
		Store: s.Integrations(), Systems: s.all, Addresses: anywhere{}, Now: s.Now, NewID: NewID, Log: s.log,
		Keys: &keys.KeyRing{KMS: kms.NewFromConfig(s.Config()), Key: "local", Now: s.Now}, Backlog: s.Deliveries(),
		Held: &fanout.Releaser{Integrations: s.Integrations(), Reconsider: s.Deliveries().Reconsider},
	}
}

type anywhere struct{}

func (anywhere) CheckURL(string) error { return nil }

var ids atomic.Uint64

// NewID is unique, and the same time twice makes it no less so.
func NewID() string { return ulid.MustNew(ulid.Now(), counter{}).String() }

type counter struct{}

func (counter) Read(p []byte) (int, error) {
	n := ids.Add(1)
	for i := range p {
		p[len(p)-1-i] = byte(n)
		n >>= 8
	}
	return len(p), nil
}

func (s *Stack) sender(transport Transport, budget time.Duration) *worker.Handler {
	service := s.Service()
	sender := &sending.Sender{
		Destinations: s.all, Transport: transport(s.Sandbox), Now: s.Now, Log: s.log, Adapter: service,
		Platform:   notification.Platform{Name: "Tocsin", Console: "https://console.example.com", Cloud: "eu"},
		References: &paces.References{DB: s.DB, Table: s.prefix + "PacesTable", Now: s.Now},
	}
	batches := s.Deliveries()
	batches.Holder = &fanout.Holder{Integrations: s.Integrations(), Systems: s.all, Now: s.Now}
	return &worker.Handler{
		Capacity:   deliveries.Capacity,
		BatchStore: batches, Sender: sender, Targets: sending.NewTargetCache(sender, service.Store, service),
		Retries: &stepfunctions.RetryStarter{SFN: sfn.NewFromConfig(s.Config()),
			StateMachine: "arn:aws:states:eu-west-1:000000000000:stateMachine:retry"},
		Monitor: &health.Monitor{
			Counters: &counters.Store{DB: s.DB, Table: s.prefix + "CountersTable"}, Switch: service, Now: s.Now,
			Rule: health.Rule{Minimum: 1_000_000}, // nothing is disabled: what is delivered must not depend on luck
		},
		NewID: NewID, Log: s.log, Budget: budget,
		Fallbacks: &fanout.Fallbacks{Integrations: s.Integrations(), Systems: s.all, Now: s.Now},
		Paces:     &paces.Store{DB: s.DB, Table: s.prefix + "PacesTable", Now: s.Now},
	}
}

// Transport makes a sandbox's way to customers' systems.
type Transport func(*sim.Sandbox) sending.Transport

// budget of the functions that send.
const budget = time.Minute

// Deploy makes the functions, as the mains in functions/ do.
func Deploy(c *sim.Cloud, transport Transport, log *slog.Logger) {
	c.Deploy("Fanout", func(b *sim.Sandbox) sim.Handler {
		s := Open(c, b, log)
		f := &fanout.Fanout{Integrations: s.Integrations(), Systems: s.all, Store: s.accepting(), Logger: s.log,
			Now: s.Now, Messages: &counters.Messages{DB: s.DB, Table: s.prefix + "CountersTable"}}
		return lambda.NewHandler(handlers.Fanout(f, s.visibility("EventsQueue", "UnknownEventsQueue"), s.log)).Invoke
	})
	c.Deploy("Deliver", func(b *sim.Sandbox) sim.Handler {
		s := Open(c, b, log)
		again := s.visibility("DeliveriesQueue", "RetriesQueue")
		return lambda.NewHandler(handlers.Deliver(s.sender(transport, budget), again, s.log)).Invoke
	})
	c.Deploy("Count", func(b *sim.Sandbox) sim.Handler {
		s := Open(c, b, log)
		return lambda.NewHandler(counts.Handler(s.Counter(), s.counting(), s.visibility("CountingQueue"), s.log)).
			Invoke
	})
	c.Deploy("Retry", func(b *sim.Sandbox) sim.Handler {
		s := Open(c, b, log)
		store, sender := s.Integrations(), s.sender(transport, budget)
		outbox := s.accepting()
		sweeper := &worker.Sweeper{
			Stranded: outbox, Batches: outbox, Retries: sender.Retries, Resume: sender.Resume, Now: s.Now,
			Log: s.log,
		}
		relay := func(ctx context.Context) (int, error) {
			finished, swept := outbox.Sweep(ctx)
			count, err := store.Relay(ctx)
			_, lost := sender.Monitor.Sweep(ctx, nil)
			_, stranded := sweeper.Sweep(ctx, false) // an hourly schedule of its own does it in the template
			return count + finished, errors.Join(swept, err, lost, stranded)
		}
		return lambda.NewHandler(handlers.Retry(sender, handlers.Upkeep{Relay: relay, Sweep: sweeper.Sweep}, s.log)).
			Invoke
	})
}

// Polled are the functions that poll queues, as far as events, deliveries and counting go.
var Polled = []string{"Fanout", "Deliver", "Count"}

// Schedules are the calls that EventBridge Scheduler makes, by function.
var Schedules = map[string]string{"Retry": `{"relay":true}`}

// Redrives are where an operator moves the messages of a dead-letter queue to, as the alarms ask.
var Redrives = map[string]string{
	"EventsDeadLetters": "EventsQueue", "DeliveriesDeadLetters": "DeliveriesQueue", "RetryDeadLetters": "RetriesQueue",
	"CountingDeadLetters": "CountingQueue",
}
