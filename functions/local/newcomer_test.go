package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
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

// What the program says at its start is what one does first: on a machine without settings of AWS, in any folder.
func TestTheCommandThatTheGreetingHasPublishes(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("TOCSIN_CONFIG", "")
	said := func(p *embedded.Process, pattern string) string {
		line := regexp.MustCompile("(?m)^  publish:    `([^`]*)`" + pattern + "$")
		require.Eventually(t, func() bool { return line.MatchString(p.Output()) }, patience.Long, time.Millisecond,
			"it is said after the program is ready")
		m := line.FindStringSubmatch(p.Output())
		return m[len(m)-1]
	}
	p := running(t, t.TempDir(), "-log-level", "error", "-tenant", "7")
	require.Contains(t, typed(t, said(p, "")), "1 of 1 entries are published.")
	require.Contains(t, said(p, ""), "-account 7", "of the account of this installation")

	// Elsewhere than on a loopback address every call is signed.
	signed := running(t, t.TempDir(), "-log-level", "error", "-listen-bus", "0.0.0.0:0")
	pair := typed(t, said(signed, ", with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of `([^`]*)`"))
	for _, m := range regexp.MustCompile(`(AWS_\w+)=(\S+)`).FindAllStringSubmatch(pair, -1) {
		t.Setenv(m[1], m[2])
	}
	require.Contains(t, typed(t, regexp.MustCompile("publish:    `([^`]*)`").FindStringSubmatch(signed.Output())[1]),
		"1 of 1 entries are published.")
}

// The pages' calls of PutEvents are made as they stand, but for the port, on a machine without settings of AWS.
func TestTheCallsOfPutEventsThatThePagesHaveAreMade(t *testing.T) {
	p := running(t, t.TempDir(), "-log-level", "error")
	found := map[string]int{}
	for _, page := range []string{"README.md", "events/README.md"} {
		raw, err := os.ReadFile("../../" + page)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^(curl|aws) (?:.*\\\n)*.*$`).FindAllStringSubmatch(string(raw), -1) {
			if !strings.Contains(m[0], "localhost:8081") {
				continue // another call
			}
			found[m[1]]++
			t.Run(page+" "+m[1], func(t *testing.T) {
				if _, err := exec.LookPath(m[1]); err != nil {
					t.Skip("there is no " + m[1])
				}
				cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(m[0], "http://localhost:8081", p.Bus))
				cmd.Dir = "../.."
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true"}
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s: %s", m[0], out)
				require.Regexp(t, `"FailedEntryCount": ?0`, string(out))
			})
		}
	}
	require.Equal(t, map[string]int{"curl": 1, "aws": 2}, found)
}

func TestTheArchivesReadmeIsRunAsItStands(t *testing.T) {
	_, out := followed(t, "../../scripts/release/README.md")
	require.Contains(t, out, "1 of 1 entries are published.")
}
