package session_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/session"
)

// kept is a store in memory that counts its writes.
type kept struct {
	mu       sync.Mutex
	sessions map[string]session.Session
	extended int
	away     error
}

func (k *kept) Create(_ context.Context, s session.Session) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sessions[s.Digest] = s
	return nil
}

func (k *kept) Get(_ context.Context, digest string) (session.Session, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away != nil {
		return session.Session{}, k.away
	}
	s, ok := k.sessions[digest]
	if !ok {
		return s, session.ErrNotFound
	}
	return s, nil
}

func (k *kept) Extend(_ context.Context, digest string, idleEnd time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[digest]
	s.IdleEnd = idleEnd
	k.sessions[digest] = s
	k.extended++
	return nil
}

func (k *kept) Delete(_ context.Context, digest string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.sessions, digest)
	return nil
}

func (k *kept) DeleteBy(context.Context, string) ([]session.Session, error) { return nil, nil }

func (k *kept) DeleteOf(_ context.Context, tenant, person string) (n int, _ error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for d, s := range k.sessions {
		if s.Tenant == tenant && s.Person() == person {
			delete(k.sessions, d)
			n++
		}
	}
	return n, nil
}

type world struct {
	*session.Service
	store *kept
	now   time.Time
}

func begin() *world {
	w := &world{store: &kept{sessions: map[string]session.Session{}}, now: time.Unix(1_700_000_000, 0).UTC()}
	w.Service = &session.Service{Store: w.store, Now: func() time.Time { return w.now }, Random: rand.Reader,
		Log: slog.New(slog.DiscardHandler)}
	return w
}

var ada = access.Principal{Tenant: "42", ClientName: "Acme", Role: access.Administrator, Email: "Ada@Example.com",
	Name: "Ada", Subject: "u1"}

func request(method string, c *http.Cookie, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://console.example/v1/session", nil)
	if c != nil {
		r.AddCookie(c)
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	return r
}

func (w *world) mustBegin(t *testing.T) *http.Cookie {
	t.Helper()
	c, err := w.Begin(t.Context(), ada, session.Options{Method: session.ByLink})
	require.NoError(t, err)
	return c
}

func TestASessionKeepsWhoSignedIn(t *testing.T) {
	w := begin()
	c := w.mustBegin(t)
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, c.SameSite)
	require.Equal(t, int(session.DefaultLongest/time.Second), c.MaxAge)
	require.Equal(t, "/", c.Path)
	require.Empty(t, c.Domain)
	require.False(t, c.Secure)
	p, err := w.Authenticate(request(http.MethodGet, c))
	require.NoError(t, err)
	want := ada
	want.Home, want.Source, want.Issued, want.Session = "42", access.FromConsole, w.now, session.Digest(c.Value)
	require.Equal(t, want, p)
	for digest, s := range w.store.sessions {
		require.NotContains(t, digest, c.Value)
		require.Equal(t, session.ByLink, s.Method)
	}
	w.Secure = true
	c = w.mustBegin(t)
	require.True(t, c.Secure)
	require.Equal(t, "__Host-tocsin_session", c.Name)
	require.NoError(t, c.Valid())
}

func TestTwoSessionsAreTwo(t *testing.T) {
	w := begin()
	one, two := w.mustBegin(t), w.mustBegin(t)
	require.NotEqual(t, one.Value, two.Value)
	require.NoError(t, w.End(t.Context(), request(http.MethodPost, one)))
	_, err := w.Authenticate(request(http.MethodGet, one))
	require.ErrorContains(t, err, "has ended")
	_, err = w.Authenticate(request(http.MethodGet, two))
	require.NoError(t, err)
	n, err := w.EndAll(t.Context(), "42", "ada@example.com")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = w.Authenticate(request(http.MethodGet, two))
	require.ErrorContains(t, err, "has ended")
	require.NoError(t, w.End(t.Context(), request(http.MethodPost, nil)), "who is not signed in signs out")
	require.Negative(t, w.Gone().MaxAge)
	require.Equal(t, one.Name, w.Gone().Name)
}

func TestCallsMoveTheIdleEndOnAndNothingMovesTheOther(t *testing.T) {
	w := begin()
	c := w.mustBegin(t)
	start := w.now
	for w.now.Sub(start) < session.DefaultLongest {
		_, err := w.Authenticate(request(http.MethodGet, c))
		require.NoError(t, err, w.now.Sub(start))
		w.now = w.now.Add(time.Minute)
	}
	_, err := w.Authenticate(request(http.MethodGet, c))
	require.ErrorContains(t, err, "has ended")
	require.Less(t, w.store.extended, 150, "a call does not write each time")

	c = w.mustBegin(t)
	w.now = w.now.Add(session.DefaultIdle)
	_, err = w.Authenticate(request(http.MethodGet, c))
	require.ErrorContains(t, err, "has ended", "an hour without a call")
}

func TestWhoHasNoSessionIsToldApartFromWhoseSessionEnded(t *testing.T) {
	w := begin()
	var unauthorized *access.UnauthorizedError
	for _, c := range []*http.Cookie{nil, {Name: "tocsin_session", Value: ""}, {Name: "other", Value: "x"}} {
		_, err := w.Authenticate(request(http.MethodGet, c))
		require.ErrorAs(t, err, &unauthorized)
		require.True(t, unauthorized.None)
	}
	for _, value := range []string{"x", w.mustBegin(t).Value + "x"} {
		_, err := w.Authenticate(request(http.MethodGet, &http.Cookie{Name: "tocsin_session", Value: value}))
		require.ErrorAs(t, err, &unauthorized)
		require.False(t, unauthorized.None)
		require.NotContains(t, err.Error(), value+" ")
	}
	for digest := range w.store.sessions { // who reads the table can not become anybody
		_, err := w.Authenticate(request(http.MethodGet, &http.Cookie{Name: "tocsin_session", Value: digest}))
		require.ErrorAs(t, err, &unauthorized)
	}
	w.store.away = errors.New("disk")
	_, err := w.Authenticate(request(http.MethodGet, &http.Cookie{Name: "tocsin_session", Value: "x"}))
	require.EqualError(t, err, "read a session: disk")
}

func TestAPageOfAnotherOriginChangesNothing(t *testing.T) {
	w := begin()
	c := w.mustBegin(t)
	for name, x := range map[string]struct {
		method  string
		headers []string
		good    bool
	}{
		"our own page":               {http.MethodPost, []string{"Sec-Fetch-Site", "same-origin"}, true},
		"our own page, old browser":  {http.MethodPost, []string{"Origin", "http://console.example"}, true},
		"a program":                  {http.MethodDelete, nil, true},
		"reading":                    {http.MethodGet, []string{"Sec-Fetch-Site", "cross-site"}, true},
		"another site":               {http.MethodPost, []string{"Sec-Fetch-Site", "cross-site"}, false},
		"a neighbour of the domain":  {http.MethodPut, []string{"Sec-Fetch-Site", "same-site"}, false},
		"another site, old browser":  {http.MethodPatch, []string{"Origin", "http://evil.example"}, false},
		"an origin that is not told": {http.MethodDelete, []string{"Origin", "null"}, false},
		"another port":               {http.MethodPost, []string{"Origin", "http://console.example:81"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Authenticate(request(x.method, c, x.headers...))
			if x.good {
				require.NoError(t, err)
				return
			}
			var forged *access.ForgedError
			require.ErrorAs(t, err, &forged)
		})
	}
}

func TestWithoutRandomnessNobodyIsSignedIn(t *testing.T) {
	w := begin()
	w.Random = bytes.NewReader([]byte("short"))
	_, err := w.Begin(t.Context(), ada, session.Options{})
	require.ErrorContains(t, err, "make the id")
	require.Empty(t, w.store.sessions)
}
