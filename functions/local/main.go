// Command local is the embedded mode: the Console API, the PutEvents call, fan-out, delivery and retries in one
// process, with all its state in one SQLite file. `make run` starts it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"tocsin/shared/access"
	"tocsin/shared/bus"
	"tocsin/shared/console"
	"tocsin/shared/console/mails"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/engine/aws/identity"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/httpserver"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/mail"
	"tocsin/shared/notification"
	"tocsin/shared/profile"
	"tocsin/shared/publisher"
	"tocsin/shared/ratelimit"
	"tocsin/shared/ready"
	"tocsin/shared/receiver"
	"tocsin/shared/report"
	"tocsin/shared/report/pdf"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/telegrambot"
	"tocsin/shared/trigger"
	"tocsin/shared/worker"
)

// gcPercent lets the heap grow to five times what lives: what lives is a few MiB, and collecting it more often costs
// a sixth of the deliveries per second (make bench).
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := start(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tocsin:", err)
		os.Exit(1)
	}
}

// start runs the program, or the command that the first argument names.
func start(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if run, ok := commands[args[0]]; ok {
			return run(ctx, args[1:])
		}
	}
	c, err := configure(args, os.Getenv)
	if err != nil {
		return err
	}
	return run(ctx, c)
}

func run(ctx context.Context, c config) error {
	log := c.logger()
	c.sayProxy(log)
	listener, err := listen(c.listen, "listen")
	if err != nil {
		return err
	}
	defer listener.Close()
	busListener, err := listen(c.listenBus, "listen-bus")
	if err != nil {
		return err
	}
	defer busListener.Close()
	db, err := sqlite.Open(ctx, c.state, sqlite.Options{Log: log})
	if err != nil {
		return err
	}
	defer func() {
		if err := db.Close(); err != nil {
			log.Error("close the state file", "error", err.Error())
		}
	}()
	keys, err := openKeys(ctx, db, c.state, c.key, log)
	if err != nil {
		return err
	}
	seeds, err := keys.Derive("tokens")
	if err != nil {
		return err
	}
	tokens, err := access.NewKeys(c.issuer, seeds, time.Now)
	if err != nil {
		return err
	}
	return serve(ctx, c, log, db, keys, tokens, listener, busListener)
}

func listen(at, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w: stop what uses the port, or choose another with -%s", at, err, flag)
	}
	return l, nil
}

// serve wires the engine to the domain and runs until the context ends.
func serve(ctx context.Context, c config, log *slog.Logger, db *sqlite.DB, keys *keyring.Ring, tokens *access.Keys,
	listener, busListener net.Listener) error {
	systems := catalogue.Default(telegram.New(c.telegram), s3.New(s3.Platform{Identity: c.identity(log)}))
	policy := egress.Policy{Allow: c.allow}
	sender, mailLog, err := c.mailer(db)
	if err != nil {
		return err
	}
	secrets, err := keys.Derive("unsubscribe")
	if err != nil {
		return err
	}
	newID := func() string { return ulid.Make().String() }
	own := cmp.Or(c.publicURL, address(listener.Addr()))
	platform := notification.Platform{Name: c.platform, Console: c.console, Pages: own, Cloud: c.cloud}
	links := profile.Links{Base: own, Keys: secrets}
	people := &profile.Service{Store: db.People(), Now: time.Now, Log: log}
	mailer := mail.Guard{Next: sender, Blocks: db.SuppressionList(),
		Feedback: &mail.Feedback{Blocks: db.SuppressionList(), Bus: db.Bus(), Now: time.Now, Log: log}}
	integrations := &integration.Service{
		Store: db.Integrations(), Keys: keys, Systems: systems, Addresses: policy, Now: time.Now, NewID: newID,
		Log:     log,
		Backlog: db.Deliveries(),
	}
	receivers := &receiver.Directory{
		Integrations: db.Integrations(), Opener: integrations, Systems: systems, People: db.People(),
		Reports: db.Reports(), Now: time.Now,
	}
	relay := &mail.Quota{Counters: db.Counters(), Limit: c.onRequest, Now: time.Now}
	attempts := &sending.Sender{
		MailQuota:    relay,
		Destinations: systems, Transport: egress.New(policy, egress.Options{Mailer: mailer, Proxy: c.proxy}),
		Schedule: retry.Schedule{Faster: c.faster},
		Platform: platform, Now: time.Now, Log: log, Adapter: integrations, Unsubscribe: links,
		Reports: report.Messages{Store: db.Reports(), Platform: platform},
	}
	reports := &report.Service{
		MailQuota: relay,
		Store:     db.Reports(), Totals: db.DailyTotals(), Renderer: pdf.Renderer{}, Receivers: receivers,
		Bus:      db.Bus(),
		Platform: c.platform,
		Console:  report.Console(c.console), Now: time.Now, NewID: newID, Log: log,
	}
	monitor := &health.Monitor{Counters: db.Counters(), Rule: c.rule, Switch: integrations, Now: time.Now}
	dispatcher := worker.NewPool(worker.PoolConfig{
		Queue: db.Deliveries(), Outcomes: db.Deliveries(), Sender: attempts, Integrations: receivers, Opener: receivers,
		Monitor: monitor, Logger: log, Limits: c.limits,
	})
	fanOut := &fanout.Fanout{
		Integrations: receivers, Systems: systems, Store: db.Deliveries(), Logger: log,
		Recorder: &report.Recorder{Zones: db.Reports(), Now: time.Now}, People: people,
		Triggers: &trigger.Evaluator{Store: db.Triggers(), Now: time.Now, Log: log},
	}
	recovery := &fanout.Recovery{Fanout: fanOut, Journal: db.Deliveries(), Now: time.Now}
	integrations.Missed = recovery
	triggers := &trigger.Service{Store: db.Triggers(), Integrations: db.Integrations(), Systems: systems, Now: time.Now,
		NewID: newID, Log: log}
	ordered := make(chan struct{}, 1)

	chats, err := telegrambot.New(telegrambot.Config{Telegram: c.telegram, Integrations: integrations, Now: time.Now,
		Log:     log,
		Changed: dispatcher.Recheck, Proxy: c.proxy.For})
	if err != nil {
		return err
	}
	readiness := ready.New(ready.Check{Name: "state", Probe: db.Writable}, ready.Clock(time.Now),
		ready.Check{Name: "inbox", Probe: func(ctx context.Context) error {
			return db.Moving(ctx, time.Now())
		}}, ready.Check{Name: "keys", Probe: func(ctx context.Context) error {
			return keysThere(ctx, c.key, keys,
				log)
		}})
	api := console.New(console.Config{
		Ready: readiness, MailQuota: relay,
		Requests: &ratelimit.Limiter{Counter: &ratelimit.Memory{}, Limit: c.tenantRequests, Now: time.Now, Log: log},
		Platform: c.platform, EgressAddresses: c.addresses, Telegram: chats, Integrations: integrations,
		Systems: systems, Deliveries: db.Deliveries(), Health: monitor, Tester: attempts,
		Authenticator: tokens, Now: time.Now, NewID: newID, Log: log, MailLog: mailLog, Changed: dispatcher.Recheck,
		Wake:     dispatcher.Wake,
		Triggers: triggers, Commands: db.Commands(), DeadLetters: db.Deliveries(), Reports: reports,
		Ordered: func(context.Context, report.Report) {
			select {
			case ordered <- struct{}{}:
			default:
			}
		},
		Recovery: recovery,
		Profiles: people, SuppressionList: db.SuppressionList(),
		Unsubscriptions: profile.Unsubscriptions{Links: links, Profiles: people,
			SuppressionList: db.SuppressionList(), Now: time.Now},
	})
	events := http.NewServeMux()
	events.HandleFunc("GET /livez", ready.Live)
	events.Handle("GET /readyz", readiness)
	events.Handle("POST /{$}", bus.Handler(bus.Config{
		Store: db.Bus(), Name: c.bus, Now: time.Now, NewID: uuid.NewString, Log: log, Region: c.region,
		Publishers: publisher.At(publisher.Beside(c.key), keys, time.Now),
		SignedOnly: !httpserver.IsLoopback(busListener.Addr().String()),
	}))
	server := httpserver.New(httpserver.Named(httpserver.CrossOrigin(api, c.origins), c.listen, c.publicURL, c.console,
		c.telegramWebhook), httpserver.Limits{}, log)
	busServer := httpserver.New(events, httpserver.Limits{}, log)

	var work sync.WaitGroup
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	work.Go(func() { fanOut.Run(background, db.Bus(), db.Bus().Arrived(), dispatcher.Wake) })
	work.Go(func() { dispatcher.Run(background) })
	work.Go(func() { reports.Run(background, reportsEvery, ordered) })
	work.Go(func() { prune(background, log, db, c.keep) })
	work.Go(func() { sweep(background, log, integrations, monitor) })
	work.Go(func() { c.receive(background, chats) })
	if err := greet(c, tokens, listener.Addr(), busListener.Addr()); err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(listener) }()
	go func() { failed <- busServer.Serve(busListener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		log.Info("stopping: requests in flight are finished")
		closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = httpserver.Shutdown(closing, server, busServer)
	}
	end()
	work.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// reportsEvery is how often the schedule of reports is looked at.
const reportsEvery = 10 * time.Second

// identity is what the AWS SDK finds on this machine, when somebody asks for it. Its one call goes the way of all
// others.
func (c config) identity(log *slog.Logger) *identity.Found {
	return &identity.Found{Load: identity.Default, Now: time.Now, Log: log,
		STS: []func(*sts.Options){func(o *sts.Options) {
			if c.proxy != nil {
				o.HTTPClient = &http.Client{Transport: &http.Transport{Proxy: c.proxy.For}}
			}
		}}}
}

// receive gets what happens in Telegram: by the webhook where Telegram can call in, else by asking.
func (c config) receive(ctx context.Context, b *telegrambot.Bot) {
	switch {
	case !b.Configured():
	case c.telegramWebhook != "":
		b.Register(ctx, c.telegramWebhook)
	default:
		b.Poll(ctx)
	}
}

// mailer chooses between a mail server and the mail log.
func (c config) mailer(db *sqlite.DB) (mail.Sender, func(context.Context, string, string, int) ([]mails.Mail, error),
	error) {
	if c.smtp != "" {
		m, err := mail.NewSMTP(c.smtp, c.mailFrom, c.sessions, time.Now)
		return m, nil, err
	}
	list := func(ctx context.Context, tenant, before string, limit int) ([]mails.Mail, error) {
		kept, err := db.MailLog().Mails(ctx, tenant, before, limit)
		out := make([]mails.Mail, len(kept))
		for i, k := range kept {
			out[i] = mails.Mail{ID: k.ID, At: k.At, To: k.Mail.To, Subject: k.Mail.Subject, Text: k.Mail.Text,
				HTML: k.Mail.HTML, Unsubscribe: k.Mail.Unsubscribe}
			for _, a := range k.Mail.Attachments {
				out[i].Attachments = append(out[i].Attachments, a.Name)
			}
		}
		return out, err
	}
	return mail.LogSender{Keep: db.MailLog().Keep, Now: time.Now}, list, nil
}

// greet prints the sign-in link. It is the one place where a token is shown: on the terminal of who started us.
func greet(c config, tokens *access.Keys, at, busAt net.Addr) error {
	token, err := tokens.Issue(access.Principal{
		Tenant: c.tenant, ClientName: c.clientName, Role: access.Role(c.role), Email: c.email, Name: c.name,
	}, c.tokenGood)
	if err != nil {
		return err
	}
	address, events := address(at), address(busAt)
	sign := "--no-sign-request "
	if !httpserver.IsLoopback(busAt.String()) {
		sign = ""
	}
	fmt.Printf("%s is ready at %s, and takes events at %s\n  sign in:    %s/#token=%s\n  publish:    aws "+
		"%s--endpoint-url %s events put-events --entries file://events/vulnerability.json\n  state:      %s\n",
		c.platform, address, events, address, token, sign, events, c.state)
	return nil
}

// address is where a browser on this machine finds us.
func address(at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "http://localhost" // a TCP listener's address always has both
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() || ip.IsLoopback() && host != "127.0.0.1" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// sweepEvery is how often failing integrations to which nothing is sent are looked at.
const sweepEvery = time.Minute

func sweep(ctx context.Context, log *slog.Logger, integrations *integration.Service, monitor *health.Monitor) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		failing, err := integrations.Failing(ctx)
		if err == nil {
			_, err = monitor.Sweep(ctx, failing)
		}
		if err != nil && ctx.Err() == nil {
			log.Error("look after failing integrations: trying again", "error", err.Error())
		}
	}
}

// pruneEvery is how often old records are removed.
const pruneEvery, pruneLook = time.Hour, time.Minute

func prune(ctx context.Context, log *slog.Logger, db *sqlite.DB, keep time.Duration) {
	ticker := time.NewTicker(pruneLook)
	defer ticker.Stop()
	for last := (time.Time{}); ; {
		// By the time of day: a timer stands still while the machine sleeps.
		if now := time.Now().Round(0); now.Before(last) || now.Sub(last) >= pruneEvery {
			if removed, err := db.Prune(ctx, now, keep); err != nil && ctx.Err() == nil {
				log.Error("remove old records", "error", err.Error())
			} else if removed > 0 {
				log.Info("old records removed", "rows", removed, "kept", keep.String())
			}
			last = now
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
