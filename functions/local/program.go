package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"tocsin/functions/local/control"
	"tocsin/functions/local/keys"
	"tocsin/shared/access"
	"tocsin/shared/bus"
	"tocsin/shared/console"
	"tocsin/shared/console/mails"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/httpserver"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/mail"
	"tocsin/shared/metrics"
	"tocsin/shared/notification"
	"tocsin/shared/profile"
	"tocsin/shared/publisher"
	"tocsin/shared/ratelimit"
	"tocsin/shared/ready"
	"tocsin/shared/receiver"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/report/pdf"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/session"
	"tocsin/shared/session/oidc"
	"tocsin/shared/telegrambot"
	"tocsin/shared/trace"
	"tocsin/shared/trigger"
	"tocsin/shared/trigger/notified"
	"tocsin/shared/worker"
)

// program is the engine wired to the domain. What is above the line is given, what is below it is made by wire.
type program struct {
	config
	log                   *slog.Logger
	db                    *sqlite.DB
	keys                  *keyring.Ring
	listener, busListener net.Listener
	metricsListener       net.Listener            // nil = nobody reads metrics
	certificate           *httpserver.Certificate // of the Console; nil = it speaks http
	mailServer            *mail.SMTP              // nil = mails are kept in the mail log
	tracer                *trace.Tracer           // nil = nothing is traced

	systems      *catalogue.Catalogue
	policy       egress.Policy
	notes        notification.Platform
	links        profile.Links
	quota        *mail.Quota
	mailLog      func(context.Context, string, string, int) ([]mails.Mail, error)
	people       *profile.Service
	integrations *integration.Service
	receivers    *receiver.Directory
	sender       *sending.Sender
	monitor      *health.Monitor
	pool         *worker.Pool
	fanout       *fanout.Fanout
	recovery     *fanout.Recovery
	published    *bus.Quota
	triggers     *trigger.Service
	reports      *report.Service
	ordered      chan struct{} // a report was ordered
	erasures     chan struct{} // an erasure was asked for
	chats        *telegrambot.Bot
	readiness    *ready.Checker
	admin        *administration
	sessions     *session.Service
	provider     *oidc.Provider    // nil = there is none
	registry     *metrics.Registry // nil = nobody reads metrics
	sampler      *metrics.Sampler
}

func newID() string { return ulid.Make().String() }

// wire makes everything in the order in which it needs one another.
func (p *program) wire() error {
	p.systems = catalogue.Default(telegram.New(p.telegram), s3.New(s3.Platform{Identity: p.identity(p.log)}))
	p.policy = egress.Policy{Allow: p.allow, Local: true}
	secrets, err := p.keys.Derive("unsubscribe")
	if err != nil {
		return err
	}
	own := cmp.Or(p.publicURL, p.address(p.listener.Addr()))
	p.notes = notification.Platform{Name: p.platform, Console: p.console, Pages: own, Cloud: p.cloud}
	p.links = profile.Links{Base: own, Keys: secrets}
	p.admin = newAdministration(p.db, p.state, p.log)
	p.admin.own = own
	p.erasures = make(chan struct{}, 1)
	p.admin.erasure.Wake = func() { wake(p.erasures) }
	if err := p.signIn(own); err != nil {
		return err
	}
	p.settings()
	p.sending()
	p.deliveries()
	p.collect()
	p.chats, err = telegrambot.New(telegrambot.Config{Telegram: p.telegram, Integrations: p.integrations, Now: time.Now,
		Log: p.log, Changed: p.pool.Recheck, Proxy: p.proxy.For})
	if err != nil {
		return err
	}
	p.readiness = ready.New(
		ready.Check{Name: "state", Probe: p.db.Writable},
		ready.Clock(time.Now),
		ready.Check{Name: "inbox", Probe: func(ctx context.Context) error { return p.db.Moving(ctx, time.Now()) }},
		ready.Check{Name: "keys", Probe: func(ctx context.Context) error {
			return keys.There(ctx, p.key, p.keys, p.log)
		}})
	return nil
}

// settings makes what administrators and people set.
func (p *program) settings() {
	p.people = &profile.Service{Store: p.db.People(), Holdings: p.admin.tokens, Now: time.Now, NewID: newID,
		Log: p.log}
	p.integrations = &integration.Service{
		Store: p.db.Integrations(), Keys: p.keys, Systems: p.systems, Addresses: p.policy, Now: time.Now, NewID: newID,
		Random: rand.Reader, Log: p.log, Backlog: p.db.Deliveries(), Tracer: p.tracer,
		Triggers: notified.By{Store: p.db.Triggers()},
	}
	p.receivers = &receiver.Directory{
		Integrations: p.db.Integrations(), Opener: p.integrations, Systems: p.systems, People: p.db.People(),
		Reports: p.db.Reports(), Now: time.Now,
	}
	p.triggers = &trigger.Service{Store: p.db.Triggers(), Integrations: p.db.Integrations(), Systems: p.systems,
		Now: time.Now, NewID: newID, Log: p.log}
	p.monitor = &health.Monitor{Counters: p.db.Counters(), Rule: p.rule, Switch: p.integrations, Now: time.Now}
}

// sending makes what sends one delivery, and the reports.
func (p *program) sending() {
	sender, mailLog := p.mailer()
	p.mailLog = mailLog
	p.quota = &mail.Quota{Counters: p.db.Counters(), Limit: p.onRequest, Now: time.Now}
	mailer := mail.Guard{Next: sender, Blocks: p.db.SuppressionList(),
		Feedback: &mail.Feedback{Blocks: p.db.SuppressionList(), Bus: p.db.Bus(), Now: time.Now, Log: p.log}}
	p.sender = &sending.Sender{
		Destinations: p.systems, Transport: egress.New(p.policy, egress.Options{Mailer: mailer, Proxy: p.proxy}),
		Schedule: retry.Schedule{Faster: p.faster}, Platform: p.notes, Now: time.Now, Log: p.log,
		References: p.db.References(), Adapter: p.integrations, Unsubscribe: p.links, MailQuota: p.quota,
		Reports: report.Messages{Store: p.db.Reports(), Platform: p.notes},
		Locales: &report.Locales{Store: p.db.Reports(), Now: time.Now, Log: p.log}, Tracer: p.tracer,
	}
	p.reports = &report.Service{
		Store: p.db.Reports(), Totals: p.db.DailyTotals(), Renderer: pdf.Renderer{}, Receivers: p.receivers,
		Bus: p.db.Bus(), MailQuota: p.quota, Platform: p.platform, Console: report.Console(p.console), Now: time.Now,
		NewID: newID, Log: p.log, Events: fanout.Events{Log: p.db.Deliveries()}, EventsKept: p.keep,
		Tracer: p.tracer,
	}
	p.ordered = make(chan struct{}, 1)
}

// deliveries makes what turns events into deliveries, and what works at those.
func (p *program) deliveries() {
	store, meter := p.db.Deliveries(), p.meter()
	tenants := &report.Holds{Store: p.db.Reports(), Now: time.Now, Log: p.log}
	p.pool = worker.NewPool(worker.PoolConfig{
		Queue: store, Outcomes: store, Sender: p.sender, Integrations: p.receivers, Opener: p.receivers,
		Monitor: p.monitor, Logger: p.log, Limits: p.limits, Meter: meter,
		Fallbacks: &fanout.Fallbacks{Integrations: p.db.Integrations(), Systems: p.systems, Tenants: tenants,
			Now: time.Now},
	})
	p.fanout = &fanout.Fanout{
		Integrations: p.receivers, Systems: p.systems, Store: store, Logger: p.log, People: p.people, Meter: meter,
		Recorder: &daily.Recorder{Zone: report.ZoneOf(p.db.Reports()), Now: time.Now},
		Triggers: &trigger.Evaluator{Store: p.db.Triggers(), Now: time.Now, Log: p.log, Tracer: p.tracer},
		Messages: &fanout.MessageCounts{}, Tracer: p.tracer,
	}
	p.published = &bus.Quota{Each: p.tenantEvents, Of: p.tenantEventsOf, Now: time.Now, Meter: meter,
		Counters: p.db.Counters(), Log: p.log}
	p.recovery = &fanout.Recovery{Fanout: p.fanout, Journal: store, Now: time.Now}
	p.integrations.Missed = p.recovery
	p.holds(tenants)
}

// rulesShow is after how long no fan-out goes by rules any more that were changed before.
const rulesShow = 90 * time.Second

// holds makes what is held, and let go when the rules change: at once, and again when no batch that was made by the old
// rules is on its way any more.
func (p *program) holds(tenants *report.Holds) {
	store := p.db.Deliveries()
	p.fanout.Holds = tenants
	store.SetHolder(&fanout.Holder{Integrations: p.db.Integrations(), Systems: p.systems, Tenants: tenants,
		Now: time.Now})
	look := func(ctx context.Context, tenant, id string) error {
		defer p.pool.Recheck(tenant, id)
		return store.Reconsider(ctx, tenant, id, time.Now())
	}
	release := &fanout.Releaser{Integrations: p.db.Integrations(),
		Reconsider: func(ctx context.Context, tenant, id string) error {
			time.AfterFunc(rulesShow, func() {
				if err := look(context.WithoutCancel(ctx), tenant, id); err != nil {
					p.log.Warn("look anew at what is held", "tenant", tenant, "integration", id, "error", err.Error())
				}
			})
			return look(ctx, tenant, id)
		}}
	p.integrations.Held, p.reports.Held = release, release
}

// api is the Console and its API.
func (p *program) api() http.Handler {
	suppressed := p.db.SuppressionList()
	return console.New(console.Config{
		Ready: p.readiness, MailQuota: p.quota,
		Requests: &ratelimit.Limiter{Counter: &ratelimit.Memory{}, Limit: p.tenantRequests, Now: time.Now, Log: p.log},
		Platform: p.platform, EgressAddresses: p.addresses, Telegram: p.chats, Integrations: p.integrations,
		Systems: p.systems, Deliveries: p.db.Deliveries(), Health: p.monitor, Holds: p.pool.Holds(), Tester: p.sender,
		Sessions: p.sessions, Provider: p.provider, SignInLinks: p.admin.people,
		Authenticator: access.Chain{p.apiTokens(), access.StrangeBearer{}, p.sessions},
		Tokens:        p.admin.tokens, TokenHeader: p.tokenHeader, Tenants: p.admin.tenants,
		TokenRequests: &ratelimit.Limiter{Counter: &ratelimit.Memory{}, Limit: p.tokenRequests, Now: time.Now,
			Log: p.log},
		Erasures: p.admin.erasure, Recorder: p.admin.log, Activity: p.db.ActivityLog(),
		Now: time.Now, NewID: newID, Log: p.log, MailLog: p.mailLog, Changed: p.pool.Recheck,
		Wake: p.pool.Wake, Triggers: p.triggers, Commands: p.db.Commands(), DeadLetters: p.db.Deliveries(),
		Reports: p.reports, Recovery: p.recovery, Profiles: p.people, SuppressionList: suppressed,
		Unsubscriptions: profile.Unsubscriptions{Links: p.links, Profiles: p.people, SuppressionList: suppressed,
			Now: time.Now},
		Ordered: func(context.Context, report.Report) {
			wake(p.ordered)
		},
	})
}

// events takes what is published.
func (p *program) events() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", ready.Live)
	mux.Handle("GET /readyz", p.readiness)
	mux.Handle("POST /{$}", bus.Handler(bus.Config{
		Store: p.db.Bus(), Name: p.bus, Now: time.Now, NewID: uuid.NewString, Log: p.log, Region: p.region,
		Publishers: publisher.At(publisher.Beside(p.key), p.keys, time.Now),
		SignedOnly: !httpserver.IsLoopback(p.busListener.Addr().String()), Tracer: p.tracer,
		Quota: p.published,
	}))
	return mux
}

// serve runs until the context ends.
func (p *program) serve(ctx context.Context) error {
	server := httpserver.New(httpserver.Named(httpserver.CrossOrigin(p.api(), p.origins), p.listen, p.publicURL,
		p.console, p.telegramWebhook), httpserver.Limits{}, p.log)
	busServer := httpserver.New(p.events(), httpserver.Limits{}, p.log)
	commands, at, err := p.control(ctx)
	if err != nil {
		return err
	}
	defer os.Remove(control.File(p.state)) // it names nobody any more
	var work sync.WaitGroup
	defer p.traces(ctx)()
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	work.Go(func() { p.fanout.Run(background, p.db.Bus(), p.db.Bus().Arrived(), p.pool.Wake) })
	work.Go(func() { p.pool.Run(background) })
	work.Go(func() { p.reports.Run(background, reportsEvery, p.ordered) })
	work.Go(func() { prune(background, p.log, p.db, p.keep) })
	work.Go(func() { p.erase(background) })
	work.Go(func() { sweep(background, p.log, p.integrations, p.monitor) })
	work.Go(func() { p.receive(background, p.chats) })
	work.Go(func() { p.tellOfTime(background) })
	work.Go(func() { p.published.Run(background) })
	if p.certificate != nil {
		server.TLSConfig = p.certificate.Config()
	}
	if err := p.greet(ctx); err != nil {
		return err
	}
	failed := make(chan error, 4)
	go func() { failed <- commands.Serve(at) }()
	go func() { failed <- p.serveConsole(server) }()
	go func() { failed <- busServer.Serve(p.busListener) }()
	servers := []*http.Server{server, busServer, commands}
	if m := p.metricsServer(); m != nil {
		work.Go(func() { p.sampler.Run(background) })
		go func() { failed <- m.Serve(p.metricsListener) }()
		servers = append(servers, m)
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
		p.log.Info("stopping: requests in flight are finished")
		closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = httpserver.Shutdown(closing, servers...)
	}
	end()
	work.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// serveConsole answers at the Console's listener.
func (p *program) serveConsole(server *http.Server) error {
	if p.certificate != nil {
		return server.ServeTLS(p.listener, "", "") // the certificate is TLSConfig's
	}
	return server.Serve(p.listener)
}

// wake has somebody look who waits at a channel with room for one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Of erasures that the API is asked for.
const (
	// settle is over the longest request to a system: 180 s, and what it takes to write what came of it.
	settle = 4 * time.Minute
	// lookForErasures is how often somebody looks for one that is due.
	lookForErasures = 10 * time.Second
	// eraseAtOnce is how long a look goes on.
	eraseAtOnce = time.Minute
)

// erase works at erasures.
func (p *program) erase(ctx context.Context) {
	for every := time.NewTicker(lookForErasures); ; {
		if _, err := p.admin.erasure.Work(ctx, time.Now().Add(eraseAtOnce)); err != nil && ctx.Err() == nil {
			p.log.Error("erase tenants", "error", err.Error())
		}
		select {
		case <-p.erasures:
		case <-every.C:
		case <-ctx.Done():
			every.Stop()
			return
		}
	}
}
