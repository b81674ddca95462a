// Package rest is what the operations of all subjects have in common: the right that each declares, who calls, problems
// (RFC 9457), cursors, and conditional changes.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/ready"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/trigger"
)

// Problem is an error as RFC 9457 writes it.
type Problem struct {
	Type   string                     `json:"type,omitempty" doc:"about:blank: the title says it all" example:"about:blank"`
	Title  string                     `json:"title" worded:"true" example:"Unprocessable Entity"`
	Status int                        `json:"status" example:"422"`
	Detail string                     `json:"detail,omitempty" worded:"true" example:"the request is not valid"`
	Code   string                     `json:"code,omitempty" doc:"names what detail says, in any language" example:"problem.invalid"`
	Params map[string]string          `json:"params,omitempty" doc:"what stands in detail's places"`
	Errors []destination.FieldProblem `json:"errors,omitempty" doc:"what is wrong, field by field"`
	// Request is for whoever runs the deployment: a person can not read a header.
	Request string `json:"request_id,omitempty" doc:"names a call that failed by no fault of the caller's: X-Request-Id, as the log has it"`

	// How an object that is not there is named, in place of Detail, where the call's path has its parameter.
	words, parameter string
}

func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type of problems.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// NewProblem makes a problem of a status, with words for a person and the fields at fault.
func NewProblem(status int, detail string, fields ...destination.FieldProblem) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields}
}

// Fault is what is wrong with a field.
func Fault(field, reason string) destination.FieldProblem {
	return destination.FieldProblem{Field: field, Reason: reason}
}

// of names the call whose failure is not its caller's.
func (p *Problem) of(request string) *Problem {
	if p.Status < http.StatusInternalServerError {
		return p
	}
	out := *p
	out.Request = request
	return &out
}

// Write answers with a problem where huma does not.
func Write(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	p = p.of(w.Header().Get(RequestIDHeader))
	_ = json.NewEncoder(w).Encode(p.in(spoken(w))) // the caller has gone away if this fails
}

// UseProblems makes huma answer its own errors as ours. It is the one place where huma keeps this: a package
// variable.
var UseProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := NewProblem(status, message)
		for _, err := range errs {
			p.Errors = append(p.Errors, field(err))
		}
		return p
	}
})

// field takes the place and the words of huma's error and leaves the value out.
func field(err error) destination.FieldProblem {
	var d huma.ErrorDetailer
	if !errors.As(err, &d) {
		return destination.FieldProblem{Field: "body", Reason: err.Error()}
	}
	detail := d.ErrorDetail()
	reason := detail.Message
	if strings.HasPrefix(reason, "invalid date/time for format ") { // which is a layout of Go's
		reason = "must be a time of RFC 3339, such as 2026-11-27T09:05:00Z"
	}
	return destination.FieldProblem{Field: place(detail.Location, reason), Reason: reason}
}

var (
	item    = regexp.MustCompile(`\[(\d+)\]`)
	missing = regexp.MustCompile(`^expected required property (\S+) to be present$`)
)

// place names a field as our own checks do, filters.0.values, where huma writes filters[0], and of what is missing
// names what should have it.
func place(location, reason string) string {
	out := item.ReplaceAllString(location, ".$1")
	if lacks := missing.FindStringSubmatch(reason); lacks != nil {
		out += "." + lacks[1]
	}
	return strings.TrimPrefix(out, "body.")
}

// Kit is what the operations of every subject need.
type Kit struct {
	Log      *slog.Logger
	Now      func() time.Time
	NewID    func() string
	Recorder activity.Recorder // nil = nobody keeps the activity log
}

// Record notes in the activity log what the caller did. It stays done without the line.
func (s Kit) Record(ctx context.Context, e activity.Entry) {
	if s.Recorder == nil {
		return
	}
	e.Actor = Person(ctx)
	if err := s.Recorder.Record(context.WithoutCancel(ctx), e); err != nil {
		s.Log.Error("note in the activity log", "tenant", e.Tenant, "action", string(e.Action), "object", e.ObjectID,
			"by", e.Who(), "request", e.RequestID, "error", err.Error())
	}
}

// tooManyMails says when mails can be sent on request again, also as a header (RFC 6585, 4).
func (s Kit) tooManyMails(e *mail.QuotaError) error {
	p := NewProblem(http.StatusTooManyRequests, e.Error())
	if e.Free.IsZero() {
		return p
	}
	return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(Seconds(e.Free.Sub(s.Now())))}})
}

// Seconds are the whole ones after which a wait is over.
func Seconds(wait time.Duration) int { return max(1, int(math.Ceil(wait.Seconds()))) }

// Answer turns an error of the domain into a problem. Anything unexpected is logged in full and told in brief.
func (s Kit) Answer(ctx context.Context, err error) error {
	var invalid destination.InvalidParameters
	var quota *mail.QuotaError
	var fallback *integration.FallbackError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return NewProblem(http.StatusUnprocessableEntity, "the request is not valid", invalid...)
	case errors.As(err, &quota):
		return s.tooManyMails(quota)
	case reportProblem(err) != nil:
		return reportProblem(err)
	case errors.Is(err, integration.ErrNotFound):
		return Missing("there is no such integration", `there is no integration "%s"`, "id")
	case errors.Is(err, delivery.ErrNotFound):
		return Missing("this integration has no such delivery", `this integration has no delivery "%s"`, "delivery")
	case errors.Is(err, trigger.ErrNotFound):
		return Missing("there is no such trigger", `there is no trigger "%s"`, "id")
	case errors.Is(err, trigger.ErrConflict):
		return NewProblem(http.StatusPreconditionFailed,
			"the trigger was changed by someone else: read it again, then repeat your change")
	case errors.As(err, &fallback):
		return NewProblem(http.StatusConflict, fallback.Error()+": give them another one first, or repeat with "+
			"force=true, which leaves them without")
	case errors.Is(err, integration.ErrConflict):
		return NewProblem(http.StatusPreconditionFailed,
			"the integration was changed by someone else: read it again, then repeat your change")
	}
	s.Log.Error("request failed", "request", Principal(ctx).RequestID, "tenant", Principal(ctx).Tenant, "error",
		err.Error())
	if errors.Is(err, ready.ErrNoRoom) {
		return NewProblem(http.StatusInternalServerError, ready.ErrNoRoom.Error()+": try again when whoever runs "+
			"this installation has made room")
	}
	return NewProblem(http.StatusInternalServerError, "this could not be done now: try again")
}

// reportProblem turns the errors of reports into problems; nil for all others.
func reportProblem(err error) error {
	switch {
	case errors.Is(err, report.ErrNotFound):
		return Missing(fmt.Sprintf("there is no such report: the last %d are kept", report.Kept),
			`there is no report "%s": the last `+strconv.Itoa(report.Kept)+" are kept", "id")
	case errors.Is(err, report.ErrConflict):
		return NewProblem(http.StatusPreconditionFailed,
			"the settings of reports were changed by someone else: read them again, then repeat your change")
	case errors.Is(err, calendar.ErrPeriod):
		return NewProblem(http.StatusUnprocessableEntity, err.Error())
	}
	return nil
}

// Nobody says why there is nothing of a person behind a call.
func Nobody(ctx context.Context) *Problem {
	if p := Principal(ctx); p.Source == access.FromAPIToken {
		return NewProblem(http.StatusForbidden, "a shared API token is nobody's and has no profile: sign in, or use a "+
			"personal token")
	}
	return NewProblem(http.StatusUnprocessableEntity, NoAddress)
}

// NoAddress is for a person whose account has none.
const NoAddress = "your account has no e-mail address: sign in with one"

// QuotaWords state the limit of mails on request; the number is the deployment's.
const QuotaWords = "An account can have so many mails an hour (200, if the deployment says nothing else) sent to " +
	"addresses other than that of who asks, " +
	"by tests, reports on demand and replays of what arrived, and by sending mails of people and reports again, " +
	"together; 429 and Retry-After say when there is room again."
