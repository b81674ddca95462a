package main_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite"
)

func TestPeopleAreKeptByCommandsWhetherTheProgramRunsOrNot(t *testing.T) {
	folder := furnished(t)
	state := []string{"-state", folder + "/tocsin.db"}
	tocsin := func(args ...string) string { return command(t, append(args, state...)...) }
	require.Contains(t, tocsin("user", "add", "grace@example.com", "-role", "analytic", "-name", "Grace"),
		"grace@example.com may sign in to tenant 42 as analyst")
	require.Contains(t, fails(t, append([]string{"sign-in", "grace@example.com"}, state...)...),
		"the program does not run: start it")
	p := running(t, folder)
	info, err := os.Stat(folder + "/tocsin.db.control")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for said, args := range map[string][]string{
		"this person is known already":                   {"user", "add", "Grace@Example.com", "-role", "analyst"},
		`"boss" is no role: choose one of administrator`: {"user", "add", "joe@example.com", "-role", "boss"},
		"say what joe@example.com may do, with -role":    {"user", "add", "joe@example.com"},
		"is not an e-mail address":                       {"user", "add", "joe", "-role", "analyst"},
		"the tenant \"*\" is not right": {"user", "add", "joe@example.com", "-role", "admin",
			"-tenant", "*"},
		"joe@example.com: this person is not known":          {"sign-in", "joe@example.com"},
		"grace@example.com of tenant 43: this person is not": {"user", "disable", "grace@example.com", "-tenant", "43"},
		"usage: tocsin user add EMAIL":                       {"user", "remove", "grace@example.com"},
		"usage: tocsin sign-in EMAIL":                        {"sign-in"},
	} {
		require.Contains(t, fails(t, append(args, state...)...), said)
	}
	require.Contains(t, tocsin("user", "add", "grace@example.com", "-role", "auditor", "-tenant", "43"), "tenant 43")
	require.Contains(t, fails(t, append([]string{"sign-in", "grace@example.com"}, state...)...),
		"grace@example.com is a person of the tenants 42, 43: name one with -tenant")
	require.Contains(t, tocsin("sign-in", "grace@example.com", "-tenant", "42"), p.URL+"/sign-in#code=")
	require.Contains(t, tocsin("user", "disable", "grace@example.com", "-tenant", "42"), "is disabled")
	require.Contains(t, fails(t, append([]string{"sign-in", "grace@example.com", "-tenant", "42"}, state...)...),
		"this person is disabled")
	require.Contains(t, tocsin("user", "enable", "-tenant", "42", "grace@example.com"), "may sign in")
	require.Contains(t, tocsin("user", "change", "grace@example.com", "-tenant", "42", "-role", "read_only"),
		"has the role read_only now")
	list := tocsin("user", "list")
	require.Regexp(t, `(?m)^TENANT +EMAIL +NAME +ROLE +STATE$`, list)
	require.Regexp(t, `(?m)^42 +admin@example.com +Local Administrator +administrator +enabled$`, list)
	require.Regexp(t, `(?m)^42 +grace@example.com +Grace +read_only +enabled$`, list)
	require.NotContains(t, p.Output(), "#code=", "no link is logged")
	_, err = p.Stop()
	require.NoError(t, err)
	require.NoFileExists(t, folder+"/tocsin.db.control")
	require.Equal(t, list, tocsin("user", "list"))

	db, err := sqlite.Open(t.Context(), folder+"/tocsin.db", sqlite.Options{})
	require.NoError(t, err)
	defer db.Close()
	page, err := db.ActivityLog().List(t.Context(), activity.Query{Tenant: "42", Object: activity.User,
		ObjectID: "grace@example.com", Limit: 10})
	require.NoError(t, err)
	var actions []activity.Action
	for _, e := range page.Entries {
		require.Equal(t, access.FromPlatform, e.Source)
		actions = append(actions, e.Action)
	}
	require.Equal(t, []activity.Action{activity.Update, activity.Enable, activity.Disable, activity.Create}, actions)
}

func TestACommandOfAnotherProcessNeedsTheSecretOfTheControlFile(t *testing.T) {
	folder := furnished(t)
	running(t, folder)
	raw, err := os.ReadFile(folder + "/tocsin.db.control")
	require.NoError(t, err)
	at := regexpAddress.FindSubmatch(raw)
	require.NotNil(t, at)
	r, err := http.Post("http://"+string(at[1])+"/", "application/json", nil)
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, http.StatusUnauthorized, r.StatusCode)
}

func TestThePersonOfTheFlagsIsTheFirstAndChangesOnlyWhenAFlagSaysSo(t *testing.T) {
	folder := t.TempDir()
	start := func(args ...string) {
		t.Helper()
		p := running(t, folder, args...)
		_, err := p.Stop()
		require.NoError(t, err)
	}
	list := func() string { return command(t, "user", "list", "-state", folder+"/tocsin.db") }
	start("-email", "ada@example.com", "-name", "Ada")
	require.Regexp(t, `(?m)^42 +ada@example.com +Ada +administrator +enabled$`, list())
	require.NotContains(t, list(), "admin@example.com")
	start()
	require.NotContains(t, list(), "admin@example.com", "somebody is known already")
	start("-email", "ada@example.com", "-role", "operator")
	require.Regexp(t, `(?m)^42 +ada@example.com +Ada +operator +enabled$`, list())
	start("-email", "ada@example.com")
	require.Regexp(t, `(?m)^42 +ada@example.com +Ada +operator +enabled$`, list())
}
