package filter

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

func eventOf(t *testing.T, k event.Kind, data string) event.Event {
	t.Helper()
	raw := fmt.Sprintf(`{"version":1,"id":"e","tenant":"42","time":"2023-03-01T00:00:00Z","data":%s}`, data)
	e, err := event.Parse(string(k), json.RawMessage(raw))
	require.NoError(t, err, data)
	return e
}

func TestAFilterOfAnIntegrationAsksOnlyWhatAnEventCanHave(t *testing.T) {
	hit := `{"hit":{"type":"sqli","domain":"shop.example.com","path":"/v1/users/7","remote_country":"NL",` +
		`"response_status":404,"remote_addr4":"203.0.113.7","applications":["7"]}}`
	vuln := `{"vuln":{"id":"V1","domain":"Shop.example.com","path":"/v1/users","threat":"High","type":"XSS"}}`
	issue := `{"security_issue":{"id":"I1","host":"api.example.com","path":null,"risk":"Info"}}`
	domains := `{"data":[{"object_type":"domain","entity":{"domain":"Shop.example.com"}},` +
		`{"object_type":"domain","entity":{"domain":"old.example.com"}}]}`
	host := `{"data":[{"object_type":"service","entity":{"ip":"203.0.113.8","port":443}}]}`
	user := `{"user":{"name":"Ada"}}`
	for _, c := range []struct {
		kind   event.Kind
		data   string
		filter string
		want   ID
	}{
		{event.NewHits, hit, `{"id":"country","operator":"eq","values":["nl","BE"]}`, ""},
		{event.NewHits, hit, `{"id":"country","operator":"ne","values":["NL"]}`, ByCountry},
		{event.NewHits, `{"hit":{"type":"xss"}}`, `{"id":"country","operator":"eq","values":["NL"]}`, ByCountry},
		{event.NewHits, hit, `{"id":"url","operator":"eq","values":["shop.example.com/v1/users/*"]}`, ""},
		{event.NewHits, hit, `{"id":"url","operator":"eq","values":["*/admin/**"]}`, ByURL},
		{event.NewHits, hit, `{"id":"severity","operator":"eq","values":["critical"]}`, ""},
		{event.NewHits, hit, `{"id":"pool","operator":"eq","values":[7]}`, ""},
		{event.NewHits, hit, `{"id":"pool","operator":"eq","values":[-1]}`, ByApplication},
		{event.NewHits, hit, `{"id":"kind","operator":"ne","values":["new_hits"]}`, ByKind},
		{event.NewHits, hit, `{"id":"response_status","operator":"eq","values":["4xx"]}`, ""},
		{event.Vuln, vuln, `{"id":"severity","operator":"eq","values":["critical","high"]}`, ""},
		{event.Vuln, vuln, `{"id":"severity","operator":"eq","values":["low"]}`, BySeverity},
		{event.Vuln, vuln, `{"id":"domain","operator":"eq","values":["SHOP.example.com"]}`, ""},
		{event.Vuln, vuln, `{"id":"url","operator":"ne","values":["**/users"]}`, ByURL},
		{event.Vuln, vuln, `{"id":"attack_type","operator":"eq","values":["sqli"]}`, ""},
		{event.SecurityIssue, issue, `{"id":"severity","operator":"eq","values":["info"]}`, ""},
		{event.SecurityIssue, issue, `{"id":"domain","operator":"ne","values":["api.example.com"]}`, ByDomain},
		{event.NewScopeDomains, domains, `{"id":"domain","operator":"eq","values":["shop.example.com"]}`, ""},
		{event.NewScopeDomains, domains, `{"id":"domain","operator":"eq","values":["api.example.com"]}`, ByDomain},
		{event.NewScopeDomains, domains, `{"id":"domain","operator":"ne","values":["old.example.com"]}`, ""},
		{event.NewScopeDomains, domains,
			`{"id":"domain","operator":"ne","values":["old.example.com","SHOP.example.com"]}`, ByDomain},
		{event.NewScopeServices, host, `{"id":"domain","operator":"eq","values":["shop.example.com"]}`, ByDomain},
		{event.NewScopeServices, host, `{"id":"domain","operator":"ne","values":["shop.example.com"]}`, ""},
		{event.NewScopeServices, host, `{"id":"ip_address","operator":"eq","values":["203.0.113.9"]}`, ""},
		{event.NewScopeIPs, host, `{"id":"domain","operator":"eq","values":["shop.example.com"]}`, ""},
		{event.CreateUser, user, `{"id":"domain","operator":"eq","values":["api.example.com"]}`, ""},
		{event.CreateUser, user, `{"id":"kind","operator":"eq","values":["new_hits"]}`, ByKind},
	} {
		var f Filter
		require.NoError(t, json.Unmarshal([]byte(c.filter), &f))
		require.Empty(t, CheckIntegration([]Filter{f}, "Slack"), c.filter)
		m, err := Compile([]Filter{f})
		require.NoError(t, err)
		s := See(eventOf(t, c.kind, c.data))
		require.Equal(t, c.want, m.Stopped(&s), "%s on %s", c.filter, c.data)
	}
}

func TestWrongFiltersOfAnIntegrationAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		`[{"id":"target","operator":"eq","values":["server"]}]`: "filters.0.id is not a filter of Slack: it " +
			"takes",
		`[{"id":"severity","operator":"gt","values":["high"]}]`:   "filters.0.operator must be eq or ne",
		`[{"id":"severity","operator":"eq","values":[]}]`:         "filters.0.values is required",
		`[{"id":"severity","operator":"eq","values":["High"]}]`:   "filters.0.values.0 must be one of critical",
		`[{"id":"country","operator":"eq","values":["Holland"]}]`: "filters.0.values.0 must be the two letters",
		`[{"id":"kind","operator":"eq","values":["hits"]}]`:       "filters.0.values.0 is not a notification_type",
		`[{"id":"url","operator":"eq","values":["~.*"]}]`: "filters.0.values.0 must not be a regular " +
			"expression",
		`[{"id":"url","operator":"eq","values":["` + deep + `","a"]}]`:  "filters.0.values.0 is one too many",
		`[{"id":"ip_address","operator":"eq","values":["10.0.0.0/8"]}]`: "filters.0.values.0 must be a single IPv4",
	} {
		var list []Filter
		require.NoError(t, json.Unmarshal([]byte(text), &list))
		problems := CheckIntegration(list, "Slack")
		require.NotEmpty(t, problems, text)
		require.Contains(t, problems[0].Field+" "+problems[0].Reason, want)
	}
}

var deep = "h" + strings.Repeat("/a", 201)

// A plain oracle: it reads the JSON by itself, and compares text with text.
func TestFiltersOfIntegrationsAgreeWithAnOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 1))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	for range 20_000 {
		hit := map[string]any{"type": pick("sqli", "xss", "rce")}
		if r.IntN(3) > 0 {
			hit["domain"] = pick("a.example", "B.example")
		}
		if r.IntN(3) > 0 {
			hit["remote_country"] = pick("NL", "PL")
		}
		if r.IntN(3) > 0 {
			hit["response_status"] = 200 + r.IntN(300)
		}
		data, err := json.Marshal(map[string]any{"hit": hit})
		require.NoError(t, err)
		var list []Filter
		want := ID("")
		for range 1 + r.IntN(3) {
			f := Filter{ID: ID(pick("attack_type", "domain", "country", "response_status", "severity")),
				Operator: pick(Equal, NotEqual)}
			values := map[ID][]string{ByType: {"sqli", "rce"}, ByDomain: {"a.example", "b.example"},
				ByCountry: {"nl", "PL"}, ByStatus: {"2xx", "404", "4xx"}, BySeverity: {"high"}}[f.ID]
			has := false
			for _, v := range values {
				if r.IntN(2) > 0 || len(f.Values) == 0 {
					f.Values = append(f.Values, Value(v))
					has = has || oracle(hit, f.ID, v)
				}
			}
			if want == "" && f.ID != BySeverity && has == (f.Operator == NotEqual) {
				want = f.ID
			}
			list = append(list, f)
		}
		m, err := Compile(list)
		require.NoError(t, err)
		s := See(eventOf(t, event.NewHits, string(data)))
		require.Equal(t, want, m.Stopped(&s), "%s, filters %+v", data, list)
	}
}

func oracle(hit map[string]any, id ID, v string) bool {
	text := func(name string) string { s, _ := hit[name].(string); return strings.ToLower(s) }
	switch id {
	case ByType:
		return text("type") == v
	case ByDomain:
		return text("domain") == v
	case ByCountry:
		return text("remote_country") == strings.ToLower(v)
	}
	status, ok := hit["response_status"].(int)
	return ok && slices.Contains([]string{fmt.Sprint(status), fmt.Sprintf("%dxx", status/100)}, v)
}

func BenchmarkStopped(b *testing.B) {
	m, err := Compile([]Filter{{ByType, Equal, []Value{"sqli"}},
		{ByURL, NotEqual, []Value{"*/health/**", "*/admin/*"}}})
	require.NoError(b, err)
	e := event.Event{Kind: event.NewHits,
		Data: json.RawMessage(`{"hit":{"type":"sqli","domain":"a.example","path":"/v1/x"}}`)}
	for b.Loop() {
		s := See(e)
		m.Stopped(&s)
	}
}
