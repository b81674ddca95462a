// Package session keeps who is signed in to the Console. A session is a row that the engine keeps, and a cookie with a
// random id. The row has only the id's digest: who reads the table can not become anybody.
//
// A session has two ends: an idle one, which each call moves on, and an absolute one, which nothing moves (OWASP
// Session Management Cheat Sheet, "Session Expiration"). It is looked up at every call, so that its end holds at once,
// on every tab and every machine. It asks nobody else: who is signed in stays so while the identity provider is away.
//
// What a cookie does without its owner's will is refused twice: browsers do not send it with another site's POST
// (SameSite=Lax), and a request that changes something must come from our own origin (net/http.CrossOriginProtection,
// which asks Sec-Fetch-Site and Origin). The second also stops neighbours under the same domain, which are the same
// site. A token in each form would say no more than these, and is one more secret to lose. SameSite=Strict would sign
// out whoever follows a link from a message.
package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/mail/address"
)

// The ends of a session, where the deployment says nothing else.
const (
	DefaultIdle    = time.Hour
	DefaultLongest = 12 * time.Hour
)

// idBytes is the length of an id: 256 bits, of which OWASP asks for 64 at least.
const idBytes = 32

// extensions is how often in an idle time its end is moved: a call in between writes nothing.
const extensions = 12

// Method is how somebody signed in.
type Method string

// The methods.
const (
	ByProvider Method = "provider" // OpenID Connect
	ByLink     Method = "link"     // a single-use link of the embedded mode
)

// Session is somebody who is signed in.
type Session struct {
	Digest     string // of the cookie's id, in hexadecimal
	Tenant     string
	ClientName string
	Role       access.Role
	Email      string
	Name       string
	Subject    string
	Method     Method
	// ProviderSession is the identity provider's name of its session (claim sid), "" where it has none.
	ProviderSession string `json:",omitempty"`
	Began           time.Time
	IdleEnd         time.Time // moved on by calls
	End             time.Time // not moved
}

// Person names the owner among those of a tenant: see PersonOf.
func (s Session) Person() string { return PersonOf(s.Email, s.Subject) }

// PersonOf names a person by the address, however it is written, and one without an address by the subject of the
// provider.
func PersonOf(email, subject string) string {
	if email != "" {
		return address.Canonical(email)
	}
	return "sub:" + subject
}

// Logouts are what the identity provider names when it ends the session: see ByProviderSession and BySubject.
func (s Session) Logouts() (all []string) {
	if s.Method != ByProvider {
		return nil
	}
	if s.ProviderSession != "" {
		all = append(all, ByProviderSession(s.ProviderSession))
	}
	if s.Subject != "" {
		all = append(all, BySubject(s.Subject))
	}
	return all
}

// ByProviderSession names the sessions that began with one of the provider (claim sid), BySubject all of somebody there
// (claim sub). They are digests, because a provider's names may be long.
func ByProviderSession(sid string) string { return Digest("sid " + sid) }

// BySubject is as ByProviderSession.
func BySubject(sub string) string { return Digest("sub " + sub) }

// over reports whether the session has ended.
func (s Session) over(now time.Time) bool { return !now.Before(s.IdleEnd) || !now.Before(s.End) }

// Principal is who the session says calls.
func (s Session) Principal() access.Principal {
	return access.Principal{
		Tenant: s.Tenant, Home: s.Tenant, ClientName: s.ClientName, Role: s.Role, Email: s.Email, Name: s.Name,
		Subject: s.Subject, Issued: s.Began, Source: access.FromConsole, Session: s.Digest,
	}
}

// ErrNotFound says that there is no such session.
var ErrNotFound = errors.New("there is no such session")

// Store keeps sessions. It may forget one that has ended.
type Store interface {
	Create(ctx context.Context, s Session) error
	// Get reads one, ended or not; ErrNotFound.
	Get(ctx context.Context, digest string) (Session, error)
	// Extend moves the idle end of a session on, never back. One that is not there stays away.
	Extend(ctx context.Context, digest string, idleEnd time.Time) error
	// Delete ends one; one that is not there is no error.
	Delete(ctx context.Context, digest string) error
	// DeleteOf ends all of a person, and returns how many: see PersonOf.
	DeleteOf(ctx context.Context, tenant, person string) (int, error)
	// DeleteBy ends all that the identity provider names by a Session.Logouts, and returns them.
	DeleteBy(ctx context.Context, logout string) ([]Session, error)
}

// Once remembers what is good once and was used, until it would have ended by itself.
type Once interface {
	// Use reports whether this was the first time.
	Use(ctx context.Context, digest string, until time.Time) (first bool, err error)
}

// Service signs people in and out by cookies. It is an access.Authenticator.
type Service struct {
	Store  Store
	Now    func() time.Time
	Random io.Reader // crypto/rand.Reader
	Log    *slog.Logger

	// Secure is for an address with TLS: browsers send the cookie over TLS only, and take it from no other host of the
	// domain (RFC 6265bis, "The __Host- Prefix").
	Secure bool
	// Idle and Longest are the ends of a session; 0 = DefaultIdle and DefaultLongest.
	Idle, Longest time.Duration
	// CrossOrigin decides which origins may change something by a cookie; nil = our own alone.
	CrossOrigin *http.CrossOriginProtection
}

var _ access.Authenticator = (*Service)(nil)

// Options are what a session is begun with.
type Options struct {
	Method Method
}

// CookieName is the name of the cookie.
func (s *Service) CookieName() string {
	if s.Secure {
		return "__Host-tocsin_session"
	}
	return "tocsin_session" // browsers refuse the prefix without TLS
}

// Begin signs a person in. The cookie is the one place where the id is.
func (s *Service) Begin(ctx context.Context, p access.Principal, o Options) (*http.Cookie, error) {
	raw := make([]byte, idBytes)
	if _, err := io.ReadFull(s.Random, raw); err != nil {
		return nil, fmt.Errorf("make the id of a session: %w", err)
	}
	id, now := base64.RawURLEncoding.EncodeToString(raw), s.Now()
	idle, longest := s.ends()
	v := Session{
		Digest: Digest(id), Tenant: p.Tenant, ClientName: p.ClientName, Role: p.Role, Email: p.Email, Name: p.Name,
		Subject: p.Subject, Method: o.Method, ProviderSession: p.ProviderSession, Began: now,
		IdleEnd: now.Add(idle), End: now.Add(longest),
	}
	if err := s.Store.Create(ctx, v); err != nil {
		return nil, fmt.Errorf("sign in a person of tenant %s: %w", p.Tenant, err)
	}
	c := s.cookie(id)
	c.MaxAge = int(longest / time.Second)
	return c, nil
}

// ends are how long a session may be idle, and how long it may last.
func (s *Service) ends() (idle, longest time.Duration) {
	idle, longest = s.Idle, s.Longest
	if longest == 0 {
		longest = DefaultLongest
	}
	if idle == 0 {
		idle = DefaultIdle
	}
	return min(idle, longest), longest
}

// cookie is one with a value: no script reads it, and no other site's request that changes something carries it.
func (s *Service) cookie(value string) *http.Cookie {
	return &http.Cookie{Name: s.CookieName(), Value: value, Path: "/", HttpOnly: true, Secure: s.Secure,
		SameSite: http.SameSiteLaxMode}
}

// Gone is the cookie that makes a browser forget its session.
func (s *Service) Gone() *http.Cookie {
	c := s.cookie("")
	c.MaxAge = -1
	return c
}

// Digest is what a store knows an id by. The ids have 256 random bits, so it needs neither salt nor work.
func Digest(id string) string {
	d := sha256.Sum256([]byte(id))
	return hex.EncodeToString(d[:])
}

// digest is of the id in a request's cookie, "" for none.
func (s *Service) digest(r *http.Request) string {
	c, err := r.Cookie(s.CookieName())
	if err != nil || c.Value == "" {
		return ""
	}
	return Digest(c.Value)
}

// Authenticate finds out whose session the request's cookie is, and moves its idle end on.
func (s *Service) Authenticate(r *http.Request) (access.Principal, error) {
	digest := s.digest(r)
	if digest == "" {
		return access.Principal{}, &access.UnauthorizedError{Reason: "sign in", None: true}
	}
	if err := s.Own(r); err != nil {
		return access.Principal{}, err
	}
	now := s.Now()
	v, err := s.Store.Get(r.Context(), digest)
	if errors.Is(err, ErrNotFound) || err == nil && v.over(now) {
		return access.Principal{}, &access.UnauthorizedError{Reason: "your session has ended: sign in again"}
	}
	if err != nil {
		return access.Principal{}, fmt.Errorf("read a session: %w", err)
	}
	s.extend(r.Context(), v, now)
	return v.Principal(), nil
}

// Own refuses a request that changes something and that a page of another origin made.
func (s *Service) Own(r *http.Request) error {
	protection := s.CrossOrigin
	if protection == nil {
		protection = http.NewCrossOriginProtection()
	}
	if err := protection.Check(r); err != nil {
		return &access.ForgedError{Reason: "a page of another origin may change nothing with your session"}
	}
	return nil
}

// extend moves the idle end on, seldom: a write a call would cost more than the call. A failure keeps nobody out.
func (s *Service) extend(ctx context.Context, v Session, now time.Time) {
	idle, _ := s.ends()
	next := now.Add(idle)
	if next.After(v.End) {
		next = v.End
	}
	if next.Sub(v.IdleEnd) < idle/extensions {
		return
	}
	if err := s.Store.Extend(ctx, v.Digest, next); err != nil {
		s.Log.Error("move the end of a session: it stays where it was", "tenant", v.Tenant, "error", err.Error())
	}
}

// End signs out whoever made the request: the session that its cookie names.
func (s *Service) End(ctx context.Context, r *http.Request) error {
	digest := s.digest(r)
	if digest == "" {
		return nil
	}
	if err := s.Store.Delete(ctx, digest); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// EndAll signs a person out everywhere, and returns of how many sessions.
func (s *Service) EndAll(ctx context.Context, tenant, email string) (int, error) {
	return s.EndAllOf(ctx, tenant, PersonOf(email, ""))
}

// EndAllOf is EndAll of a person who may have no address: see PersonOf.
func (s *Service) EndAllOf(ctx context.Context, tenant, person string) (int, error) {
	n, err := s.Store.DeleteOf(ctx, tenant, person)
	if err != nil {
		return n, fmt.Errorf("end the sessions of a person of tenant %s: %w", tenant, err)
	}
	return n, nil
}

// EndBy ends what the identity provider names: see Store.DeleteBy.
func (s *Service) EndBy(ctx context.Context, logout string) ([]Session, error) {
	ended, err := s.Store.DeleteBy(ctx, logout)
	if err != nil {
		return ended, fmt.Errorf("end the sessions that the identity provider ended: %w", err)
	}
	return ended, nil
}
