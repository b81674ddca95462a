// Package tenants is the operations on linked tenants: which ones the caller acts for, and, for operators, which ones
// are linked to a technical tenant.
package tenants

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/tenant"
)

// Parameter is the query parameter that names the tenant which a global role acts for.
const Parameter = "tenant"

// API is the operations on linked tenants.
type API struct {
	rest.Kit
	Tenants *tenant.Service
}

// TenantView is a tenant that the caller acts for.
type TenantView struct {
	Tenant     string `json:"tenant" example:"42"`
	ClientName string `json:"client_name,omitempty" example:"Acme"`
	Home       bool   `json:"home,omitempty" doc:"your own"`
}

type tenantsOutput struct {
	Body struct {
		Items      []TenantView `json:"items" nullable:"false" doc:"your own first, then linked ones in their order"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}
}

// LinkView is a linked tenant.
type LinkView struct {
	Tenant     string    `json:"tenant" example:"43"`
	ClientName string    `json:"client_name,omitempty" example:"Acme Retail"`
	LinkedAt   time.Time `json:"linked_at"`
	LinkedBy   string    `json:"linked_by,omitempty"`
}

type linksInput struct {
	ID string `path:"id" doc:"the technical tenant"`
	rest.PageInput
}

type linkedOutput struct {
	Body struct {
		Items      []LinkView `json:"items" nullable:"false" doc:"in the order of the tenants"`
		NextCursor string     `json:"next_cursor,omitempty"`
	}
}

type linkInput struct {
	ID     string `path:"id" doc:"the technical tenant"`
	Tenant string `path:"tenant" doc:"the linked tenant"`
}

type setLinkInput struct {
	ID     string `path:"id" doc:"the technical tenant"`
	Tenant string `path:"tenant" doc:"the linked tenant"`
	Body   struct {
		ClientName string `json:"client_name,omitempty" maxLength:"256" doc:"its company name, as the Console shows it"`
	}
}

type linkOutput struct{ Body LinkView }

const (
	ownList  rest.List = "tenants"
	linkList rest.List = "linked tenants"
)

// Register adds the operations.
func (s *API) Register(api huma.API) {
	tags := []string{"Tenants"}
	rest.Register(api, rest.Operation(access.SignIn, huma.Operation{
		OperationID: "list-tenants", Method: http.MethodGet, Path: "/v1/tenants", Tags: tags, Errors: []int{400, 422},
		Summary: "List the tenants that you act for",
		Description: "Your own; for a global role those that are linked to it too. An API token lists those that it " +
			"is for.",
	}), s.own)
	rest.Register(api, rest.Operation(access.LinkTenants, huma.Operation{
		OperationID: "list-linked-tenants", Method: http.MethodGet, Path: "/v1/tenants/{id}/linked", Tags: tags,
		Errors: []int{400, 422}, Summary: "List the tenants that are linked to a technical one",
		Description: "For the platform's operators.",
	}), s.linked)
	rest.Register(api, rest.Operation(access.LinkTenants, huma.Operation{
		OperationID: "link-tenant", Method: http.MethodPut, Path: "/v1/tenants/{id}/linked/{tenant}", Tags: tags,
		Errors: []int{400, 413, 415, 422}, Summary: "Link a tenant to a technical one",
		Description: "For the platform's operators. Global roles of the technical tenant act for the other from the " +
			"next call on. Linked before, it gets the new name.",
	}), s.link)
	huma.Register(api, rest.Operation(access.LinkTenants, huma.Operation{
		OperationID: "unlink-tenant", Method: http.MethodDelete, Path: "/v1/tenants/{id}/linked/{tenant}", Tags: tags,
		DefaultStatus: http.StatusNoContent, Errors: []int{404}, Summary: "Unlink a tenant",
		Description: "For the platform's operators. Nobody of the technical tenant acts for the other from the next " +
			"call on.",
	}), s.unlink)
}

func (s *API) own(ctx context.Context, in *rest.PageInput) (*tenantsOutput, error) {
	p := rest.Principal(ctx).AtHome()
	after, err := rest.OpenCursor(ownList, p.Home, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := &tenantsOutput{}
	out.Body.Items = []TenantView{}
	if after == "" && p.Reaches(p.Home) {
		out.Body.Items = append(out.Body.Items, TenantView{Tenant: p.Home, ClientName: p.ClientName, Home: true})
	}
	if !p.Role.Global() {
		return out, nil
	}
	found, err := s.Tenants.List(ctx, p.Home, after, in.Limit)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	for _, l := range found {
		if p.Reaches(l.Tenant) {
			out.Body.Items = append(out.Body.Items, TenantView{Tenant: l.Tenant, ClientName: l.ClientName})
		}
	}
	if len(found) == in.Limit {
		out.Body.NextCursor = rest.MakeCursor(ownList, p.Home, found[in.Limit-1].Tenant)
	}
	return out, nil
}

func view(l tenant.Link) LinkView { return LinkView{l.Tenant, l.ClientName, l.LinkedAt, l.LinkedBy} }

func (s *API) linked(ctx context.Context, in *linksInput) (*linkedOutput, error) {
	after, err := rest.OpenCursor(linkList, in.ID, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := s.Tenants.List(ctx, in.ID, after, in.Limit)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &linkedOutput{}
	out.Body.Items = []LinkView{}
	for _, l := range found {
		out.Body.Items = append(out.Body.Items, view(l))
	}
	if len(found) == in.Limit {
		out.Body.NextCursor = rest.MakeCursor(linkList, in.ID, found[in.Limit-1].Tenant)
	}
	return out, nil
}

func (s *API) link(ctx context.Context, in *setLinkInput) (*linkOutput, error) {
	l, err := s.Tenants.Link(ctx, rest.Person(ctx), in.ID, in.Tenant, in.Body.ClientName)
	switch {
	case errors.Is(err, tenant.ErrSelf):
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, tenant.ErrSelf.Error())
	case errors.Is(err, tenant.ErrName):
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "one of the two is no id of a tenant: it has up "+
			"to 64 printable ASCII characters without spaces")
	case err != nil:
		return nil, s.Answer(ctx, err)
	}
	return &linkOutput{view(l)}, nil
}

func (s *API) unlink(ctx context.Context, in *linkInput) (*struct{}, error) {
	err := s.Tenants.Unlink(ctx, rest.Person(ctx), in.ID, in.Tenant)
	if errors.Is(err, tenant.ErrNotFound) {
		return nil, rest.NewProblem(http.StatusNotFound, "these tenants are not linked")
	}
	return nil, s.Answer(ctx, err)
}
