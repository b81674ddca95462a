package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// asked calls the API with an API token, in a language, and returns what the answer says.
func asked(t *testing.T, p *embedded.Process, token, language, method, path, body string) (status int, said string) {
	t.Helper()
	q, err := http.NewRequest(method, p.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Accept-Language", language)
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(raw)
}

// tokenOf makes an API token by the command.
func tokenOf(t *testing.T, p *embedded.Process, args ...string) string {
	t.Helper()
	out, err := p.Run(append([]string{"token", "create"}, args...)...)
	require.NoError(t, err)
	return regexp.MustCompile(`(?m)^  (\S{64})$`).FindStringSubmatch(out)[1]
}

const webhookHere = `{"system":"web_hooks","name":"here","events":[{"event":"system"}],"parameters":{"url":"URL"}}`

// The first webhook of many is on the same machine.
func TestAWebhookOnTheSameMachineIsRefusedWithTheFlagThatAdmitsIt(t *testing.T) {
	p := running(t, t.TempDir(), "-log-level", "error")
	token := tokenOf(t, p, "first")
	for language, words := range map[string]string{
		"en": "names 127.0.0.1, which is not a public address: to send there, Tocsin has to be started with ",
		"ja": "127.0.0.1 は公開アドレスではありません。そこへ送信するには、"} {
		for _, url := range []string{"http://127.0.0.1:9000/", "https://127.0.0.1:9000/"} {
			status, said := asked(t, p, token, language, http.MethodPost, "/v1/integrations",
				strings.Replace(webhookHere, "URL", url, 1))
			require.Equal(t, http.StatusUnprocessableEntity, status, said)
			require.Contains(t, said, words+"-allow 127.0.0.1:9000")
		}
	}
	with := running(t, t.TempDir(), "-log-level", "error", "-allow", "127.0.0.1:9000")
	status, said := asked(t, with, tokenOf(t, with, "first"), "en", http.MethodPost, "/v1/integrations",
		strings.Replace(webhookHere, "URL", "http://127.0.0.1:9000/", 1))
	require.Equal(t, http.StatusCreated, status, said)
}

func TestAPathWithoutAnythingNamesWhereTheAPIIsShown(t *testing.T) {
	p := running(t, t.TempDir(), "-log-level", "error")
	token := tokenOf(t, p, "first")
	for _, language := range []string{"en", "ja"} {
		status, said := asked(t, p, token, language, http.MethodGet, "/v1/nothing", "")
		require.Equal(t, http.StatusNotFound, status)
		named := regexp.MustCompile(`/docs|/openapi\.json`).FindAllString(said, -1)
		require.Equal(t, []string{"/docs", "/openapi.json"}, named, said)
		for path, kind := range map[string]string{"/docs": "text/html; charset=utf-8",
			"/openapi.json": "application/openapi+json"} {
			r, err := http.Get(p.URL + path)
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
			require.Equal(t, http.StatusOK, r.StatusCode)
			require.Equal(t, kind, r.Header.Get("Content-Type"))
		}
	}
}

func TestATokenThatEndedByAnErasureIsToldThatItMayBeThat(t *testing.T) {
	p := running(t, t.TempDir(), "-log-level", "error")
	_, err := p.Run("user", "add", "grace@example.com", "-role", "analyst", "-name", "Grace")
	require.NoError(t, err)
	token := tokenOf(t, p, "hers", "-kind", "personal", "-email", "grace@example.com")
	status, said := asked(t, p, token, "en", http.MethodGet, "/v1/session", "")
	require.Equal(t, http.StatusOK, status, said)
	_, err = p.Run("tenant", "erase", "42", "-person", "grace@example.com", "-confirm", "grace@example.com")
	require.NoError(t, err)
	for language, words := range map[string]string{"en": "or its person or tenant was erased",
		"ja": "そのユーザーまたはテナントが消去されています"} {
		status, said := asked(t, p, token, language, http.MethodGet, "/v1/session", "")
		require.Equal(t, http.StatusUnauthorized, status)
		require.Contains(t, said, words)
	}
}

// A shared token has no person.
func TestAnIntegrationWithoutANameIsNamedAfterTheTokenThatMadeIt(t *testing.T) {
	p := running(t, t.TempDir(), "-log-level", "error")
	for by, args := range map[string][]string{"deploy script": {"deploy script"},
		"Local Administrator": {"mine", "-kind", "personal"}} {
		status, said := asked(t, p, tokenOf(t, p, args...), "en", http.MethodPost, "/v1/integrations",
			`{"system":"slack","name":"","events":[{"event":"system"}],"parameters":{"webhook_url":"`+slackHook+`"}}`)
		require.Equal(t, http.StatusCreated, status, said)
		var made struct{ Name string }
		require.NoError(t, json.Unmarshal([]byte(said), &made))
		require.Regexp(t, `^Slack integration by `+by+`, [A-Z][a-z][a-z] \d+$`, made.Name)
	}
	long := strings.Repeat("é", 200)
	_, err := p.Run("user", "change", "admin@example.com", "-name", long)
	require.NoError(t, err)
	status, said := asked(t, p, tokenOf(t, p, "long", "-kind", "personal"), "en", http.MethodPost, "/v1/integrations",
		`{"system":"slack","events":[{"event":"system"}],"parameters":{"webhook_url":"`+slackHook+`"}}`)
	require.Equal(t, http.StatusCreated, status, said)
	require.Regexp(t, `"name":"Slack integration, [A-Z][a-z][a-z] \d+"`, said)
}
