// Package integrations is the operations on integrations, on the systems that they can be made for, and on the
// addresses to admit.
package integrations

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/telegrambot"
	"tocsin/shared/wording"
)

// IntegrationView is an integration as an answer shows it.
type IntegrationView struct {
	ID         string                 `json:"id" example:"01GTD8R4000000000000000001"`
	System     string                 `json:"system" example:"slack"`
	Name       string                 `json:"name" example:"Ops channel"`
	Language   wording.Language       `json:"language,omitempty" enum:"en,ja" doc:"of what people read of it; absent: the tenant's"`
	Rate       integration.Rate       `json:"rate,omitempty" doc:"how many messages are sent at most; absent: as many as its system takes" example:"10/minute"`
	Grouping   integration.Grouping   `json:"grouping,omitempty" doc:"one message for the events of some minutes, where people read them: every five minutes of at most 50 events; absent: each event is a message" example:"50/5m"`
	StormGuard integration.StormGuard `json:"storm_guard,omitempty" doc:"how many messages a minute has at most, where people read them: what is beyond is told in one digest a minute; none: as many as come; absent: 60/minute" example:"60/minute"`
	Fallback   string                 `json:"fallback,omitempty" doc:"the id of the integration that gets what can not be delivered to this one; absent: none does" example:"01GTD8R4000000000000000002"`
	Template   *MessageTemplateView   `json:"message_template,omitempty" doc:"its own title and text of messages; absent: the standard ones"`
	Backlog    *BacklogView           `json:"backlog,omitempty" doc:"what waits because of its rate; not in a list, not on AWS, and not while retries wait or it fails"`
	Enabled    bool                   `json:"enabled"`
	State      integration.State      `json:"state" enum:"ok,failing,disabled" doc:"failing: it is enabled, and most of its newest requests failed"`
	Failing    *FailingView           `json:"failing,omitempty" doc:"since when it fails and why"`
	Disabled   *DisabledView          `json:"disabled,omitempty" doc:"who disabled it, when and why"`
	Events     []SubscriptionView     `json:"events" doc:"every event type of the system"`
	Filters    []rest.FilterView      `json:"filters" doc:"what narrows the events that it gets"`
	Hold       *rest.HoldView         `json:"hold,omitempty" doc:"when what is sent to it waits; absent: never by its own rules"`
	Muted      *MuteView              `json:"muted,omitempty" doc:"while it is muted"`
	Parameters json.RawMessage        `json:"parameters,omitempty" doc:"secrets are masked; absent in a brief list"`
	Unreadable *UnreadableView        `json:"unreadable,omitempty" doc:"why its secrets can not be read; nothing is sent meanwhile"`
	Revision   int64                  `json:"revision" doc:"counts changes; the ETag"`
	CreatedAt  time.Time              `json:"created_at"`
	CreatedBy  string                 `json:"created_by,omitempty"`
	UpdatedAt  time.Time              `json:"updated_at"`
	UpdatedBy  string                 `json:"updated_by,omitempty" doc:"who changed it last; system: Tocsin itself"`
	// ParametersAt is a pointer, because integrations of before have none.
	ParametersAt *time.Time  `json:"parameters_at,omitempty" doc:"when its parameters were changed last: what its system answered before is no word on them"`
	Missing      string      `json:"missing,omitempty" doc:"what this deployment lacks for the system: nothing is delivered until its operator mends it"`
	Health       *HealthView `json:"health,omitempty" doc:"in a list that was asked for it"`
	HeldCount
}

// UnreadableView says why the secrets of an integration can not be read.
type UnreadableView struct {
	Cause  string `json:"cause" enum:"lost,away" doc:"lost: they have to be entered again; away: the key service does not answer at the moment"`
	Reason string `json:"reason" worded:"true"`
}

func unreadableView(err error) *UnreadableView {
	reason := integration.Unreadable(err)
	switch reason {
	case "":
		return nil
	case integration.LostSecrets:
		return &UnreadableView{"lost", reason}
	}
	return &UnreadableView{"away", reason}
}

// DisabledView says who switched an integration off.
type DisabledView struct {
	By     integration.Actor `json:"by" enum:"person,platform" doc:"platform: it kept failing"`
	Person string            `json:"person,omitempty"`
	Reason string            `json:"reason,omitempty" worded:"true"`
	At     time.Time         `json:"at"`
	Answer *AnswerView       `json:"last_answer,omitempty" doc:"what its system said last, when the platform disabled it"`
}

// AnswerView is what a system said last.
type AnswerView struct {
	Status int    `json:"status,omitempty" doc:"absent when there was no answer" example:"404"`
	Words  string `json:"words" worded:"true" example:"answered 404 Not Found: nothing is at this address: check the URL"`
}

// FailingView says how an integration fails.
type FailingView struct {
	Since       time.Time  `json:"since" doc:"its first failed request"`
	Answer      AnswerView `json:"last_answer"`
	Attempts    int        `json:"attempts" doc:"requests of the window"`
	Failures    int        `json:"failures" doc:"of them failed"`
	Percent     int        `json:"percent" doc:"the share of these"`
	Waiting     int        `json:"waiting" doc:"deliveries that wait for a request, without those that are held"`
	WaitingMore bool       `json:"waiting_more,omitempty" doc:"there are more than that"`
	RetriesOnly bool       `json:"retries_only,omitempty" doc:"waiting counts what waits for a retry: this deployment does not count what waits for its first request"`
	NextAttempt *time.Time `json:"next_attempt,omitempty" doc:"when the next retry is due; absent while none is planned"`
}

// SubscriptionView is one line of the events of a form.
type SubscriptionView struct {
	Event       event.Type `json:"event" example:"vuln_high"`
	Active      bool       `json:"active"`
	WithHeaders bool       `json:"with_headers,omitempty" doc:"the request's headers are sent with a hit; for siem only"`
}

// SubscriptionChange is one line of the events of a form as it is sent.
type SubscriptionChange struct {
	Event       event.Type `json:"event" example:"vuln_high"`
	Active      *bool      `json:"active,omitempty" doc:"true when it is left out"`
	WithHeaders bool       `json:"with_headers,omitempty" doc:"send the request's headers with a hit; for siem only"`
}

type integrationOutput struct {
	Location string `header:"Location" doc:"of a new integration"`
	ETag     string `header:"ETag"`
	Body     IntegrationView
}

type listInput struct {
	Status string `query:"status" enum:"all,enabled,disabled" default:"all" doc:"the tab"`
	State  string `query:"state" enum:"ok,failing,disabled" doc:"only integrations in this state"`
	System string `query:"system" doc:"only integrations of this system"`
	Group  string `query:"group" doc:"only integrations of this group"`
	Query  string `query:"q" maxLength:"200" doc:"text in the name of the integration or of its system"`
	Health bool   `query:"health" doc:"with the health of each"`
	Brief  bool   `query:"brief" doc:"without parameters: no secret is opened, and whether one can be read is not told"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"items on a page, at most 1,000 of a brief list and 200 of another"`
}

// IntegrationCounts are the numbers of the tabs.
type IntegrationCounts struct {
	All      int `json:"all"`
	Enabled  int `json:"enabled"`
	Disabled int `json:"disabled"`
	Failing  int `json:"failing" doc:"of the enabled ones"`
}

type listOutput struct {
	Body struct {
		Counts     IntegrationCounts `json:"counts" doc:"of the tabs, whatever the filter"`
		Items      []IntegrationView `json:"items"`
		NextCursor string            `json:"next_cursor,omitempty" doc:"absent on the last page"`
	}
}

type createInput struct {
	Body struct {
		System     string                 `json:"system" example:"slack"`
		Name       string                 `json:"name,omitempty" doc:"made from the system, your name and the date when it is left out"`
		Language   wording.Language       `json:"language,omitempty" doc:"of what people read of it: en or ja; empty: the tenant's"`
		Rate       integration.Rate       `json:"rate,omitempty" doc:"how many messages are sent at most, 1 to 1000 a second or minute; empty: as many as its system takes" example:"10/minute"`
		Grouping   integration.Grouping   `json:"grouping,omitempty" doc:"one message for the events of some minutes, where people read them: every five minutes of at most 50 events; empty: each event is a message. 2 to 1000 events, 1 to 60 minutes" example:"50/5m"`
		StormGuard integration.StormGuard `json:"storm_guard,omitempty" doc:"how many messages a minute has at most, 1 to 1000, where people read them: what is beyond is told in one digest a minute; none: as many as come; empty: 60/minute" example:"60/minute"`
		Fallback   string                 `json:"fallback,omitempty" maxLength:"100" doc:"the id of the integration that gets what can not be delivered to this one; empty: none does" example:"01GTD8R4000000000000000002"`
		Template   *MessageTemplateView   `json:"message_template,omitempty" doc:"its own title and text of messages, where people see them"`
		Enabled    *bool                  `json:"enabled,omitempty" doc:"true when it is left out"`
		Events     []SubscriptionChange   `json:"events,omitempty" maxItems:"50" doc:"what to receive; nothing is sent without any"`
		Filters    []rest.FilterView      `json:"filters,omitempty" maxItems:"6" doc:"all must match; an event of a kind that has nothing of what a filter looks at passes it. A filter that could never apply to the chosen types is refused, and so are filters that no event can pass"`
		Hold       *rest.HoldView         `json:"hold,omitempty" doc:"when what is sent to it waits"`
		Parameters json.RawMessage        `json:"parameters" doc:"see the system's JSON Schema"`
	}
}

type patchInput struct {
	ID      string         `path:"id"`
	IfMatch string         `header:"If-Match" doc:"the ETag that you read; without it the last change wins"`
	Body    patchInputBody `contentType:"application/merge-patch+json"`
}

type patchInputBody struct {
	Name       *string                 `json:"name,omitempty"`
	Language   *wording.Language       `json:"language,omitempty" doc:"en, ja, or empty for the tenant's"`
	Rate       *integration.Rate       `json:"rate,omitempty" doc:"such as 10/minute; empty: none" example:"10/minute"`
	Grouping   *integration.Grouping   `json:"grouping,omitempty" doc:"such as 50/5m; empty: none" example:"50/5m"`
	StormGuard *integration.StormGuard `json:"storm_guard,omitempty" doc:"such as 100/minute, or none; empty: 60/minute" example:"100/minute"`
	Fallback   *string                 `json:"fallback,omitempty" maxLength:"100" doc:"the id of another integration; empty: none" example:"01GTD8R4000000000000000002"`
	Template   *MessageTemplateChange  `json:"message_template,omitempty" doc:"its own title and text of messages"`
	Enabled    *bool                   `json:"enabled,omitempty"`
	Events     *[]SubscriptionChange   `json:"events,omitempty" maxItems:"50" doc:"replaces all subscriptions"`
	Filters    *[]rest.FilterView      `json:"filters,omitempty" maxItems:"6" doc:"replaces all; refused, as when it is created, where they do not fit the chosen types"`
	Hold       *rest.HoldView          `json:"hold,omitempty" doc:"replaces all; {} for none; a mute stays"`
	Parameters json.RawMessage         `json:"parameters,omitempty" doc:"merged member by member; null removes one, the mask keeps a secret"`

	refused error // what null can not remove
}

// UnmarshalJSON has null remove: see rest.Remove.
func (b *patchInputBody) UnmarshalJSON(raw []byte) error {
	type plain patchInputBody
	if err := json.Unmarshal(raw, (*plain)(b)); err != nil {
		return err
	}
	b.refused = rest.Remove(raw, b)
	return nil
}

// API is the operations on integrations, and on what they can be made of.
type API struct {
	rest.Kit
	Integrations *integration.Service
	Systems      Systems
	Health       *health.Monitor
	Tester       Tester
	FilterTester FilterTester
	// Telegram binds chats; nil = this API does not.
	Telegram *telegrambot.Bot
	// Users finds the triggers that notify an integration; nil = this deployment has no triggers.
	Users Users
	// EgressAddresses are where requests to customers' systems come from; none = that is not said.
	EgressAddresses []egress.Address
	// Changed is told of an integration that was enabled, disabled, deleted or changed.
	Changed func(tenant, id string)

	worded sync.Map // json.RawMessage by formKey
}

// Register adds the operations.
func (s *API) Register(api huma.API) {
	s.systems(api)
	s.addresses(api)
	s.integrations(api)
	s.uses(api)
	s.actions(api)
	s.mutes(api)
	s.forms(api)
	s.tests(api)
	s.samples(api)
	s.filters(api)
	s.telegram(api)
}

func (s *API) integrations(api huma.API) {
	tags := []string{"Integrations"}
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-integrations", Method: http.MethodGet, Path: "/v1/integrations", Tags: tags,
		Errors:  []int{400, 422},
		Summary: "List integrations", Description: "In the order of their making. The counts are those of the tabs.",
	}), s.list)
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "create-integration", Method: http.MethodPost, Path: "/v1/integrations", Tags: tags,
		Errors: []int{400, 413, 415, 422}, DefaultStatus: http.StatusCreated,
		Summary: "Add an integration", Description: "It is enabled unless you say otherwise.",
	}), s.create)
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "get-integration", Method: http.MethodGet, Path: "/v1/integrations/{id}", Tags: tags,
		Errors:  []int{404},
		Summary: "Read an integration", Description: "With the ETag that a conditional change needs.",
	}), func(ctx context.Context, in *rest.IDInput) (*integrationOutput, error) {
		i, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
		return s.one(ctx, i, err)
	})
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "update-integration", Method: http.MethodPatch, Path: "/v1/integrations/{id}", Tags: tags,
		Errors:  []int{400, 404, 409, 412, 413, 415, 422},
		Summary: "Change an integration", Description: "A merge patch (RFC 7396): what is left out stays, null " +
			"removes. A secret stays when it is left out or sent back as its mask. It goes to nobody else: a change " +
			"of who receives it (scheme, host, port, CA, verification, region, account) is answered 422, field by " +
			"field, until it is entered again.",
	}), s.patch)
}

func (s *API) list(ctx context.Context, in *listInput) (*listOutput, error) {
	after, err := rest.OpenCursor(integrationList, rest.Principal(ctx).Tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	if err := s.inCatalogue(in); err != nil {
		return nil, err
	}
	tenant := rest.Principal(ctx).Tenant
	counts, err := s.Integrations.Count(ctx, tenant)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if !in.Brief {
		in.Limit = min(in.Limit, wholeLimit)
	}
	listed, err := s.Integrations.Find(ctx, tenant, after, in.Limit+1, s.matches(in))
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &listOutput{}
	out.Body.Counts = countsView(counts)
	if len(listed) > in.Limit {
		listed = listed[:in.Limit]
		out.Body.NextCursor = rest.MakeCursor(integrationList, tenant, listed[in.Limit-1].ID)
	}
	if out.Body.Items, err = s.views(ctx, listed, in.Brief); err != nil {
		return nil, s.Answer(ctx, err)
	}
	if in.Health {
		if err := s.addHealth(ctx, listed, out.Body.Items); err != nil {
			return nil, s.Answer(ctx, err)
		}
	}
	return out, nil
}

// wholeLimit is how many integrations one answer has with their parameters, of which some are long.
const wholeLimit = 200

// healthReads is how many integrations' health is read at a time: each is a query of the distributed engine.
const healthReads = 16

func (s *API) addHealth(ctx context.Context, listed []integration.Integration, views []IntegrationView) error {
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(healthReads)
	for n, i := range listed {
		reads.Go(func() (err error) {
			views[n].Health, err = s.healthOf(ctx, i)
			return err
		})
	}
	return reads.Wait()
}

func countsView(c integration.Counts) (v IntegrationCounts) {
	v.Enabled, v.Disabled = c.All()
	v.All, v.Failing = v.Enabled+v.Disabled, c.Failing
	return v
}

// inCatalogue refuses a system, or a group, that there is not: it would list nothing, as if nobody had any.
func (s *API) inCatalogue(in *listInput) error {
	if _, _, known := s.Systems.Lookup(in.System); in.System != "" && !known {
		return rest.NewProblem(http.StatusUnprocessableEntity,
			fmt.Sprintf("there is no system %q: GET /v1/systems lists them", in.System), rest.Fault("query.system",
				"is not a system of the catalogue: it has "+strings.Join(s.Systems.Names(), ", ")))
	}
	var groups []string
	for _, g := range destination.Groups() {
		groups = append(groups, string(g))
	}
	if in.Group != "" && !slices.Contains(groups, in.Group) {
		return rest.NewProblem(http.StatusUnprocessableEntity,
			fmt.Sprintf("there is no group %q: GET /v1/systems lists them", in.Group), rest.Fault("query.group",
				"is not a group of the catalogue: it has "+strings.Join(groups, ", ")))
	}
	return nil
}

// matches says which integrations are asked for.
func (s *API) matches(in *listInput) func(integration.Outline) bool {
	text := strings.ToLower(strings.TrimSpace(in.Query))
	contains := func(name string) bool { return strings.Contains(strings.ToLower(name), text) }
	wanted := map[string]bool{} // systems, and whether their titles have the text
	for _, entry := range s.Systems.All() {
		if in.Group == "" || in.Group == string(entry.System.Group) {
			wanted[entry.System.Name] = contains(entry.System.Title)
		}
	}
	return func(o integration.Outline) bool {
		titled, known := wanted[o.System]
		return (in.Status == "all" || (in.Status == "enabled") == (o.State != integration.StateDisabled)) &&
			(in.State == "" || in.State == string(o.State)) && (in.System == "" || in.System == o.System) &&
			(in.Group == "" || known) && (titled || contains(o.Name))
	}
}

func (s *API) create(ctx context.Context, in *createInput) (*integrationOutput, error) {
	who := rest.Person(ctx)
	name := in.Body.Name
	if system, _, ok := s.Systems.Lookup(in.Body.System); ok && strings.TrimSpace(name) == "" {
		name = s.defaultName(system, who)
	}
	filters, err := rest.Filters(in.Body.Filters)
	if err != nil {
		return nil, err
	}
	var held hold.Rules
	if rules := in.Body.Hold.Rules(); rules != nil {
		held = *rules
	}
	i, err := s.Integrations.Create(ctx, who, integration.Draft{
		System: in.Body.System, Name: name, Language: in.Body.Language, Rate: in.Body.Rate, Grouping: in.Body.Grouping,
		StormGuard:      in.Body.StormGuard,
		Fallback:        in.Body.Fallback,
		MessageTemplate: in.Body.Template.source(),
		Disabled:        in.Body.Enabled != nil && !*in.Body.Enabled,
		Subscriptions:   subscriptions(in.Body.Events), Filters: filters, Hold: held,
		Parameters: in.Body.Parameters,
	})
	out, err := s.one(ctx, i, err)
	if err == nil {
		out.Location = "/v1/integrations/" + i.ID
	}
	return out, err
}

// defaultName is what the form fills in: `Slack integration by Ada Lovelace, Mar 1` (facts, 1.1).
func (s *API) defaultName(system destination.System, who activity.Actor) string {
	at := s.Now().UTC().Format("Jan 2")
	one := system.Title
	if !system.NamesOne {
		one += " integration"
	}
	// A shared token is nobody's.
	by := cmp.Or(who.Name, who.Email, who.Token)
	name := one + " by " + by + ", " + at
	if by == "" || utf8.RuneCountInString(name) > integration.MaxName {
		return one + ", " + at
	}
	return name
}

func (s *API) patch(ctx context.Context, in *patchInput) (*integrationOutput, error) {
	if in.Body.refused != nil {
		return nil, in.Body.refused
	}
	p := integration.Patch{Name: in.Body.Name, Language: in.Body.Language, Rate: in.Body.Rate,
		Grouping: in.Body.Grouping, StormGuard: in.Body.StormGuard, Fallback: in.Body.Fallback,
		Enabled: in.Body.Enabled, Hold: in.Body.Hold.Rules(),
		Parameters: in.Body.Parameters}
	if change := in.Body.Template; change != nil {
		p.Title, p.Text = change.Title, change.Text
	}
	if in.Body.Events != nil {
		subs := subscriptions(*in.Body.Events)
		p.Subscriptions = &subs
	}
	if in.Body.Filters != nil {
		filters, err := rest.Filters(*in.Body.Filters)
		if err != nil {
			return nil, err
		}
		p.Filters = &filters
	}
	var i integration.Integration
	err := s.UnlessChanged(ctx, in.IfMatch, func(revision int64) (err error) {
		i, err = s.Integrations.Update(ctx, rest.Person(ctx), in.ID, revision, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Changed(i.Tenant, i.ID)
	return s.one(ctx, i, nil)
}

// subscriptions keeps the active ones.
func subscriptions(lines []SubscriptionChange) []integration.Subscription {
	out := []integration.Subscription{}
	for _, v := range lines {
		if v.Active == nil || *v.Active {
			out = append(out, integration.Subscription{Event: v.Event, WithHeaders: v.WithHeaders})
		}
	}
	return out
}

func (s *API) one(ctx context.Context, i integration.Integration, err error) (*integrationOutput, error) {
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	waiting, err := s.waiting(ctx, i)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	v, err := s.view(ctx, i, waiting)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	v.Backlog = s.backlog(i, waiting)
	if waiting != nil {
		v.HeldCount = HeldCountOf(*waiting, waiting.HeldMore())
	}
	return &integrationOutput{ETag: rest.MakeETag(i.Revision), Body: v}, nil
}

// views shows the integrations of a list, in their order: each that fails asks the engine how.
func (s *API) views(ctx context.Context, listed []integration.Integration, brief bool) ([]IntegrationView, error) {
	view := s.view
	if brief {
		view = s.brief
	}
	out := make([]IntegrationView, len(listed))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(healthReads)
	for n, i := range listed {
		g.Go(func() (err error) {
			out[n], err = view(ctx, i, nil)
			return err
		})
	}
	return out, g.Wait()
}

// view shows an integration; waiting is what waits for it, nil = that was not counted.
func (s *API) view(ctx context.Context, i integration.Integration, waiting *integration.Waiting) (IntegrationView,
	error) {
	masked, err := s.Integrations.Masked(ctx, i)
	unreadable := unreadableView(err) // one integration's secrets keep no list from being shown
	if err != nil && unreadable == nil {
		return IntegrationView{}, err
	}
	v, err := s.brief(ctx, i, waiting)
	v.Parameters, v.Unreadable = masked, unreadable
	return v, err
}

// brief leaves out what is to be opened.
func (s *API) brief(ctx context.Context, i integration.Integration, waiting *integration.Waiting) (IntegrationView,
	error) {
	v := IntegrationView{
		ID: i.ID, System: i.System, Name: i.Name, Language: i.Language, Rate: i.Rate, Grouping: i.Grouping,
		StormGuard: i.StormGuard, Fallback: i.Fallback,
		Enabled: i.Enabled(),
		State:   i.State(), Template: templateView(i.MessageTemplate),
		Revision: i.Revision, CreatedAt: i.CreatedAt, CreatedBy: i.CreatedBy, UpdatedAt: i.UpdatedAt,
		UpdatedBy: i.UpdatedBy, Events: []SubscriptionView{},
		Filters: rest.FilterViews(i.Filters), Hold: rest.HoldViewOf(i.Hold), Muted: muteView(i.Hold.Muted(s.Now())),
	}
	if !i.ParametersAt.IsZero() {
		v.ParametersAt = &i.ParametersAt
	}
	if i.Off != nil {
		v.Disabled = &DisabledView{By: i.Off.By, Person: i.Off.Person, Reason: i.Off.Reason, At: i.Off.At}
		if i.Off.Answer != nil {
			v.Disabled.Answer = &AnswerView{Status: i.Off.Answer.Status, Words: i.Off.Answer.Words}
		}
	}
	if i.State() == integration.StateFailing {
		failing, err := s.failing(ctx, i, waiting)
		if err != nil {
			return IntegrationView{}, err
		}
		v.Failing = failing
	}
	system, _, _ := s.Systems.Lookup(i.System)
	v.Missing = system.Missing
	for _, t := range system.Events {
		sub, active := i.Subscribed(t)
		v.Events = append(v.Events, SubscriptionView{Event: t, Active: active, WithHeaders: sub.WithHeaders})
	}
	return v, nil
}

// failing tells how an integration fails, as of now. Few are, so each is looked at when it is shown.
func (s *API) failing(ctx context.Context, i integration.Integration, waiting *integration.Waiting) (*FailingView,
	error) {
	points, err := s.Health.Series(ctx, i.Tenant, i.ID, i.Window, s.Now())
	if err != nil {
		return nil, err
	}
	w := s.Health.Rule.Window(points)
	answer := w.Answer
	if answer == (health.Answer{}) {
		answer = i.Failing.Answer
	}
	v := &FailingView{
		Since: i.Failing.Since, Answer: AnswerView{Status: answer.Status, Words: answer.Words},
		Attempts: w.Attempts, Failures: w.Failures, Percent: w.Failures * 100 / max(1, w.Attempts),
	}
	if waiting == nil {
		if waiting, err = s.waiting(ctx, i); err != nil || waiting == nil {
			return v, err
		}
	}
	v.Waiting, v.WaitingMore, v.RetriesOnly = waiting.Count, waiting.More(), waiting.Floor
	if !waiting.Next.IsZero() {
		v.NextAttempt = &waiting.Next
	}
	return v, nil
}

const integrationList rest.List = "integrations"
