package hold_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/hold"
)

func TestRulesThatCanNotBeKeptNameTheirField(t *testing.T) {
	t.Parallel()
	now := at("2026-06-01T21:00:00Z")
	const zone = `"zone":"Europe/Berlin"`
	for rules, want := range map[string]string{
		`{}`: "",
		`{"quiet":[{"from":"22:00","to":"07:00",` + zone + `}],"then":"digest","pass":[]}`:                  "",
		`{"quiet":[{"days":["sat","sun"],` + zone + `}],"pass":["vuln_high","create_user"]}`:                "",
		`{"quiet":[{"first":"2026-12-24","last":"2026-12-26",` + zone + `}]}`:                               "",
		`{"quiet":[{"from":"00:00","to":"23:00",` + zone + `}]}`:                                            "",
		`{"quiet":[{"from":"22:00","to":"07:00"}]}`:                                                         "hold.quiet.0.zone",
		`{"quiet":[{"from":"22:00","to":"07:00","zone":"Local"}]}`:                                          "hold.quiet.0.zone",
		`{"quiet":[{"from":"22:00","to":"07:00","zone":"Mars"}]}`:                                           "hold.quiet.0.zone",
		`{"quiet":[{"from":"22:00",` + zone + `}]}`:                                                         "hold.quiet.0.to",
		`{"quiet":[{"from":"9:00","to":"10:00",` + zone + `}]}`:                                             "hold.quiet.0.from",
		`{"quiet":[{"from":"24:00","to":"10:00",` + zone + `}]}`:                                            "hold.quiet.0.from",
		`{"quiet":[{"from":"22:00","to":"22:00",` + zone + `}]}`:                                            "hold.quiet.0.to",
		`{"quiet":[{"days":["sat","caturday"],` + zone + `}]}`:                                              "hold.quiet.0.days.1",
		`{"quiet":[{"days":["sat","sat"],` + zone + `}]}`:                                                   "hold.quiet.0.days.1",
		`{"quiet":[{"first":"2026-02-30","last":"2026-03-01",` + zone + `}]}`:                               "hold.quiet.0.first",
		`{"quiet":[{"first":"2026-12-24",` + zone + `}]}`:                                                   "hold.quiet.0.last",
		`{"quiet":[{"first":"2026-12-24","last":"2026-12-23",` + zone + `}]}`:                               "hold.quiet.0.last",
		`{"quiet":[{"first":"2026-12-01","last":"2027-01-01",` + zone + `}]}`:                               "hold.quiet.0.last",
		`{"quiet":[{"days":["mon"],"first":"2026-12-24","last":"2026-12-27",` + zone + `}]}`:                "hold.quiet.0.days",
		`{"quiet":[{"days":["sun","mon"],"first":"2026-12-24","last":"2026-12-27",` + zone + `}]}`:          "",
		`{"quiet":[{"days":["wed"],"first":"2026-12-24","last":"2026-12-30",` + zone + `}]}`:                "",
		`{"quiet":[{"days":["mon"],"first":"2026-12-24","last":"2026-12-24",` + zone + `}]}`:                "hold.quiet.0.days",
		`{"quiet":[{` + zone + `}]}`:                                                                        "hold.quiet",
		`{"quiet":[{"from":"00:00","to":"12:00",` + zone + `},{"from":"12:00","to":"24:00",` + zone + `}]}`: "hold.quiet",
		`{"quiet":[{"first":"2026-12-01","last":"2026-12-20",` + zone + `},
			{"first":"2026-12-21","last":"2027-01-10",` + zone + `}]}`: "hold.quiet",
		`{"then":"later"}`:                   "hold.then",
		`{"pass":["siem","vuln"]}`:           "",
		`{"pass":["nothing"]}`:               "hold.pass.0",
		`{"pass":["siem","siem"]}`:           "hold.pass.1",
		`{"pass":["report_daily"]}`:          "hold.pass.0",
		`{"pass":["integration_failing"]}`:   "hold.pass.0",
		`{"quiet":[` + many(zone, 21) + `]}`: "hold.quiet",
	} {
		var r hold.Rules
		require.NoError(t, json.Unmarshal([]byte(rules), &r), rules)
		problems := hold.Check(r, "hold", true, now)
		if want == "" {
			require.Empty(t, problems, rules)
			continue
		}
		require.Len(t, problems, 1, rules)
		require.Equal(t, want, problems[0].Field, rules)
	}
	problems := hold.Check(hold.Rules{Then: hold.Digest}, "hold", false, now)
	require.Len(t, problems, 1, "a machine takes no digest")
	require.Equal(t, "hold.then", problems[0].Field)
}

func many(zone string, n int) string {
	one := `{"days":["sat"],"from":"01:00","to":"02:00",` + zone + `}`
	return strings.Repeat(one+",", n-1) + one
}

func TestRulesAreTheSameAfterJSON(t *testing.T) {
	t.Parallel()
	for _, r := range []hold.Rules{{}, {Pass: []string{}}, {Pass: []string{"siem"}, OwnOnly: true, Then: hold.Drop,
		Quiet: []hold.Quiet{{Days: []hold.Day{"mon"}, From: "01:00", To: "24:00", Zone: "UTC"}},
		Mute:  &hold.Mute{Until: at("2026-06-01T21:00:00Z"), Reason: "migration", By: "ada@example.com"}}} {
		raw, err := json.Marshal(r)
		require.NoError(t, err)
		var back hold.Rules
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, r, back, string(raw))
	}
}

func TestAMuteHasHoursAndAReason(t *testing.T) {
	t.Parallel()
	require.Empty(t, hold.CheckMute(2, "database migration", "", true))
	require.Empty(t, hold.CheckMute(720, "x", hold.Digest, true))
	for field, problems := range map[string][]string{
		"hours": {hold.CheckMute(0, "x", "", true)[0].Field, hold.CheckMute(721, "x", "", true)[0].Field},
		"reason": {hold.CheckMute(1, " ", "", true)[0].Field, hold.CheckMute(1, "a\nb", "", true)[0].Field,
			hold.CheckMute(1, strings.Repeat("é", 201), "", true)[0].Field},
		"then": {hold.CheckMute(1, "x", hold.Digest, false)[0].Field, hold.CheckMute(1, "x", "later", true)[0].Field},
	} {
		for _, got := range problems {
			require.Equal(t, field, got)
		}
	}
}
