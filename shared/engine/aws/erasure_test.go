//go:build awslocal

package aws_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/command"
	"tocsin/shared/counting"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/accounts"
	"tocsin/shared/engine/aws/counters"
	awserasure "tocsin/shared/engine/aws/erasure"
	"tocsin/shared/engine/aws/paces"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/erasuretest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/sending/reference"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
	"tocsin/shared/worker/pace"
)

// leavingTenant makes a row of each table of a tenant.
type leavingTenant struct {
	*testing.T
	w    *world
	of   string
	dead string // the queue of what failed
}

func (f leavingTenant) ok(err error) { require.NoError(f.T, err) }

func (f leavingTenant) fill() {
	f.settings()
	f.people()
	f.events()
	for _, body := range []string{fmt.Sprintf(`{"Tenant":%q,"Deliveries":["d"]}`, f.of),
		fmt.Sprintf(`{"source":"x","detail":{"id":"a","tenant":%q}}`, f.of),
		fmt.Sprintf(`{"requestPayload":{"body":%q}}`, fmt.Sprintf(`{"tenant":%q}`, f.of))} {
		_, err := f.w.sqs.SendMessage(f.Context(), &sqs.SendMessageInput{QueueUrl: &f.dead, MessageBody: &body})
		f.ok(err)
	}
}

func (f leavingTenant) settings() {
	ctx, at := f.Context(), enginetest.At
	p := &published{fail: fmt.Errorf("the bus is gone")} // what is to be published stays
	i := enginetest.Sample(f.of, "i")
	i.Number, i.Bindings = 0, nil
	f.ok(f.w.integrations(p).Create(ctx, i, enginetest.Record(f.of, event.CreateUser)))
	f.ok(f.w.triggers(p).Seed(ctx, f.of, []trigger.Trigger{{ID: "t", Tenant: f.of, Name: "T", Revision: 1, Epoch: 1}},
		enginetest.Entry(f.of)))
	f.ok(f.w.tenants().Link(ctx, tenant.Link{Technical: f.of, Tenant: "other", LinkedAt: at}))
	f.ok(f.w.tenants().Link(ctx, tenant.Link{Technical: "other", Tenant: f.of, LinkedAt: at}))
	f.ok(f.w.reports().SaveSettings(ctx, report.Settings{Tenant: f.of, Zone: "UTC", Revision: 1},
		enginetest.Entry(f.of)))
	noise := make([]byte, 900<<10)
	_, err := rand.NewChaCha8([32]byte{1}).Read(noise)
	f.ok(err)
	f.ok(f.w.reports().Save(ctx, report.Report{ID: "r", Tenant: f.of, State: report.Ready, CreatedAt: at,
		Period: calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")},
		[]report.File{{Name: "r.csv", Type: "text/csv", Data: append(noise, f.of...)}}))
}

func (f leavingTenant) people() {
	ctx, end := f.Context(), time.Date(2126, 3, 1, 12, 0, 0, 0, time.UTC)
	f.ok(f.w.people().Save(ctx, enginetest.Person(f.of, "p", 1)))
	f.ok((&accounts.Sessions{DB: f.w.db, Table: f.w.prefix + "AccountsTable"}).Create(ctx, session.Session{
		Digest: session.Digest(f.of), Tenant: f.of, Email: "a@" + f.of, Method: session.ByProvider,
		Subject: "of " + f.of, ProviderSession: "sid of " + f.of,
		Began: end, IdleEnd: end, End: end}))
	f.ok(f.w.tokens().Create(ctx, token.Token{ID: "t-" + f.of, Tenant: f.of, Name: f.of, Kind: token.Personal,
		Digest: token.Digest(f.of), Revision: 1, CreatedAt: enginetest.At, ExpiresAt: end}))
	_, err := f.w.suppressions().Suppress(ctx, mail.Suppression{Tenant: f.of, Address: "a@" + f.of, At: enginetest.At})
	f.ok(err)
	f.ok(f.w.activityLog().Append(ctx, enginetest.Entry(f.of)))
}

func (f leavingTenant) events() {
	ctx, at := f.Context(), enginetest.At
	d := f.w.deliveries()
	d.Commands = &settings.Commands{DB: f.w.db, Table: f.w.prefix + "TriggersTable", Now: now}
	in := fanout.Intake{}
	for n := range 3 {
		detail := fmt.Appendf(nil, `{"version":1,"id":"e%d","tenant":%q,"time":"2023-03-01T12:00:00Z","data":`+
			`{"user":{"name":"of %s %s"}}}`, n, f.of, f.of, strings.Repeat("long ", 400))
		e := delivery.Entry{DetailType: "create_user", At: at, Detail: detail, Receipt: f.of + fmt.Sprint(n)}
		parsed, err := event.Parse(e.DetailType, e.Detail)
		f.ok(err)
		in.Accepted = append(in.Accepted, fanout.Accepted{Entry: e, Event: parsed})
		v := delivery.Delivery{ID: idOf(byte(10 + n)), Tenant: f.of, Integration: "i", State: delivery.Pending,
			Count: 1, Kinds: []event.Kind{event.CreateUser}, Events: []event.Event{parsed}}
		if n == 2 {
			v.Integration, v.Due = "file", now().Add(10*time.Minute)
		}
		in.Deliveries = append(in.Deliveries, v)
	}
	noise := make([]byte, 900<<10) // does not compress: it is in several rows
	_, err := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32s", f.of)))).Read(noise)
	f.ok(err)
	in.Rejected = []fanout.Rejected{{Tenant: f.of, Reason: "no id", Entry: delivery.Entry{Receipt: f.of,
		DetailType: "odd", Detail: []byte(`"` + base64.StdEncoding.EncodeToString(noise) + `"`), At: at}}}
	in.Commands = []command.Command{{ID: "c", Tenant: f.of, Kind: event.IPDenylistRequested, At: at}}
	f.ok(d.Accept(ctx, in))
	fails := failedOnce(in.Deliveries[1], "batch of "+f.of)
	_, _, err = d.Claim(ctx, fails.Batch, []delivery.Delivery{fails})
	f.ok(err)
	lane := delivery.Lane{Tenant: f.of, Integration: "i"}
	f.ok(f.w.counters().Add(ctx, []health.Count{{Tenant: f.of, Integration: "i", Window: 1, At: at, Attempts: 1}}))
	_, err = (&counters.Requests{DB: f.w.db, Table: f.w.prefix + "CountersTable"}).Count(ctx, f.of, at, 1)
	f.ok(err)
	_, err = (&paces.Store{DB: f.w.db, Table: f.w.prefix + "PacesTable", Now: now}).Swap(ctx, lane, 0, pace.Pace{})
	f.ok(err)
	_, err = (&paces.References{DB: f.w.db, Table: f.w.prefix + "PacesTable", Now: now}).Swap(ctx, lane, "vuln:1", 0,
		reference.Reference{ID: f.of, Expires: at.Add(time.Hour)})
	f.ok(err)
	f.ok(f.w.countingStore(nil, f.w.triggers(&published{})).Write(ctx, counting.Outcome{Tenant: f.of,
		Marks: []counting.Mark{{Intake: "1677672000000000000-x", To: 1}},
		Records: []daily.Entry{{Tenant: f.of, Day: "2023-03-01",
			Counts: []daily.Count{{Dimension: daily.ByHost, Value: f.of, N: 1}}}},
		Triggers: trigger.Outcome{Firings: []trigger.Firings{{Tenant: f.of, Trigger: "t", Place: "p"}}}}))
}

// everything is each row of each table of the template, and each message of the queue of what failed: as it is stored,
// with the bytes beside, and inflated where they are compressed.
func (w *world) everything(t *testing.T, dead string) map[string][]string {
	t.Helper()
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	out := map[string][]string{}
	for name, r := range template.Resources {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		start := map[string]map[string]json.RawMessage(nil)
		for {
			var page struct {
				Items            []map[string]map[string]json.RawMessage
				LastEvaluatedKey map[string]map[string]json.RawMessage
			}
			in := map[string]any{"TableName": w.prefix + name, "ConsistentRead": true}
			if start != nil {
				in["ExclusiveStartKey"] = start
			}
			w.raw(t, "Scan", in, &page)
			for _, item := range page.Items {
				out[name] = append(out[name], legible(t, item))
			}
			if start = page.LastEvaluatedKey; len(start) == 0 {
				break
			}
		}
	}
	for {
		got, err := w.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &dead, MaxNumberOfMessages: 10,
			VisibilityTimeout: 60})
		require.NoError(t, err)
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			out["dead letters"] = append(out["dead letters"], *m.Body)
			defer func() {
				_, err := w.sqs.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &dead,
					ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
				require.NoError(t, err)
			}()
		}
	}
	return out
}

// legible is a row as text in which a tenant's id is found, however it is encoded.
func legible(t *testing.T, item map[string]map[string]json.RawMessage) string {
	t.Helper()
	raw, err := json.Marshal(item)
	require.NoError(t, err)
	text := bytes.NewBuffer(raw)
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				one := v[name]
				if b, ok := one.(string); ok && name == "B" {
					stored, err := base64.StdEncoding.DecodeString(b)
					require.NoError(t, err)
					text.Write(stored)
					if inflated, err := table.Inflate(stored); err == nil {
						text.Write(inflated)
					}
				}
				look(one)
			}
		case []any:
			for _, one := range v {
				look(one)
			}
		}
	}
	var v any
	require.NoError(t, json.Unmarshal(raw, &v))
	look(v)
	return text.String()
}

func (w *world) erasure(dead string) *awserasure.Store {
	name := func(s string) string { return w.prefix + s + "Table" }
	return &awserasure.Store{DB: w.db, SQS: w.sqs, DeadLetters: map[string]string{"DeadLetters": dead}, Now: now,
		Log: slog.New(slog.DiscardHandler), Tables: awserasure.Tables{Integrations: name("Integrations"),
			Triggers: name("Triggers"), People: name("People"), Reports: name("Reports"), Accounts: name("Accounts"),
			Outbox: name("Outbox"), Batches: name("Batches"), Deliveries: name("Deliveries"), Intakes: name("Intakes"),
			Events: name("Events"), EventLog: name("EventLog"), DeadLetters: name("DeadLetters"),
			Counters: name("Counters"), Paces: name("Paces"), DailyTotals: name("DailyTotals"),
			Activity: name("Activity")}}
}

func TestErasure(t *testing.T) {
	erasuretest.Erasure(t, erasable)
}

func TestErasureOfAPerson(t *testing.T) { erasuretest.People(t, erasable) }

// erasable is an engine with a queue of what failed.
func erasable(t *testing.T) erasuretest.Engine {
	w := open(t)
	q, err := w.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: awssdk.String(uuid.NewString())})
	require.NoError(t, err)
	dead := *q.QueueUrl
	store := w.erasure(dead)
	return erasuretest.Engine{Store: store, Source: store, Log: w.activityLog(),
		Jobs: &awserasure.Jobs{DB: w.db, Table: w.prefix + "AccountsTable", Activity: w.prefix + "ActivityTable"},
		Fill: func(t *testing.T, of string) { leavingTenant{t, w, of, dead}.fill() },
		Rows: func(t *testing.T) map[string][]string { return w.everything(t, dead) },
		Named: map[string]string{"IntegrationsTable": "integrations", "TriggersTable": "triggers",
			"PeopleTable": "people", "ReportsTable": "reports", "AccountsTable": "accounts",
			"OutboxTable": "outbox", "BatchesTable": "batches", "DeliveriesTable": "deliveries",
			"IntakesTable": "intakes",
			"EventsTable":  "events", "EventLogTable": "event_log", "DeadLettersTable": "dead_letters",
			"CountersTable": "counters", "PacesTable": "paces", "DailyTotalsTable": "daily_totals",
			"ActivityTable": "activity", "dead letters": "messages of DeadLetters"},
		NotExported: []string{"messages of DeadLetters", "dead_letters (found by others)",
			"accounts (found by others)"},
		Stores: erasuretest.Stores{Integrations: w.integrations(&published{}), Triggers: w.triggers(&published{}),
			People: w.people(), Tokens: w.tokens(), Suppressions: w.suppressions(), Reports: w.reports(),
			Sessions: &accounts.Sessions{DB: w.db, Table: w.prefix + "AccountsTable"}, Deliveries: w.deliveries(),
			Arrive: func(_ *testing.T, entries []delivery.Entry) []delivery.Entry { return entries },
			More: func(t *testing.T, of string) {
				lane := delivery.Lane{Tenant: of, Integration: profile.ID(erasuretest.Address)}
				require.NoError(t, w.counters().Add(t.Context(), []health.Count{{Tenant: of,
					Integration: lane.Integration, Window: 1, At: enginetest.At, Attempts: 1}}))
				_, err := (&paces.Store{DB: w.db, Table: w.prefix + "PacesTable", Now: now}).Swap(t.Context(), lane,
					0, pace.Pace{})
				require.NoError(t, err)
			}}}
}

// TestWhatFindsATenantsRowsGoesWithThem: parts of dead letters and what finds sessions and tokens name no tenant.
func TestWhatFindsATenantsRowsGoesWithThem(t *testing.T) {
	w := open(t)
	q, err := w.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: awssdk.String(uuid.NewString())})
	require.NoError(t, err)
	count := func() (parts, finders int) {
		for name, rows := range w.everything(t, *q.QueueUrl) {
			for _, row := range rows {
				if name == "EventsTable" && strings.Contains(row, `"S":"dead `) {
					parts++
				}
				if name == "AccountsTable" && !strings.Contains(row, `"body"`) {
					finders++
				}
			}
		}
		return parts, finders
	}
	leavingTenant{t, w, erasuretest.Leaving, *q.QueueUrl}.fill()
	parts, finders := count()
	require.Greater(t, parts, 1)
	require.Greater(t, finders, 3)
	leavingTenant{t, w, erasuretest.Staying, *q.QueueUrl}.fill()
	store := w.erasure(*q.QueueUrl)
	for from := ""; ; {
		_, next, err := store.Erase(t.Context(), erasuretest.Leaving, from)
		require.NoError(t, err)
		if from = next; from == "" {
			break
		}
	}
	leftParts, leftFinders := count()
	require.Equal(t, [2]int{parts, finders}, [2]int{leftParts, leftFinders}, "those of the other tenant")
}
