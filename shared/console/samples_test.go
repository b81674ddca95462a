package console_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/console/integrations"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
	"tocsin/shared/redact"
)

func (r *rig) samples(system, parameters string) (out []integrations.SampleView) {
	r.t.Helper()
	a := r.call("POST", "/v1/integrations/samples", `{"system":"`+system+`","parameters":`+parameters+`}`)
	require.Equal(r.t, 200, a.status, "%s: %s", system, a.raw)
	var body struct{ Items []integrations.SampleView }
	require.NoError(r.t, json.Unmarshal([]byte(a.raw), &body))
	return body.Items
}

func TestEverySystemShowsASampleOfEachOfItsEvents(t *testing.T) {
	r := start(t)
	for _, e := range catalogue.Default().All() {
		if !e.Available || e.System.Personal {
			continue
		}
		found := r.samples(e.System.Name, "{}")
		events := e.System.Events
		if e.System.Class.Read() {
			events = append(slices.Clone(events), event.Type(notification.DigestKind))
		}
		require.Len(t, found, len(events), e.System.Name)
		for n, s := range found {
			where := e.System.Name + " " + string(s.Event)
			require.Equal(t, events[n], s.Event)
			require.NotEmpty(t, s.Title, where)
			require.NotContains(t, s.Summary+s.Description, "[Test message]", where)
			if strings.HasPrefix(string(s.Event), "report_") {
				require.Empty(t, s.Requests, where)
				require.NotEmpty(t, s.Reason, where)
				continue
			}
			if s.Reason != "" && e.System.Missing == "" {
				t.Errorf("%s: %s", where, s.Reason)
			}
			if s.Reason == "" {
				require.NotEmpty(t, s.Requests, where)
			}
		}
	}
	require.Empty(t, r.entries(), "nothing was done")
}

func TestSamplesHaveTheWordsOfATemplateOnlyWhereTheyAreSent(t *testing.T) {
	r := start(t)
	const words = `"message_template":{"title":"Ours: {{.Summary}}"}`
	for _, e := range catalogue.Default().All() {
		if !e.Available || e.System.Personal {
			continue
		}
		a := r.call("POST", "/v1/integrations/samples", `{"system":"`+e.System.Name+`",`+words+`}`)
		if !e.System.Templated() {
			require.Equal(t, 422, a.status, e.System.Name)
			fault := a.body["errors"].([]any)[0].(map[string]any)
			require.Equal(t, "message_template", fault["field"], e.System.Name)
			continue
		}
		require.Equal(t, 200, a.status, "%s: %s", e.System.Name, a.raw)
		for _, s := range a.body["items"].([]any) {
			of := event.Type(s.(map[string]any)["event"].(string))
			worded := len(messagetemplate.Kinds([]event.Type{of})) > 0 // a digest and a report have our words
			require.Equal(t, worded, strings.Contains(fmt.Sprint(s.(map[string]any)["summary"]), "Ours: "), "%s %s",
				e.System.Name, of)
		}
	}
	a := r.call("POST", "/v1/integrations/test",
		`{"system":"web_hooks","parameters":{"url":"https://hooks.example.com/x"},`+words+`}`)
	require.Equal(t, 422, a.status, a.raw)
	require.Contains(t, a.raw, `"field":"message_template"`)
}

func TestSamplesAreInTheLanguageThatIsChosen(t *testing.T) {
	r := start(t)
	ask := func(language string) string {
		t.Helper()
		a := r.call("POST", "/v1/integrations/samples", `{"system":"slack"`+language+`}`)
		require.Equal(t, 200, a.status, a.raw)
		return a.raw
	}
	const english, japanese = "New user was added", "新しいユーザーが追加されました"
	require.Equal(t, 200, r.call("PUT", "/v1/report-settings", `{"time_zone":"UTC","language":"ja"}`).status)
	require.Contains(t, ask(""), japanese, "the tenant's")
	require.Contains(t, ask(`,"language":""`), japanese, "the tenant's")
	require.Contains(t, ask(`,"language":"en"`), english)
	require.NotContains(t, ask(`,"language":"en"`), japanese)
	require.Contains(t, ask(`,"language":"ja"`), japanese)
	refused := r.call("POST", "/v1/integrations/samples", `{"system":"slack","language":"fr"}`)
	require.Equal(t, 422, refused.status, refused.raw)
	require.Contains(t, refused.raw, `"field":"language"`)
}

func TestSamplesAreWrittenByWhatIsTypedAndShowNoSecret(t *testing.T) {
	r := start(t)
	found := r.samples("web_hooks", `{"url":"https://soc.example.com/in","http_method":"PUT","format":"jsonl",`+
		`"headers":{"Authorization":"Bearer of-mine"},"timeout":-1}`)
	first := found[0].Requests[0]
	require.Equal(t, "PUT", first.Method)
	require.Equal(t, "https://soc.example.com/in", first.URL)
	require.Equal(t, []string{redact.Mask}, first.Headers["Authorization"])
	raw, err := json.Marshal(found)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "of-mine")
	slack := r.samples("slack", `{"webhook_url":"https://hooks.slack.com/services/T0/B0/secret-of-mine"}`)
	require.Equal(t, "https://hooks.slack.com/"+redact.Mask, slack[0].Requests[0].URL)
	raw, err = json.Marshal(slack)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "secret-of-mine")
	masked := r.samples("slack", `{"webhook_url":"`+redact.Mask+`"}`)
	require.NotEmpty(t, masked[0].Requests, "a kept secret is made up")
	for _, wrong := range []string{`"text"`, `[]`, `{"url":7}`, `{"headers":"x"}`, `null`} {
		require.NotEmpty(t, r.samples("web_hooks", wrong)[0].Requests, wrong)
	}
	require.Equal(t, 404, r.call("POST", "/v1/integrations/samples", `{"system":"nothing"}`).status)
	levels := map[event.Type]string{}
	for _, s := range found {
		levels[s.Event] = s.Requests[0].Body
	}
	require.Contains(t, levels[event.VulnHigh], "High")
	require.Contains(t, levels[event.VulnLow], "Low")
}
