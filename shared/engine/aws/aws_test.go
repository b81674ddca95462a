//go:build awslocal

package aws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/activity"
	"tocsin/shared/counting"
	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/engine/aws/accept"
	"tocsin/shared/engine/aws/accounts"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/counters"
	"tocsin/shared/engine/aws/counts"
	"tocsin/shared/engine/aws/dailytotals"
	"tocsin/shared/engine/aws/deadletters"
	"tocsin/shared/engine/aws/deliveries"
	"tocsin/shared/engine/aws/people"
	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/accounttest"
	"tocsin/shared/engine/enginetest/activitytest"
	"tocsin/shared/engine/enginetest/reporttest"
	"tocsin/shared/engine/enginetest/settingstest"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/worker"
)

var servers *awslocal.Servers

// TestMain starts the servers once. scripts/test-aws installs them and sets the tag awslocal: without it the files of
// this package that need them are no part of it, so that no run prints ok for what did not run.
func TestMain(m *testing.M) {
	var err error
	if servers, err = awslocal.StartServers(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	servers.Close()
	os.Exit(code)
}

// world is the template's tables and one queue under fresh names.
type world struct {
	db     *dynamodb.Client
	sqs    *sqs.Client
	prefix string
	queue  string
	gate   *awslocal.Gate // before DynamoDB
	sends  *awslocal.Gate // before SQS
}

// unused are the prefixes of tables that a test had, and left empty.
var unused struct {
	sync.Mutex
	prefixes []string
}

// tables are the template's for one test, under a prefix.
func tables(t *testing.T) (prefix string) {
	t.Helper()
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	unused.Lock()
	if n := len(unused.prefixes) - 1; n >= 0 {
		prefix, unused.prefixes = unused.prefixes[n], unused.prefixes[:n]
	}
	unused.Unlock()
	if prefix == "" {
		prefix = "t" + uuid.NewString()[:8] + "-"
		direct, err := awslocal.Config(t.Context(), servers.Dynamo)
		require.NoError(t, err)
		require.NoError(t, template.CreateTables(t.Context(), dynamodb.NewFromConfig(direct), prefix))
	}
	t.Cleanup(func() {
		require.NoError(t, template.EmptyTables(context.Background(), servers, prefix))
		unused.Lock()
		defer unused.Unlock()
		unused.prefixes = append(unused.prefixes, prefix)
	})
	return prefix
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{prefix: tables(t), gate: awslocal.NewGate(servers.Dynamo), sends: awslocal.NewGate(servers.SQS)}
	t.Cleanup(w.gate.Close)
	t.Cleanup(w.sends.Close)
	dynamo, err := awslocal.Config(t.Context(), w.gate.URL)
	require.NoError(t, err)
	queues, err := awslocal.Config(t.Context(), w.sends.URL)
	require.NoError(t, err)
	w.db, w.sqs = dynamodb.NewFromConfig(dynamo), sqs.NewFromConfig(queues)
	q, err := w.sqs.CreateQueue(t.Context(),
		&sqs.CreateQueueInput{QueueName: awssdk.String(uuid.NewString() + "-deliveries"),
			Attributes: map[string]string{"VisibilityTimeout": "300"}})
	require.NoError(t, err)
	w.queue = *q.QueueUrl
	return w
}

// stores are all that is done with events and deliveries.
type stores struct {
	accept.Store
	Bus deadletters.Forwarder
}

func (e *stores) dead() *deadletters.Store {
	return &deadletters.Store{Set: e.Set, Bus: e.Bus}
}

func (e *stores) DeadLetters(ctx context.Context, tenant, before string, limit int) ([]delivery.DeadLetter, error) {
	return e.dead().DeadLetters(ctx, tenant, before, limit)
}

func (e *stores) AllDeadLetters(ctx context.Context, before string, limit int) ([]delivery.DeadLetter, error) {
	return e.dead().AllDeadLetters(ctx, before, limit)
}

func (e *stores) ResendOfAny(ctx context.Context, id string, at time.Time) (bool, error) {
	return e.dead().ResendOfAny(ctx, id, at)
}

func (e *stores) Resend(ctx context.Context, tenant, id string, at time.Time) (bool, error) {
	return e.dead().Resend(ctx, tenant, id, at)
}

func (e *stores) Accepted(ctx context.Context, tenant, intake string) ([]fanout.Accepted, error) {
	return e.Intakes().Accepted(ctx, tenant, intake)
}

func (w *world) deliveries() *stores {
	tables := table.Set{DB: w.db, Now: now, Tables: table.Names{
		Deliveries: w.prefix + "DeliveriesTable", Events: w.prefix + "EventsTable", Batches: w.prefix + "BatchesTable",
		DeadLetters: w.prefix + "DeadLettersTable",
		EventLog:    w.prefix + "EventLogTable", Intakes: w.prefix + "IntakesTable", Outbox: w.prefix + "OutboxTable",
	}}
	return &stores{Store: accept.Store{
		Store: deliveries.Store{Set: tables, SQS: w.sqs, Queue: w.queue},
	}}
}

// deliveriesTo has a queue of counting.
func (w *world) deliveriesTo(queue *waiting) *stores {
	d := w.deliveries()
	d.Counting = queue
	return d
}

// triggers publishes what they announce at p.
func (w *world) triggers(p *published) *settings.Triggers {
	return &settings.Triggers{DB: w.db, Table: w.prefix + "TriggersTable", Outbox: w.integrations(p).EventOutbox(),
		Now: time.Now}
}

func (w *world) countingStore(in counts.IntakeReader, triggers *settings.Triggers) *counts.Store {
	return &counts.Store{Intakes: in, Totals: w.record(), Triggers: triggers}
}

// waiting is the queue of intakes that are to be counted, in memory.
type waiting struct {
	mu      sync.Mutex
	intakes map[string][]string
}

func (q *waiting) Enqueue(_ context.Context, tenant, intake string, list []event.Event) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.intakes == nil {
		q.intakes = map[string][]string{}
	}
	if slices.ContainsFunc(list, func(e event.Event) bool { return counting.Counts(e.Kind) }) {
		q.intakes[tenant] = append(q.intakes[tenant], intake)
	}
	return nil
}

func (q *waiting) take() map[string][]string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.intakes
	q.intakes = nil
	return out
}

func (w *world) record() *dailytotals.Store {
	return &dailytotals.Store{DB: w.db, Table: w.prefix + "DailyTotalsTable", Now: now,
		Log: slog.New(slog.DiscardHandler)}
}

func (w *world) reports() *reports.Store {
	return &reports.Store{DB: w.db, Table: w.prefix + "ReportsTable", Activity: w.prefix + "ActivityTable", Now: now}
}

func (w *world) people() *people.Store {
	return &people.Store{DB: w.db, Table: w.prefix + "PeopleTable", Schedule: w.prefix + "ReportsTable",
		Activity: w.prefix + "ActivityTable"}
}

func (w *world) activityLog() *activitylog.Log {
	return &activitylog.Log{DB: w.db, Table: w.prefix + "ActivityTable", Now: now}
}

func (w *world) tokens() *accounts.Tokens {
	return &accounts.Tokens{DB: w.db, Table: w.prefix + "AccountsTable", Activity: w.prefix + "ActivityTable"}
}

func (w *world) tenants() *accounts.Tenants {
	return &accounts.Tenants{DB: w.db, Table: w.prefix + "AccountsTable", Activity: w.prefix + "ActivityTable"}
}

func (w *world) suppressions() *people.Suppressions {
	return &people.Suppressions{DB: w.db, Table: w.prefix + "PeopleTable", Activity: w.prefix + "ActivityTable"}
}

// published keeps what is published, and can refuse.
type published struct {
	mu     sync.Mutex
	events []event.Event
	fail   error
}

func (p *published) Publish(_ context.Context, events ...event.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.events = append(p.events, events...)
	return nil
}

func (p *published) kinds() []event.Kind {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []event.Kind
	for _, e := range p.events {
		out = append(out, e.Kind)
	}
	return out
}

func (w *world) integrations(p *published) *settings.Integrations {
	return &settings.Integrations{DB: w.db, Table: w.prefix + "IntegrationsTable", Schedule: w.prefix + "ReportsTable",
		Activity: w.prefix + "ActivityTable", Triggers: w.prefix + "TriggersTable", Publisher: p, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)}
}

func TestIntegrations(t *testing.T) {
	settingstest.Integrations(t, func(t *testing.T) (integration.Store, func() []event.Kind) {
		p := &published{}
		return open(t).integrations(p), p.kinds
	})
}

func (w *world) counters() *counters.Store {
	return &counters.Store{DB: w.db, Table: w.prefix + "CountersTable"}
}

func TestCounters(t *testing.T) {
	statetest.Counters(t, func(t *testing.T) health.Counters { return open(t).counters() })
}

func TestMessages(t *testing.T) {
	w := open(t)
	enginetest.Messages(t, func() fanout.MessageCounter {
		return &counters.Messages{DB: w.db, Table: w.prefix + "CountersTable"}
	})
}

func TestRequests(t *testing.T) {
	w := open(t)
	statetest.Requests(t, &counters.Requests{DB: w.db, Table: w.prefix + "CountersTable"})
}

// messages hands out the deliveries that the queue's messages name.
func (w *world) ready(d *stores) func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery {
	waiting := map[delivery.Lane][]delivery.Delivery{}
	return func(t *testing.T, tenant, integration string, limit int) []delivery.Delivery {
		t.Helper()
		for left := w.receive(t); len(left) > 0; left = w.receive(t) { // a message batch that is opened can make others
			for _, p := range left {
				loaded, err := d.Load(t.Context(), p)
				require.NoError(t, err)
				lane := delivery.Lane{Tenant: p.Tenant, Integration: p.Integration}
				waiting[lane] = append(waiting[lane], loaded...)
			}
		}
		lane := delivery.Lane{Tenant: tenant, Integration: integration}
		list := waiting[lane]
		slices.SortFunc(list, func(a, b delivery.Delivery) int { return strings.Compare(a.ID, b.ID) })
		list = slices.DeleteFunc(list, func(v delivery.Delivery) bool { return v.State != delivery.Pending })
		out := list[:min(limit, len(list))]
		waiting[lane] = slices.Clone(list[len(out):])
		return out
	}
}

func (w *world) receive(t *testing.T) []worker.MessageBatch {
	t.Helper()
	var out []worker.MessageBatch
	for {
		got, err := w.sqs.ReceiveMessage(t.Context(),
			&sqs.ReceiveMessageInput{QueueUrl: &w.queue, MaxNumberOfMessages: 10})
		require.NoError(t, err)
		if len(got.Messages) == 0 {
			return out
		}
		for _, m := range got.Messages {
			var body struct {
				Tenant, Integration string
				Deliveries          []string
			}
			require.NoError(t, json.Unmarshal([]byte(*m.Body), &body))
			out = append(out, worker.MessageBatch{Tenant: body.Tenant, Integration: body.Integration,
				IDs: body.Deliveries})
		}
	}
}

func (w *world) log() enginetest.Log {
	d := w.deliveries()
	return enginetest.Log{
		DeliveryStore: d,
		Take: func(_ *testing.T, entries []delivery.Entry) []delivery.Entry {
			out := slices.Clone(entries)
			for n := range out {
				out[n].Receipt = uuid.NewString()
			}
			return out
		},
		Ready: w.ready(d),
	}
}

func TestDeliveries(t *testing.T) {
	enginetest.Deliveries(t, func(t *testing.T) enginetest.Log { return open(t).log() })
}

func TestBacklog(t *testing.T) {
	enginetest.Backlog(t, func(t *testing.T) (enginetest.Log, integration.Backlog) {
		w := open(t)
		return w.log(), w.deliveries()
	})
}

func TestJournal(t *testing.T) {
	enginetest.EventLog(t, func(t *testing.T) (enginetest.Log, fanout.EventLog) {
		w := open(t)
		return w.log(), w.deliveries()
	})
}

func TestRetention(t *testing.T) {
	reporttest.Retention(t, func(t *testing.T, now func() time.Time, most time.Duration) reporttest.Retaining {
		w := open(t)
		d, settings := w.deliveries(), w.reports()
		kept := &report.Retentions{Store: settings, Most: most, Now: now, Log: slog.New(slog.DiscardHandler)}
		d.Now, d.Retention, d.Keep, settings.Now = now, kept.Kept, most, now
		log := w.log()
		log.DeliveryStore, log.Ready = d, w.ready(d)
		return reporttest.Retaining{Log: log, Events: d, Settings: settings, Sweep: func(t *testing.T) {
			_, err := d.Sweep(t.Context())
			require.NoError(t, err)
		}}
	})
}

func TestDeliveryLog(t *testing.T) {
	enginetest.DeliveryLog(t, func(t *testing.T) (enginetest.Log, deliverylog.Store) {
		w := open(t)
		return w.log(), w.deliveries()
	})
}

func TestRecord(t *testing.T) {
	reporttest.DailyTotals(t, func(t *testing.T) reporttest.DailyTotalsEngine {
		w := open(t)
		return reporttest.DailyTotalsEngine{Log: w.log(), Totals: w.record(),
			Counting: &enginetest.Counting{Store: w.countingStore(nil, w.triggers(&published{}))}}
	})
}

func TestReports(t *testing.T) {
	reporttest.Reports(t, func(t *testing.T) (report.Store, integration.Store, profile.Store) {
		w := open(t)
		return w.reports(), w.integrations(&published{}), w.people()
	})
}

func TestPeople(t *testing.T) {
	settingstest.People(t, func(t *testing.T) profile.Store { return open(t).people() })
}

func TestActivity(t *testing.T) {
	settingstest.Activity(t, func(t *testing.T) activity.Store { return open(t).activityLog() })
}

func TestSessions(t *testing.T) {
	accounttest.Sessions(t, func(t *testing.T) accounttest.Store {
		w := open(t)
		return &accounts.Sessions{DB: w.db, Table: w.prefix + "AccountsTable"}
	})
}

func TestTokens(t *testing.T) {
	accounttest.Tokens(t, func(t *testing.T) token.Store { return open(t).tokens() })
}

func TestTenants(t *testing.T) {
	accounttest.Tenants(t, func(t *testing.T) tenant.Store { return open(t).tenants() })
}

func TestBlocks(t *testing.T) {
	settingstest.SuppressionList(t, func(t *testing.T) mail.SuppressionList { return open(t).suppressions() })
}

func TestActivityOfEveryStore(t *testing.T) {
	activitytest.Activity(t, func(t *testing.T) activitytest.Engine {
		w, p := open(t), &published{}
		return activitytest.Engine{Log: w.activityLog(), Integrations: w.integrations(p), Triggers: w.triggers(p),
			Reports: w.reports(), People: w.people(), Suppressions: w.suppressions(), Tokens: w.tokens(),
			Tenants: w.tenants()}
	})
}
