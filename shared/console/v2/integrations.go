package v2

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/integration"
	"tocsin/shared/telegrambot"
)

// integrationBody is what creates or changes an integration (product facts, 1.1). Absent members stay as they are.
type integrationBody struct {
	Name   *string         `json:"name"`
	Active *bool           `json:"active"` // of a new one: false when it is left out
	Target json.RawMessage `json:"target"`
	Events *[]eventLine    `json:"events"`
	Type   string          `json:"type"`
	Client json.Number     `json:"clientid"`
	Chat   string          `json:"chat_data"` // of a new Telegram integration
}

// integrationView is an integration as an answer shows it.
type integrationView struct {
	ID        int64           `json:"id"`
	Client    json.Number     `json:"clientid,omitempty"`
	Active    bool            `json:"active"`
	Name      string          `json:"name"`
	Type      string          `json:"type"`
	CreatedAt int64           `json:"created_at"` // Unix time
	CreatedBy string          `json:"created_by"`
	Target    json.RawMessage `json:"target"`
	Events    []eventView     `json:"events"`
}

// answer is the envelope of integrations: {"body": {"result": "success", "object": …}}.
type (
	answer[T any]   struct{ Body envelope[T] }
	envelope[T any] struct {
		Body result[T] `json:"body"`
	}
	result[T any] struct {
		Result string `json:"result"`
		Object T      `json:"object"`
	}
)

func success[T any](object T) *answer[T] {
	return &answer[T]{envelope[T]{result[T]{"success", object}}}
}

func (s *API) integrations(api huma.API) {
	const path = "/v2/integration"
	rest.Register(api, operation(access.Administer, "platform-list-integrations", http.MethodGet, path), s.list)
	rest.Register(api, operation(access.Administer, "platform-create-integration", http.MethodPost, path), s.create)
	rest.Register(api, operation(access.Administer, "platform-create-telegram", http.MethodPost, path+"/telegram"),
		s.createTelegram)
	rest.Register(api, operation(access.Administer, "platform-update-integration", http.MethodPut, path+"/{id}"),
		s.update)
	rest.Register(api, operation(access.Administer, "platform-delete-integration", http.MethodDelete, path+"/{id}"),
		s.remove)
}

func (s *API) list(ctx context.Context, in *struct {
	Client string `query:"clientid"`
}) (*answer[[]integrationView], error) {
	who, err := s.acting(ctx, in.Client)
	if err != nil {
		return nil, err
	}
	all, err := s.all(ctx, who.Tenant)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	views := []integrationView{}
	for _, i := range all {
		v, err := s.view(ctx, i)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		views = append(views, v)
	}
	return success(views), nil
}

// all are a tenant's integrations, each with its number.
func (s *API) all(ctx context.Context, tenant string) (out []integration.Integration, err error) {
	if out, err = integration.All(ctx, s.Integrations, tenant); err != nil {
		return nil, err
	}
	for n, i := range out {
		if out[n], err = s.Integrations.Numbered(ctx, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *API) create(ctx context.Context, in *body) (*answer[integrationView], error) {
	var b integrationBody
	if err := decode(in.RawBody, &b); err != nil {
		return nil, err
	}
	who, err := s.acting(ctx, b.Client.String())
	if err != nil {
		return nil, err
	}
	name, err := systemOf(b.Type, b.Target)
	if err != nil {
		return nil, err
	}
	d := integration.Draft{System: name, Disabled: b.Active == nil || !*b.Active}
	if b.Name != nil {
		d.Name = *b.Name
	}
	system, _, known := s.Systems.Lookup(name)
	if known && b.Events != nil {
		if d.Subscriptions, err = subscriptions(system, *b.Events); err != nil {
			return nil, err
		}
	}
	if known && given(b.Target) {
		if d.Parameters, err = parameters(system, b.Target); err != nil {
			return nil, err
		}
	}
	return s.made(ctx, who, d)
}

// given reports whether a member is there and not null.
func given(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }

func (s *API) made(ctx context.Context, who activity.Actor, d integration.Draft) (*answer[integrationView], error) {
	i, err := s.Integrations.Create(ctx, who, d)
	if err != nil {
		return nil, asSent(s.Answer(ctx, err), oneParameter[d.System])
	}
	return s.one(ctx, i)
}

// createTelegram makes a Telegram integration, disabled and without events: the client sets those by a second call. It
// is bound to the chat that `chat_data` names, where our bot made that. Any other is of the platform's bot and names no
// chat here: then somebody binds one as for the Console.
func (s *API) createTelegram(ctx context.Context, in *body) (*answer[integrationView], error) {
	var b integrationBody
	if err := decode(in.RawBody, &b); err != nil {
		return nil, err
	}
	who, err := s.acting(ctx, b.Client.String())
	if err != nil {
		return nil, err
	}
	d := integration.Draft{System: "telegram", Disabled: true}
	if b.Name != nil {
		d.Name = *b.Name
	}
	chat, err := s.Telegram.FindChat(ctx, b.Chat)
	switch {
	case errors.Is(err, telegrambot.ErrNoBot), errors.Is(err, telegrambot.ErrForeignChat):
		return s.made(ctx, who, d)
	case errors.Is(err, telegrambot.ErrChatGone):
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
			rest.Fault("chat_data", err.Error()))
	case err != nil:
		s.Log.Error("find a Telegram chat", "tenant", who.Tenant, "request", who.RequestID, "error", err.Error())
		return nil, rest.NewProblem(http.StatusBadGateway, "Telegram did not answer: try again")
	}
	i, err := s.Integrations.Create(ctx, who, d)
	if err == nil {
		i, err = s.Telegram.Bind(ctx, i, chat)
	}
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return s.one(ctx, i)
}

type integrationChange struct {
	ID      int64 `path:"id"`
	RawBody []byte
}

func (s *API) update(ctx context.Context, in *integrationChange) (*answer[integrationView], error) {
	var b integrationBody
	if err := decode(in.RawBody, &b); err != nil {
		return nil, err
	}
	who, i, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	p, err := s.patch(i, b)
	if err != nil {
		return nil, err
	}
	var changed integration.Integration
	err = s.UnlessChanged(ctx, "", func(revision int64) (err error) {
		changed, err = s.Integrations.Update(ctx, who, i.ID, revision, p)
		return err
	})
	if err != nil {
		return nil, asSent(err, oneParameter[i.System])
	}
	s.Changed(i.Tenant, i.ID)
	return s.one(ctx, changed)
}

// find is the integration with a number, and the caller as one who may change it.
func (s *API) find(ctx context.Context, number int64) (activity.Actor, integration.Integration, error) {
	key, err := s.Integrations.ByNumber(ctx, number)
	if err != nil {
		return activity.Actor{}, integration.Integration{}, s.Answer(ctx, err)
	}
	who, err := s.owning(ctx, key.Tenant, s.Answer(ctx, integration.ErrNotFound))
	if err != nil {
		return activity.Actor{}, integration.Integration{}, err
	}
	i, err := s.Integrations.Get(ctx, key.Tenant, key.ID)
	return who, i, s.Answer(ctx, err)
}

// patch is a change of an integration. The type can not change: it stands in the client's own id of the integration.
func (s *API) patch(i integration.Integration, b integrationBody) (p integration.Patch, err error) {
	p = integration.Patch{Name: b.Name, Enabled: b.Active}
	if b.Type != "" && b.Type != typeOf(i.System) {
		return p, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
			rest.Fault("type", "is "+typeOf(i.System)+" and can not be changed: make another integration"))
	}
	system, _, _ := s.Systems.Lookup(i.System)
	if b.Events != nil {
		subs, err := subscriptions(system, *b.Events)
		if err != nil {
			return p, err
		}
		p.Subscriptions = &subs
	}
	if given(b.Target) {
		if name, err := systemOf(typeOf(i.System), b.Target); err != nil || typeOf(i.System) == webhooks &&
			name != i.System && name != webhooks {
			return p, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
				rest.Fault("target.subtype", "is "+i.System+" and can not be changed: make another integration"))
		}
		p.Parameters, err = parameters(system, b.Target)
	}
	return p, err
}

func (s *API) remove(ctx context.Context, in *struct {
	ID    int64 `path:"id"`
	Force bool  `query:"force" doc:"delete it although it is the fallback of others"`
}) (*done, error) {
	who, i, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	remove := s.Integrations.Delete
	if in.Force {
		remove = s.Integrations.DeleteForced
	}
	err = s.UnlessChanged(ctx, "", func(revision int64) error { return remove(ctx, who, i.ID, revision) })
	if err != nil {
		return nil, err
	}
	s.Changed(i.Tenant, i.ID)
	return deleted(), nil
}

func (s *API) one(ctx context.Context, i integration.Integration) (*answer[integrationView], error) {
	i, err := s.Integrations.Numbered(ctx, i)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	v, err := s.view(ctx, i)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return success(v), nil
}

// view shows an integration. One whose secrets can not be read is shown without them: it keeps no list from being read.
func (s *API) view(ctx context.Context, i integration.Integration) (integrationView, error) {
	masked, err := s.Integrations.Masked(ctx, i)
	if err != nil && integration.Unreadable(err) == "" {
		return integrationView{}, err
	}
	target, err := targetOf(i.System, masked)
	if err != nil {
		return integrationView{}, err
	}
	system, _, _ := s.Systems.Lookup(i.System)
	v := integrationView{ID: i.Number, Active: i.Enabled(), Name: i.Name, Type: typeOf(i.System),
		CreatedAt: i.CreatedAt.Unix(), CreatedBy: i.CreatedBy, Target: target, Events: eventsOf(system, i)}
	if _, err := clientNumber(i.Tenant); err == nil {
		v.Client = json.Number(i.Tenant)
	}
	return v, nil
}
