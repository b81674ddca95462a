// Package stack is what the Lambda functions share: it reads the environment that template.yaml sets, and wires the
// distributed engine to the domain. Each function takes from it what it needs; clients are made when they are asked
// for.
package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/oklog/ulid/v2"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/counting"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/engine/aws/accept"
	"tocsin/shared/engine/aws/activitylog"
	"tocsin/shared/engine/aws/counters"
	"tocsin/shared/engine/aws/counts"
	"tocsin/shared/engine/aws/dailytotals"
	"tocsin/shared/engine/aws/deadletters"
	"tocsin/shared/engine/aws/deliveries"
	"tocsin/shared/engine/aws/eventbus"
	"tocsin/shared/engine/aws/identity"
	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/keys"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/engine/aws/paces"
	"tocsin/shared/engine/aws/people"
	"tocsin/shared/engine/aws/queue"
	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/engine/aws/ses"
	"tocsin/shared/engine/aws/settings"
	"tocsin/shared/engine/aws/stepfunctions"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/httpserver"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	sharedmetrics "tocsin/shared/metrics"
	"tocsin/shared/notification"
	"tocsin/shared/profile"
	"tocsin/shared/ratelimit"
	"tocsin/shared/receiver"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/sending"
	"tocsin/shared/sending/reference"
	"tocsin/shared/stdlog"
	"tocsin/shared/telegrambot"
	"tocsin/shared/trace"
	"tocsin/shared/trigger"
	"tocsin/shared/worker"
)

// sdkAttempts is how often the SDK makes a call that is throttled or fails. Not in its adaptive mode: that slows all
// calls of a client down when some are throttled, and one tenant's hot partition would hold up every other tenant's
// calls (AWS SDKs and Tools reference guide, "Retry behavior": adaptive mode is for a single resource).
const sdkAttempts = 6

// Stack is an environment of template.yaml.
type Stack struct {
	Log     *slog.Logger
	Systems *catalogue.Catalogue

	sdk     awssdk.Config
	env     environment
	db      *dynamodb.Client
	policy  egress.Policy
	proxy   *egress.Proxy // nil for none
	service *integration.Service
	secrets secretValues
	bot     telegram.Bot
	tracer  *trace.Tracer // nil for none

	retentions *report.Retentions
}

// environment reads variables and remembers those that are missing or wrong.
type environment struct {
	get   func(string) string
	wrong []error
}

func (e *environment) need(name string) string {
	v := e.get(name)
	if v == "" {
		e.wrong = append(e.wrong, fmt.Errorf("the environment has no %s: template.yaml sets it", name))
	}
	return v
}

func (e *environment) number(name string, otherwise int) int {
	v := e.get(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		e.wrong = append(e.wrong, fmt.Errorf("the environment's %s must be a whole number from 1", name))
	}
	return n
}

// Open reads the environment. It makes no call; give hands over the secrets.
func Open(ctx context.Context, getenv func(string) string) (*Stack, error) {
	s := &Stack{env: environment{get: getenv}}
	level := slog.LevelInfo
	if v := getenv("TOCSIN_LOG_LEVEL"); v != "" {
		if err := level.UnmarshalText([]byte(v)); err != nil {
			return nil, fmt.Errorf("TOCSIN_LOG_LEVEL: %w", err)
		}
	}
	s.Log = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	stdlog.Take(s.Log)
	for _, host := range strings.Split(getenv("TOCSIN_ALLOW"), ",") {
		if host = strings.TrimSpace(host); host != "" {
			s.policy.Allow = append(s.policy.Allow, host)
		}
	}
	var err error
	s.sdk, err = config.LoadDefaultConfig(ctx, config.WithRetryMode(awssdk.RetryModeStandard),
		config.WithRetryMaxAttempts(sdkAttempts), config.WithLogger(identity.Logger(s.Log)))
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	s.sdk.APIOptions = append(s.sdk.APIOptions, metrics.Watch)
	s.db = dynamodb.NewFromConfig(s.sdk)
	return s, s.traces("")
}

// give sets what depends on secrets.
func (s *Stack) give(v secretValues) (err error) {
	s.secrets = v
	if v.proxy != "" {
		if s.proxy, err = egress.ParseProxy(v.proxy); err != nil {
			return fmt.Errorf("the secret of the proxy (the parameter ProxyUrl) %w", err)
		}
		s.proxy.Resolves = s.env.get("TOCSIN_PROXY_RESOLVES") == "on"
	}
	if v.traces != "" {
		if err := s.traces(v.traces); err != nil { // nothing else stands still for that
			s.Log.Error("spans are sent without headers: the secret of the parameter TracesHeaders can not be used",
				"error", err.Error())
		}
	}
	s.bot = telegram.Bot{Token: v.telegram, API: s.env.get("TOCSIN_TELEGRAM_API")}
	s.Systems = catalogue.Default(telegram.New(s.bot), s3.New(s.assumes()))
	return nil
}

// assumes is who assumes customers' roles: the function by its own role, in the account of the principal that the
// template names. A function that sends nothing has none.
func (s *Stack) assumes() s3.Platform {
	principal := s.env.get("TOCSIN_AWS_PRINCIPAL")
	if principal == "" {
		return s3.Platform{}
	}
	of, err := arn.Parse(principal)
	if err != nil {
		s.env.wrong = append(s.env.wrong, fmt.Errorf("TOCSIN_AWS_PRINCIPAL: %w", err))
	}
	in := s3.Account{ID: of.AccountID, Partition: of.Partition}
	return s3.Platform{Identity: &identity.Of{In: in, Credentials: s.sdk.Credentials},
		RoleNames: s.env.get("TOCSIN_ROLE_NAMES")}
}

// Meter counts what a function does, for CloudWatch.
func (s *Stack) Meter(function string) *metrics.Meter {
	return &metrics.Meter{Out: os.Stdout, Namespace: s.env.get("TOCSIN_METRICS"), Function: function, Now: time.Now,
		Systems: s.env.get("TOCSIN_WORK_METRICS") == "systems"}
}

// Work counts what events and deliveries came to, for CloudWatch; nil where nobody is to.
func (s *Stack) Work() sharedmetrics.Sink {
	if s.env.get("TOCSIN_WORK_METRICS") == "off" {
		return nil
	}
	return metrics.Sink
}

// EgressAddresses are those of the template's parameter.
func (s *Stack) EgressAddresses() []egress.Address {
	all, err := egress.ParseAddresses(s.env.get("TOCSIN_ADDRESSES"))
	if err != nil {
		s.env.wrong = append(s.env.wrong, fmt.Errorf("TOCSIN_ADDRESSES (the parameter EgressAddresses): %w",
			err))
	}
	return all
}

// Check says what the environment lacked for all that was asked of the stack.
func (s *Stack) Check() error { return errors.Join(s.env.wrong...) }

func newID() string { return ulid.Make().String() }

// Bus publishes events.
func (s *Stack) Bus() *eventbus.Publisher {
	return &eventbus.Publisher{Events: eventbridge.NewFromConfig(s.sdk), Bus: s.env.need("TOCSIN_BUS")}
}

// Integrations is the store.
func (s *Stack) Integrations() *settings.Integrations {
	return &settings.Integrations{
		DB: s.db, Table: s.env.need("TOCSIN_TABLE_INTEGRATIONS"), Schedule: s.env.need("TOCSIN_TABLE_REPORTS"),
		Activity: s.activity(), Now: time.Now, Log: s.Log, Publisher: s.Bus(),
		Triggers: s.env.get("TOCSIN_TABLE_TRIGGERS"), // of the function api, which alone deletes integrations
	}
}

// Reading is the store for a function that changes nothing.
func (s *Stack) Reading() *settings.Integrations {
	return &settings.Integrations{DB: s.db, Table: s.env.need("TOCSIN_TABLE_INTEGRATIONS"), Now: time.Now, Log: s.Log}
}

// kept knows how long is kept what comes for each tenant: all stores of the function share what it read.
func (s *Stack) kept() *report.Retentions {
	if s.retentions == nil {
		s.retentions = &report.Retentions{Store: s.Reports(), Most: s.keep(), Now: time.Now, Log: s.Log}
	}
	return s.retentions
}

// tables are those of events and deliveries. Not each function has all of them.
func (s *Stack) tables() table.Set {
	return table.Set{
		DB: s.db, Now: time.Now, Log: s.Log, Keep: s.keep(), Retention: s.kept().Kept,
		Tables: table.Names{
			Deliveries: s.env.need("TOCSIN_TABLE_DELIVERIES"), Events: s.env.need("TOCSIN_TABLE_EVENTS"),
			Batches: s.env.need("TOCSIN_TABLE_BATCHES"), DeadLetters: s.env.need("TOCSIN_TABLE_DEAD_LETTERS"),
			EventLog: s.env.need("TOCSIN_TABLE_EVENT_LOG"), Intakes: s.env.need("TOCSIN_TABLE_INTAKES"),
			Outbox: s.env.need("TOCSIN_TABLE_OUTBOX"),
		},
	}
}

// Deliveries keeps deliveries and their history.
func (s *Stack) Deliveries() *deliveries.Store {
	return &deliveries.Store{Set: s.tables(), SQS: sqs.NewFromConfig(s.sdk),
		Queue: s.env.need("TOCSIN_QUEUE_DELIVERIES")}
}

// DeadLetters keeps rejected entries, and sends them again.
func (s *Stack) DeadLetters() *deadletters.Store {
	return &deadletters.Store{Set: s.tables(), Bus: s.Bus()}
}

// History is what an administrator reads of deliveries and of dead letters.
type History struct {
	*deliveries.Store
	*rejected
}

type rejected = deadletters.Store

// NewHistory makes one of its two.
func NewHistory(d *deliveries.Store, l *deadletters.Store) History { return History{d, l} }

// Accepting is the store of a function that takes events in, or finishes what was taken in.
func (s *Stack) Accepting() *accept.Store {
	return &accept.Store{
		Store: *s.Deliveries(), Counting: s.CountingQueue(),
		Commands: &settings.Commands{DB: s.db, Table: s.env.need("TOCSIN_TABLE_TRIGGERS"), Now: time.Now},
		Arrivals: &counters.Store{DB: s.db, Table: s.env.need("TOCSIN_TABLE_COUNTERS")},
	}
}

// Messages counts the messages of people's systems for the storm guard.
func (s *Stack) Messages() *counters.Messages {
	return &counters.Messages{DB: s.db, Table: s.env.need("TOCSIN_TABLE_COUNTERS")}
}

// Sweeping is the store of the function that finishes what was left behind.
func (s *Stack) Sweeping() *accept.Store {
	a := s.Accepting()
	a.Marks = &counts.Store{Totals: s.DailyTotals()}
	return a
}

// CountingQueue is the queue of intakes that are to be counted.
func (s *Stack) CountingQueue() *counts.Queue {
	return &counts.Queue{SQS: sqs.NewFromConfig(s.sdk), Queue: s.env.need("TOCSIN_QUEUE_COUNTING")}
}

// Counter counts what was accepted.
func (s *Stack) Counter() *counting.Counter {
	triggers := s.Triggers()
	store := &counts.Store{
		Intakes: &intakes.Store{Set: table.Set{DB: s.db, Now: time.Now,
			Tables: table.Names{Intakes: s.env.need("TOCSIN_TABLE_INTAKES")}}},
		Totals: s.DailyTotals(), Triggers: triggers, Keep: s.keep(),
	}
	return &counting.Counter{
		Source: store, Store: store, Triggers: &trigger.Evaluator{Store: triggers, Now: time.Now, Log: s.Log,
			Tracer: s.tracer},
		Recorder: &daily.Recorder{Zone: report.ZoneOf(s.Reports()), Now: time.Now}, Log: s.Log, Tracer: s.tracer,
	}
}

// Need is a variable of the environment that must be there.
func (s *Stack) Need(name string) string { return s.env.need(name) }

func (s *Stack) keep() time.Duration {
	return time.Duration(s.env.number("TOCSIN_KEEP_DAYS", 30)) * 24 * time.Hour
}

// Triggers is the store of triggers.
func (s *Stack) Triggers() *settings.Triggers {
	outbox := s.Reading().EventOutbox()
	outbox.Publisher, outbox.Activity = s.Bus(), s.activity()
	return &settings.Triggers{DB: s.db, Table: s.env.need("TOCSIN_TABLE_TRIGGERS"), Outbox: outbox,
		Now: time.Now}
}

// CommandNotices tells administrators of commands that nobody takes.
func (s *Stack) CommandNotices() *command.Notices {
	n := &command.Notices{Store: s.Triggers().Commands(), Now: time.Now, Log: s.Log}
	if s.env.get("TOCSIN_COMMAND_WAIT_MINUTES") != "0" {
		n.Wait = time.Duration(s.env.number("TOCSIN_COMMAND_WAIT_MINUTES",
			int(command.DefaultWait/time.Minute))) * time.Minute
	}
	return n
}

// TriggerService makes changes of triggers.
func (s *Stack) TriggerService(store *settings.Triggers, integrations *settings.Integrations) *trigger.Service {
	return &trigger.Service{Store: store, Integrations: integrations, Systems: s.Systems, Now: time.Now, NewID: newID,
		Log: s.Log}
}

// DailyTotals is what reports are made of.
func (s *Stack) DailyTotals() *dailytotals.Store {
	return &dailytotals.Store{DB: s.db, Table: s.env.need("TOCSIN_TABLE_DAILY_TOTALS"), Now: time.Now, Log: s.Log}
}

// Reports keeps reports.
func (s *Stack) Reports() *reports.Store {
	return &reports.Store{DB: s.db, Table: s.env.need("TOCSIN_TABLE_REPORTS"),
		Activity: s.env.get("TOCSIN_TABLE_ACTIVITY"), Now: time.Now}
}

// activity is the table of the activity log. A function whose people and reports change by no person's hand has none.
func (s *Stack) activity() string { return s.env.need("TOCSIN_TABLE_ACTIVITY") }

// ActivityLog keeps the activity log.
func (s *Stack) ActivityLog() *activitylog.Log {
	return &activitylog.Log{DB: s.db, Table: s.activity(), Now: time.Now}
}

// Recorder records what has no transaction of its own in the activity log.
func (s *Stack) Recorder() *activity.Log {
	return &activity.Log{Store: s.ActivityLog(), Now: time.Now, NewID: newID}
}

// Jobs is the queue of reports to be made.
func (s *Stack) Jobs() *reports.Jobs {
	return &reports.Jobs{SQS: sqs.NewFromConfig(s.sdk), Queue: s.env.need("TOCSIN_QUEUE_REPORTS")}
}

// Reporter makes reports. The renderer is the caller's, so that its fonts (8 MB) are in no other function.
func (s *Stack) Reporter(receivers report.Receivers, renderer report.Renderer) *report.Service {
	platform := s.platform()
	return &report.Service{
		Store: s.Reports(), Totals: s.DailyTotals(), Renderer: renderer, Receivers: receivers, Bus: s.Bus(),
		Platform: platform.Name,
		Console:  report.Console(platform.Console), Now: time.Now, NewID: newID, Log: s.Log, Enqueue: s.Jobs().Enqueue,
		Spread: time.Duration(s.env.number("TOCSIN_REPORT_SPREAD_MINUTES", 45)) * time.Minute,
		Events: fanout.Events{Log: s.eventLog()}, EventsKept: s.keep(), EndsWritten: true, Tracer: s.tracer,
	}
}

// eventLog reads the accepted events.
func (s *Stack) eventLog() *deliveries.Store {
	return &deliveries.Store{Set: table.Set{DB: s.db, Now: time.Now, Log: s.Log, Keep: s.keep(),
		Tables: table.Names{Events: s.env.need("TOCSIN_TABLE_EVENTS"), Intakes: s.env.need("TOCSIN_TABLE_INTAKES"),
			EventLog: s.env.need("TOCSIN_TABLE_EVENT_LOG")}}}
}

// Orders takes reports on demand, which another function makes.
func (s *Stack) Orders() *report.Service {
	return &report.Service{Store: s.Reports(), Now: time.Now, NewID: newID, Log: s.Log, EventsKept: s.keep(),
		EndsWritten: true}
}

func (s *Stack) people() *people.Store {
	return &people.Store{DB: s.db, Table: s.env.need("TOCSIN_TABLE_PEOPLE"),
		Activity: s.env.get("TOCSIN_TABLE_ACTIVITY"),
		Schedule: s.env.need("TOCSIN_TABLE_REPORTS")}
}

// mails reports whether this deployment sends mail. Where it does not, nobody has notifications of their own: each
// would be a delivery that fails.
func (s *Stack) mails() bool { return s.env.get("TOCSIN_MAIL_FROM") != "" }

// Profiles keeps people's own notifications; nil where no mail is sent.
func (s *Stack) Profiles() *profile.Service {
	if !s.mails() {
		return nil
	}
	return &profile.Service{Store: s.people(), Holdings: s.Tokens(), Now: time.Now, NewID: newID, Log: s.Log}
}

// SuppressionList keeps addresses that nothing is sent to.
func (s *Stack) SuppressionList() *people.Suppressions {
	return &people.Suppressions{DB: s.db, Table: s.env.need("TOCSIN_TABLE_PEOPLE"),
		Activity: s.env.get("TOCSIN_TABLE_ACTIVITY")}
}

// Relay bounds the mails that people have sent to others on the spot.
func (s *Stack) Relay() *mail.Quota {
	return &mail.Quota{
		Counters: &counters.Store{DB: s.db, Table: s.env.need("TOCSIN_TABLE_COUNTERS")}, Now: time.Now,
		Limit: s.env.number("TOCSIN_MAILS_ON_REQUEST", mail.DefaultOnRequest),
	}
}

// Origins are those whose pages may call the API.
func (s *Stack) Origins() []string {
	origins, err := httpserver.ParseOrigins(s.env.get("TOCSIN_CORS_ORIGINS"))
	if err != nil {
		s.env.wrong = append(s.env.wrong, fmt.Errorf("the parameter CorsOrigins: %w", err))
	}
	return origins
}

// Requests bounds the calls of each tenant over all functions.
func (s *Stack) Requests() *ratelimit.Limiter {
	return &ratelimit.Limiter{
		Counter: &counters.Requests{DB: s.db, Table: s.env.need("TOCSIN_TABLE_COUNTERS")}, Now: time.Now, Log: s.Log,
		Limit: s.env.number("TOCSIN_TENANT_REQUESTS", 0),
	}
}

// Feedback takes in what SES says about mails.
func (s *Stack) Feedback() *mail.Feedback {
	return &mail.Feedback{Blocks: s.SuppressionList(), Bus: s.Bus(), Now: time.Now, Log: s.Log}
}

// links signs the links of mails.
func (s *Stack) links() profile.Links {
	s.env.need("TOCSIN_SECRET_UNSUBSCRIBE")
	l := profile.Links{Base: strings.TrimSuffix(s.env.get("TOCSIN_PUBLIC_URL"), "/")}
	for _, v := range s.secrets.unsubscribe {
		l.Keys = append(l.Keys, []byte(v))
	}
	return l
}

// Unsubscriptions carries out what the links ask for.
func (s *Stack) Unsubscriptions() profile.Unsubscriptions {
	return profile.Unsubscriptions{Links: s.links(), Profiles: s.Profiles(),
		SuppressionList: s.SuppressionList(), Now: time.Now}
}

// Receivers finds who an event can go to. opener is nil in a function that sends nothing.
func (s *Stack) Receivers(store *settings.Integrations, opener receiver.Opener) *receiver.Directory {
	d := &receiver.Directory{Integrations: store, Opener: opener, Systems: s.Systems, Reports: s.Reports(),
		Now: time.Now}
	if s.mails() {
		d.People = s.people()
	}
	return d
}

func (s *Stack) platform() notification.Platform {
	p := notification.Platform{Name: s.env.need("TOCSIN_PLATFORM"),
		Console: strings.TrimSuffix(s.env.get("TOCSIN_CONSOLE"), "/"), Cloud: s.env.need("TOCSIN_CLOUD")}
	if p.Pages = strings.TrimSuffix(s.env.get("TOCSIN_PUBLIC_URL"), "/"); s.NoPages() {
		p.Pages = p.Console // who turns our pages off has these in the platform's Console
	}
	return p
}

// Service makes changes of integrations.
func (s *Stack) Service(store *settings.Integrations) *integration.Service {
	if s.service == nil {
		s.service = &integration.Service{
			Store: store, Systems: s.Systems, Addresses: s.policy, Now: time.Now, NewID: newID, Random: rand.Reader,
			Log: s.Log, Tracer: s.tracer,
			Keys: &keys.KeyRing{KMS: kms.NewFromConfig(s.sdk), Key: s.env.need("TOCSIN_SECRETS_KEY"),
				Shared: s.env.get("TOCSIN_KEY"), Now: time.Now},
		}
	}
	return s.service
}

// Sender sends.
func (s *Stack) Sender() *sending.Sender {
	options := egress.Options{Proxy: s.proxy}
	if from := s.env.get("TOCSIN_MAIL_FROM"); from != "" {
		if composer, err := mail.NewComposer(from, time.Now); err != nil {
			s.env.wrong = append(s.env.wrong, fmt.Errorf("TOCSIN_MAIL_FROM: %w", err))
		} else {
			options.Mailer = mail.Guard{Blocks: s.SuppressionList(), Next: &ses.Mailer{
				SES: sesv2.NewFromConfig(s.sdk), From: composer.From(), Composer: composer,
				ConfigurationSet: s.env.get("TOCSIN_MAIL_SET"),
			}}
		}
	}
	return &sending.Sender{Destinations: s.Systems, Transport: egress.New(s.policy, options), Now: time.Now,
		Log: s.Log, Platform: s.platform(), Tracer: s.tracer}
}

// NoPages says that the deployment has a Console of its own.
func (s *Stack) NoPages() bool { return s.env.get("TOCSIN_PAGES") == "off" }

// Monitor watches failing integrations.
func (s *Stack) Monitor(service *integration.Service) *health.Monitor {
	return &health.Monitor{
		Counters: &counters.Store{DB: s.db, Table: s.env.need("TOCSIN_TABLE_COUNTERS")}, Switch: service, Now: time.Now,
		Rule: health.Rule{
			Percent: s.env.number("TOCSIN_DISABLE_PERCENT", health.DefaultPercent),
			Minimum: s.env.number("TOCSIN_DISABLE_MINIMUM", health.DefaultMinimum),
			Spread:  s.env.number("TOCSIN_DISABLE_SPREAD", health.DefaultSpread),
			Lasting: s.lasting(),
		},
	}
}

// lasting is how long an integration must have been failing before it is disabled.
func (s *Stack) lasting() time.Duration {
	if s.env.get("TOCSIN_DISABLE_MINUTES") == "0" {
		return -1 // which is what a rule calls no time
	}
	return time.Duration(s.env.number("TOCSIN_DISABLE_MINUTES",
		int(health.DefaultLasting.Minutes()))) * time.Minute
}

// BatchHandler sends what the queue and the state machine hand over; starts of a request end at the budget.
func (s *Stack) BatchHandler(store *settings.Integrations, budget time.Duration) *worker.Handler {
	service, sender := s.Service(store), s.Sender()
	service.Backlog, service.Held = s.Deliveries(), s.Releaser(store) // health disables
	sender.Adapter, sender.Reports, sender.Unsubscribe = service,
		report.Messages{Store: s.Reports(), Platform: sender.Platform}, s.links()
	sender.Locales = &report.Locales{Store: s.Reports(), Now: time.Now, Log: s.Log}
	batches := s.Deliveries()
	batches.Holder = &fanout.Holder{Integrations: store, Systems: s.Systems, Tenants: s.Holds(), Now: time.Now}
	sender.Reachability = &paces.Reachability{DB: s.db, Table: s.env.need("TOCSIN_TABLE_PACES")}
	receivers := s.Receivers(store, service)
	sender.References = s.References()
	return &worker.Handler{
		Capacity:   deliveries.Capacity,
		BatchStore: batches, Sender: sender, Targets: sending.NewTargetCache(sender, receivers, receivers),
		Monitor:   s.Monitor(service),
		Fallbacks: &fanout.Fallbacks{Integrations: store, Systems: s.Systems, Tenants: s.Holds(), Now: time.Now},
		Retries: &stepfunctions.RetryStarter{SFN: sfn.NewFromConfig(s.sdk),
			StateMachine: s.env.need("TOCSIN_STATE_MACHINE")},
		NewID: newID, Log: s.Log, Budget: budget,
		Paces: s.Paces(), Meter: s.Work(),
	}
}

// References are what systems call what was made there.
func (s *Stack) References() reference.Store {
	return &paces.References{DB: s.db, Table: s.env.need("TOCSIN_TABLE_PACES"), Now: time.Now}
}

// Holds knows by which rules of tenants what is sent waits.
func (s *Stack) Holds() *report.Holds {
	return &report.Holds{Store: s.Reports(), Now: time.Now, Log: s.Log}
}

// Releaser has what is held looked at anew when the rules change.
func (s *Stack) Releaser(store *settings.Integrations) *fanout.Releaser {
	return &fanout.Releaser{Integrations: store, Reconsider: s.Deliveries().Reconsider}
}

// Paces keeps how fast systems may be asked.
func (s *Stack) Paces() *paces.Store {
	return &paces.Store{DB: s.db, Table: s.env.need("TOCSIN_TABLE_PACES"), Now: time.Now}
}

// Sweeper takes up retries that no execution works at.
func (s *Stack) Sweeper(sender *worker.Handler) *worker.Sweeper {
	return &worker.Sweeper{
		Stranded: s.Deliveries(), Batches: sender.BatchStore, Retries: sender.Retries, Resume: sender.Resume,
		Now: time.Now, Log: s.Log,
	}
}

// Visibility decides when messages that failed come again, in the queues that these variables name.
func (s *Stack) Visibility(variables ...string) *queue.Visibility {
	v := &queue.Visibility{SQS: sqs.NewFromConfig(s.sdk), Log: s.Log}
	for _, name := range variables {
		v.Queues = append(v.Queues, s.env.need(name))
	}
	return v
}

// Telegram binds chats.
func (s *Stack) Telegram(service *integration.Service) *telegrambot.Bot {
	b, err := telegrambot.New(telegrambot.Config{Telegram: s.bot, Integrations: service, Now: time.Now, Log: s.Log,
		Proxy: s.proxy.For})
	if err != nil {
		s.env.wrong = append(s.env.wrong, err)
	}
	return b
}
