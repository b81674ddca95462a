// Package v2 is the platform's own API, so far as its Terraform provider and its Go client use it for integrations and
// triggers (product facts, 1.1, 1.2 and 4): those manage Tocsin unchanged. It is thin: every change goes through
// integration.Service and trigger.Service, as those of /v1 do. docs/v2.md says how to point the provider at it.
//
// Choices where the facts leave one:
//
//   - Ids are the numbers of integration.Numbers and trigger.Numbers. One number names one object of all tenants,
//     because PUT and DELETE /v2/integration/<id> name no tenant.
//   - The provider never reads `target` back: its plans compare what a configuration says with what it said before. So
//     secrets in `target` are masked as in /v1, which costs no difference in a plan; a client that sends a mask back
//     keeps the secret, and nobody reads one who did not enter it.
//   - A `target` replaces the members that it has. What the old API has no word for (the region of PagerDuty, a signing
//     secret) stays as the Console set it.
//   - Systems that the old API does not know, such as Jira, are in lists under our name as `type`, with their
//     parameters as `target`, and can be made and changed so. Fluentd and Logstash are `web_hooks` with their
//     `subtype`.
//   - `events` may be sent alone for every type, not for Telegram alone.
//   - Errors are {"status": N, "body": "words"}, as the platform's are: the client prints them whole. It prints no
//     header, so the words of a failure of ours end with the id of the call.
package v2

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/telegrambot"
	"tocsin/shared/tenant"
	"tocsin/shared/trigger"
)

// userPath is where the platform's client asks who it is. It is the one path of this API below /v1.
const userPath = "/v1/user"

// Serves reports whether a path is one of this API.
func Serves(path string) bool { return path == userPath || strings.HasPrefix(path, "/v2/") }

// Systems is the catalogue.
type Systems interface {
	Lookup(name string) (s destination.System, available, ok bool)
}

// API is the operations of the platform's own API.
type API struct {
	rest.Kit
	Integrations *integration.Service
	Systems      Systems
	// Triggers keeps triggers; nil = this deployment has none.
	Triggers *trigger.Service
	// Changed is told of an integration that was enabled, disabled, deleted or changed.
	Changed func(tenant, id string)
	// Telegram finds chats; nil = none is bound here.
	Telegram *telegrambot.Bot
	// Tenants knows for whom a global role acts; nil = nobody acts for another tenant.
	Tenants *tenant.Service
}

// Mount adds the operations to a mux. Their description is docs/v2.md: the document of /v1 does not have them.
func (s *API) Mount(mux *http.ServeMux) huma.API {
	c := huma.DefaultConfig("platform API", "2")
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	api := humago.New(mux, c)
	api.UseMiddleware(rest.Authorize)
	s.user(api)
	s.integrations(api)
	if s.Triggers != nil {
		s.triggers(api)
	}
	return api
}

// operation is one of this API: it takes a body of whatever members, and its answer is a success of 200.
func operation(right access.Right, id, method, path string) huma.Operation {
	return rest.Operation(right, huma.Operation{OperationID: id, Method: method, Path: path,
		DefaultStatus: http.StatusOK})
}

// done is the answer of a deletion.
type done struct {
	Body struct {
		Status int `json:"status"`
	}
}

func deleted() *done {
	d := &done{}
	d.Body.Status = http.StatusOK
	return d
}

// acting is the caller as who changes things of a client, "" for the caller's own.
func (s *API) acting(ctx context.Context, client string) (activity.Actor, error) {
	p := rest.Principal(ctx)
	if client == "" && p.Tenant != p.Home { // named by the parameter of /v1
		client = p.Tenant
	}
	acting, err := s.Tenants.Act(ctx, p, client)
	var refused *tenant.NotForYouError
	switch {
	case errors.As(err, &refused):
		return activity.Actor{}, rest.NewProblem(http.StatusForbidden, "client "+client+": "+refused.Reason)
	case err != nil:
		return activity.Actor{}, s.Answer(ctx, err)
	}
	return activity.ActorOf(acting), nil
}

// owning is the caller as who changes a thing of a tenant that an id led to. That another tenant has it is told to
// nobody: none is the answer then.
func (s *API) owning(ctx context.Context, tenant string, none error) (activity.Actor, error) {
	who, err := s.acting(ctx, tenant)
	if p := (*rest.Problem)(nil); errors.As(err, &p) && p.Status == http.StatusForbidden {
		return who, none
	}
	return who, err
}

// clientNumber is a tenant as this API names it.
func clientNumber(tenant string) (int64, error) {
	n, err := strconv.ParseInt(tenant, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != tenant {
		return 0, rest.NewProblem(http.StatusUnprocessableEntity, "the account of your token has the name "+
			strconv.Quote(tenant)+", and this API names accounts by whole numbers only: use /v1")
	}
	return n, nil
}

// body is what was sent. It is read here, and not by huma: unknown members are passed over, and null is absence.
type body struct{ RawBody []byte }

func decode(raw []byte, into any) error {
	err := json.Unmarshal(raw, into)
	var te *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &te) && te.Field != "":
		return rest.NewProblem(http.StatusBadRequest, "the body can not be read", rest.Fault(te.Field,
			"has the wrong type"))
	}
	return rest.NewProblem(http.StatusBadRequest, "the body must be a JSON object of this operation")
}
