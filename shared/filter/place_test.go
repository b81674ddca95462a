package filter

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

func listOf(t *testing.T, text string) (list []Filter) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &list), text)
	return list
}

const (
	fromNL   = `{"id":"country","operator":"eq","values":["NL"]}`
	notNL    = `{"id":"country","operator":"ne","values":["NL"]}`
	critical = `{"id":"severity","operator":"eq","values":["critical"]}`
)

func TestAFilterThatCanNeverApplyToAnIntegrationIsRefused(t *testing.T) {
	const all = "leaves everything out for ever: "
	for _, c := range []struct {
		takes, offered []event.Type
		filters, want  string
	}{
		{[]event.Type{event.System}, event.Advanced(), fromNL, "filters.0.id can never apply: only events of siem " +
			"have what it looks at, and none of these types is chosen"},
		{[]event.Type{event.System}, event.Advanced(), notNL, "filters.0.id can never apply: only events of siem"},
		{[]event.Type{event.System}, event.Basic(), fromNL, "filters.0.id can never apply: no event that comes here"},
		{[]event.Type{event.Scope}, event.Basic(), critical, "filters.0.id can never apply: only events of " +
			"vuln_high, vuln_medium, vuln_low, security_issue_critical, security_issue_high, security_issue_medium, " +
			"security_issue_low, security_issue_info have"},
		{[]event.Type{event.ReportDaily}, event.Mailed(), critical, "filters.0.id can never apply: only events of v"},
		{[]event.Type{event.VulnLow}, event.Basic(), critical, "filters.0.values " + all + "only events of " +
			"security_issue_critical can pass it, and none of these types is chosen"},
		{[]event.Type{event.System}, event.Basic(), `{"id":"kind","operator":"eq","values":["vuln"]}`,
			"filters.0.values " + all + "only events of vuln_high, vuln_medium, vuln_low can"},
		{[]event.Type{event.Hits}, event.Advanced(), `{"id":"kind","operator":"ne","values":["new_hits"]}`,
			"filters.0.values " + all + "only events of system"},
		{[]event.Type{event.Hits}, event.Advanced(), `{"id":"kind","operator":"eq","values":["attacks_exceeded"]}`,
			"filters.0.values " + all + "no event can pass it"},
		{[]event.Type{event.Hits}, event.Advanced(), fromNL + `,{"id":"country","operator":"ne","values":["nl"]}`,
			"filters.1.values " + all + "no event can pass it together with the filters before it"},
		{[]event.Type{event.Hits}, event.Advanced(), `{"id":"response_status","operator":"eq","values":["404"]},` +
			`{"id":"response_status","operator":"ne","values":["4xx"]}`, "filters.1.values " + all + "no event"},
		{[]event.Type{event.Hits, event.System}, event.Advanced(),
			`{"id":"kind","operator":"ne","values":["new_hits"]},` + fromNL,
			"filters.1.id can never apply: the other filters leave out"},
		{[]event.Type{event.Hits, event.System}, event.Advanced(), fromNL, ""},
		{[]event.Type{event.Hits}, event.Advanced(), fromNL + "," + notNL + `,{"id":"domain","operator":"eq",` +
			`"values":["a.example"]}`, "filters.1.values"},
		{[]event.Type{event.VulnLow, event.IssueCritical}, event.Basic(), critical, ""},
		{[]event.Type{event.Scope}, event.Basic(), `{"id":"domain","operator":"eq","values":["a.example"]},` +
			`{"id":"domain","operator":"eq","values":["b.example"]}`, ""}, // an event can have both
	} {
		list := listOf(t, "["+c.filters+"]")
		require.Empty(t, CheckIntegration(list, "Slack"))
		problems := PlaceOfIntegration(c.takes, c.offered).Check(list)
		if c.want == "" {
			require.Empty(t, problems, c.filters)
			continue
		}
		require.Len(t, problems, 1, c.filters)
		require.Contains(t, problems[0].Field+" "+problems[0].Reason, c.want)
	}
}

func TestAReportOrATriggerWhoseFiltersSelectNothingIsRefused(t *testing.T) {
	for filters, want := range map[string]string{
		fromNL + "," + critical: "filters.1.values leaves everything out for ever: no event can pass it together",
		notNL + "," + critical:  "filters.0.id can never apply: the other filters",
		`{"id":"kind","operator":"eq","values":["vuln"]},{"id":"pool","operator":"eq","values":[7]}`: "filters.1.value",
		`{"id":"kind","operator":"eq","values":["vuln"]},{"id":"pool","operator":"ne","values":[-1]}`: "filters." +
			"1.values leaves everything out",
		`{"id":"attack_type","operator":"eq","values":["sqli"]},` + critical: "", // an incident has both
		fromNL: "",
	} {
		problems := CheckReport(listOf(t, "["+filters+"]"))
		if want == "" {
			require.Empty(t, problems, filters)
			continue
		}
		require.NotEmpty(t, problems, filters)
		require.Contains(t, problems[0].Field+" "+problems[0].Reason, want)
	}
	both := `[{"id":"attack_type","operator":"eq","values":["sqli"]},` +
		`{"id":"attack_type","operator":"ne","values":["sqli"]}]`
	problems := CheckTrigger(listOf(t, both), []ID{ByType}, "Hits", []event.Kind{event.NewHits})
	require.Len(t, problems, 1)
	require.Equal(t, "filters.1.values", problems[0].Field)
}

// whole is a value of a published schema all of whose members are there.
func whole(schema map[string]any) any {
	kind := schema["type"]
	if several, ok := kind.([]string); ok {
		kind = several[0]
	}
	switch kind {
	case "object":
		out := map[string]any{}
		members, _ := schema["properties"].(map[string]any)
		for name, of := range members {
			out[name] = whole(of.(map[string]any))
		}
		return out
	case "array":
		return []any{whole(schema["items"].(map[string]any))}
	case "integer", "number":
		return 7
	case "boolean":
		return true
	}
	if schema["format"] == "date-time" {
		return "2023-03-01T00:00:00Z"
	}
	return "203.0.113.7"
}

// TestTheKindsThatAFilterAsksAreThoseThatHaveWhatItLooksAt holds the table against what is read of an event all of
// whose members, by its published schema, are there.
func TestTheKindsThatAFilterAsksAreThoseThatHaveWhatItLooksAt(t *testing.T) {
	for _, k := range event.Kinds() {
		members := k.Schema()["properties"].(map[string]any)
		data, err := json.Marshal(whole(members["data"].(map[string]any)))
		require.NoError(t, err)
		s := See(event.Event{Kind: k, Data: data})
		has := map[ID]bool{ByKind: true, ByURL: s.URL != "", ByDomain: s.Domain+strings.Join(s.Domains, "") != "",
			ByApplication: len(s.Applications) > 0, ByIP: len(s.Addresses) > 0, ByStatus: s.Status != 0,
			ByRole: len(s.Roles) > 0, ByPII: len(s.PII) > 0}
		for id, of := range single {
			has[id] = of(&s) != ""
		}
		for id := range rules {
			require.Equal(t, has[id], id.Asks(k), "%s of %s", id, k)
		}
	}
}

// world are events of every value that the filters of anyList name, and of others.
func world(t *testing.T) map[event.Type][]Subject {
	out := map[event.Type][]Subject{}
	add := func(k event.Kind, data string) {
		e := eventOf(t, k, data)
		out[e.Type()] = append(out[e.Type()], See(e))
	}
	for _, kind := range []string{"sqli", "xss", "rce"} {
		for _, country := range []string{`"NL"`, `"pl"`, `"DE"`, "null"} {
			for _, status := range []int{0, 200, 404, 410, 503} {
				add(event.NewHits, fmt.Sprintf(`{"hit":{"type":%q,"remote_country":%s,"response_status":%d}}`, kind,
					country, status))
			}
		}
	}
	for _, threat := range []string{"High", "Medium", "Low"} {
		add(event.Vuln, fmt.Sprintf(`{"vuln":{"id":"V","threat":%q}}`, threat))
	}
	add(event.CreateUser, `{"user":{"name":"Ada"}}`)
	return out
}

func anyList(r *rand.Rand) (out []Filter) {
	values := map[ID][]Value{ByType: {"sqli", "xss"}, ByCountry: {"nl", "PL"}, ByStatus: {"2xx", "4xx", "404"},
		BySeverity: {"high", "low"}, ByKind: {"vuln", "new_hits"}}
	ids := []ID{ByType, ByCountry, ByStatus, BySeverity, ByKind}
	for range 1 + r.IntN(3) {
		f := Filter{ID: ids[r.IntN(len(ids))], Operator: []string{Equal, NotEqual}[r.IntN(2)]}
		for _, v := range values[f.ID] {
			if r.IntN(2) > 0 || len(f.Values) == 0 {
				f.Values = append(f.Values, v)
			}
		}
		out = append(out, f)
	}
	return out
}

// TestWhatIsSaidOfFiltersIsSoOfEveryEvent: the oracle tries each list on all events of a small world.
func TestWhatIsSaidOfFiltersIsSoOfEveryEvent(t *testing.T) {
	r, all := rand.New(rand.NewPCG(19, 2)), world(t)
	offered := []event.Type{event.Hits, event.VulnHigh, event.VulnLow, event.System}
	said := map[string]int{}
	for range 6000 {
		list, takes := anyList(r), []event.Type{}
		var events []Subject
		for _, of := range offered {
			if r.IntN(2) > 0 {
				takes, events = append(takes, of), append(events, all[of]...)
			}
		}
		if len(takes) == 0 {
			continue
		}
		passing := func(list []Filter) (out []int) {
			m, err := Compile(list)
			require.NoError(t, err)
			for n := range events {
				if m.Stopped(&events[n]) == "" {
					out = append(out, n)
				}
			}
			return out
		}
		// Of the many events of users the world has one kind.
		place := Place{Passes: true, Sent: slices.DeleteFunc(SentOf(takes), func(s Sent) bool {
			return s.Type == event.System && s.Kind != event.CreateUser
		})}
		problems := place.Check(list)
		none := len(passing(list)) == 0
		if none {
			require.NotEmpty(t, problems, "%+v of %v", list, takes)
		}
		for _, p := range problems {
			if strings.HasPrefix(p.Reason, "leaves everything out") {
				require.True(t, none, "%+v of %v", list, takes)
				said["all"]++
				continue
			}
			n, err := strconv.Atoi(strings.Split(p.Field, ".")[1])
			require.NoError(t, err)
			without := slices.Delete(slices.Clone(list), n, n+1)
			require.Equal(t, passing(without), passing(list), "%+v of %v: %s", list, takes, p)
			said["never"]++
		}
		if len(problems) == 0 {
			said["fit"]++
		}
	}
	require.Len(t, said, 3)
}
