// Package tokens is the operations on API tokens.
package tokens

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/token"
)

// API is the operations on API tokens.
type API struct {
	rest.Kit
	Tokens *token.Service
}

// TokenView is an API token without its secret.
type TokenView struct {
	ID         string      `json:"id" example:"01GTD8R4000000000000000001"`
	Name       string      `json:"name" example:"deploy pipeline"`
	Kind       token.Kind  `json:"kind" enum:"personal,shared" doc:"personal: it acts as the person who made it; shared: it is the tenant's"`
	Role       string      `json:"role" example:"analyst"`
	Tenants    []string    `json:"tenants" nullable:"false" doc:"those that it acts for; * = your own and all that are linked to it"`
	State      token.State `json:"state" enum:"active,expired,revoked"`
	CreatedAt  time.Time   `json:"created_at"`
	CreatedBy  string      `json:"created_by" doc:"an address, or the name of the API token that made it"`
	ExpiresAt  *time.Time  `json:"expires_at,omitempty" doc:"absent: never"`
	LastUsedAt *time.Time  `json:"last_used_at,omitempty" doc:"to the minute; absent: never"`
	RevokedAt  *time.Time  `json:"revoked_at,omitempty"`
	RevokedBy  string      `json:"revoked_by,omitempty"`
	Ended      token.Ended `json:"ended,omitempty" enum:"revoked,role_changed,person_removed,person_changed" doc:"why it was revoked"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (s *API) view(t token.Token) TokenView {
	return TokenView{
		ID: t.ID, Name: t.Name, Kind: t.Kind, Role: string(t.Role), Tenants: t.Tenants, State: t.State(s.Now()),
		CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy, ExpiresAt: moment(t.ExpiresAt),
		LastUsedAt: moment(t.LastUsedAt), RevokedAt: moment(t.RevokedAt), RevokedBy: t.RevokedBy, Ended: t.Ended,
	}
}

type makeTokenInput struct {
	Body struct {
		Name      string     `json:"name" minLength:"1" maxLength:"100" example:"deploy pipeline"`
		Kind      token.Kind `json:"kind" enum:"personal,shared"`
		Role      string     `json:"role,omitempty" maxLength:"1000" example:"analyst" doc:"a role or its code at the platform, not above yours; absent: yours"`
		Tenants   []string   `json:"tenants,omitempty" maxItems:"100" doc:"of a global role: the linked tenants that it acts for, or * for your own and all that are linked; absent: your own"`
		ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"absent: never"`
	}
}

type madeTokenOutput struct {
	Body struct {
		TokenView
		Secret string `json:"secret" doc:"the token: 64 characters of base64, shown this once" example:"(64 characters)"`
	}
}

type tokensOutput struct {
	Body struct {
		Items      []TokenView `json:"items" nullable:"false" doc:"newest first; those that ended go after 30 days"`
		NextCursor string      `json:"next_cursor,omitempty"`
	}
}

// Register adds the operations.
func (s *API) Register(api huma.API) {
	tags := []string{"API tokens"}
	rest.Register(api, rest.Operation(access.PersonalTokens, huma.Operation{
		OperationID: "make-token", Method: http.MethodPost, Path: "/v1/tokens", Tags: tags,
		DefaultStatus: http.StatusCreated, Errors: []int{400, 413, 415, 422},
		Summary: "Make an API token",
		Description: "Personal ones are for administrators and analysts, and end when their maker's role allows less " +
			"than theirs, or the maker is disabled or deleted. Shared ones are for administrators. The answer is the " +
			"only place where the secret is. A call that is made with an API token makes none that is above it, is " +
			"for more tenants, or outlives it.",
	}), s.make)
	rest.Register(api, rest.Operation(access.PersonalTokens, huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: "/v1/tokens", Tags: tags, Errors: []int{400, 422},
		Summary:     "List API tokens",
		Description: "Administrators see all of the tenant, analysts their own.",
	}), s.list)
	huma.Register(api, rest.Operation(access.PersonalTokens, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: "/v1/tokens/{id}", Tags: tags,
		DefaultStatus: http.StatusNoContent, Errors: []int{404},
		Summary:     "Revoke an API token",
		Description: "It is refused from the next call on. It is no error when it was revoked before.",
	}), func(ctx context.Context, in *rest.IDInput) (*struct{}, error) {
		_, err := s.Tokens.Revoke(ctx, rest.Principal(ctx), in.ID)
		return nil, s.answer(ctx, err)
	})
}

func (s *API) make(ctx context.Context, in *makeTokenInput) (*madeTokenOutput, error) {
	o := token.Order{Name: in.Body.Name, Kind: in.Body.Kind, Role: in.Body.Role, Tenants: in.Body.Tenants}
	if in.Body.ExpiresAt != nil {
		o.ExpiresAt = in.Body.ExpiresAt.UTC()
		if o.ExpiresAt.IsZero() {
			return nil, s.answer(ctx, &token.InvalidError{Field: "expires_at", Reason: "must be in the future"})
		}
	}
	t, secret, err := s.Tokens.Make(ctx, rest.Principal(ctx), o)
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	out := &madeTokenOutput{}
	out.Body.TokenView, out.Body.Secret = s.view(t), secret
	return out, nil
}

const tokenList rest.List = "API tokens"

func (s *API) list(ctx context.Context, in *rest.PageInput) (*tokensOutput, error) {
	p := rest.Principal(ctx)
	before, err := rest.OpenCursor(tokenList, p.Tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := s.Tokens.List(ctx, p, before, in.Limit+1)
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	out := &tokensOutput{}
	out.Body.Items = []TokenView{}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		out.Body.NextCursor = rest.MakeCursor(tokenList, p.Tenant, found[in.Limit-1].ID)
	}
	for _, t := range found {
		out.Body.Items = append(out.Body.Items, s.view(t))
	}
	return out, nil
}

func (s *API) answer(ctx context.Context, err error) error {
	var invalid *token.InvalidError
	var not *token.NotAllowedError
	switch {
	case errors.As(err, &invalid):
		return rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
			rest.Fault(invalid.Field, invalid.Reason))
	case errors.As(err, &not):
		return rest.NewProblem(http.StatusForbidden, not.Reason)
	case errors.Is(err, token.ErrNotFound):
		return rest.Missing("there is no such API token", `there is no API token "%s"`, "id")
	}
	return s.Answer(ctx, err)
}
