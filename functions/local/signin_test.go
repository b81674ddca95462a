package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// redeem takes a link's code to the program as the Console's page does.
func redeem(t *testing.T, p *embedded.Process, body map[string]any, cookie *http.Cookie, header ...string) (status int,
	said string, session *http.Cookie) {
	t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	q, err := http.NewRequest(http.MethodPost, p.URL+"/sign-in/link", bytes.NewReader(raw))
	require.NoError(t, err)
	q.Header.Set("Content-Type", "application/json")
	for n := 0; n < len(header); n += 2 {
		q.Header.Set(header[n], header[n+1])
	}
	if cookie != nil {
		q.AddCookie(cookie)
	}
	r, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	out, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	if c := r.Cookies(); len(c) > 0 {
		session = c[0]
	}
	return r.StatusCode, string(out), session
}

// who is the status of GET /v1/session, and the address that it tells.
func who(t *testing.T, p *embedded.Process, cookie *http.Cookie) (status int, email string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, p.URL+"/v1/session", nil)
	require.NoError(t, err)
	q.AddCookie(cookie)
	r, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	var s struct{ Email string }
	require.NoError(t, json.NewDecoder(r.Body).Decode(&s))
	return r.StatusCode, s.Email
}

func TestALinkSignsInOnceAndADisabledPersonIsSignedOutAtOnce(t *testing.T) {
	p := running(t, t.TempDir(), "-log-level", "debug")
	_, err := p.Run("user", "add", "grace@example.com", "-role", "analyst", "-name", "Grace")
	require.NoError(t, err)
	code, err := p.Link("grace@example.com")
	require.NoError(t, err)
	status, said, _ := redeem(t, p, map[string]any{"code": code}, nil, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, status, said)
	status, said, cookie := redeem(t, p, map[string]any{"code": code}, nil, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusOK, status, said)
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	status, said, _ = redeem(t, p, map[string]any{"code": code}, nil)
	require.Equal(t, http.StatusGone, status)
	require.Contains(t, said, `"code":"used"`)
	status, said, _ = redeem(t, p, map[string]any{"code": code + "x"}, nil)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, said, `"code":"unknown"`)
	status, email := who(t, p, cookie)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "grace@example.com", email)

	late, err := p.Link("grace@example.com")
	require.NoError(t, err)
	_, err = p.Run("user", "disable", "grace@example.com")
	require.NoError(t, err)
	status, _ = who(t, p, cookie)
	require.Equal(t, http.StatusUnauthorized, status)
	status, _, _ = redeem(t, p, map[string]any{"code": late}, nil)
	require.Equal(t, http.StatusNotFound, status, "the links of a disabled person are gone too")
	for _, secret := range []string{code, late, cookie.Value} {
		require.NotContains(t, p.Output(), secret)
	}
	require.Equal(t, []string{"sign in", "refuse sign-in"}, logged(t, p, "object=Session&person=grace@example.com"))
	require.Equal(t, []string{"create", "disable"}, logged(t, p, "object_id=grace@example.com"))
}

// logged are the actions of the activity log that a query finds, oldest first.
func logged(t *testing.T, p *embedded.Process, query string) (actions []string) {
	t.Helper()
	var log struct{ Items []struct{ Action string } }
	require.NoError(t, p.Call(http.MethodGet, "/v1/activity?"+query, nil, &log))
	for _, e := range log.Items {
		actions = append([]string{e.Action}, actions...)
	}
	return actions
}

func TestS13ALinkReplacesTheSessionOfAnotherPersonOnlyWhenThatIsSaid(t *testing.T) {
	p := running(t, t.TempDir())
	_, err := p.Run("user", "add", "grace@example.com", "-role", "analyst", "-name", "Grace")
	require.NoError(t, err)
	ada, err := p.Cookie()
	require.NoError(t, err)
	code, err := p.Link("grace@example.com")
	require.NoError(t, err)
	status, said, cookie := redeem(t, p, map[string]any{"code": code}, ada)
	require.Equal(t, http.StatusConflict, status)
	require.Nil(t, cookie)
	require.Contains(t, said, `"code":"another"`)
	require.Contains(t, said, `"next":{"name":"Grace","email":"grace@example.com"`)
	status, email := who(t, p, ada)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "admin@example.com", email)
	status, _, _ = redeem(t, p, map[string]any{"code": code,
		"shown": map[string]any{"tenant": "42", "email": "admin@example.com"}}, nil)
	require.Equal(t, http.StatusConflict, status, "nor does it go on under what somebody else has typed")
	status, _, grace := redeem(t, p, map[string]any{"code": code, "replace": true}, ada)
	require.Equal(t, http.StatusOK, status, "the question has not used the link up")
	status, _ = who(t, p, ada)
	require.Equal(t, http.StatusUnauthorized, status, "the session before has ended")
	status, email = who(t, p, grace)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "grace@example.com", email)

	again, err := p.Link("grace@example.com")
	require.NoError(t, err)
	status, _, _ = redeem(t, p, map[string]any{"code": again}, grace)
	require.Equal(t, http.StatusOK, status, "the same person is not asked")
}

func TestACommandMakesAnAPITokenAndRevokesIt(t *testing.T) {
	p := running(t, t.TempDir())
	_, err := p.Run("token", "create", "deploy script", "-expires", "2030-01-01")
	require.ErrorContains(t, err, `-expires "2030-01-01" is no span of time: say hours, such as 720h`)
	said, err := p.Run("token", "create", "deploy script", "-role", "read_only", "-expires", "1h")
	require.NoError(t, err)
	secret := regexp.MustCompile(`(?m)^  (\S{64})$`).FindStringSubmatch(said)
	require.NotNil(t, secret, said)
	call := func() int {
		q, err := http.NewRequest(http.MethodGet, p.URL+"/v1/session", nil)
		require.NoError(t, err)
		q.Header.Set("Authorization", "Bearer "+secret[1])
		r, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		return r.StatusCode
	}
	require.Equal(t, http.StatusOK, call())
	list, err := p.Run("token", "list")
	require.NoError(t, err)
	require.NotContains(t, list, secret[1])
	id := regexp.MustCompile(`(?m)^(\S+) +deploy script +shared +read_only +\S+Z$`).FindStringSubmatch(list)
	require.NotNil(t, id, list)
	_, err = p.Run("token", "revoke", id[1])
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, call())
	_, err = p.Run("token", "create", "x", "-email", "nobody@example.com")
	require.ErrorContains(t, err, "this person is not known")
	require.NotContains(t, p.Output(), secret[1])
}

// typed runs a command that the program said in a shell of another folder.
func typed(t *testing.T, command string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a shell")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", command, out)
	return string(out)
}

// Who reads it in a log is in another folder than the program, which has its state elsewhere.
func TestTheCommandThatTheProgramSaysMakesALinkInAnyFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "it's a state")
	require.NoError(t, os.Mkdir(folder, 0o700))
	p := running(t, folder)
	said := regexp.MustCompile("(?m)^  sign in:    `(.*)` makes a link$").FindStringSubmatch(p.Output())
	require.NotNil(t, said, p.Output())
	require.Contains(t, typed(t, said[1]), p.URL+"/sign-in#code=")

	for _, tenant := range []string{"42", "43"} { // an address of two tenants needs the tenant's name
		out, err := p.Run("user", "add", "grace@example.com", "-role", "analyst", "-tenant", tenant)
		require.NoError(t, err)
		said = regexp.MustCompile("analyst: `(.*)` makes a link").FindStringSubmatch(out)
		require.NotNil(t, said, out)
		require.Contains(t, typed(t, said[1]), "analyst of tenant "+tenant)
	}
	_, err := p.Run("token", "revoke", "nope")
	require.ErrorContains(t, err, "revoke the API token nope: ")
	said = regexp.MustCompile("not found: `(.*)` lists the ids").FindStringSubmatch(err.Error())
	require.NotNil(t, said, err.Error())
	require.Contains(t, typed(t, said[1]), "EXPIRES")
	for _, words := range [][]string{{"user", "disable", "joe@example.com"}, {"sign-in", "joe@example.com"},
		{"token", "list", "-email", "joe@example.com"}} {
		_, err := p.Run(words...)
		said = regexp.MustCompile("is not known: `(.*)` lists who may sign in").FindStringSubmatch(err.Error())
		require.NotNil(t, said, err.Error())
		require.Contains(t, typed(t, said[1]), "grace@example.com")
	}
}

// A command that is typed elsewhere than the program was started finds no state there.
func TestAStateOrAKeyThatIsNotFoundIsToBeNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("TOCSIN_PASSPHRASE", "correct horse battery staple")
	for _, words := range [][]string{{"sign-in", "admin@example.com"}, {"token", "create", "first"}, {"user", "list"},
		{"compact"}, {"keys", "rotate"}, {"backup", "b"}, {"tenant", "export", "42", "-to", "z.zip"}} {
		require.Contains(t, fails(t, words...), "no such file or directory: name it with -state (the unit for systemd "+
			"has /var/lib/tocsin/tocsin.db), or start Tocsin once", words)
	}
	require.Contains(t, fails(t, "publisher-key", "add", "laptop"),
		"name it with -key (the unit for systemd has /var/lib/tocsin/tocsin.key)")
}
