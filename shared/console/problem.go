package console

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/trigger"
)

// Problem is an error as RFC 9457 writes it.
type Problem struct {
	Type   string                     `json:"type,omitempty" doc:"about:blank: the title says it all" example:"about:blank"`
	Title  string                     `json:"title" example:"Unprocessable Entity"`
	Status int                        `json:"status" example:"422"`
	Detail string                     `json:"detail,omitempty" example:"the request is not valid"`
	Errors []destination.FieldProblem `json:"errors,omitempty" doc:"what is wrong, field by field"`
}

func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type of problems.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, detail string, fields ...destination.FieldProblem) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields}
}

func write(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller has gone away if this fails
}

// useProblems makes huma answer its own errors as ours. It is the one place where huma keeps this: a package
// variable.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := problem(status, message)
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
	return destination.FieldProblem{Field: strings.TrimPrefix(detail.Location, "body."), Reason: detail.Message}
}

// tooManyMails says when mails can be sent on request again, also as a header (RFC 6585, 4).
func (s *server) tooManyMails(e *mail.QuotaError) error {
	p := problem(http.StatusTooManyRequests, e.Error())
	if e.Free.IsZero() {
		return p
	}
	return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(seconds(e.Free.Sub(s.Now())))}})
}

// seconds are the whole ones after which a wait is over.
func seconds(wait time.Duration) int { return max(1, int(math.Ceil(wait.Seconds()))) }

// answer turns an error of the domain into a problem. Anything unexpected is logged in full and told in brief.
func (s *server) answer(err error) error {
	var invalid destination.InvalidParameters
	var relay *mail.QuotaError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return problem(http.StatusUnprocessableEntity, "the request is not valid", invalid...)
	case errors.As(err, &relay):
		return s.tooManyMails(relay)
	case reportProblem(err) != nil:
		return reportProblem(err)
	case errors.Is(err, integration.ErrNotFound):
		return problem(http.StatusNotFound, "there is no such integration")
	case errors.Is(err, delivery.ErrNotFound):
		return problem(http.StatusNotFound, "this integration has no such delivery")
	case errors.Is(err, trigger.ErrNotFound):
		return problem(http.StatusNotFound, "there is no such trigger")
	case errors.Is(err, trigger.ErrConflict):
		return problem(http.StatusPreconditionFailed,
			"the trigger was changed by someone else: read it again, then repeat your change")
	case errors.Is(err, integration.ErrConflict):
		return problem(http.StatusPreconditionFailed,
			"the integration was changed by someone else: read it again, then repeat your change")
	}
	s.Log.Error("request failed", "error", err.Error())
	return problem(http.StatusInternalServerError, "this could not be done now: try again")
}
