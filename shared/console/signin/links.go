package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/session"
)

// SignInLinks takes single-use links back: the people of an embedded program (package account), who may also sign in at
// a provider.
type SignInLinks interface {
	// Whose is the person of a link, which stays as it is. Use uses it up.
	Whose(ctx context.Context, code string) (account.Person, error)
	Use(ctx context.Context, code string) (account.Person, error)
	// Confirm looks once more whether somebody who has just been signed in may be.
	Confirm(ctx context.Context, p account.Person) error
	// Admit does so with somebody whom the provider has just signed in. Error: account.ErrDisabled.
	Admit(ctx context.Context, tenant, email string) error
}

// LinkPath is where the page of a sign-in link takes its code to.
const LinkPath = "/sign-in/link"

// LinkRequest is the code of a link. The page has it from behind the `#` of the address, which browsers send nobody.
type LinkRequest struct {
	Code    string `json:"code"`
	Replace bool   `json:"replace"` // somebody else, who is signed in in this browser, is signed out
	// Shown is whose view is on the page, with what they typed, where their session has ended.
	Shown *LinkPerson `json:"shown"`
}

// LinkPerson is somebody, as the page names them.
type LinkPerson struct {
	Name       string `json:"name,omitempty"`
	Email      string `json:"email,omitempty"`
	ClientName string `json:"client_name,omitempty"`
	Tenant     string `json:"tenant"`
}

// LinkCode says why a link signs nobody in.
type LinkCode string

// The codes: for the page, which has words for each in both languages.
const (
	LinkUsed     LinkCode = "used"
	LinkExpired  LinkCode = "expired"
	LinkUnknown  LinkCode = "unknown"
	LinkDisabled LinkCode = "disabled"
	LinkAnother  LinkCode = "another" // another person is signed in: see LinkRequest.Replace
)

// LinkProblem is a problem with its code; Now and Next are for LinkAnother.
type LinkProblem struct {
	*rest.Problem
	Code LinkCode    `json:"code"`
	Now  *LinkPerson `json:"now,omitempty"`
	Next *LinkPerson `json:"next,omitempty"`
}

// maxLinkRequest is far more than a code needs, in bytes.
const maxLinkRequest = 4 << 10

// redeem signs in with a link. A page of another site must not sign anybody in, as somebody else least of all: so the
// request comes from our own origin, and a session of another person ends only when that person said so.
func (a *API) redeem(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if err := a.Sessions.Own(r); err != nil {
		rest.Write(w, rest.NewProblem(http.StatusForbidden, "a page of another origin signs nobody in"))
		return
	}
	var in LinkRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLinkRequest)).Decode(&in); err != nil ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		rest.Write(w, rest.NewProblem(http.StatusBadRequest, "this is not the code of a sign-in link"))
		return
	}
	person, err := a.Links.Whose(r.Context(), in.Code)
	if err != nil {
		a.refuseLink(w, r, person, err)
		return
	}
	now := in.Shown
	if p, err := a.Sessions.Authenticate(r); err == nil {
		now = &LinkPerson{Name: p.Name, Email: cmp.Or(p.Email, p.Subject), ClientName: p.ClientName, Tenant: p.Home}
	}
	if now != nil && !in.Replace && !now.is(person) {
		writeLink(w, LinkProblem{Code: LinkAnother, Now: now, Next: nameOf(person),
			Problem: rest.NewProblem(http.StatusConflict, "another person is signed in in this browser")})
		return
	}
	if person, err = a.Links.Use(r.Context(), in.Code); err != nil {
		a.refuseLink(w, r, person, err)
		return
	}
	a.enter(w, r, person)
}

// enter begins the session of a person whose link was used, in the place of the one that this browser has.
func (a *API) enter(w http.ResponseWriter, r *http.Request, person account.Person) {
	ctx, p := r.Context(), person.Principal()
	err := a.Sessions.End(ctx, r)
	var cookie *http.Cookie
	if err == nil {
		cookie, err = a.Sessions.Begin(ctx, p, session.Options{Method: session.ByLink})
	}
	if err == nil {
		err = a.Links.Confirm(ctx, person)
	}
	if err != nil {
		a.refuseLink(w, r, person, err)
		return
	}
	a.record(ctx, p, activity.SignIn)
	http.SetCookie(w, cookie)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(nameOf(person)) // the caller has gone away if this fails
}

// refuseLink says why a link signs nobody in. The log of a person whose link it was has a line of it.
func (a *API) refuseLink(w http.ResponseWriter, r *http.Request, person account.Person, err error) {
	for _, known := range []struct {
		err    error
		code   LinkCode
		status int
	}{
		{account.ErrUsed, LinkUsed, http.StatusGone},
		{account.ErrExpired, LinkExpired, http.StatusGone},
		{account.ErrNoLink, LinkUnknown, http.StatusNotFound},
		{account.ErrDisabled, LinkDisabled, http.StatusForbidden},
		{account.ErrUnknown, LinkUnknown, http.StatusNotFound},
		{account.ErrChanged, LinkUnknown, http.StatusNotFound}, // the person's role is another one than a moment ago
	} {
		if errors.Is(err, known.err) {
			a.Log.Warn("a sign-in link was refused", "problem", string(known.code))
			if person.Tenant != "" {
				a.record(r.Context(), person.Principal(), activity.Refuse)
			}
			writeLink(w, LinkProblem{Code: known.code, Problem: rest.NewProblem(known.status, known.err.Error())})
			return
		}
	}
	a.Log.Error("sign in with a link", "error", err.Error())
	rest.Write(w, rest.NewProblem(http.StatusInternalServerError, "you could not be signed in: try again"))
}

func writeLink(w http.ResponseWriter, p LinkProblem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller has gone away if this fails
}

func nameOf(p account.Person) *LinkPerson {
	return &LinkPerson{Name: p.Name, Email: p.Email, ClientName: p.ClientName, Tenant: p.Tenant}
}

// is reports whether somebody who is signed in is the person of a link.
func (l *LinkPerson) is(p account.Person) bool {
	return l.Tenant == p.Tenant && session.PersonOf(l.Email, "") == session.PersonOf(p.Email, "")
}
