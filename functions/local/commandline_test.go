package main_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

// shown are the commands of a page, in their order.
func shown(t *testing.T, page string) string {
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	var all []string
	for _, m := range regexp.MustCompile("(?s)\n```bash\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		all = append(all, m[1])
	}
	require.NotEmpty(t, all)
	return strings.Join(all, "\n")
}

func TestThePageOfTheCommandLineIsRunAsItStands(t *testing.T) {
	at, out := followed(t, "../../docs/command-line.md")
	token, err := os.ReadFile(filepath.Join(at, ".config/tocsin/token"))
	require.NoError(t, err)
	require.NotContains(t, out, strings.TrimSpace(string(token)))
	require.Contains(t, out, "1 of 1 entries are published.")
	require.Contains(t, out, "integration  This machine (")
	require.Regexp(t, `delivery     01[0-9A-Z]{24}\n`, out)
}

func TestThePageOfTheFirstMessageIsRunAsItStands(t *testing.T) {
	_, out := followed(t, "../../docs/first-message.md")
	require.Contains(t, out, "New vulnerability detected")
	require.Contains(t, out, "left out  First: it does not take this type of event.")
	require.Regexp(t, `First +(pending|retrying|delivered) +vuln `, out)
}

// followed runs the commands of a page beside a fresh program, in its folder. A port that nothing uses stands for 9000.
func followed(t *testing.T, page string) (at, printed string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the page is for bash")
	}
	binary, err := build()
	require.NoError(t, err)
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	at = t.TempDir()
	p, err := embedded.Start(binary, at, "-allow", host, "-log-level", "error")
	require.NoError(t, err)
	defer func() { _, _ = p.Stop() }()
	require.NoError(t, os.MkdirAll(filepath.Join(at, "bin"), 0o755))
	require.NoError(t, os.Symlink(binary, filepath.Join(at, "bin/tocsin")))
	script := strings.ReplaceAll(shown(t, page), "127.0.0.1:9000", host)
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience.Long)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = at
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(at, "bin")+":"+os.Getenv("PATH"), "HOME="+at,
		"XDG_CONFIG_HOME="+filepath.Join(at, ".config"), "TOCSIN_URL="+p.URL, "TOCSIN_EVENTS_URL="+p.Bus,
		"TOCSIN_STATE="+filepath.Join(at, "tocsin.db"), "TOCSIN_TOKEN=", "TOCSIN_CONFIG=", "AWS_ACCESS_KEY_ID=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return at, string(out)
}

// remotely starts the program and gives a command of it a token.
func remotely(t *testing.T, args ...string) (*embedded.Process, commanded) {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir(), append(args, "-log-level", "error")...)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = p.Stop() })
	var made struct{ Secret string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/tokens", map[string]string{"name": "ci", "kind": "personal"},
		&made))
	return p, commanded{t, binary, []string{"TOCSIN_URL=" + p.URL, "TOCSIN_EVENTS_URL=" + p.Bus,
		"TOCSIN_TOKEN=" + made.Secret, "TOCSIN_CONFIG=", "XDG_CONFIG_HOME=" + t.TempDir(), "AWS_ACCESS_KEY_ID="}}
}

func TestCommandsOverTheAPISayWhatTheAPISays(t *testing.T) {
	_, c := remotely(t)
	for says, args := range map[string][]string{
		"answered 422: there is no such status; query.status: is \"x\", must be a status": {"deliveries", "list",
			"-status", "x"},
		"query.system: is not a system of the catalogue: it has ": {"integrations", "list", "-system", "nope"},
		"there is no delivery \"01JD\"":                           {"deliveries", "show", "01JD"},
		"delivery 01JD: there is no delivery":                     {"deliveries", "replay", "01JD"},
		"there is no integration \"Nobody\"":                      {"integrations", "test", "Nobody"},
		"give the ids of deliveries, or -integration":             {"deliveries", "replay"},
		"usage: tocsin integrations enable NAME-OR-ID":            {"integrations", "enable"},
		"tocsin integrations has no command \"remove\"":           {"integrations", "remove"},
		"tocsin events needs one of its commands":                 {"events"},
		"-from: \"yesterday\" is no time":                         {"deliveries", "list", "-from", "yesterday"},
		"flag provided but not defined: -colour":                  {"events", "tail", "-colour"},
		"there is no kind \"storm\"":                              {"events", "sample", "storm"},
		"no such file":                                            {"events", "publish", "no-such-file"},
		"-at \"0.0.0.0:0\": must be an address of this":           {"listen", "-at", "0.0.0.0:0"},
		"holds no signing secret: nothing would be verified":      {"listen", "-secret-file", os.DevNull},
		"-public-key must be whpk_":                               {"listen", "-public-key", "x"},
		"there is no completion for \"tcsh\"":                     {"completion", "tcsh"},
		"there is no command \"nothing\"":                         {"help", "nothing"},
		"answered 401":                                            {"integrations", "list", "-token", "nonsense"},
		"no answer from ":                                         {"integrations", "list", "-url", "http://127.0.0.1:1"},
	} {
		code, out := c.run("", args...)
		require.Equal(t, 1, code, out)
		require.Contains(t, out, says)
		require.NotContains(t, out, "goroutine")
	}
	code, out := c.run("", "integrations", "list", "-state", "disabled", "-json")
	require.Equal(t, 0, code, out)
	var list struct{ Items []any }
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	for _, args := range [][]string{{"help"}, {"help", "events"}, {"help", "events", "tail"}, {"events", "tail", "-h"},
		{"help", "listen"}, {"listen", "--help"}} {
		code, out := c.run("", args...)
		require.Equal(t, 0, code, out)
		require.Contains(t, out, "tocsin ")
	}
}

func TestATokenInAFileThatOthersCanReadIsRefused(t *testing.T) {
	p, c := remotely(t)
	var made struct{ Secret string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/tokens", map[string]string{"name": "kept", "kind": "personal"},
		&made))
	file := filepath.Join(t.TempDir(), "client.yaml")
	require.NoError(t, os.WriteFile(file, []byte("url: "+p.URL+"\ntoken: "+made.Secret+"\n"), 0o600))
	c.env = append(c.env, "TOCSIN_URL=", "TOCSIN_TOKEN=", "TOCSIN_CONFIG="+file)
	code, out := c.run("", "integrations", "list")
	require.Equal(t, 0, code, out)
	require.NoError(t, os.Chmod(file, 0o640))
	code, out = c.run("", "integrations", "list")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "holds a token, and others can read it: chmod 600 "+file)
	require.NotContains(t, out, made.Secret)
	require.NoError(t, os.WriteFile(file, []byte("tokem: "+made.Secret+"\n"), 0o600))
	code, out = c.run("", "integrations", "list")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "can not be read: it has lines such as")
	require.NotContains(t, out, made.Secret)
	code, out = c.run("", "integrations", "list", "-config", file+"s")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "no such file")
}

func TestATestThatDoesNotArriveEndsWithTwo(t *testing.T) {
	status := http.StatusNoContent
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
	}))
	defer receiver.Close()
	host := receiver.Listener.Addr().String()
	p, c := remotely(t, "-allow", host)
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{"system": "web_hooks",
		"name": "Ops", "events": []any{map[string]string{"event": "system"}},
		"parameters": map[string]string{"url": receiver.URL}}, nil))
	code, out := c.run("", "integrations", "list")
	require.Equal(t, 0, code, out)
	id := regexp.MustCompile(`01[0-9A-Z]{24}`).FindString(out)
	code, out = c.run("", "integrations", "test", id)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "message 1 of ")
	require.Contains(t, out, "after ")
	require.Contains(t, out, "arrived: [Test message]")
	receiver.Config.SetKeepAlivesEnabled(false)
	receiver.Close()
	code, out = c.run("", "integrations", "test", id, "-json")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, `"delivered":false`)
	code, out = c.run("", "integrations", "disable", id)
	require.Equal(t, 0, code, out)
	code, out = c.run("", "integrations", "list", "-state", "disabled")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, id)
	code, out = c.run("", "integrations", "enable", id)
	require.Equal(t, 0, code, out)
}

func TestAnEntryThatIsRefusedEndsWithTwo(t *testing.T) {
	_, c := remotely(t)
	entry := `{"Source":"a.b","DetailType":"create_user","Detail":"{}"}`
	code, out := c.run(entry+"\n"+`{"Source":"a.b","DetailType":"create_user","Detail":"no object"}`, "events",
		"publish", "-")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "entry 2 was refused: MalformedDetail: Detail is malformed.\n")
	require.Contains(t, out, "1 of 2 entries are published.")
	code, out = c.run(`{"Entries":[`+strings.Repeat(entry+",", 24)+entry+`]}`, "events", "publish", "-", "-json")
	require.Equal(t, 0, code, out)
	require.Equal(t, 25, strings.Count(out, `"EventId":`), "three calls")
	for in, says := range map[string]string{"": "it holds no entry", "[1]": "entry 1 is no object",
		"{": "it is no JSON"} {
		code, out = c.run(in, "events", "publish", "-")
		require.Equal(t, 1, code, out)
		require.Contains(t, out, says)
	}
}

func TestPublishingSignsWithThePublishersKey(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	folder := t.TempDir()
	p, err := embedded.Start(binary, folder, "-log-level", "error", "-listen-bus", "0.0.0.0:0")
	require.NoError(t, err)
	defer func() { _, _ = p.Stop() }()
	id, secret := publisherKey(t, folder, "cli")
	c := commanded{t, binary, []string{"TOCSIN_EVENTS_URL=" + p.Bus, "XDG_CONFIG_HOME=" + folder, "TOCSIN_CONFIG=",
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}}
	entry := `{"Source":"a.b","DetailType":"create_user","Detail":"{}"}`
	code, out := c.run(entry, "events", "publish", "-")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "MissingAuthenticationTokenException")
	c.env = append(c.env, "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	require.Eventually(t, func() bool {
		code, out = c.run(entry, "events", "publish", "-")
		return code == 0
	}, patience.Long, 1, "a new key is known while the program runs")
	c.env = append(c.env, "AWS_SECRET_ACCESS_KEY="+secret+"x")
	code, out = c.run(entry, "events", "publish", "-")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "InvalidSignatureException")
	require.NotContains(t, out, secret)
}

func TestBashCompletesCommandsFlagsAndValues(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	binary, err := build()
	require.NoError(t, err)
	for line, want := range map[string]string{
		"ev":                       "events",
		"deliveries ":              "list replay show",
		"deliveries list -stat":    "-state -status",
		"deliveries list --stat":   "--state --status",
		"deliveries list -state d": "dead delivered",
		"help integrations t":      "test",
		"token ":                   "create list revoke",
		"completion ":              "bash fish zsh",
		"events publish ":          "",
		"nothing ":                 "",
	} {
		script := `source <("$1" completion bash); complete -p tocsin >/dev/null
			IFS=' ' read -ra COMP_WORDS <<<"$1 $2"; case "$2" in *' ') COMP_WORDS+=("");; esac
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tocsin; printf '%s\n' "${COMPREPLY[@]}" | sort`
		out, err := exec.CommandContext(t.Context(), bash, "-euc", script, "bash", binary, line).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, want, strings.Join(strings.Fields(string(out)), " "), line)
	}
}

// shell finds a shell, which CI must have.
func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("there is no " + name)
	}
	require.NoError(t, err)
	return path
}

// completed are lines with what the last word can become.
var completed = map[string]string{
	"deliveries ":              "list replay show",
	"deliveries list -stat":    "-state -status",
	"deliveries list -state d": "dead delivered",
	"help integrations t":      "test",
	"token ":                   "create list revoke",
	"completion ":              "bash fish zsh",
}

func TestFishCompletesCommandsFlagsAndValues(t *testing.T) {
	fish := shell(t, "fish")
	binary, err := build()
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "dead.letters"), nil, 0o600),
		"no file is offered beside words")
	for line, want := range completed {
		cmd := exec.CommandContext(t.Context(), fish, "--no-config", "-c", `set -x PATH $argv[1] $PATH
			tocsin completion fish | source; complete -C $argv[2] | string split -f 1 \t | sort`,
			filepath.Dir(binary), "tocsin "+line)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "HOME="+folder)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, want, strings.Join(strings.Fields(string(out)), " "), line)
	}
}

// zsh completes at a terminal only: zpty is one. compadd is what shows candidates.
const zshAsks = `zmodload zsh/zpty
zpty s zsh -f -i
zpty -w s 'PS1=; fpath=('$3' $fpath); autoload -Uz compinit; compinit -u -D; '$4
zpty -w s 'compadd() { builtin compadd -O got "$@"; print -rl -- $got >>'$2'; builtin compadd "$@" }'
zpty -w s 'ask() { zle complete-word; print end >>'$2' }; zle -N ask; bindkey "^I" ask; print rea""dy'
zpty -r s out '*ready*'
zpty -w -n s "$1"$'\t'
until grep -qs '^end$' $2; do sleep 0.05; done
zpty -w s ''
zpty -d s
grep -v '^end$' $2 | sort -u`

func TestZshCompletesCommandsFlagsAndValues(t *testing.T) {
	zsh := shell(t, "zsh")
	binary, err := build()
	require.NoError(t, err)
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience.Long)
	defer cancel()
	n := 0
	functions := filepath.Join(folder, "functions")
	require.NoError(t, os.Mkdir(functions, 0o700))
	ask := func(line, want, begin string) {
		n++
		cmd := exec.CommandContext(ctx, zsh, "-f", "-c", zshAsks, "zsh", "tocsin "+line,
			filepath.Join(folder, strconv.Itoa(n)), functions, begin)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "HOME="+folder, "TERM=dumb", "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", line, out)
		require.Equal(t, want, strings.Join(strings.Fields(string(out)), " "), line)
	}
	for line, want := range completed {
		ask(line, want, "source <(tocsin completion zsh)")
	}
	// As a file in a folder of $fpath it is loaded by the first word of a session that is completed.
	require.NoError(t, os.WriteFile(filepath.Join(functions, "_tocsin"),
		[]byte(command(t, "completion", "zsh")), 0o600))
	for line, want := range completed {
		ask(line, want, "")
	}
}

// A shell offers what the usage of a command lists, and nothing that it does not.
func TestCompletionOffersWhatTheUsageLists(t *testing.T) {
	offered := func(words ...string) (all []string) {
		for line := range strings.Lines(command(t, append([]string{"__complete"}, words...)...)) {
			word, about, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			require.NotEmpty(t, about, line)
			all = append(all, word)
		}
		return all
	}
	require.Equal(t, []string{"link", "unlink", "list", "export", "erase", "erasure"}, offered("tenant", ""))
	require.Equal(t, []string{"rotate", "forget"}, offered("keys", ""))
	require.Equal(t, []string{"add", "list", "remove"}, offered("publisher-key", ""))
	require.Equal(t, []string{"add", "change", "disable", "enable", "list"}, offered("user", ""))
	require.Equal(t, []string{"create", "list", "revoke"}, offered("token", ""))
	require.Subset(t, offered("tenant", "export", "42", "-"), []string{"-to", "-person", "-url", "-state"})
	require.NotContains(t, offered("tenant", "export", "42", "-"), "-technical")
	require.Empty(t, offered("tenant", "export", "42", "-to", ""))
	require.Empty(t, offered("restore", ""), "the shell offers files")
	require.Equal(t, []string{"--keep", "--key"}, offered("backup", "--ke"))
	flag := regexp.MustCompile(`(?m)^  (-\S+)`)
	for _, name := range offered("") {
		if others := command(t, "help", name); !strings.Contains(others, "COMMAND") && name != "help" {
			all := offered(name, "-")
			for _, f := range flag.FindAllStringSubmatch(others, -1) {
				require.Contains(t, all, f[1], name)
			}
		}
	}
}
