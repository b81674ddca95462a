package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/integration"
	"tocsin/shared/profile"
)

type principalKey struct{}

func principal(ctx context.Context) access.Principal {
	p, _ := ctx.Value(principalKey{}).(access.Principal)
	return p
}

func person(ctx context.Context) integration.Person {
	p := principal(ctx)
	return integration.Person{Tenant: p.Tenant, ClientName: p.ClientName, Email: p.Email, Name: p.Name}
}

// everyTenant is the name of no tenant: no token may bear it.
const everyTenant = "*"

// guard lets only people with a good token at the API (what each may do is declared by the operations), and keeps a
// fault of ours from becoming a dropped connection.
func (s *server) guard(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		answer := &watched{ResponseWriter: w}
		defer s.recover(answer, r)
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			h.Set("Cache-Control", "no-store")
			s.serveAPI(mux, answer, r)
			return
		}
		route(mux, answer, r)
	})
}

func (s *server) serveAPI(mux *http.ServeMux, w *watched, r *http.Request) {
	began := s.Now()
	p, refused := s.admit(r)
	if refused != nil {
		if refused.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", challenge(r))
		}
		write(w, refused)
	} else if wait := s.tooSoon(r.Context(), p); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait))) // RFC 6585, 4
		write(w, problem(http.StatusTooManyRequests,
			fmt.Sprintf("your account has made the %d calls of this minute: the next begins in %d s", s.Requests.Limit,
				seconds(wait))))
	} else {
		s.know(r.Context(), p)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody+1) // huma refuses what is over maxBody with a problem
		route(mux, w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
	}
	s.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", w.status, "took_ms",
		s.Now().Sub(began).Milliseconds(), "tenant", p.Tenant, "by", p.Email)
}

// tooSoon is how long the tenant has to wait before its next call; 0 = this one goes on.
func (s *server) tooSoon(ctx context.Context, p access.Principal) time.Duration {
	if s.Requests == nil {
		return 0
	}
	return s.Requests.Wait(ctx, p.Tenant)
}

// maxKnown bounds the people who are remembered as known.
const maxKnown = 10_000

// know tells the profiles who signed in, and with what role: a new person is told of things by default (facts, 5.3),
// and one whose role has changed is told of what the new one may see. A failure does not keep anybody from what they
// came for.
func (s *server) know(ctx context.Context, p access.Principal) {
	if s.Profiles == nil || p.Email == "" {
		return
	}
	k := p.Tenant + "\x00" + p.Email + "\x00" + string(p.Role)
	if _, known := s.known.Get(k); known {
		return
	}
	s.known.Keep(k, struct{}{}, maxKnown)
	if err := s.Profiles.Know(ctx, self(p)); err != nil && !errors.Is(err, profile.ErrNoAddress) {
		s.Log.Error("note a person who signed in", "tenant", p.Tenant, "error", err.Error())
		s.known.Drop(k)
	}
}

// admit finds out who asks, or why that person is refused.
func (s *server) admit(r *http.Request) (access.Principal, *Problem) {
	p, err := s.Authenticator.Authenticate(r)
	var unauthorized *access.UnauthorizedError
	switch {
	case errors.As(err, &unauthorized):
		return p, problem(http.StatusUnauthorized, unauthorized.Reason)
	case err != nil:
		s.Log.Error("authenticate", "error", err.Error())
		return p, problem(http.StatusInternalServerError, "the token could not be checked: try again")
	case p.Tenant == "" || p.Tenant == everyTenant:
		return p, problem(http.StatusUnauthorized, "the token names no tenant")
	case strings.TrimSpace(p.Tenant) != p.Tenant:
		// no tenant has such a name, and an engine may keep what is nobody's under one
		return p, problem(http.StatusUnauthorized, "the token's tenant begins or ends with a space")
	}
	return p, nil
}

// rightKey is where the metadata of an operation hold the right that its callers need (product facts, section 7).
const rightKey = "right"

// operation adds what every operation has, and the right that its callers need: authorize asks for it. The right is a
// part of the operation, never of the spelling of a path.
func operation(right access.Right, o huma.Operation) huma.Operation {
	o.MaxBodyBytes = maxBody
	o.Errors = append(o.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
		http.StatusInternalServerError)
	o.Metadata = map[string]any{rightKey: right}
	return o
}

// authorize is the middleware of all operations: it lets in roles that have the right which the operation declares. An
// operation that declares none lets nobody in.
func authorize(ctx huma.Context, next func(huma.Context)) {
	p := principal(ctx.Context())
	right, declared := ctx.Operation().Metadata[rightKey].(access.Right)
	if declared && p.May(right) {
		next(ctx)
		return
	}
	refuse(ctx, forbidden(p, right))
}

// forbidden says who may. A role that is not known is not repeated at length: it is what somebody wrote in a token.
func forbidden(p access.Principal, right access.Right) *Problem {
	role := string(p.Role)
	switch {
	case role == "":
		role = "not in your token"
	case !p.Role.Known():
		role = "not known here"
	}
	what := string(right) + " are"
	if right == access.OwnProfile {
		what = "notifications of one's own are"
	}
	return problem(http.StatusForbidden, what+" for "+right.Holders()+" only; your role is "+role)
}

// refuse answers in a middleware, before huma reads what was sent.
func refuse(ctx huma.Context, p *Problem) {
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p) // the caller has gone away if this fails
}

// challenge tells a client which token to bring; that a token was brought and refused is told apart (RFC 6750, 3).
func challenge(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return `Bearer realm="console"`
	}
	return `Bearer realm="console", error="invalid_token"`
}

// route hands the request to its operation. For a path or a method that there is none for, the mux would answer in
// plain text: the answer is a problem here as everywhere.
func route(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	h, pattern := mux.Handler(r)
	if pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	var found headOnly
	h.ServeHTTP(&found, r)
	if allow := found.Header().Get("Allow"); found.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		write(w, problem(http.StatusMethodNotAllowed, "this path takes "+allow+" only"))
		return
	}
	write(w, problem(http.StatusNotFound, "there is nothing at this path: GET / lists what there is"))
}

func (s *server) recover(w *watched, r *http.Request) {
	fault := recover()
	if fault == nil {
		return
	}
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(fault)
	}
	s.Log.Error("panic in a request", "method", r.Method, "path", r.URL.Path, slog.Any("panic", fault), "stack",
		string(debug.Stack()))
	if w.status == 0 {
		write(w, problem(http.StatusInternalServerError, "this is a fault of ours; it was logged"))
	}
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// headOnly takes an answer's status and headers and drops its body.
type headOnly struct {
	header http.Header
	status int
}

func (w *headOnly) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

func (w *headOnly) WriteHeader(status int)      { w.status = status }
func (w *headOnly) Write(p []byte) (int, error) { return len(p), nil }
