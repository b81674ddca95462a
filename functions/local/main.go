// Command local is the embedded mode: the Console API, the PutEvents call, fan-out, delivery and retries in one
// process, with all its state in one SQLite file. `make run` starts it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/doctor"
	"tocsin/functions/local/keys"
	"tocsin/functions/local/remote"
	"tocsin/functions/local/tracing"
	"tocsin/shared/console/mails"
	"tocsin/shared/engine/aws/identity"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/health"
	"tocsin/shared/httpserver"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/stdlog"
	"tocsin/shared/telegrambot"
)

// stopProfile ends the CPU profile of a program that was built with the tag profile (make bench-parts).
var stopProfile = func() {}

func main() {
	boundHeap()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := start(ctx, os.Args[1:])
	stopProfile()
	var exit *commandline.Exit
	if errors.As(err, &exit) {
		if exit.Words != "" {
			fmt.Fprintln(os.Stderr, "tocsin:", exit.Words)
		}
		os.Exit(exit.Code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tocsin:", err)
		os.Exit(1)
	}
}

// start runs the program, or the command that the first argument names.
func start(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if run, ok := named(args[0]); ok {
			// The second signal ends a command at once.
			defer context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })()
			return commandline.Interrupted(ctx, run(ctx, args[1:]))
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
	stdlog.Take(log)
	c.sayProxy(log)
	listener, err := httpserver.Listen(c.listen, "listen")
	if err != nil {
		return err
	}
	defer listener.Close()
	busListener, err := httpserver.Listen(c.listenBus, "listen-bus")
	if err != nil {
		return err
	}
	defer busListener.Close()
	metricsListener, err := c.listensForMetrics()
	if err != nil {
		return err
	}
	if metricsListener != nil {
		defer metricsListener.Close()
	}
	p := &program{config: c, log: log, listener: listener, busListener: busListener, metricsListener: metricsListener}
	if err := p.judge(); err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, c.state, sqlite.Options{Log: log})
	if err != nil {
		return err
	}
	defer func() {
		if err := db.Close(); err != nil {
			log.Error("close the state file", "error", err.Error())
		}
	}()
	p.db = db
	if p.keys, err = keys.Open(ctx, db, c.state, c.key, log); err != nil {
		return err
	}
	doctor.New(doctor.Installation{State: c.state, Key: c.key}).AtStart(ctx, log)
	if err := p.wire(); err != nil {
		return err
	}
	return p.serve(ctx)
}

// judge refuses what keeps the program from starting, before the state file is opened: that brings a file of an older
// release to this one's layout, and the older release could not be started again.
func (p *program) judge() (err error) {
	if err := keys.Judge(p.state, p.key); err != nil {
		return err
	}
	if err := p.told().Check(); err != nil {
		return fmt.Errorf("%s: %w", firstPerson, err)
	}
	if p.smtp != "" {
		if p.mailServer, err = mail.NewSMTP(p.smtp, p.mailFrom, p.config.sessions, time.Now); err != nil {
			return err
		}
	}
	if p.tlsCert != "" {
		if p.certificate, err = httpserver.ReadCertificate(p.tlsCert, p.tlsKey, time.Now, p.log); err != nil {
			return err
		}
	}
	p.tracer, err = tracing.New(os.Getenv, p.proxy, p.log)
	return err
}

// firstPerson is who a new state knows, to a person.
const firstPerson = "the person of -email and the flags with it"

// reportsEvery is how often the schedule of reports is looked at.
const reportsEvery = 10 * time.Second

// identity is what the AWS SDK finds on this machine, when somebody asks for it. Its one call goes the way of all
// others.
func (c config) identity(log *slog.Logger) *identity.Found {
	return &identity.Found{Load: identity.Default(log, tracing.Beyond(c.proxy)), Now: time.Now, Log: log,
		STS: []func(*sts.Options){func(o *sts.Options) {
			o.HTTPClient = &http.Client{Transport: &http.Transport{Proxy: c.proxy.For}}
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
func (p *program) mailer() (mail.Sender, func(context.Context, string, string, int) ([]mails.Mail, error)) {
	if p.mailServer != nil {
		return p.mailServer, nil
	}
	db := p.db
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
	return mail.LogSender{Keep: db.MailLog().Keep, Now: time.Now}, list
}

// greet says where everything is, and how to sign in. A sign-in link is printed to a terminal alone: see how.
func (p *program) greet(ctx context.Context) error {
	how, err := p.how(ctx, p.admin)
	if err != nil {
		return fmt.Errorf("%s: %w", firstPerson, err)
	}
	events := "http://" + host(p.busListener.Addr())
	fmt.Printf("%s is ready at %s, and takes events at %s\n  sign in:    %s\n  publish:    %s\n  state:      %s\n",
		p.platform, p.address(p.listener.Addr()), events, how, p.publishing(events), p.state)
	if p.metricsListener != nil {
		fmt.Printf("  metrics:    http://%s/metrics\n", host(p.metricsListener.Addr()))
	}
	return nil
}

// publishing is how a person on this machine publishes an example.
func (p *program) publishing(events string) string {
	sample, publish := []string{"events", "sample", "vuln"}, []string{"events", "publish", "-"}
	if p.tenant != defaultTenant {
		sample = append(sample, "-account", p.tenant)
	}
	if events != remote.DefaultEventsURL {
		publish = append(publish, "-events-url", events)
	}
	words := "`" + commandline.Typed(commandline.DefaultState, sample...) + " | " +
		commandline.Typed(commandline.DefaultState, publish...) + "`"
	if httpserver.IsLoopback(p.busListener.Addr().String()) {
		return words
	}
	add := []string{"publisher-key", "add", "NAME"}
	if p.key != commandline.DefaultKey {
		if key, err := filepath.Abs(p.key); err == nil {
			add = append(add, "-key", key)
		}
	}
	return words + ", with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of `" +
		commandline.Typed(commandline.DefaultState, add...) + "`"
}

// address is where a browser on this machine finds the Console.
func (c config) address(at net.Addr) string {
	if c.tlsCert != "" {
		return "https://" + host(at)
	}
	return "http://" + host(at)
}

// host is how a client on this machine names a listener.
func host(at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "localhost" // a TCP listener's address always has both
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() || ip.IsLoopback() && host != "127.0.0.1" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
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
