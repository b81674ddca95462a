// Package profiles is the operations on people's own notifications and on addresses that nothing is sent to, and the
// page behind the links of mails.
package profiles

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/timezone"
	"tocsin/shared/wording"
)

// NotificationsView is what the signed-in person is told of by mail.
type NotificationsView struct {
	Email    string           `json:"email" doc:"the address of your account; it can not be changed here"`
	Language wording.Language `json:"language,omitempty" enum:"en,ja" doc:"of the mails; absent: the tenant's"`
	Zone     string           `json:"time_zone,omitempty" doc:"of the times in the mails and in the Console; absent: the tenant's in mails, and the browser's in the Console" example:"Asia/Tokyo"`
	Choices  profile.Choices  `json:"choices" doc:"what is mailed to it"`
	Allowed  profile.Choices  `json:"allowed" doc:"what your role may be told of; nothing as long as you have not signed in, because your role is not known before"`
	Paused   string           `json:"paused,omitempty" worded:"true" doc:"why nothing is sent although it is chosen: mails to the address came back"`
	Revision int64            `json:"revision" doc:"counts changes; the ETag"`
}

type notificationsOutput struct {
	ETag string `header:"ETag"`
	Body NotificationsView
}

type notificationsInput struct {
	IfMatch string `header:"If-Match" doc:"the ETag that you read; without it the last change wins"`
	Body    struct {
		Choices  profile.Choices   `json:"choices"`
		Language *wording.Language `json:"language,omitempty" doc:"en, ja, or empty for the tenant's; absent: as it is"`
		Zone     *string           `json:"time_zone,omitempty" doc:"a name of the IANA database, or empty for none of your own; absent: as it is" example:"Asia/Tokyo"`
	}
}

// API is the operations on people's own notifications and on addresses that nothing is sent to, and the page
// behind the links of mails.
type API struct {
	rest.Kit
	Platform        string
	Profiles        *profile.Service
	SuppressionList mail.SuppressionList
	Unsubscriptions profile.Unsubscriptions
}

// Register adds the operations.
func (s *API) Register(api huma.API) {
	s.profile(api)
	s.blocks(api)
}

func (s *API) profile(api huma.API) {
	tags := []string{"Profile"}
	huma.Register(api, rest.Operation(access.OwnProfile, huma.Operation{
		OperationID: "get-notifications", Method: http.MethodGet, Path: "/v1/profile/notifications", Tags: tags,
		Errors:  []int{422},
		Summary: "Read your notifications", Description: "For every role but deploy. Weekly and monthly reports, " +
			"digests of security issues, the weekly statistics and system events are on until you choose otherwise, " +
			"as far as your role may see them.",
	}), func(ctx context.Context, _ *struct{}) (*notificationsOutput, error) {
		p, err := s.Profiles.Read(ctx, rest.ProfilePerson(rest.Principal(ctx)))
		return s.notifications(ctx, p, err)
	})
	huma.Register(api, rest.Operation(access.OwnProfile, huma.Operation{
		OperationID: "set-notifications", Method: http.MethodPut, Path: "/v1/profile/notifications", Tags: tags,
		Errors:  []int{400, 409, 412, 413, 415, 422},
		Summary: "Set your notifications",
		Description: "For your own address only. What your role may not see can not be chosen: 403 names it. 409 " +
			"where your role is not known yet: only API tokens of yours were used, and you have not signed in.",
	}), func(ctx context.Context, in *notificationsInput) (*notificationsOutput, error) {
		revision, err := rest.OpenETag(in.IfMatch)
		if err != nil {
			return nil, err
		}
		p, err := s.Profiles.SetIn(ctx, rest.ProfilePerson(rest.Principal(ctx)), in.Body.Choices,
			profile.Reading{Language: in.Body.Language, Zone: in.Body.Zone}, revision)
		return s.notifications(ctx, p, err)
	})
}

func (s *API) notifications(ctx context.Context, p profile.Profile, err error) (*notificationsOutput, error) {
	var not profile.NotAllowedError
	var unusable *profile.AddressError
	switch {
	case errors.As(err, &not):
		fields := make([]destination.FieldProblem, len(not))
		for i, name := range not {
			fields[i] = rest.Fault("choices."+name, "your role may not see this")
		}
		return nil, rest.NewProblem(http.StatusForbidden, "your role may not be told of all that you chose", fields...)
	case errors.Is(err, profile.ErrNoRole):
		return nil, rest.NewProblem(http.StatusConflict, profile.ErrNoRole.Error())
	case errors.As(err, &unusable):
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "your account's address "+unusable.Error(),
			rest.Fault("email", unusable.Reason))
	case errors.Is(err, profile.ErrLanguage):
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
			rest.Fault("language", err.Error()))
	case errors.Is(err, timezone.Err):
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
			rest.Fault("time_zone", err.Error()))
	case errors.Is(err, profile.ErrNoAddress):
		return nil, rest.Nobody(ctx)
	case errors.Is(err, profile.ErrConflict):
		return nil, rest.NewProblem(http.StatusPreconditionFailed,
			"your notifications were changed meanwhile: read them again, then repeat your change")
	case err != nil:
		return nil, s.Answer(ctx, err)
	}
	v := NotificationsView{Email: p.Email, Language: p.Language, Zone: p.Zone, Choices: p.Told(),
		Allowed: profile.Allowed(p.Role), Revision: p.Revision}
	b, blocked, err := s.SuppressionList.Blocked(ctx, p.Tenant, p.ID, mail.Canonical(p.Email))
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if blocked {
		v.Paused = string(b.Why) + ": " + b.Reason
	}
	return &notificationsOutput{ETag: rest.MakeETag(p.Revision), Body: v}, nil
}

// BlockView is an address that nothing is sent to.
type BlockView struct {
	Address     string    `json:"address"`
	Integration string    `json:"integration,omitempty" doc:"the one that the address left; absent: nothing of the tenant is sent to it"`
	Why         mail.Why  `json:"why" enum:"bounced,complained,unsubscribed"`
	Reason      string    `json:"reason,omitempty" worded:"true"`
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

func (s *API) blocks(api huma.API) {
	tags := []string{"Addresses"}
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-blocked-addresses", Method: http.MethodGet, Path: "/v1/blocked-addresses", Tags: tags,
		Errors:      []int{400, 422},
		Summary:     "List addresses that nothing is sent to",
		Description: "Because mails to them came back, their owners complained, or they have unsubscribed.",
	}), s.listBlocks)
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "allow-address", Method: http.MethodDelete, Path: "/v1/blocked-addresses/{address}", Tags: tags,
		DefaultStatus: http.StatusNoContent,
		Summary:       "Send to an address again",
		Description:   "It is no error when it was not blocked. Ask the owner first if it had unsubscribed.",
	}), func(ctx context.Context, in *addressInput) (*struct{}, error) {
		p := rest.Principal(ctx)
		a := mail.Canonical(in.Address)
		if err := s.SuppressionList.Allow(ctx, p.Tenant, a, activity.Entry{ID: s.NewID(), At: s.Now(),
			Actor: rest.Person(ctx), Object: activity.Suppression, ObjectID: a, ObjectName: a,
			Action: activity.Delete}.Bounded()); err != nil {
			return nil, s.Answer(ctx, err)
		}
		s.Log.Info("address allowed again", "tenant", p.Tenant, "by", p.Who())
		return nil, nil
	})
}

func (s *API) listBlocks(ctx context.Context, in *rest.PageInput) (*blocksOutput, error) {
	tenant := rest.Principal(ctx).Tenant
	after, err := rest.OpenCursor(suppressedList, tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := s.SuppressionList.List(ctx, tenant, after, in.Limit)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &blocksOutput{}
	out.Body.Items = []BlockView{}
	addresses := map[string]bool{}
	for _, b := range found {
		addresses[b.Address] = true
		out.Body.Items = append(out.Body.Items, BlockView{b.Address, b.Integration, b.Why, b.Reason, b.At})
	}
	if len(addresses) == in.Limit {
		out.Body.NextCursor = rest.MakeCursor(suppressedList, tenant, found[len(found)-1].Address)
	}
	return out, nil
}

// Mount adds the page behind the links of mails.
func (s *API) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+profile.Path+"{token}", s.unsubscribe)
	mux.HandleFunc("POST "+profile.Path+"{token}", s.unsubscribe)
}

//go:embed unsubscribe.html
var unsubscribeSource string

var unsubscribePage = template.Must(template.New("unsubscribe").Parse(unsubscribeSource))

// unsubscribePolicy lets the page show itself and send its own form.
const unsubscribePolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'"

// unsubscribeView is what the page says.
type unsubscribeView struct {
	Language                                wording.Language
	Platform, Heading, Text, Press, Problem string
	Asks                                    bool
	Undo, TakeBack                          string // the token that takes it back, "" = it can not be; its button
}

// unsubscribe serves the link of a mail. A GET only asks: mail scanners follow links. A POST leaves, from the page's
// button or from a mail client's (RFC 8058); with `Undo` it takes back what a POST before did.
func (s *API) unsubscribe(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", unsubscribePolicy)
	h.Set("Cache-Control", "no-store")
	view := unsubscribeView{Platform: s.Platform, Language: wording.Accepted(r.Header.Get("Accept-Language"))}
	in := func(text string) string { return wording.In(view.Language, text) }
	view.Heading, view.Press, view.TakeBack = in("Stop mails"), in("Unsubscribe"), in("Undo")
	token := r.PathValue("token")
	sub, err := s.Unsubscriptions.Links.Open(token)
	view.Asks = r.Method != http.MethodPost
	view.Text = in("Send no more " + kind(sub) + " to " + sub.Address + "?")
	if err == nil && !view.Asks {
		r.Body = http.MaxBytesReader(w, r.Body, rest.MaxBody)
		if undo := r.PostFormValue("Undo"); undo != "" {
			sub, err = s.Unsubscriptions.Undo(r.Context(), undo)
			view.Text = in(sub.Address + " is subscribed again: " + kind(sub) + " are sent to it.")
		} else {
			sub, view.Undo, err = s.Unsubscriptions.Unsubscribe(r.Context(), token)
			view.Text = in(sub.Address + " is unsubscribed: no more " + kind(sub) + " are sent to it.")
		}
	}
	status := http.StatusOK
	switch {
	case errors.Is(err, profile.ErrLink):
		status, view.Problem = http.StatusNotFound, profile.ErrLink.Error()
	case errors.Is(err, profile.ErrUndo):
		status, view.Problem = http.StatusConflict, profile.ErrUndo.Error()
	case err != nil:
		s.Log.Error("unsubscribe", "tenant", sub.Tenant, "error", err.Error())
		status, view.Problem = http.StatusInternalServerError, "this could not be done now: try again"
	case !view.Asks:
		s.Log.Info("address unsubscribed, or subscribed again", "tenant", sub.Tenant, "integration", sub.Integration)
	}
	view.Problem = in(view.Problem)
	w.WriteHeader(status)
	_ = unsubscribePage.Execute(w, view) // the reader has gone away if this fails
}

// kind is what a link leaves.
func kind(sub profile.Subscription) string {
	switch report.KindOf(sub.Integration) {
	case report.PersonReceiver:
		return "notifications of your profile"
	case report.OrderReceiver:
		return "reports on demand"
	}
	if sub.Integration == report.OnDemand {
		return "reports on demand"
	}
	return "mails of this integration"
}

const suppressedList rest.List = "blocked addresses"
