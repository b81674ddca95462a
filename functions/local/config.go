package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/tracing"
	"tocsin/shared/bus"
	"tocsin/shared/command"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/health"
	"tocsin/shared/httpserver"
	"tocsin/shared/mail"
	"tocsin/shared/token"
	"tocsin/shared/worker"
)

const (
	defaultTenant = "42"
	defaultEmail  = "admin@example.com"
)

// config is what flags and environment say. Each flag has a variable: -listen is TOCSIN_LISTEN.
type config struct {
	listen, listenBus, region     string
	listenMetrics, metricsToken   string
	tlsCert, tlsKey               string
	state, key                    string
	allow                         []string
	platform, console, cloud, bus string
	tenant, clientName, role      string
	email, name                   string
	smtp, mailFrom, publicURL     string
	sessions                      mail.Sessions
	signing                       signingIn
	onRequest                     int // mails in an hour for a tenant
	origins                       []string
	tenantRequests                int // calls of the API in a minute for a tenant; 0 = not bounded
	tokenRequests                 int // likewise for an API token
	tokenHeader                   string
	tenantEvents                  bus.Rate // of what a tenant may publish
	tenantEventsOf                map[string]bus.Rate
	telegram                      telegram.Bot
	telegramWebhook               string
	proxy                         *egress.Proxy
	addresses                     []egress.Address // that customers admit
	unused                        []string         // proxy variables of the environment that are not used
	faster                        float64
	rule                          health.Rule
	limits                        worker.Limits
	keep, commandWait             time.Duration
	said                          map[string]string // the flags that were set, by an argument or a variable
	logLevel                      slog.Level
	logJSON                       bool
}

// texts are the flags that are parsed after all of them were read.
type texts struct {
	allow, level, proxy, direct, addresses, origins string
	events, eventsOf                                string
	resolves                                        bool
}

// startPage is the help of the program itself.
var startPage = commandline.Page{Summary: "start Tocsin on this machine", Usage: "usage: tocsin [flags]",
	Help: "Each flag has a variable: -listen is TOCSIN_LISTEN. `tocsin help` lists the commands.",
	Examples: []string{"tocsin", "tocsin -allow 127.0.0.1:9000",
		"tocsin -listen 0.0.0.0:8443 -tls-cert cert.pem -tls-key key.pem -public-url https://tocsin.example.com:8443"}}

func configure(args []string, getenv func(string) string) (config, error) {
	return configureAs("tocsin", startPage, args, getenv, func(*flag.FlagSet) {})
}

// configureAs is configure for a command that takes the program's flags, with flags of its own that have no variables.
func configureAs(name string, page commandline.Page, args []string, getenv func(string) string,
	own func(*flag.FlagSet)) (config, error) {
	var c config
	var t texts
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	page.Of(f)
	c.listening(f, &t)
	c.wayOut(f, &t)
	c.messages(f)
	c.mails(f)
	c.deliveries(f)
	c.signing.flags(f)
	if err := commandline.Environment(f, getenv); err != nil {
		return c, err
	}
	own(f)
	if err := commandline.Parse(f, args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, commandline.Unexpected(f.Arg(0))
	}
	c.said = map[string]string{}
	f.Visit(func(fl *flag.Flag) { c.said[fl.Name] = fl.Value.String() })
	if err := c.parse(t, getenv); err != nil {
		return c, err
	}
	if err := c.check(); err != nil {
		return c, err
	}
	if _, err := tracing.Configured(getenv); err != nil {
		return c, err
	}
	return c, c.checkTelegram()
}

// listening are the flags of the program: where it listens, and where its state is.
func (c *config) listening(f *flag.FlagSet, t *texts) {
	f.StringVar(&c.listen, "listen", "localhost:8080", "address of the Console and its API")
	f.StringVar(&c.tlsCert, "tls-cert", "", "file of the Console's certificate with its chain (PEM), read again when "+
		"it changes; with -tls-key the Console and its API speak https")
	f.StringVar(&c.tlsKey, "tls-key", "", "file of the certificate's private key (PEM)")
	f.StringVar(&c.listenBus, "listen-bus", "127.0.0.1:8081", "address where events are published (PutEvents); on "+
		"another than a loopback address every call must be signed, see tocsin publisher-key")
	f.StringVar(&c.listenMetrics, "listen-metrics", "", "address where Prometheus reads /metrics, such as "+
		"localhost:8082; on another than a loopback address it needs -metrics-token (default: nothing listens)")
	f.StringVar(&c.metricsToken, "metrics-token", "", "what who reads /metrics has to send as Authorization: Bearer; "+
		"better given as TOCSIN_METRICS_TOKEN (default on a loopback address: nothing)")
	f.StringVar(&c.region, "region", "", "the region that a publisher's signature must name (default: any)")
	f.StringVar(&c.state, "state", commandline.DefaultState, "the state file")
	f.StringVar(&c.key, "key", commandline.DefaultKey, "the key file (made when it is missing)")
	f.StringVar(&c.bus, "bus", "tocsin", "the name of the event bus, beside the one called default")
	f.BoolFunc("publish-remote", "is gone: see -listen-bus and tocsin publisher-key",
		func(string) error { return errPublishRemote })
	f.StringVar(&t.origins, "cors-origins", "",
		"origins, as https://console.example.com with commas between, whose pages may call the API from a browser")
	f.IntVar(&c.tenantRequests, "tenant-requests", 6000,
		"calls of the API in a minute that an account may make, 429 after that; 0 for no bound")
	f.IntVar(&c.tokenRequests, "token-requests", 3000,
		"calls of the API in a minute that an API token may make, 429 after that; 0 for no bound")
	f.StringVar(&t.events, "tenant-events", strconv.Itoa(bus.DefaultEvents),
		"events in a second that an account may publish in the long run, and after a slash those that may come at "+
			"once (500/5000; default: those of 10 s); what is over it is answered ThrottlingException, entry by "+
			"entry; 0 for no bound")
	f.StringVar(&t.eventsOf, "tenant-events-of", "", "accounts with another rate, as acme=500/5000,globex=0")
	f.StringVar(&c.tokenHeader, "token-header", token.DefaultHeader,
		"the header that API tokens may come in, beside Authorization: Bearer")
	f.StringVar(&t.level, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&c.logJSON, "log-json", false, "write logs as JSON")
}

// wayOut are the flags of the way out: how requests leave, and where they come from.
func (c *config) wayOut(f *flag.FlagSet, t *texts) {
	f.StringVar(&t.allow, "allow", "",
		"hosts, as host or host:port with commas between, that may be private and may be spoken to over http")
	f.StringVar(&t.proxy, "proxy", "", "HTTP proxy that requests to systems go through, http://user:password@host:port "+
		"or https://…; better given as TOCSIN_PROXY. Mail does not go through it")
	f.StringVar(&t.direct, "no-proxy", "",
		"hosts, as host, host:port or .domain with commas between, that are reached without the proxy")
	f.BoolVar(&t.resolves, "proxy-resolves", false,
		"have the proxy resolve the systems' names; then the proxy must refuse names that lead inside")
	f.StringVar(&t.addresses, "egress-addresses", "", "addresses that requests come from, for customers to admit: IP "+
		"addresses or ranges with commas between, each with @region or @region/spare behind it if you like; the "+
		"Console lists them (default: none are listed)")
}

// messages are the flags of messages: what stands in messages, and who may sign in at first.
func (c *config) messages(f *flag.FlagSet) {
	f.StringVar(&c.platform, "platform", "Tocsin", "the platform's name in messages")
	f.StringVar(&c.console, "console", "", "address of the platform's own Console, for links to attacks, findings "+
		"and users in messages (default: no such links)")
	f.StringVar(&c.cloud, "cloud", "EU", "the cloud's name in messages")
	f.StringVar(&c.publicURL, "public-url", "", "this program's address, for links to integrations and triggers in "+
		"messages and the links of mails (default: the address that it listens on)")
	f.StringVar(&c.tenant, "tenant", defaultTenant, "tenant of the person whom a new state knows; see tocsin user")
	f.StringVar(&c.clientName, "client-name", "Acme", "company name of that tenant")
	f.StringVar(&c.role, "role", "administrator",
		"role of that person; operator also reads the dead letters of all tenants")
	f.StringVar(&c.email, "email", defaultEmail, "address of that person")
	f.StringVar(&c.name, "name", "Local Administrator", "name of that person")
	f.BoolFunc("issuer", "is gone: see tocsin token", func(string) error { return errIssuer })
}

// mails are the flags of mails and Telegram.
func (c *config) mails(f *flag.FlagSet) {
	f.StringVar(&c.smtp, "smtp", "",
		"mail server, smtp://user:password@host:port; without one mails are kept in the mail log")
	f.IntVar(&c.sessions.Most, "smtp-sessions", mail.DefaultSessions,
		"sessions with the mail server at once, each kept for several mails")
	f.IntVar(&c.sessions.Mails, "smtp-mails", mail.DefaultMails, "mails in one session with the mail server")
	f.IntVar(&c.onRequest, "mails-on-request", mail.DefaultOnRequest, "mails in an hour that a tenant's tests, "+
		"reports on demand and replays of what arrived may send to other people's addresses, with those of people "+
		"and reports that are sent again")
	f.StringVar(&c.mailFrom, "mail-from", "Tocsin <tocsin@localhost.localdomain>", "sending address of mails")
	f.StringVar(&c.telegram.Token, "telegram-token", "",
		"token of the platform's Telegram bot, from @BotFather; better given as TOCSIN_TELEGRAM_TOKEN")
	f.StringVar(&c.telegram.API, "telegram-api", telegram.DefaultAPI, "address of the Bot API server")
	f.StringVar(&c.telegramWebhook, "telegram-webhook", "",
		"public https address of this program, for Telegram to call; without one the bot asks for its messages")
}

// deliveries are the flags of retries, disabling and what is kept.
func (c *config) deliveries(f *flag.FlagSet) {
	f.Float64Var(&c.faster, "faster", 1, "divide every wait of the retry cycles, for a demonstration")
	f.IntVar(&c.rule.Percent, "disable-percent", health.DefaultPercent,
		"share of failed requests that disables an integration")
	f.IntVar(&c.rule.Minimum, "disable-minimum", health.DefaultMinimum, "requests below which none is disabled")
	f.IntVar(&c.rule.Spread, "disable-spread", health.DefaultSpread,
		"ten-minute counters with failures below which none is disabled")
	f.DurationVar(&c.rule.Lasting, "disable-after", health.DefaultLasting,
		"how long an integration must have been failing before it is disabled; 0s for no time")
	f.IntVar(&c.limits.PerLane, "per-integration", 0, "requests in flight to one integration (default 32)")
	f.DurationVar(&c.commandWait, "command-wait", command.DefaultWait,
		"how long a trigger's command may wait to be acknowledged before administrators are told; 0s tells nobody")
	f.DurationVar(&c.keep, "keep", 30*24*time.Hour, "how long ended deliveries and their events are kept")
}

// parse reads the flags whose text has a form of its own.
func (c *config) parse(t texts, getenv func(string) string) (err error) {
	c.allow = list(t.allow)
	if c.addresses, err = egress.ParseAddresses(t.addresses); err != nil {
		return fmt.Errorf("-egress-addresses: %w", err)
	}
	if c.origins, err = httpserver.ParseOrigins(t.origins); err != nil {
		return fmt.Errorf("-cors-origins: %w", err)
	}
	if c.tenantEvents, err = bus.ParseRate(t.events); err != nil {
		return fmt.Errorf("-tenant-events: %w", err)
	}
	if c.tenantEventsOf, err = bus.ParseRates(t.eventsOf); err != nil {
		return fmt.Errorf("-tenant-events-of: %w", err)
	}
	if err := c.readProxy(t.proxy, t.direct, t.resolves, getenv); err != nil {
		return err
	}
	if err := c.logLevel.UnmarshalText([]byte(t.level)); err != nil {
		return fmt.Errorf("-log-level %q: must be debug, info, warn or error", t.level)
	}
	c.console = strings.TrimSuffix(c.console, "/")
	c.publicURL = strings.TrimSuffix(c.publicURL, "/")
	return nil
}

// checkAddresses refuses what nobody can listen on: a port that is in use is another matter.
func (c *config) checkAddresses() error {
	for _, a := range []struct{ flag, at string }{{"listen", c.listen}, {"listen-bus", c.listenBus},
		{"listen-metrics", c.listenMetrics}} {
		if a.at == "" && a.flag == "listen-metrics" {
			continue // nothing listens
		}
		_, port, err := net.SplitHostPort(a.at)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil {
			return fmt.Errorf("-%s %q is no address: write host:port, such as localhost:8080, with a port from 0 to "+
				"65535", a.flag, a.at)
		}
	}
	return nil
}

// check refuses what the flags can not mean together.
func (c *config) check() error {
	if err := c.checkAddresses(); err != nil {
		return err
	}
	if c.listen == c.listenBus && !strings.HasSuffix(c.listen, ":0") {
		return errors.New("-listen and -listen-bus must not be the same address: who may reach the Console and " +
			"who may publish are decided apart")
	}
	if err := c.checkMetrics(); err != nil {
		return err
	}
	if c.rule.Percent < 1 || c.rule.Minimum < 1 || c.rule.Spread < 1 || c.rule.Lasting < 0 || c.faster < 1 ||
		c.keep < time.Hour || c.commandWait < 0 {
		return errors.New("-disable-percent, -disable-minimum, -disable-spread and -faster must be at least 1, " +
			"-disable-after and -command-wait at least 0s, -keep at least 1h")
	}
	if c.rule.Lasting == 0 {
		c.rule.Lasting = -1 // which is what a rule calls no time
	}
	if err := c.rule.Check(); err != nil {
		return err
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	if err := c.signing.check(); err != nil {
		return err
	}
	if c.tenantRequests < 0 || c.tokenRequests < 0 {
		return errors.New("-tenant-requests and -token-requests must be at least 0")
	}
	if err := token.CheckHeader(c.tokenHeader); err != nil {
		return fmt.Errorf("-token-header: %w", err)
	}
	if c.sessions.Most < 1 || c.sessions.Mails < 1 || c.onRequest < 1 {
		return errors.New("-smtp-sessions, -smtp-mails and -mails-on-request must be at least 1")
	}
	return nil
}

// checkTLS refuses one flag without the other.
func (c *config) checkTLS() error {
	if (c.tlsCert == "") != (c.tlsKey == "") {
		return errors.New("-tls-cert and -tls-key go together: name the file of the certificate and that of its key")
	}
	return nil
}

// errPublishRemote is for who started an older release with the flag.
var errPublishRemote = errors.New("it is gone, because it took events from anybody: name an address for publishers " +
	"with -listen-bus, " +
	"and make each of them a key pair with `tocsin publisher-key add NAME`, which every AWS client signs with")

// errIssuer is for who started an older release with the flag.
var errIssuer = errors.New("it is gone with the bearer tokens that the key file signed: programs send API tokens, " +
	"which `tocsin token create` and the Console make")

// list parts a list with commas.
func list(text string) (out []string) {
	for _, s := range strings.Split(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// readProxy reads the proxy's flags, and notes what others would read from the environment.
func (c *config) readProxy(proxy, direct string, resolves bool, getenv func(string) string) error {
	if proxy == "" {
		if direct != "" || resolves {
			return errors.New("-no-proxy and -proxy-resolves say nothing without -proxy")
		}
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY",
			"all_proxy"} {
			if getenv(name) != "" {
				c.unused = append(c.unused, name)
			}
		}
		return nil
	}
	var err error
	if c.proxy, err = egress.ParseProxy(proxy); err != nil {
		return fmt.Errorf("-proxy %w", err)
	}
	c.proxy.Direct, c.proxy.Resolves = list(direct), resolves
	return nil
}

// sayProxy logs which way requests go, where a person may expect another. No password is in it.
func (c config) sayProxy(log *slog.Logger) {
	if c.proxy != nil {
		log.Info("requests to systems go through a proxy; mail does not", "proxy", c.proxy.String())
	}
	if len(c.unused) > 0 {
		log.Warn("the environment names a proxy, and Tocsin does not use these variables: start it with -proxy "+
			"(TOCSIN_PROXY) to send through one", "variables", strings.Join(c.unused, " "))
	}
}

// botToken is the form of a bot's token. Telegram, Bot API, "Authorizing your bot".
var botToken = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]{20,}$`)

func (c *config) checkTelegram() error {
	if c.telegram.Token == "" {
		return nil
	}
	if !botToken.MatchString(c.telegram.Token) {
		return errors.New(
			"-telegram-token has not the form of a bot's token (123456:ABC…): copy it again from @BotFather")
	}
	if err := (egress.Policy{Allow: c.allow}).CheckURL(c.telegram.API); err != nil {
		return fmt.Errorf("-telegram-api %w; a server of your own has to be named in -allow too", err)
	}
	if c.telegramWebhook = strings.TrimSuffix(c.telegramWebhook, "/"); c.telegramWebhook != "" &&
		!strings.HasPrefix(c.telegramWebhook, "https://") {
		return errors.New("-telegram-webhook must begin with https://: Telegram calls nothing else")
	}
	return nil
}

func (c config) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.logLevel}
	if c.logJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
