package console

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/destination"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
)

const noAddress = "your account has no e-mail address: sign in with one"

// NotificationsView is what the signed-in person is told of by mail.
type NotificationsView struct {
	Email    string          `json:"email" doc:"the address of your account; it can not be changed here"`
	Choices  profile.Choices `json:"choices" doc:"what is mailed to it"`
	Allowed  profile.Choices `json:"allowed" doc:"what your role may be told of"`
	Paused   string          `json:"paused,omitempty" doc:"why nothing is sent although it is chosen: mails to the address came back"`
	Revision int64           `json:"revision" doc:"counts changes; the ETag"`
}

type notificationsOutput struct {
	ETag string `header:"ETag"`
	Body NotificationsView
}

type notificationsInput struct {
	IfMatch string `header:"If-Match" doc:"the ETag that you read; without it the last change wins"`
	Body    struct {
		Choices profile.Choices `json:"choices"`
	}
}

func (s *server) profile(api huma.API) {
	tags := []string{"Profile"}
	huma.Register(api, operation(access.OwnProfile, huma.Operation{
		OperationID: "get-notifications", Method: http.MethodGet, Path: "/v1/profile/notifications", Tags: tags,
		Errors:  []int{422},
		Summary: "Read your notifications", Description: "For every role but deploy. Weekly and monthly reports and " +
			"system events are on until you choose otherwise, as far as your role may see them.",
	}), func(ctx context.Context, _ *struct{}) (*notificationsOutput, error) {
		p, err := s.Profiles.Read(ctx, self(principal(ctx)))
		return s.notifications(ctx, p, err)
	})
	huma.Register(api, operation(access.OwnProfile, huma.Operation{
		OperationID: "set-notifications", Method: http.MethodPut, Path: "/v1/profile/notifications", Tags: tags,
		Errors:      []int{400, 412, 413, 415, 422},
		Summary:     "Set your notifications",
		Description: "For your own address only. What your role may not see can not be chosen: 403 names it.",
	}), func(ctx context.Context, in *notificationsInput) (*notificationsOutput, error) {
		revision, err := openETag(in.IfMatch)
		if err != nil {
			return nil, err
		}
		p, err := s.Profiles.Set(ctx, self(principal(ctx)), in.Body.Choices, revision)
		return s.notifications(ctx, p, err)
	})
}

func self(p access.Principal) profile.Person {
	return profile.Person{Tenant: p.Tenant, ClientName: p.ClientName, Email: p.Email, Name: p.Name, Role: p.Role,
		At: p.Issued}
}

func (s *server) notifications(ctx context.Context, p profile.Profile, err error) (*notificationsOutput, error) {
	var not profile.NotAllowedError
	var unusable *profile.AddressError
	switch {
	case errors.As(err, &not):
		fields := make([]destination.FieldProblem, len(not))
		for i, name := range not {
			fields[i] = fault("choices."+name, "your role may not see this")
		}
		return nil, problem(http.StatusForbidden, "your role may not be told of all that you chose", fields...)
	case errors.As(err, &unusable):
		return nil, problem(http.StatusUnprocessableEntity, "your account's address "+unusable.Error(),
			fault("email", unusable.Reason))
	case errors.Is(err, profile.ErrNoAddress):
		return nil, problem(http.StatusUnprocessableEntity, noAddress)
	case errors.Is(err, profile.ErrConflict):
		return nil, problem(http.StatusPreconditionFailed,
			"your notifications were changed meanwhile: read them again, then repeat your change")
	case err != nil:
		return nil, s.answer(err)
	}
	v := NotificationsView{Email: p.Email, Choices: p.Told(), Allowed: profile.Allowed(p.Role), Revision: p.Revision}
	b, blocked, err := s.Blocks.Blocked(ctx, p.Tenant, p.ID, mail.Canonical(p.Email))
	if err != nil {
		return nil, s.answer(err)
	}
	if blocked {
		v.Paused = string(b.Why) + ": " + b.Reason
	}
	return &notificationsOutput{ETag: makeETag(p.Revision), Body: v}, nil
}

// BlockView is an address that nothing is sent to.
type BlockView struct {
	Address     string    `json:"address"`
	Integration string    `json:"integration,omitempty" doc:"the one that the address left; absent: nothing of the tenant is sent to it"`
	Why         mail.Why  `json:"why" enum:"bounced,complained,unsubscribed"`
	Reason      string    `json:"reason,omitempty"`
	At          time.Time `json:"at"`
}

type blocksOutput struct {
	Body struct {
		Items      []BlockView `json:"items" doc:"in the order of their addresses"`
		NextCursor string      `json:"next_cursor,omitempty"`
	}
}

type addressInput struct {
	Address string `path:"address" maxLength:"254"`
}

func (s *server) blocks(api huma.API) {
	tags := []string{"Addresses"}
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "list-blocked-addresses", Method: http.MethodGet, Path: "/v1/blocked-addresses", Tags: tags,
		Errors:      []int{400, 422},
		Summary:     "List addresses that nothing is sent to",
		Description: "Because mails to them came back, their owners complained, or they have unsubscribed.",
	}), s.listBlocks)
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "allow-address", Method: http.MethodDelete, Path: "/v1/blocked-addresses/{address}", Tags: tags,
		DefaultStatus: http.StatusNoContent,
		Summary:       "Send to an address again",
		Description:   "It is no error when it was not blocked. Ask the owner first if it had unsubscribed.",
	}), func(ctx context.Context, in *addressInput) (*struct{}, error) {
		p := principal(ctx)
		if err := s.Blocks.Allow(ctx, p.Tenant, mail.Canonical(in.Address)); err != nil {
			return nil, s.answer(err)
		}
		s.Log.Info("address allowed again", "tenant", p.Tenant, "by", p.Email)
		return nil, nil
	})
}

func (s *server) listBlocks(ctx context.Context, in *pageInput) (*blocksOutput, error) {
	tenant := principal(ctx).Tenant
	after, err := openCursor(blockList, tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := s.Blocks.List(ctx, tenant, after, in.Limit)
	if err != nil {
		return nil, s.answer(err)
	}
	out := &blocksOutput{}
	out.Body.Items = []BlockView{}
	addresses := map[string]bool{}
	for _, b := range found {
		addresses[b.Address] = true
		out.Body.Items = append(out.Body.Items, BlockView{b.Address, b.Integration, b.Why, b.Reason, b.At})
	}
	if len(addresses) == in.Limit {
		out.Body.NextCursor = makeCursor(blockList, tenant, found[len(found)-1].Address)
	}
	return out, nil
}

//go:embed unsubscribe.html
var unsubscribeSource string

var unsubscribePage = template.Must(template.New("unsubscribe").Parse(unsubscribeSource))

// unsubscribePolicy lets the page show itself and send its own form.
const unsubscribePolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'"

// unsubscribe serves the link of a mail. A GET only asks: mail scanners follow links. A POST leaves, from the page's
// button or from a mail client's (RFC 8058).
func (s *server) unsubscribe(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", unsubscribePolicy)
	h.Set("Cache-Control", "no-store")
	token := r.PathValue("token")
	leave := s.Leaving.Links.Open
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		leave = func(token string) (profile.Subscription, error) { return s.Leaving.Unsubscribe(r.Context(), token) }
	}
	sub, err := leave(token)
	view := struct {
		Platform, Address, Problem string
		Done                       bool
	}{Platform: s.Platform, Address: sub.Address, Done: r.Method == http.MethodPost && err == nil}
	status := http.StatusOK
	switch {
	case errors.Is(err, profile.ErrLink):
		status, view.Problem = http.StatusNotFound, profile.ErrLink.Error()
	case err != nil:
		s.Log.Error("unsubscribe", "tenant", sub.Tenant, "error", err.Error())
		status, view.Problem = http.StatusInternalServerError, "this could not be done now: try again"
	case view.Done:
		s.Log.Info("address unsubscribed", "tenant", sub.Tenant, "integration", sub.Integration)
	}
	w.WriteHeader(status)
	_ = unsubscribePage.Execute(w, view) // the reader has gone away if this fails
}
