package console

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/klauspost/compress/gzhttp"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/cache"
	"tocsin/shared/command"
	"tocsin/shared/console/activitylog"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/console/docs"
	"tocsin/shared/console/export"
	"tocsin/shared/console/integrations"
	"tocsin/shared/console/mails"
	overviews "tocsin/shared/console/overview"
	"tocsin/shared/console/pages"
	"tocsin/shared/console/profiles"
	"tocsin/shared/console/reports"
	"tocsin/shared/console/rest"
	"tocsin/shared/console/signin"
	"tocsin/shared/console/tenants"
	"tocsin/shared/console/tokens"
	"tocsin/shared/console/triggers"
	"tocsin/shared/console/v2"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/erasure"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/overview"
	"tocsin/shared/profile"
	"tocsin/shared/ratelimit"
	"tocsin/shared/ready"
	"tocsin/shared/report"
	"tocsin/shared/session"
	"tocsin/shared/session/oidc"
	"tocsin/shared/telegrambot"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
)

// Config names what the API works with; fields without a remark are required.
type Config struct {
	Platform     string // the product's name, for the documents
	Integrations *integration.Service
	Systems      integrations.Systems
	Deliveries   deliveries.History
	DeadLetters  deliveries.DeadLetters
	Health       *health.Monitor
	Holds        overview.Holds // nil = nobody knows which systems are spared
	Tester       interface {
		integrations.Tester
		deliveries.Previewer
	}
	Authenticator access.Authenticator
	Now           func() time.Time
	NewID         func() string
	Log           *slog.Logger

	// Sessions are of people who sign in by cookies, nil = nobody does. Provider is where they sign in, nil = at none;
	// SignInLinks sign them in too, nil = none do.
	Sessions    *session.Service
	Provider    *oidc.Provider
	SignInLinks signin.SignInLinks
	// Recorder is the activity log, for what is in no transaction of a kept object; nil = nothing is noted.
	Recorder activity.Recorder
	// Activity reads the activity log; nil = this deployment has none.
	Activity activity.Reader

	// Commands are what triggers asked of the platform; nil = this deployment has no triggers.
	Commands command.Store

	// EgressAddresses are where requests to customers' systems come from, as the operator says; none = that is not
	// said.
	EgressAddresses []egress.Address
	// Telegram binds chats; nil = this API does not.
	Telegram *telegrambot.Bot
	// Ready is /readyz; nil = this API is ready when it answers.
	Ready *ready.Checker
	// NoPages leaves the pages out, for who has a Console of their own: the API's description is at / then.
	NoPages bool
	// MailLog reads the mails of a tenant that an embedded engine keeps; nil when mails are sent.
	MailLog func(ctx context.Context, tenant, before string, limit int) ([]mails.Mail, error)
	// Changed is told of an integration that was enabled, disabled, deleted or changed; nil = nobody asks.
	Changed func(tenant, id string)
	// Triggers keeps triggers; nil = this deployment has none.
	Triggers *trigger.Service
	// Reports makes reports, nil = this deployment has none; Ordered wakes it, nil = it looks by itself.
	Reports *report.Service
	Ordered func(ctx context.Context, r report.Report)
	// Profiles keeps each person's notifications, nil = there are none; with it Blocks has the addresses that nothing
	// is sent to, and Unsubscriptions the links of mails.
	Profiles        *profile.Service
	SuppressionList mail.SuppressionList
	Unsubscriptions profile.Unsubscriptions
	// Recovery makes good what an integration missed; nil = this deployment can not.
	Recovery *fanout.Recovery
	// Requests bounds the calls of each tenant; nil = they are not bounded.
	Requests *ratelimit.Limiter
	// TokenRequests bounds those of each API token; nil = they are not bounded.
	TokenRequests *ratelimit.Limiter
	// Tokens makes API tokens, nil = there are none; TokenHeader is the header that they may come in, "" =
	// token.DefaultHeader.
	Tokens      *token.Service
	TokenHeader string
	// Tenants knows linked tenants; nil = none are linked.
	Tenants *tenant.Service
	// Erasures exports and erases tenants that leave; nil = this deployment does not.
	Erasures *erasure.Service
	// MailQuota bounds what is mailed again to other people although it has arrived; nil = it is not bounded.
	MailQuota *mail.Quota
	// Wake is told of lanes that a replay filled; nil = nobody asks.
	Wake func(lanes ...delivery.Lane)
}

// New makes the handler: the Console's pages at /, the API under /v1, its document at /openapi.json, /openapi.yaml and,
// for a reader, /docs, that of the events at /asyncapi.json and /docs/events, the schema of configurations, /healthz,
// and what Telegram calls.
func New(c Config) http.Handler {
	if c.Changed == nil {
		c.Changed = func(string, string) {}
	}
	if c.Ordered == nil {
		c.Ordered = func(context.Context, report.Report) {}
	}
	if c.Wake == nil {
		c.Wake = func(...delivery.Lane) {}
	}
	mux := http.NewServeMux()
	s := &server{Config: c}
	api := s.register(mux)
	complete(api.OpenAPI())
	api.OpenAPI().Paths["/"] = putEvents()
	page := docs.New(api.OpenAPI(), c.Platform)
	docs.Events{Platform: c.Platform, Receivers: s.receivers}.Mount(mux)
	if c.NoPages {
		mux.Handle("GET /{$}", page)
	} else {
		pages.New(c.Platform, described(c.Systems)).Mount(mux)
	}
	mux.HandleFunc("GET "+export.SchemaPath, export.Schema(c.Systems, c.Log))
	page.Mount(mux)
	if c.Ready == nil {
		c.Ready = ready.New()
	}
	mux.HandleFunc("GET /livez", ready.Live)
	mux.HandleFunc("GET /healthz", ready.Live) // the name of older releases
	mux.Handle("GET /readyz", c.Ready)
	if c.Telegram != nil {
		mux.Handle("POST "+telegrambot.WebhookPath, c.Telegram)
	}
	return compress(s.guard(mux))
}

// register adds the operations that this deployment has, and the page behind the links of mails.
func (s *server) register(mux *http.ServeMux) huma.API {
	rest.UseProblems()
	api := humago.New(mux, document(s.Platform, cmp.Or(s.TokenHeader, token.DefaultHeader)))
	api.UseMiddleware(rest.Authorize)
	s.session(api)
	s.version(api)
	kit := rest.Kit{Log: s.Log, Now: s.Now, NewID: s.NewID, Recorder: s.Recorder}
	if s.Sessions != nil {
		ways := &signin.API{Kit: kit, Sessions: s.Sessions, Provider: s.Provider, Links: s.SignInLinks,
			Recorder: s.Recorder}
		ways.Register(api)
		ways.Mount(mux)
	}
	var users integrations.Users
	if s.Triggers != nil {
		users = s.Triggers
	}
	(&integrations.API{
		Kit: kit, Users: users, Integrations: s.Integrations, Systems: s.Systems, Health: s.Health, Tester: s.Tester,
		Telegram: s.Telegram, FilterTester: s.Recovery, EgressAddresses: s.EgressAddresses, Changed: s.Changed,
	}).Register(api)
	(&overviews.API{Kit: kit, Reader: s.overview()}).Register(api)
	s.delivered(kit).Register(api)
	(&triggers.API{
		Kit: kit, Platform: s.Platform, Integrations: s.Integrations, Systems: s.Systems, Previewer: s.Tester,
		Triggers: s.Triggers, Commands: s.Commands,
	}).Register(api)
	if s.Activity != nil {
		(&activitylog.API{Kit: kit, Log: s.Activity}).Register(api)
	}
	if s.Tokens != nil {
		(&tokens.API{Kit: kit, Tokens: s.Tokens}).Register(api)
	}
	if s.Tenants != nil {
		(&tenants.API{Kit: kit, Tenants: s.Tenants}).Register(api)
	}
	if s.Erasures != nil {
		(&tenants.Leaving{Kit: kit, Erasures: s.Erasures}).Register(api)
	}
	(&export.API{
		Kit: kit, Integrations: s.Integrations, Systems: s.Systems, Triggers: s.Triggers, Reports: s.Reports,
	}).Register(api)
	if s.Reports != nil {
		(&reports.API{Kit: kit, Reports: s.Reports, Ordered: s.Ordered}).Register(api)
	}
	if s.Profiles != nil {
		profiles := &profiles.API{Kit: kit, Platform: s.Platform, Profiles: s.Profiles,
			SuppressionList: s.SuppressionList, Unsubscriptions: s.Unsubscriptions}
		profiles.Register(api)
		profiles.Mount(mux)
	}
	(&v2.API{Kit: kit, Integrations: s.Integrations, Systems: s.Systems, Triggers: s.Triggers,
		Changed: s.Changed, Telegram: s.Telegram, Tenants: s.Tenants}).Mount(mux)
	s.mails(kit).Register(api)
	if s.Tenants != nil {
		nameTenant(api.OpenAPI())
	}
	return api
}

// delivered are the operations about deliveries and events.
func (s *server) delivered(kit rest.Kit) *deliveries.API {
	a := &deliveries.API{
		Kit: kit, Integrations: s.Integrations, Systems: s.Systems, Deliveries: s.Deliveries, Previewer: s.Tester,
		Recovery: s.Recovery, DeadLetters: s.DeadLetters, MailQuota: s.MailQuota, Wake: s.Wake,
	}
	if s.Reports != nil {
		a.Settings = s.Reports.Store
	}
	return a
}

// mails are the operations about mails to people and of reports.
func (s *server) mails(kit rest.Kit) *mails.API {
	a := &mails.API{
		Kit: kit, Deliveries: s.Deliveries, Reports: s.Reports, Profiles: s.Profiles,
		SuppressionList: s.SuppressionList, MailLog: s.MailLog, MailQuota: s.MailQuota, Wake: s.Wake,
	}
	if s.Integrations != nil {
		a.Backlog = s.Integrations.Backlog
	}
	return a
}

// overview reads what became of the last day.
func (s *server) overview() *overview.Reader {
	r := &overview.Reader{Integrations: s.Integrations, Systems: s.Systems, Now: s.Now}
	if s.Commands != nil {
		r.Commands = s.Commands
	}
	if s.Reports != nil {
		r.Tenants = &report.Holds{Store: s.Reports.Store, Now: s.Now, Log: s.Log}
	}
	if s.Integrations != nil && s.Health != nil { // else this is the document alone, or /v2
		r.Counters, r.Backlog, r.Holds = s.Health.Counters, s.Integrations.Backlog, s.Holds
	}
	return r
}

// nameTenant describes the parameter by which a global role acts for a linked tenant: once, for every path.
func nameTenant(document *huma.OpenAPI) {
	document.Components.Parameters = map[string]*huma.Param{"tenant": {
		Name: tenants.Parameter, In: "query", Schema: &huma.Schema{Type: huma.TypeString}, Example: "43",
		Description: "The tenant that the call is for, when a global role acts for one that is linked to its own " +
			"(`GET /v1/tenants` lists them); without it your own, or the only one that your API token is for. A " +
			"plain role, and a tenant that is not linked or does not exist, are answered 403. What belongs to a " +
			"person (`/v1/profile/…`) stays that of the home tenant.",
	}}
	for path, item := range document.Paths {
		if strings.HasPrefix(path, "/v1/") {
			item.Parameters = append(item.Parameters, &huma.Param{Ref: "#/components/parameters/tenant"})
		}
	}
}

// compressFrom is the size of an answer from which it is compressed, in bytes: what one packet holds.
const compressFrom = 1400

// compress packs the API's answers: the catalogue alone is half of what a browser loads at first. The pages' files are
// packed already, and are left as they are. No answer holds both a secret and what a stranger chose.
func compress(h http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(compressFrom),
		gzhttp.ContentTypes([]string{"application/json", "application/problem+json", "application/yaml", "text/csv",
			"text/html"}))
	if err != nil {
		panic(err) // the options are valid ones
	}
	return wrap(h)
}

type server struct {
	Config

	known cache.LRU[string, struct{}] // people whose notifications exist: see know
}

func document(platform, header string) huma.Config {
	c := huma.DefaultConfig(platform+" Console API", "1.0.0")
	c.CreateHooks = nil // no $schema member in every answer
	c.RejectUnknownQueryParameters = true
	c.Transformers = append(c.Transformers, rest.Word)
	c.DocsPath = "" // ours, without a script from another host
	c.Info.Description = "Manage the integrations that carry the platform's events to your systems: set them up, " +
		"test them, read what was delivered, send again what was not.\n\n" +
		"Every call needs a token (`Authorization: Bearer …`): an administrator's, but for your own profile and " +
		"the addresses to admit, which are for every role, and for reports. The tenant is the token's; a global role " +
		"acts for a linked one with the query parameter `tenant`. Secrets are " +
		"write-only: an answer shows `" +
		destination.SecretMask +
		"`, and an update that sends the mask back keeps the secret, as long as it goes to the same receiver.\n\n" +
		"A deployment bounds the calls of an account, and of an API token, in a minute. What is over that is " +
		"answered 429; `Retry-After` says in how many seconds the next minute begins."
	c.Info.License = &huma.License{Name: "Proprietary"}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "Claims: iss, aud, exp, tenant, role; client_name, email and name where known."},
	}
	c.Components.SecuritySchemes["api_token"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer",
		Description: "An API token: 64 characters of base64, made with POST /v1/tokens or in the Console."}
	c.Components.SecuritySchemes["api_token_header"] = &huma.SecurityScheme{Type: "apiKey", In: "header", Name: header,
		Description: "The same in a header of its own."}
	c.Components.SecuritySchemes["session"] = &huma.SecurityScheme{Type: "apiKey", In: "cookie",
		Name: (&session.Service{Secure: true}).CookieName(), Description: "The Console's own pages. Without TLS the " +
			"cookie is tocsin_session. What changes something must come from a page of the same origin."}
	c.Components.SecuritySchemes["signature"] = &huma.SecurityScheme{Type: "http", Scheme: "AWS4-HMAC-SHA256",
		Description: "AWS Signature Version 4, service events: of PutEvents alone."}
	c.Security = []map[string][]string{{"token": {}}, {"api_token": {}}, {"api_token_header": {}}, {"session": {}}}
	return c
}

// described are the systems of the catalogue.
func described(of integrations.Systems) (out []destination.System) {
	for _, e := range of.All() {
		out = append(out, e.System)
	}
	return out
}
