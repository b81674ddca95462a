package main_test

import (
	"archive/zip"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

func TestATenantIsExportedAndErasedByCommandsWhetherTheProgramRunsOrNot(t *testing.T) {
	folder := furnished(t)
	state := []string{"-state", folder + "/tocsin.db"}
	tocsin := func(args ...string) string { return command(t, append(args, state...)...) }
	tocsin("tenant", "link", "7", "-technical", "42", "-client-name", "Seven")
	require.Contains(t, tocsin("tenant", "export", "7", "-to", folder+"/7.zip"), "rows of 2 tables")
	require.Contains(t, fails(t, append([]string{"tenant", "export", "7", "-to", folder + "/7.zip"}, state...)...),
		"file exists")
	require.Contains(t, fails(t, append([]string{"tenant", "erase", "7"}, state...)...), "say -confirm 7")
	require.Contains(t, tocsin("tenant", "export", "7", "-to", folder+"/ada.zip", "-person", "ada@example.com"),
		"has 1 rows of 1 tables", "the entry of this export names the person, and nothing else does")
	require.Contains(t, inArchive(t, folder+"/ada.zip", "README.txt"), "kept of ada@example.com in tenant 7 on ")
	p := running(t, folder)
	require.Contains(t, tocsin("tenant", "export", "7", "-to", folder+"/again.zip"), "rows of 2 tables")
	said := tocsin("tenant", "erase", "7", "-confirm", "7")
	require.Regexp(t, `(?m)^tenant_links +1$`, said)
	require.Contains(t, said, "then Tocsin looks once more")
	_, err := p.Stop()
	require.NoError(t, err)
	require.NotRegexp(t, `(?m)^7 `, tocsin("tenant", "list", "42"))
	require.Contains(t, tocsin("tenant", "erase", "7", "-confirm", "7"), "0 rows of tenant 7 are removed")
	require.Contains(t, tocsin("tenant", "erase", "7", "-confirm", "7"), "1 rows of tenant 7 are removed")
}

// inArchive is the text of a file of an export.
func inArchive(t *testing.T, path, name string) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer z.Close()
	f, err := z.Open(name)
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(text)
}

// exportsNoted is how many entries of an archive's activity log tell of an export.
func exportsNoted(t *testing.T, path string) (n int) {
	t.Helper()
	for line := range strings.Lines(inArchive(t, path, "activity.jsonl")) {
		if strings.Contains(line, `"export"`) {
			n++
		}
	}
	return n
}

// An empty variable of a shell, or another word in the address's place, would be all of the tenant or of a domain.
func TestAPersonWhoIsNamedByNoAddressIsNotExported(t *testing.T) {
	folder := furnished(t)
	to := folder + "/x.zip"
	for _, over := range [][]string{{"-state", folder + "/tocsin.db"}, {"-url", "http://127.0.0.1:1", "-token", "x"}} {
		for _, nobody := range []string{"", " ", "a", "example.com", "@example.com", "not an address"} {
			said := fails(t, append([]string{"tenant", "export", "42", "-to", to, "-person", nobody}, over...)...)
			require.Contains(t, said, "is not an e-mail address")
			require.Contains(t, said, "name the person by the address")
		}
	}
	require.NoFileExists(t, to)
	said := command(t, "tenant", "export", "42", "-to", to, "-state", folder+"/tocsin.db")
	require.Contains(t, said, "kept of tenant 42.")
	require.Equal(t, 1, exportsNoted(t, to), "one of them was an export")
	require.Contains(t, inArchive(t, to, "README.txt"), "What Tocsin kept of tenant 42 on ")
}

func TestATenantOfWhomNothingIsKeptLeavesNoArchiveAndGetsNoLog(t *testing.T) {
	folder := furnished(t)
	export := []string{"tenant", "export", "nobody", "-to", folder + "/x.zip", "-state", folder + "/tocsin.db"}
	for range 2 {
		require.Contains(t, fails(t, export...), "nothing is kept of tenant nobody: no archive was made")
		require.NoFileExists(t, folder+"/x.zip")
	}
}

func TestWhatTheProgramsOwnCommandsAskForNobodyTypes(t *testing.T) {
	folder := furnished(t)
	state := []string{"-state", folder + "/tocsin.db"}
	require.Contains(t, fails(t, append([]string{"tenant", "note-export", "42"}, state...)...), "usage: tocsin tenant")
	require.NotContains(t, command(t, "__complete", "tenant", ""), "note-export")
	to := folder + "/42.zip"
	command(t, append([]string{"tenant", "export", "42", "-to", to}, state...)...)
	require.Equal(t, 1, exportsNoted(t, to))
}

// What is written after the answer is found by the pass that follows: see Jobs in enginetest/erasuretest.
func TestATenantIsErasedByACommandWhileARequestIsSent(t *testing.T) {
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	came, answer := make(chan struct{}, 100), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		came <- struct{}{}
		<-answer
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	folder := t.TempDir()
	p := running(t, folder, "-allow", host, "-log-level", "error")
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "hook", "events": []map[string]any{{"event": "siem"}},
		"parameters": map[string]any{"url": "http://" + host + "/"},
	}, nil))
	require.NoError(t, p.Publish(embedded.Entry{Source: "test", DetailType: "new_hits", Detail: `{"version":1,"id":"h",` +
		`"tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli"}}}`}))
	select {
	case <-came:
	case <-time.After(patience.Long):
		require.FailNow(t, "no request came")
	}
	erase := []string{"tenant", "erase", "42", "-confirm", "42", "-state", folder + "/tocsin.db"}
	said := command(t, erase...)
	require.Regexp(t, `(?m)^integrations +1$`, said)
	require.Contains(t, said, "What is being sent at this moment has 4m0s")
	close(answer)
	require.Contains(t, command(t, erase...), "looks once more", "the same erasure is at work still")
	_, err = p.Stop()
	require.NoError(t, err)
	counted := command(t, erase...)
	for _, table := range []string{"integrations", "events", "lanes", "pending", "blocks", "people"} {
		require.NotRegexp(t, `(?m)^`+table+` `, counted, "only counts of what was being sent are left")
	}
}

func TestTenantsAreLinkedByCommandsWhetherTheProgramRunsOrNot(t *testing.T) {
	folder := furnished(t)
	state := []string{"-state", folder + "/tocsin.db"}
	tocsin := func(args ...string) string { return command(t, append(args, state...)...) }
	require.Contains(t, tocsin("tenant", "link", "7", "-technical", "42", "-client-name", "Seven"),
		"Global roles of tenant 42 act for 7 now.")
	p := running(t, folder)
	require.Contains(t, tocsin("tenant", "link", "-technical", "42", "8"), "act for 8")
	for said, args := range map[string][]string{
		"name the technical tenant with -technical": {"tenant", "link", "9"},
		"not the id of a tenant":                    {"tenant", "link", "*", "-technical", "42"},
		"can not be linked to itself":               {"tenant", "link", "42", "-technical", "42"},
		"tenant 9 is not linked to 42":              {"tenant", "unlink", "9", "-technical", "42"},
		"usage: tocsin tenant link":                 {"tenant", "list"},
	} {
		require.Contains(t, fails(t, append(args, state...)...), said)
	}
	list := tocsin("tenant", "list", "42")
	require.Regexp(t, `(?m)^TENANT +COMPANY +LINKED +BY$`, list)
	require.Regexp(t, `(?m)^7 +Seven +20`, list)
	require.Contains(t, tocsin("tenant", "unlink", "8", "-technical", "42"), "Nobody of tenant 42 acts for 8")
	_, err := p.Stop()
	require.NoError(t, err)
	require.NotRegexp(t, `(?m)^8 `, tocsin("tenant", "list", "42"))
}

func TestAPersonIsErasedByACommandWhetherTheProgramRunsOrNot(t *testing.T) {
	folder := furnished(t)
	state := []string{"-state", folder + "/tocsin.db"}
	tocsin := func(args ...string) string { return command(t, append(args, state...)...) }
	tocsin("user", "add", "ada@example.com", "-role", "analyst", "-name", "Ada Lovelace", "-tenant", "7")
	erase := []string{"tenant", "erase", "7", "-person", "Ada@example.com"}
	for _, of := range [][]string{erase, append(erase, "-confirm", "7"),
		{"tenant", "erase", "7", "-person", "", "-confirm", "7"}} {
		require.Contains(t, fails(t, append(of, state...)...), "would be gone for good: say -confirm")
	}
	require.Contains(t, fails(t, append([]string{"tenant", "erase", "7", "-person", "example.com", "-confirm",
		"example.com"}, state...)...), "name the person by the address")
	require.Contains(t, fails(t, append([]string{"tenant", "erase", "7", "-dry-run"}, state...)...),
		"is for one person")
	dry := tocsin(append(erase, "-dry-run")...)
	require.Regexp(t, `(?m)^accounts +1$`, dry)
	require.Contains(t, dry, "2 rows name the person. Nothing was changed.")
	require.Contains(t, tocsin("user", "list"), "ada@example.com")

	p := running(t, folder)
	said := tocsin(append(erase, "-confirm", "Ada@example.com")...)
	require.Regexp(t, `(?m)^accounts +1$`, said)
	require.Contains(t, said, "then Tocsin looks once more")
	require.Regexp(t, `What is left of the person is told under "erased person [0-9a-f]{12}"`, said)
	_, err := p.Stop()
	require.NoError(t, err)
	require.NotContains(t, tocsin("user", "list"), "ada@example.com")
	require.NotContains(t, tocsin(append(erase, "-confirm", "Ada@example.com")...), "looks once more")
	require.Contains(t, tocsin(append(erase, "-dry-run")...), "0 rows name the person")
	raw, err := os.ReadFile(folder + "/tocsin.db")
	require.NoError(t, err)
	require.NotContains(t, strings.ToLower(string(raw)), "ada lovelace")
}

// TestAnOperatorOfThisMachineExportsOverTheAPI as docs/leaving.md says; a role that there is not is told with those
// that there are.
func TestAnOperatorOfThisMachineExportsOverTheAPI(t *testing.T) {
	folder := t.TempDir()
	p := running(t, folder, "-log-level", "error")
	state := []string{"-state", folder + "/tocsin.db"}
	command(t, append([]string{"user", "add", "joan@example.com", "-role", "operator"}, state...)...)
	require.Contains(t, fails(t, append([]string{"token", "create", "x", "-role", "boss"}, state...)...),
		`"boss" is no role: choose one of administrator, analyst,`)
	made := command(t, append([]string{"token", "create", "leaving", "-kind", "personal", "-email",
		"joan@example.com"}, state...)...)
	t.Setenv("TOCSIN_TOKEN", regexp.MustCompile(`(?m)^  (\S{64})$`).FindStringSubmatch(made)[1])
	command(t, "tenant", "export", "42", "-to", folder+"/42.zip", "-url", p.URL)
	require.FileExists(t, folder+"/42.zip")
}
