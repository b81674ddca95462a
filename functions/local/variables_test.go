package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the program's environment says of its first person and of how long it keeps deliveries is not what a command
// beside it is told: a container's and a service's commands have that environment too.
func TestTheProgramsVariablesChangeNoPersonNoTokenAndNoBackup(t *testing.T) {
	folder := furnished(t)
	state := []string{"-state", folder + "/tocsin.db"}
	tocsin := func(args ...string) string { return command(t, append(args, state...)...) }
	tocsin("user", "add", "grace@example.com", "-role", "analyst", "-name", "Grace")
	for name, value := range map[string]string{"TOCSIN_ROLE": "administrator", "TOCSIN_NAME": "The Boss",
		"TOCSIN_CLIENT_NAME": "Globex", "TOCSIN_KEEP": "2160h", "TOCSIN_PASSPHRASE": "correct horse battery"} {
		t.Setenv(name, value)
	}
	require.Contains(t, tocsin("user", "change", "grace@example.com", "-name", "Grace H."), "has the role analyst")
	require.Contains(t, tocsin("token", "create", "ci", "-kind", "personal", "-email", "grace@example.com"),
		"ci, analyst of tenant 42")
	tocsin("user", "change", "grace@example.com", "-role", "read_only")
	require.Regexp(t, `(?m)^42 +grace@example.com +Grace H. +read_only +enabled$`, tocsin("user", "list"))
	require.Contains(t, fails(t, append([]string{"user", "add", "joe@example.com"}, state...)...), "with -role")
	tocsin("backup", filepath.Join(t.TempDir(), "b"), "-key", folder+"/tocsin.key")
}

// printed is what a command prints on the standard output, as a pager gets it. It says nothing else.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var other bytes.Buffer
	cmd.Stderr = &other
	out, err := cmd.Output()
	require.NoError(t, err, "%s: %s", args, other.String())
	require.Empty(t, other.String(), args)
	return string(out)
}

// Whatever has flags says what they are, with a type behind the name and never a part of a sentence.
func TestEachCommandHasAPageOfItsFlags(t *testing.T) {
	flags := regexp.MustCompile(`(?m)^  -\S+(?: (.*))?$`)
	types := []string{"", "string", "int", "float", "duration", "value"}
	for _, words := range []string{"", "export", "diff", "apply", "user", "sign-in", "token", "tenant", "publisher-key",
		"keys", "backup", "restore", "compact", "doctor", "ready", "listen", "events publish", "events tail",
		"deliveries list", "deliveries replay", "integrations list", "tenant export", "tenant erasure", "version"} {
		of := strings.Fields(words)
		page := printed(t, append(of, "-help")...)
		require.Regexp(t, `^tocsin( `+words+`)?: [a-z]`, page, "it says what it does")
		require.Regexp(t, `(?m)^usage: tocsin`, page)
		if words != "deliveries list" && words != "integrations list" {
			require.Regexp(t, `\nexamples:\n  .*\btocsin\b`, page, words)
		}
		if words == "version" {
			continue // it has no flags
		}
		found := flags.FindAllStringSubmatch(page, -1)
		require.NotEmpty(t, found, "%s: %s", words, page)
		for _, f := range found {
			kind, _, _ := strings.Cut(f[1], "\t")
			require.Contains(t, types, kind, "%s: %s", words, f[0])
		}
		if len(of) > 0 {
			require.Equal(t, page, printed(t, append([]string{"help"}, of...)...), words)
		}
	}
}

// An argument that a command has no use for is told, and nothing is done.
func TestAnArgumentThatACommandDoesNotTakeIsTold(t *testing.T) {
	folder := furnished(t)
	key := []string{"-key", folder + "/tocsin.key"}
	list := command(t, append([]string{"publisher-key", "list"}, key...)...)
	id := regexp.MustCompile(`TCSN\w+`).FindString(list)
	for _, args := range [][]string{{"publisher-key", "remove", id, "other"}, {"publisher-key", "add", "my", "laptop"},
		{"publisher-key", "list", "all"}} {
		require.Contains(t, fails(t, append(args, key...)...), "usage: tocsin publisher-key")
	}
	require.Equal(t, list, command(t, append([]string{"publisher-key", "list"}, key...)...))
	for _, args := range [][]string{{"version", "all"}, {"ready", "now"}, {"compact", "it"}} {
		require.Contains(t, fails(t, args...), "unexpected argument \""+args[1]+"\"")
	}
}

// What is printed as JSON is what the API answers, where there is nothing too; what would not be heeded is refused.
func TestWhatIsNotThereIsAnEmptyListAndWhatIsNotHeededIsRefused(t *testing.T) {
	folder := t.TempDir()
	p := running(t, folder, "-log-level", "error")
	made := command(t, "token", "create", "ci", "-state", folder+"/tocsin.db")
	t.Setenv("TOCSIN_TOKEN", regexp.MustCompile(`(?m)^  (\S{64})$`).FindStringSubmatch(made)[1])
	t.Setenv("TOCSIN_URL", p.URL)
	var answer map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(command(t, "integrations", "list", "-json")), &answer))
	require.Equal(t, "[]", string(answer["items"]))
	for _, narrowed := range []string{"-from", "-to", "-state"} {
		require.Contains(t, fails(t, "deliveries", "replay", "01JD0000000000000000000000", narrowed, "2h"),
			narrowed+" is for -integration")
	}
	require.Contains(t, fails(t, "deliveries", "list", "-limit", "-1"), "-limit is -1: it must be 0 or more")
}

// A state file that the environment names is the one of every command: another would be another installation's.
func TestEveryCommandThatHasAStateFileTakesTheOneOfTheEnvironment(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "not-there", "tocsin.db")
	t.Setenv("TOCSIN_STATE", nowhere)
	t.Setenv("TOCSIN_TENANT", "of-the-first-person")
	t.Setenv("TOCSIN_PASSPHRASE", "correct horse battery")
	file := filepath.Join(t.TempDir(), "file")
	for _, args := range [][]string{{"user", "list"}, {"sign-in", "ada@example.com"}, {"token", "list"},
		{"tenant", "list", "42"}, {"tenant", "export", "42", "-to", file}, {"tenant", "erase", "42", "-confirm", "42"},
		{"keys", "rotate"}, {"keys", "forget"}, {"backup", file}, {"compact"}} {
		require.Contains(t, fails(t, args...), nowhere, "%s", args)
	}
	require.NoFileExists(t, file)
}

// Empty files and variables of a shell, numbers below none, and tenants that no event can be of.
func TestWhatWouldBeTakenForNothingIsRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	listen := slices.Clip([]string{"listen", "-at", "127.0.0.1:0"})
	for _, c := range []struct {
		words string
		args  []string
	}{
		{"holds no signing secret: nothing would be verified", append(listen, "-secret-file", empty)},
		{"holds no signing secret: nothing would be verified", append(listen, "-secret-file", "")},
		{"-public-key is empty: nothing would be verified", append(listen, "-public-key", "")},
		{"-count is -1: it must be 0 or more", []string{"listen", "-at", "127.0.0.1:0", "-count", "-1"}},
		{"-count is -1: it must be 0 or more", []string{"events", "tail", "-count", "-1"}},
		{"is one that no event can be of", []string{"-tenant-events-of", "glo bex=0"}},
		{`invalid value "30" for flag -keep: parse error: write 720h for thirty days`, []string{"-keep", "30"}},
		{`invalid value "7d" for flag -session-idle: parse error: write 720h for thirty days`,
			[]string{"-session-idle", "7d"}},
	} {
		require.Contains(t, fails(t, c.args...), c.words)
	}
	t.Setenv("TOCSIN_KEEP", "30d")
	require.Contains(t, fails(t), "the environment's TOCSIN_KEEP is not right for -keep: write 720h for thirty days")
}
