package main_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

// commanded is a command of the program in an environment, with its exit code and what it printed.
type commanded struct {
	t      *testing.T
	binary string
	env    []string
}

func (c commanded) run(in string, args ...string) (code int, printed string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.binary, args...)
	cmd.Env, cmd.Stdin = append(os.Environ(), c.env...), strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	require.NoError(c.t, err)
	return 0, string(out)
}

// documented is the example of the page, which is tried as it stands.
func documented(t *testing.T) string {
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(page), "```yaml\n")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "```")
	return example
}

func TestTheExampleOfThePageIsAppliedAndExportedByTheCommands(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir(), "-log-level", "error")
	require.NoError(t, err)
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
		require.NotContains(t, p.Output(), "s3cr3t")
	}()
	var made struct{ Secret string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/tokens", map[string]string{"name": "ci", "kind": "personal"},
		&made))
	c := commanded{t, binary, []string{"TOCSIN_URL=" + p.URL, "TOCSIN_TOKEN=" + made.Secret}}
	file := filepath.Join(t.TempDir(), "tocsin.yaml")
	require.NoError(t, os.WriteFile(file, []byte(documented(t)), 0o600))

	code, out := c.run("", "diff", file)
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "3 to add, 1 to change, 0 to remove.")
	code, out = c.run("", "apply", file)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "line 7: integration \"Ops channel\": webhook_url: the environment variable "+
		"SLACK_OPS_CHANNEL_WEBHOOK_URL is not set, or is empty\nline 16: ")
	c.env = append(c.env, "SLACK_OPS_CHANNEL_WEBHOOK_URL=https://hooks.slack.com/services/T/B/s3cr3t",
		"SIEM_TOKEN=s3cr3t")
	code, out = c.run("", "apply", "-dry-run", file)
	require.Equal(t, 2, code, out)
	code, out = c.run("", "apply", file)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "added trigger \"SQLi burst\"\nchanged report settings\nDone: 4 changed.\n")
	require.NotContains(t, out, "s3cr3t")
	code, out = c.run(documented(t), "apply", "-")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "Nothing changed: ")
	code, out = c.run("", "diff", file, "-prune")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "0 to add, 0 to change, 2 to remove.")
	code, out = c.run("yes\n", "apply", file, "-prune")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "nobody is here to be asked: say -yes")
	code, out = c.run("", "apply", "-prune", "-yes", file)
	require.Equal(t, 0, code, out)

	exported := filepath.Join(filepath.Dir(file), "export.yaml")
	code, out = c.run("", "export", exported)
	require.Equal(t, 0, code, out)
	code, out = c.run("", "diff", exported, "-prune")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "No differences. The secrets of 2 can not be compared")
	code, out = c.run("", "export", "-json")
	require.Equal(t, 0, code, out)
	require.True(t, strings.HasPrefix(out, "{\n"), out)

	_, out = c.run("", "diff", file, "-token", made.Secret)
	require.Contains(t, out, "warning: the token is in the command line")
	require.NotContains(t, out, made.Secret)
	c.env = append(c.env, "TOCSIN_TOKEN=nonsense")
	code, out = c.run("", "diff", file)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "answered 401")
}

func TestCommandsOnConfigurationsSayWhatTheyLack(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	elsewhere := httptest.NewServer(http.RedirectHandler("https://other.example.com/", http.StatusFound))
	defer elsewhere.Close()
	c := commanded{t, binary, []string{"TOCSIN_URL=" + elsewhere.URL, "TOCSIN_TOKEN=", "TOCSIN_TOKEN_FILE="}}
	file := filepath.Join(t.TempDir(), "tocsin.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\n"), 0o600))
	for says, args := range map[string][]string{
		"an API token of an administrator is needed":       {"diff", file},
		"usage: tocsin diff FILE":                          {"diff"},
		"usage: tocsin apply FILE":                         {"apply", file, file},
		"no such file or directory":                        {"apply", file + "s"},
		"flag provided but not defined: -prun":             {"apply", "-prun", file},
		"leads on to https://other.example.com: name that": {"diff", file, "-token", "x"},
		"the token holds a space":                          {"diff", file, "-token", "a b"},
		"must be that of the Console":                      {"diff", file, "-token", "x", "-url", "localhost:8080"},
		"the token goes to 192.0.2.1:1 without TLS": {"diff", file, "-token", "x", "-url",
			"http://192.0.2.1:1/?"},
		"the file is empty: begin with `version: 1`":       {"diff", "-", "-token", "x"},
		"read the token: open " + file + "s: no such file": {"diff", file, "-token-file", file + "s"},
	} {
		code, out := c.run("", args...)
		require.Equal(t, 1, code, out)
		require.Contains(t, out, says)
	}
	code, out := c.run("", "export", "-schema")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, `"http://json-schema.org/draft-07/schema#"`)
}

func TestCtrlCWaitsForTheChangeThatHasBegun(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir(), "-log-level", "error")
	require.NoError(t, err)
	defer func() { _, _ = p.Stop() }()
	var made struct{ Secret string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/tokens", map[string]string{"name": "ci", "kind": "personal"},
		&made))
	began, goOn := make(chan struct{}), make(chan struct{})
	target, err := url.Parse(p.URL)
	require.NoError(t, err)
	onward := httputil.NewSingleHostReverseProxy(target)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			close(began)
			<-goOn
		}
		onward.ServeHTTP(w, r)
	}))
	defer between.Close()
	cmd := exec.CommandContext(t.Context(), binary, "apply", "-")
	cmd.Env = append(os.Environ(), "TOCSIN_URL="+between.URL, "TOCSIN_TOKEN="+made.Secret,
		"SLACK_OPS_CHANNEL_WEBHOOK_URL=https://hooks.slack.com/services/T/B/x", "SIEM_TOKEN=y")
	cmd.Stdin = strings.NewReader(documented(t))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	select {
	case <-began:
	case <-time.After(patience.Long):
		_ = cmd.Process.Kill()
		t.Fatal("no change was begun: ", out.String())
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	time.Sleep(100 * time.Millisecond) // the signal is on its way: nothing tells when it has arrived
	close(goOn)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 130, exit.ExitCode(), out.String())
	require.Contains(t, out.String(), "added integration \"Ops channel\"\ntocsin: stopped at: add integration \"SIEM\"")
	require.Contains(t, out.String(), "1 of 4 steps were done, those listed above, and the rest were not begun.")
}
