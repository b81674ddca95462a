package console_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFallbackIsCheckedKeptAndTakenAway(t *testing.T) {
	r := start(t)
	body := func(name, fallback string) string {
		return `{"system":"slack","name":"` + name + `","fallback":"` + fallback + `","parameters":{"webhook_url":"` +
			slackURL + `"}}`
	}
	made := func(name, fallback string) string {
		t.Helper()
		return r.create(body(name, fallback)).body["id"].(string)
	}
	a := r.call("POST", "/v1/integrations", body("x", "nobody"))
	require.Equal(t, 422, a.status)
	require.Contains(t, a.raw, `"field":"fallback"`)
	requireWorded(t, a.body)
	c := made("C", "")
	b := made("B", c)
	at := "/v1/integrations/"
	require.Equal(t, c, r.call("GET", at+b, "").body["fallback"])
	for id, loop := range map[string]string{c: b, b: b} {
		a := r.call("PATCH", at+id, `{"fallback":"`+loop+`"}`)
		require.Equal(t, 422, a.status, "it goes round")
		require.Contains(t, a.raw, `"field":"fallback"`)
		requireWorded(t, a.body)
	}
	require.NotContains(t, r.call("GET", at+c, "").body, "fallback")
	d := made("D", b) // a chain is allowed: each falls back once
	require.Equal(t, 422, r.call("PATCH", at+c, `{"fallback":"`+d+`"}`).status, "round by three")

	uses := r.call("GET", at+c+"/uses", "")
	require.Len(t, uses.body["fallback_of"], 1)
	require.Contains(t, uses.raw, `"name":"B"`)
	a = r.call("DELETE", at+c, "")
	require.Equal(t, 409, a.status)
	require.Contains(t, a.raw, "integrations that have this one as their fallback: 1, such as")
	require.Equal(t, 204, r.call("DELETE", at+c+"?force=true", "").status)
	require.Equal(t, c, r.call("PATCH", at+b, `{"name":"Other"}`).body["fallback"], "it is as it was")
	require.NotContains(t, r.call("PATCH", at+b, `{"fallback":""}`).body, "fallback")
	require.Equal(t, 204, r.call("DELETE", at+d, "").status)
	require.Equal(t, 204, r.call("DELETE", at+b, "").status, "it is nobody's any more")
}

func TestFallbacksOfAConfigurationAreNamesAndAreSetWhenAllAreThere(t *testing.T) {
	r := start(t)
	document := func(a, b, c string) string {
		out := "version: 1\nintegrations:\n"
		for _, one := range [][2]string{{"A", a}, {"B", b}, {"C", c}} {
			if one[1] == "-" {
				continue
			}
			out += "  " + one[0] + ":\n    system: slack\n"
			if one[1] != "" {
				out += "    fallback: " + one[1] + "\n"
			}
			out += "    parameters:\n      webhook_url: " + slackURL + one[0] + "\n"
		}
		return out
	}
	fallbacks := func() map[string]string {
		names, out := map[any]string{}, map[string]string{}
		items := r.call("GET", "/v1/integrations", "").body["items"].([]any)
		for _, i := range items {
			names[i.(map[string]any)["id"]] = i.(map[string]any)["name"].(string)
		}
		for _, i := range items {
			if to := i.(map[string]any)["fallback"]; to != nil {
				out[names[i.(map[string]any)["id"]]] = names[to]
			}
		}
		return out
	}
	r.applied(document("B", "C", ""), nil, true)
	require.Equal(t, map[string]string{"A": "B", "B": "C"}, fallbacks(), "A is made before B")
	require.Contains(t, r.exported(true), "fallback: B\n")
	plan, _, err := r.planned(document("B", "C", ""), nil, true)
	require.NoError(t, err)
	require.False(t, plan.Differs())
	r.applied(document("", "A", "B"), nil, true)
	require.Equal(t, map[string]string{"B": "A", "C": "B"}, fallbacks(), "each way round has changed")
	for _, wrong := range []string{document("C", "A", "B"), document("A", "", ""), document("nobody", "", "")} {
		_, _, err := r.planned(wrong, nil, true)
		require.Error(t, err)
		require.Contains(t, err.Error(), "fallback")
	}
	r.applied(document("-", "", "B"), nil, true)
	require.Equal(t, map[string]string{"C": "B"}, fallbacks(), "A is gone, and was given up first")
	_, _, err = r.planned("version: 1\nintegrations:\n  B:\n    system: slack\n    fallback: C\n    parameters:\n"+
		"      webhook_url: "+slackURL+"\n", nil, false)
	require.ErrorContains(t, err, "circle", "with one that is not in the file")
}
