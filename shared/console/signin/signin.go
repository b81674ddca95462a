// Package signin is the way in to the Console and out of it, but for the page: what a browser is sent to and from at an
// identity provider, and the operation that ends a session.
package signin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/session"
	"tocsin/shared/session/oidc"
)

// API is this subject's routes.
type API struct {
	rest.Kit
	Sessions *session.Service
	Provider *oidc.Provider // nil = nobody signs in by one
	Links    SignInLinks    // nil = nobody signs in by links
	Recorder activity.Recorder
}

// Mount adds the routes that a browser is led through. They take no credentials.
func (a *API) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+oidc.SignInPath+"/ways", a.ways)
	if a.Links != nil {
		mux.HandleFunc("POST "+LinkPath, a.redeem)
	}
	if a.Provider.SignsIn() {
		mux.HandleFunc("GET "+oidc.StartPath, a.start)
		mux.HandleFunc("GET "+oidc.CallbackPath, a.finish)
		mux.HandleFunc("POST "+oidc.LogoutPath, a.logout)
	}
}

// Ways are how people sign in here.
type Ways struct {
	Provider *WayProvider `json:"provider,omitempty"`
	Links    bool         `json:"links"`
}

// WayProvider is an identity provider.
type WayProvider struct {
	Name string `json:"name"`
}

func (a *API) ways(w http.ResponseWriter, _ *http.Request) {
	ways := Ways{Links: a.Links != nil}
	if a.Provider.SignsIn() {
		ways.Provider = &WayProvider{Name: a.Provider.Name()}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(ways) // the caller has gone away if this fails
}

// maxUnderWay is how many sign-ins a browser may have under way: their cookies come with each request.
const maxUnderWay = 5

// movedKey marks a request that was sent here from another name of ours, so that it is not sent again.
const movedKey = "moved"

// start sends a browser to the provider.
func (a *API) start(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	q := r.URL.Query()
	returnTo := session.Local(q.Get("return"))
	if at, err := url.Parse(a.Provider.Base); err == nil && !strings.EqualFold(at.Host, r.Host) && !q.Has(movedKey) {
		// The provider sends browsers back to Base, where a cookie of another name of ours would not come along.
		to(w, a.Provider.Base+oidc.StartPath+"?"+url.Values{movedKey: {"1"}, "return": {returnTo}}.Encode())
		return
	}
	address, cookie, err := a.Provider.Begin(r.Context(), returnTo)
	if err != nil {
		a.Log.Error("begin a sign-in", "error", err.Error())
		again(w, oidc.Away, returnTo)
		return
	}
	prefix := oidc.CookiePrefix(cookie.Secure)
	var old []*http.Cookie
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, prefix) {
			old = append(old, c)
		}
	}
	if len(old) >= maxUnderWay {
		for _, c := range old {
			gone := *cookie
			gone.Name, gone.Value, gone.MaxAge = c.Name, "", -1
			http.SetCookie(w, &gone)
		}
	}
	http.SetCookie(w, cookie)
	to(w, address)
}

// finish takes a browser back from the provider.
func (a *API) finish(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	ctx := r.Context()
	who, returnTo, gone, err := a.Provider.Finish(r)
	if gone != nil {
		http.SetCookie(w, gone)
	}
	var refused *oidc.NotSignedIn
	if errors.As(err, &refused) {
		a.Log.Warn("somebody was not signed in", "problem", string(refused.Problem), "error", err.Error())
		if p := refused.Person; p != nil && p.Tenant != "" && !strangeTenant(p.Tenant) {
			a.record(ctx, *p, activity.Refuse)
		}
		again(w, refused.Problem, refused.Return)
		return
	}
	if bad := strangeTenant(who.Tenant); err == nil && bad {
		a.Log.Warn("somebody was not signed in: the provider's tenant is no name of one")
		again(w, oidc.NoTenant, returnTo)
		return
	}
	var cookie *http.Cookie
	if err == nil {
		// whoever was signed in in this browser is not any more
		if err = a.Sessions.End(ctx, r); err == nil {
			cookie, err = a.Sessions.Begin(ctx, who, session.Options{Method: session.ByProvider})
		}
	}
	if err == nil && a.Links != nil { // after it has begun: else one disabled in between would have a session
		err = a.Links.Admit(ctx, who.Tenant, who.Email)
	}
	if errors.Is(err, account.ErrDisabled) {
		a.Log.Warn("somebody was not signed in: the person is disabled here", "tenant", who.Tenant)
		a.record(ctx, who, activity.Refuse)
		again(w, oidc.Disabled, returnTo)
		return
	}
	if err != nil {
		a.Log.Error("sign in", "tenant", who.Tenant, "error", err.Error())
		again(w, oidc.Failed, returnTo)
		return
	}
	a.record(ctx, who, activity.SignIn)
	http.SetCookie(w, cookie)
	to(w, returnTo)
}

// strangeTenant reports a name that no tenant has: see the guard of the API.
func strangeTenant(name string) bool { return name == "*" || strings.TrimSpace(name) != name }

// to sends a browser on, with a request that changes nothing (RFC 9110, 15.4.4). http.Redirect would tidy the address.
func to(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

// again sends a browser to the page that says what went wrong, and from where it is tried again.
func again(w http.ResponseWriter, problem oidc.Problem, returnTo string) {
	to(w, oidc.SignInPath+"?"+url.Values{"problem": {string(problem)}, "return": {returnTo}}.Encode())
}

// record notes in the activity log. What was done stays done without the line.
func (a *API) record(ctx context.Context, p access.Principal, action activity.Action) {
	if a.Recorder == nil {
		return
	}
	if err := a.Recorder.Record(ctx, activity.Entry{Actor: activity.ActorOf(p.AtHome()), Object: activity.Session,
		ObjectName: p.Who(), Action: action}); err != nil {
		a.Log.Error("note in the activity log", "tenant", p.Home, "action", string(action), "error", err.Error())
	}
}

// EndRequest says which sessions end.
type EndRequest struct {
	Everywhere bool `json:"everywhere,omitempty" doc:"all sessions of yours, in other browsers too"`
}

// EndAnswer says where the page goes on.
type EndAnswer struct {
	Next string `json:"next" doc:"the address that signs you out at the identity provider too, or the sign-in page"`
}

type endInput struct {
	Body *EndRequest `required:"false"`
}

type endOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      EndAnswer
}

// Register adds the operation that signs out. It is for every role.
func (a *API) Register(api huma.API) {
	huma.Register(api, rest.Operation(access.SignIn, huma.Operation{
		OperationID: "end-session", Method: http.MethodPost, Path: "/v1/session/end", Tags: []string{"Session"},
		Summary: "Sign out",
		Description: "Ends your session in this browser, on all its tabs, or all sessions of yours. A token of your " +
			"own stays good: an API token until it is revoked, another until it expires. For every role.",
	}), a.end)
}

func (a *API) end(ctx context.Context, in *endInput) (*endOutput, error) {
	p := rest.Principal(ctx)
	everywhere := in.Body != nil && in.Body.Everywhere
	if p.Source == access.FromAPIToken && everywhere {
		return nil, rest.NewProblem(http.StatusForbidden, "an API token signs nobody out: sign in and sign out")
	}
	var err error
	switch {
	case everywhere:
		_, err = a.Sessions.EndAllOf(ctx, p.Home, session.PersonOf(p.Email, p.Subject))
	case p.Session != "":
		err = a.Sessions.Store.Delete(ctx, p.Session)
	}
	if err != nil {
		return nil, a.Answer(ctx, err)
	}
	if p.Session != "" || everywhere {
		a.record(ctx, p, activity.SignOut)
	}
	next := a.Provider.SignOut(ctx)
	if next == "" {
		next = oidc.SignInPath
	}
	return &endOutput{SetCookie: *a.Sessions.Gone(), Body: EndAnswer{Next: next}}, nil
}
