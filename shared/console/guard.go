package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/console/pages"
	"tocsin/shared/console/rest"
	"tocsin/shared/console/tenants"
	"tocsin/shared/console/v2"
	"tocsin/shared/profile"
	"tocsin/shared/ratelimit"
	"tocsin/shared/tenant"
)

// everyTenant is the name of no tenant: no token may bear it.
const everyTenant = "*"

// guard lets only people with a good token at the API (what each may do is declared by the operations), and keeps a
// fault of ours from becoming a dropped connection.
func (s *server) guard(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if !strings.HasPrefix(r.URL.Path, pages.Root) {
			rest.Speak(w, r)
		}
		own := v2.Serves(r.URL.Path)
		if own {
			w = v2.Errors(w)
		}
		answer := &watched{ResponseWriter: w}
		defer s.recover(answer, r)
		if own || strings.HasPrefix(r.URL.Path, "/v1/") {
			h.Set("Cache-Control", "no-store")
			s.serveAPI(mux, answer, r)
			return
		}
		route(mux, answer, r)
	})
}

func (s *server) serveAPI(mux *http.ServeMux, w *watched, r *http.Request) {
	began := s.Now()
	id := s.requestID(r)
	w.Header().Set(rest.RequestIDHeader, id)
	p, refused := s.admit(r, id)
	p.RequestID = id
	if refused != nil {
		if refused.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", challenge(r))
		}
		rest.Write(w, refused)
	} else if wait, tooMany := s.tooSoon(r.Context(), p); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(rest.Seconds(wait))) // RFC 6585, 4
		rest.Write(w, tooMany)
	} else if p, refused = s.act(r, p); refused != nil {
		rest.Write(w, refused)
	} else {
		s.know(r.Context(), p)
		r.Body = http.MaxBytesReader(w, r.Body, rest.MaxBody+1) // huma refuses what is over maxBody with a problem
		route(mux, w, r.WithContext(rest.WithPrincipal(r.Context(), p)))
	}
	s.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", w.status, "took_ms",
		s.Now().Sub(began).Milliseconds(), "tenant", p.Tenant, "by", p.Who(),
		"request", p.RequestID)
}

// validRequestID is what a caller may name a call: an id is written as it is into logs and tables.
var validRequestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// requestID is the caller's name of the call if it has a good one, else one of ours.
func (s *server) requestID(r *http.Request) string {
	if id := r.Header.Get(rest.RequestIDHeader); validRequestID.MatchString(id) {
		return id
	}
	return s.NewID()
}

// tooSoon is how long the caller has to wait before its next call, and why; 0 = this one goes on. What a global role
// does for a linked tenant counts for its own: it takes nothing from the other.
func (s *server) tooSoon(ctx context.Context, p access.Principal) (time.Duration, *rest.Problem) {
	of := func(l *ratelimit.Limiter, key, who string) (time.Duration, *rest.Problem) {
		if l == nil {
			return 0, nil
		}
		wait := l.Wait(ctx, key)
		if wait <= 0 {
			return 0, nil
		}
		return wait, rest.NewProblem(http.StatusTooManyRequests,
			fmt.Sprintf("your %s has made the %d calls of this minute: the next begins in %d s", who, l.Limit,
				rest.Seconds(wait)))
	}
	if p.TokenID != "" {
		if wait, p := of(s.TokenRequests, tokenRequests+p.TokenID, "API token"); wait > 0 {
			return wait, p
		}
	}
	return of(s.Requests, p.Tenant, "account")
}

// tokenRequests stands before a token's id where calls are counted: no tenant has such a name.
const tokenRequests = "\x00token "

// act decides for which tenant the caller acts: the query parameter names one. It is taken out of the request, so that
// no operation sees it.
func (s *server) act(r *http.Request, p access.Principal) (access.Principal, *rest.Problem) {
	query := r.URL.Query()
	asked := query[tenants.Parameter]
	if len(asked) > 1 || len(asked) == 1 && asked[0] == "" {
		return p, rest.NewProblem(http.StatusBadRequest, "the parameter tenant must name one tenant")
	}
	if v2.Serves(r.URL.Path) && len(asked) == 0 && len(p.Reach) > 1 && !p.Reaches(p.Home) {
		return p, nil // its operations name the tenant as `clientid`, and ask by themselves
	}
	id := ""
	if len(asked) == 1 {
		id = asked[0]
		query.Del(tenants.Parameter)
		r.URL.RawQuery = query.Encode()
	}
	acting, err := s.Tenants.Act(r.Context(), p, id)
	var not *tenant.NotForYouError
	switch {
	case errors.As(err, &not):
		return p, rest.NewProblem(http.StatusForbidden, not.Reason)
	case err != nil:
		s.Log.Error("look for a linked tenant", "tenant", p.Tenant, "request", p.RequestID, "error", err.Error())
		return p, rest.NewProblem(http.StatusInternalServerError, "this could not be done now: try again")
	}
	return acting, nil
}

// maxKnown bounds the people who are remembered as known.
const maxKnown = 10_000

// know tells the profiles who signed in, and with what role: a new person is told of things by default (facts, 5.3),
// and one whose role has changed is told of what the new one may see. A failure does not keep anybody from what they
// came for.
func (s *server) know(ctx context.Context, p access.Principal) {
	p = p.AtHome()
	if s.Profiles == nil || p.Email == "" || p.Source == access.FromAPIToken { // a token can have a lower role
		return
	}
	k := p.Tenant + "\x00" + p.Email + "\x00" + string(p.Role)
	if _, known := s.known.Get(k); known {
		return
	}
	s.known.Keep(k, struct{}{}, maxKnown)
	if err := s.Profiles.Know(ctx, rest.ProfilePerson(p)); err != nil && !errors.Is(err, profile.ErrNoAddress) {
		s.Log.Error("note a person who signed in", "tenant", p.Tenant, "request", p.RequestID, "error", err.Error())
		s.known.Drop(k)
	}
}

// admit finds out who asks in the request with the id, or why that person is refused.
func (s *server) admit(r *http.Request, id string) (access.Principal, *rest.Problem) {
	p, err := s.Authenticator.Authenticate(r)
	var unauthorized *access.UnauthorizedError
	var forged *access.ForgedError
	switch {
	case errors.As(err, &unauthorized):
		return p, rest.NewProblem(http.StatusUnauthorized, unauthorized.Reason)
	case errors.As(err, &forged):
		return p, rest.NewProblem(http.StatusForbidden, forged.Reason)
	case err != nil:
		s.Log.Error("authenticate", "request", id, "error", err.Error())
		return p, rest.NewProblem(http.StatusInternalServerError, "the token could not be checked: try again")
	case p.Tenant == "" || p.Tenant == everyTenant:
		return p, rest.NewProblem(http.StatusUnauthorized, "the token names no tenant")
	case strings.TrimSpace(p.Tenant) != p.Tenant:
		// no tenant has such a name, and an engine may keep what is nobody's under one
		return p, rest.NewProblem(http.StatusUnauthorized, "the token's tenant begins or ends with a space")
	}
	return p, nil
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
		rest.Write(w, rest.NewProblem(http.StatusMethodNotAllowed, "this path takes "+allow+" only"))
		return
	}
	rest.Write(w, rest.NewProblem(http.StatusNotFound,
		"there is nothing at this path: /docs shows what there is, /openapi.json is the document of it"))
}

func (s *server) recover(w *watched, r *http.Request) {
	fault := recover()
	if fault == nil {
		return
	}
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(fault)
	}
	s.Log.Error("panic in a request", "method", r.Method, "path", r.URL.Path, "request",
		w.Header().Get(rest.RequestIDHeader), slog.Any("panic", fault), "stack", string(debug.Stack()))
	if w.status == 0 {
		rest.Write(w, rest.NewProblem(http.StatusInternalServerError, "this is a fault of ours; it was logged"))
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
