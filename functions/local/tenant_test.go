package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
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
	p := running(t, folder)
	require.Contains(t, tocsin("tenant", "export", "7", "-to", folder+"/again.zip"), "rows of 2 tables")
	require.Regexp(t, `(?m)^tenant_links +1$`, tocsin("tenant", "erase", "7", "-confirm", "7"))
	_, err := p.Stop()
	require.NoError(t, err)
	require.NotRegexp(t, `(?m)^7 `, tocsin("tenant", "list", "42"))
	require.Contains(t, tocsin("tenant", "erase", "7", "-confirm", "7"), "1 rows of tenant 7 are removed")
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
