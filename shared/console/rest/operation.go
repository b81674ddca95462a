package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/profile"
	"tocsin/shared/wording"
)

// RequestIDHeader names a call in answers, in our log, and in the activity log.
const RequestIDHeader = "X-Request-Id"

type principalKey struct{}

// WithPrincipal is a context of a request of the caller.
func WithPrincipal(ctx context.Context, p access.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// Principal is who calls, from the token.
func Principal(ctx context.Context) access.Principal {
	p, _ := ctx.Value(principalKey{}).(access.Principal)
	return p
}

// Person is the caller as the services note who made a change.
func Person(ctx context.Context) activity.Actor { return activity.ActorOf(Principal(ctx)) }

// RightKey is where the metadata of an operation hold the right that its callers need (product facts, section 7).
const RightKey = "right"

// Operation adds what every operation has, and the right that its callers need: authorize asks for it. The right is a
// part of the operation, never of the spelling of a path. A GET reads, and takes the right to see (access.Right.View).
func Operation(right access.Right, o huma.Operation) huma.Operation {
	if o.Method == http.MethodGet {
		right = right.View()
	}
	o.MaxBodyBytes = MaxBody
	// 400 and 422 are of a parameter `tenant` that names none, and of a parameter that there is not.
	o.Errors = append(o.Errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError)
	o.Metadata = map[string]any{RightKey: right}
	return o
}

// Authorize is the middleware of all operations: it lets in roles that have the right which the operation declares. An
// operation that declares none lets nobody in.
func Authorize(ctx huma.Context, next func(huma.Context)) {
	p := Principal(ctx.Context())
	right, declared := ctx.Operation().Metadata[RightKey].(access.Right)
	if declared && p.May(right) {
		next(ctx)
		return
	}
	refuse(ctx, forbidden(p, right))
}

// forbidden says who may.
func forbidden(p access.Principal, right access.Right) *Problem {
	what := right.Words() + " are"
	if right == access.OwnProfile {
		what = "notifications of one's own are"
	}
	return NewProblem(http.StatusForbidden, what+" for "+right.Holders()+" only; your role is "+
		p.Role.Words())
}

// refuse answers in a middleware, before huma reads what was sent.
func refuse(ctx huma.Context, p *Problem) {
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	l := wording.Accepted(ctx.Header("Accept-Language"))
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p.in(l)) // the caller has gone away if this fails
}

// ProblemOf is the problem in an error of Kit.Answer.
func ProblemOf(err error) *Problem {
	var p *Problem
	if !errors.As(err, &p) {
		p = NewProblem(http.StatusInternalServerError, "this could not be done now: try again")
	}
	return p
}

// Refuse answers with an error of Kit.Answer where an operation writes its answer by itself.
func Refuse(ctx huma.Context, err error) {
	var with huma.HeadersError
	if errors.As(err, &with) {
		for name, values := range with.GetHeaders() {
			for _, value := range values {
				ctx.SetHeader(name, value)
			}
		}
	}
	refuse(ctx, ProblemOf(err))
}

// IDInput is the input of an operation on one thing.
type IDInput struct {
	ID string `path:"id"`
}

// ConditionalInput is that of one that changes it if it is as it was read.
type ConditionalInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match" doc:"the ETag that you read; without it any revision"`
}

// PageInput asks for a page of a list.
type PageInput struct {
	Cursor string `query:"cursor" maxLength:"400" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"items on a page, at most 200"`
}

// MaxBody is the size of a request's body in bytes: the largest parameter is a CA certificate of 64 KiB.
const MaxBody = 256 << 10

// ProfilePerson is the caller as the profiles know people: in the home tenant, whichever one is acted for.
func ProfilePerson(p access.Principal) profile.Person {
	p = p.AtHome()
	if p.Source == access.FromAPIToken {
		p.Role = "" // that of the token, which can be lower, says nothing of the person's
	}
	return profile.Person{Actor: activity.ActorOf(p), Role: p.Role, At: p.Issued}
}
