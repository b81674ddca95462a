package main_test

import (
	"crypto/ed25519"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/keyring"
)

const slackHook = "https://hooks.slack.com/services/T0/B0/abc"

// furnished is the folder of a stopped program with integrations and a publisher.
func furnished(t *testing.T) string {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	folder := t.TempDir()
	p, err := embedded.Start(binary, folder, "-log-level", "error")
	require.NoError(t, err)
	for _, name := range []string{"one", "two", "three"} {
		require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{
			"system": "slack", "name": name, "events": []map[string]any{{"event": "system"}},
			"parameters": map[string]any{"webhook_url": slackHook},
		}, nil))
	}
	publisherKey(t, folder, "platform")
	_, err = p.Stop()
	require.NoError(t, err)
	return folder
}

func files(folder string) []string {
	return []string{"-state", folder + "/tocsin.db", "-key", folder + "/tocsin.key"}
}

func running(t *testing.T, folder string, args ...string) *embedded.Process {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, folder, args...)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = p.Stop() })
	return p
}

// unreadable lists the names of the integrations whose secrets can not be read, of all.
func unreadable(t *testing.T, p *embedded.Process) (names []string, all int) {
	t.Helper()
	var list struct {
		Items []struct {
			Name       string
			Enabled    bool
			Unreadable *struct{ Cause, Reason string }
		}
	}
	require.NoError(t, p.Call(http.MethodGet, "/v1/integrations", nil, &list))
	for _, i := range list.Items {
		if i.Unreadable != nil {
			names = append(names, i.Name)
			require.False(t, i.Enabled)
		}
	}
	return names, len(list.Items)
}

func TestH23AStartWithoutTheKeyOfTheStateIsRefused(t *testing.T) {
	folder := furnished(t)
	start := append(files(folder), "-listen", "127.0.0.1:0", "-listen-bus", "127.0.0.1:0")
	require.NoError(t, os.Rename(folder+"/tocsin.key", folder+"/kept"))
	said := fails(t, start...)
	require.Contains(t, said, "is missing: 4 of 4 secrets")
	require.Contains(t, said, "tocsin keys forget -state")
	require.NoFileExists(t, folder+"/tocsin.key", "no new key is made")

	strange, err := keyring.Open(folder + "/tocsin.key")
	require.NoError(t, err)
	require.NotNil(t, strange)
	require.Contains(t, fails(t, start...), "is not the one: 4 of 4 secrets")
	require.NoError(t, os.WriteFile(folder+"/tocsin.key", nil, 0o600))
	require.Contains(t, fails(t, start...), "holds no key: restore it from a backup")
	require.Contains(t, fails(t, append([]string{"keys", "forget"}, files(folder)...)...), "holds no key",
		"a file that may be mended is not written over")

	require.NoError(t, os.Rename(folder+"/kept", folder+"/tocsin.key"))
	p := running(t, folder)
	names, all := unreadable(t, p)
	require.Empty(t, names)
	require.Equal(t, 3, all)
	require.Contains(t, fails(t, append([]string{"keys", "forget"}, files(folder)...)...), "in use by another process")
	_, err = p.Stop()
	require.NoError(t, err)
	require.Contains(t, command(t, append([]string{"keys", "forget"}, files(folder)...)...), "nothing was changed")

	require.NoError(t, os.Remove(folder+"/tocsin.key"))
	said = command(t, append([]string{"keys", "forget"}, files(folder)...)...)
	require.Equal(t, 3, strings.Count(said, "is disabled"), said)
	require.Contains(t, said, "make a new key pair")
	p = running(t, folder, "-log-level", "warn")
	names, all = unreadable(t, p)
	require.Len(t, names, 3)
	require.Equal(t, 3, all)
	require.NoError(t,
		p.Publish(embedded.Entry{Source: "a", DetailType: "create_user",
			Detail: `{"version":1,"id":"x","tenant":"42","time":"2023-03-01T00:00:00Z","data":{"user":{"name":"N","email":"n@example.com"}}}`}))
	time.Sleep(1500 * time.Millisecond)
	require.NotContains(t, p.Output(), "level=ERROR", "no line a second")
}

func TestS8NoKeyOfTheFileSignsAnybodyInAndEverySecretIsSealedAnew(t *testing.T) {
	folder := furnished(t)
	before, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	said := command(t, append([]string{"keys", "rotate"}, files(folder)...)...)
	require.Contains(t, said, "3 integrations are sealed anew")
	require.Contains(t, said, "(1 of publishers)")
	after, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	require.Regexp(t, `^\S{44}\n`+regexp.QuoteMeta(strings.TrimSpace(string(before)))+` retired=\d{4}-\d\d-\d\d\n$`,
		string(after))

	p := running(t, folder, "-log-level", "error")
	names, all := unreadable(t, p)
	require.Empty(t, names)
	require.Equal(t, 3, all)
	for _, path := range []string{"/old", "/tocsin.key"} {
		require.NoError(t, os.WriteFile(folder+"/old", before, 0o600))
		require.Equal(t, http.StatusUnauthorized, forged(t, p.URL, folder+path), path)
	}
	_, err = p.Stop()
	require.NoError(t, err)

	// Without its old lines the file opens all the same: nothing is left that they sealed.
	require.NoError(t, os.WriteFile(folder+"/tocsin.key", after[:45], 0o600))
	p = running(t, folder, "-log-level", "error")
	names, _ = unreadable(t, p)
	require.Empty(t, names)
}

// forged is the answer to a call with a token that a key file's owner could sign.
func forged(t *testing.T, at, path string) int {
	t.Helper()
	ring, err := keyring.Open(path)
	require.NoError(t, err)
	seeds, err := ring.Derive("tokens")
	require.NoError(t, err)
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"iss": "tocsin-local", "aud": "tocsin",
		"exp": time.Now().Add(time.Hour).Unix(), "tenant": "42", "role": "operator", "email": "mallory@example.com",
	}).SignedString(ed25519.NewKeyFromSeed(seeds[0]))
	require.NoError(t, err)
	q, err := http.NewRequest(http.MethodGet, at+"/v1/integrations", nil)
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func TestS8ARotationThatWasInterruptedIsFinished(t *testing.T) {
	folder := furnished(t)
	require.NoError(t, keyring.Rotate(folder+"/tocsin.key")) // and then the power went out
	p := running(t, folder, "-log-level", "warn")
	names, _ := unreadable(t, p)
	require.Empty(t, names, "at every moment the file opens all there is")
	require.Contains(t, p.Output(), "tocsin keys rotate")
	_, err := p.Stop()
	require.NoError(t, err)
	keys, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	said := command(t, append([]string{"keys", "rotate"}, files(folder)...)...)
	require.Contains(t, said, "begun before is finished")
	require.Contains(t, said, "3 integrations are sealed anew")
	now, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	require.Equal(t, string(keys[:45]), string(now[:45]), "no third key")
	require.Equal(t, 2, strings.Count(string(now), "\n"))
}

// A rotation is killed after one time and another, and run again until one is at its end.
func TestARotationThatIsKilledIsFinishedByTheNext(t *testing.T) {
	folder := furnished(t)
	binary, err := build()
	require.NoError(t, err)
	kills, whole := 0, time.Second
	for after := time.Duration(0); kills < 6; after += max(whole/6, time.Millisecond) {
		c := exec.Command(binary, append([]string{"keys", "rotate"}, files(folder)...)...)
		begin := time.Now()
		require.NoError(t, c.Start())
		killer := time.AfterFunc(after, func() { _ = c.Process.Kill() })
		err := c.Wait()
		if killer.Stop(); err == nil { // it was at its end before: another one begins
			whole, after = time.Since(begin), 0
			continue
		}
		require.Equal(t, -1, c.ProcessState.ExitCode(), "it was killed, and did not fail")
		kills++
	}
	keys, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	said := command(t, append([]string{"keys", "rotate"}, files(folder)...)...)
	now, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	require.GreaterOrEqual(t, strings.Count(string(now), "\n"), strings.Count(string(keys), "\n"), said)
	require.NoError(t, os.WriteFile(folder+"/tocsin.key", now[:45], 0o600))
	names, all := unreadable(t, running(t, folder, "-log-level", "error"))
	require.Empty(t, names, "with the first key alone")
	require.Equal(t, 3, all)
}

func TestH25TheProgramSaysWhetherItIsReady(t *testing.T) {
	folder := furnished(t)
	p := running(t, folder, "-log-level", "error")
	require.NoError(t, p.Call(http.MethodGet, "/readyz?verbose", nil, nil))
	require.NoError(t, p.Call(http.MethodGet, "/livez", nil, nil))
	require.NoError(t, p.Call(http.MethodGet, "/healthz", nil, nil))
	require.NoError(t, os.Rename(folder+"/tocsin.key", folder+"/kept"))
	require.Eventually(t, func() bool {
		err := p.Call(http.MethodGet, "/readyz", nil, nil)
		return err != nil && strings.Contains(err.Error(), "503") &&
			strings.Contains(err.Error(), "keys: the key file is missing")
	}, time.Minute, 100*time.Millisecond)
	require.NoError(t, p.Call(http.MethodGet, "/livez", nil, nil))
}
