package console_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFileThatFallsBackToWhatItPrunesIsRefused(t *testing.T) {
	r := start(t)
	const section = "version: 1\nintegrations:\n"
	one := func(name, more string) string {
		return "  " + name + ":\n    system: slack\n" + more +
			"    parameters:\n      webhook_url: " + slackURL + name + "\n"
	}
	r.applied(section+one("Alpha", "")+one("Beta", "    fallback: Alpha\n"), nil, false)
	before := r.exportedState()
	_, _, err := r.planned(section+one("Beta", "    fallback: Alpha\n"), nil, true)
	require.ErrorContains(t, err, `line 3: integration "Beta": there is no integration "Alpha" for its fallback`)
	require.Equal(t, before, r.exportedState())
	require.Equal(t, []string{"change integration Beta", "remove integration Alpha"},
		outcomes(changes(r.applied(section+one("Beta", ""), nil, true))), "it is given up first")
	require.NotContains(t, r.exported(true), "fallback")
}

func TestWhatAnInstallationWouldRefuseOfAFileIsToldBeforeTheFirstChange(t *testing.T) {
	r := start(t)
	before := r.exportedState()
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(small) }
	ops := func(member string) string { return replace("    events: [system]\n", "    events: [system]\n"+member) }
	for name, c := range map[string]struct{ document, says string }{
		"a template": {ops("    message_template: {title: \"{{.Nobody}}\"}\n"),
			`line 6: integration "Ops": message_template: title: `},
		"no free hour": {ops("    hold: {quiet: [{zone: UTC}]}\n"), `line 6: integration "Ops": hold: `},
		"a zone":       {ops("    hold: {quiet: [{zone: Europe/Nowhere, from: \"22:00\", to: \"07:00\"}]}\n"), "zone"},
		"a pattern of an integration": {ops("    filters: [{id: url, operator: eq, values: [\"~^/a\"]}]\n"),
			"must not be a regular expression here"},
		"a pattern of a trigger": {replace("user_created\n", "attacks_exceeded\n"+
			"    threshold: {count: 1, period: 60}\n    filters: [{id: url, operator: eq, values: [\"~(\"]}]\n"),
			`trigger "People"`},
		"a zone of reports": {small + "report_settings: {time_zone: Mars/Base}\n", "time_zone"},
		"quiet hours of an account": {small + "report_settings: {time_zone: UTC, hold: {quiet: [{zone: UTC}]}}\n",
			"line 15: report_settings: hold"},
		"a certificate": {replace("timeout: 30", "client_certificate: x, client_key: y"),
			"client_certificate: is not a certificate in PEM form"},
		"a grouping": {ops("    grouping: 5 in 5m\n"), "line 6: integration \"Ops\": grouping: must be a number of " +
			"events from 2 to 1000 and of minutes from 1 to 60, such as 50/5m; or empty"},
		"a storm guard": {ops("    storm_guard: many\n"), "must be a whole number from 1 to 1000 and minute, such as"},
		"a rate":        {ops("    rate: fast\n"), "must be a whole number from 1 to 1000, and second or minute"},
		"a grouping of what programs read": {replace("    system: web_hooks\n", "    system: web_hooks\n    grouping: "+
			"50/5m\n"), "grouping"},
		"a filter that can never apply": {replace("    events: [system]\n", "    events: [system]\n    filters: "+
			"[{id: severity, operator: eq, values: [high]}]\n"), `line 6: integration "Ops": filters: id: can never ` +
			"apply: only events of vuln_high, "},
		"filters of a trigger that leave all out": {replace("user_created\n", "user_created\n    filters: [{id: "+
			"role, operator: eq, values: [admin]}]\n") + "  Burst:\n    template_id: " +
			"attacks_exceeded\n    threshold: {count: 1, period: 60}\n    filters:\n" +
			"      - {id: target, operator: eq, values: [server]}\n" +
			"      - {id: target, operator: eq, values: [client]}\n" +
			"    actions:\n      - {id: send_notification, integrations: [Ops]}\n", "no event can pass it together"},
		"another key pair each time": {replace("timeout: 30", "signing_key: rotate"),
			"would make a new key pair each time it is applied: write generate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := r.planned(c.document, hookEnv, false)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "line ")
			require.NotContains(t, err.Error(), "must match")
		})
	}
	require.Equal(t, before, r.exportedState())
}

func TestAWrongParameterOfAnIntegrationThatIsThereIsToldBeforeTheFirstChange(t *testing.T) {
	r := start(t)
	var document strings.Builder
	document.WriteString("version: 1\nintegrations:\n")
	for n := range 5 {
		fmt.Fprintf(&document, "  Hook %d:\n    system: web_hooks\n    events: [system]\n    parameters:\n"+
			"      url: https://hooks.example.com/%d\n      headers: {X-Key: \"${KEY}\"}\n", n, n)
	}
	r.applied(document.String(), map[string]string{"KEY": "k3y"}, false)
	before := r.exportedState()
	without := strings.ReplaceAll(strings.ReplaceAll(document.String(), "      headers: {X-Key: \"${KEY}\"}\n", ""),
		"[system]", "[scope]")
	for name, c := range map[string]struct{ to, says string }{
		"a certificate": {"https://hooks.example.com/4\n      ca_file: no certificate",
			`line 28: integration "Hook 4": parameters: ca_file: is not a certificate in PEM form`},
		"a certificate for the key that stays": {"https://hooks.example.com/4\n      client_certificate: none",
			`client_certificate: is not a certificate in PEM form`},
		"who receives the secrets that stay": {"https://other.example.com/4", `line 26: integration "Hook 4": ` +
			`parameters: headers: X-Key: enter it again: what decides who receives it was changed`},
	} {
		_, _, err := r.planned(strings.Replace(without, "https://hooks.example.com/4", c.to, 1), nil, false)
		require.ErrorContains(t, err, c.says, name)
	}
	require.Equal(t, before, r.exportedState())
	require.Len(t, r.applied(without, nil, false), 5, "the same without the fault")
}

func TestAFileWithAFilterThatNeverAppliedCanBeAppliedUntilItsFilterOrTypesAreOthers(t *testing.T) {
	r := start(t)
	r.neverApplies()
	document := r.exported(true)
	require.Contains(t, document, "country")
	require.Empty(t, r.applied(document, nil, false))
	require.Equal(t, []string{"change integration Hook"}, outcomes(r.applied(strings.Replace(document, "timeout: 15",
		"timeout: 20", 1), nil, false)))
	for _, change := range [][2]string{{"NL", "PL"}, {"events:\n      - system", "events:\n      - scope"}} {
		require.Contains(t, document, change[0])
		_, _, err := r.planned(strings.Replace(document, change[0], change[1], 1), nil, false)
		require.ErrorContains(t, err, "can never apply")
	}
}

func TestAFileWhoseTemplatesMakeNothingOfWhatItsTriggersSendIsToldSo(t *testing.T) {
	r := start(t)
	worded := func(title string) string {
		return strings.Replace(small, "events: [system]\n",
			"events: [vuln_high]\n    message_template: {title: \""+title+"\"}\n", 1)
	}
	const note = `the message template of integration "Ops" makes nothing of what trigger "People" sends: ` +
		"the standard words are sent"
	plan, _, err := r.planned(worded("{{.Title}}"), hookEnv, false)
	require.NoError(t, err)
	require.Contains(t, plan.Notes, note)
	r.applied(worded("{{.Title}}"), hookEnv, false)
	plan, _, err = r.planned(worded("{{or .Title .User}}"), hookEnv, false)
	require.NoError(t, err)
	require.NotContains(t, plan.Notes, note)
	// as the installation: the trigger that is there sends to it
	_, _, err = r.planned(worded("{{.Title}} {{.Host}}"), hookEnv, false)
	require.ErrorContains(t, err, `line 3: integration "Ops": message_template.title: makes no title of an event of `+
		`the kind create_user, which the trigger "People" sends to it`)
	plan, _, err = r.planned(worded("{{.Title}}"), hookEnv, false)
	require.NoError(t, err, "what stays is not looked at")
	require.Contains(t, plan.Notes, note)
}
