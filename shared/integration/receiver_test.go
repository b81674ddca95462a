package integration_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/webhook"
	"tocsin/shared/integration"
)

// changedAddress is a change of an integration's parameters.
type changedAddress struct {
	of     integration.Integration
	patch  string
	fields []string // that are to be entered again; none = it is fine
}

func changedAddresses(jira, splunk, hook integration.Integration) map[string]changedAddress {
	return map[string]changedAddress{
		"a host, left out": {splunk, `{"api":"https://evil.example.com:8088"}`,
			[]string{"parameters.token"}},
		"a host, masked": {splunk, `{"api":"https://evil.example.com:8088","token":"********"}`,
			[]string{"parameters.token"}},
		"a port": {splunk, `{"api":"https://hec.example.com:8089"}`,
			[]string{"parameters.token"}},
		"a host, with the secret": {splunk,
			`{"api":"https://new.example.com:8088","token":"11111111-2222-3333-4444-555555555555"}`, nil},
		"a path": {splunk,
			`{"api":"https://hec.example.com:8088/services/collector/event"}`, nil},
		"the same address in other letters": {splunk, `{"api":"https://HEC.example.com:8088/"}`, nil},
		"the port that it has by itself":    {hook, `{"url":"https://a.example.com:443/y"}`, nil},
		"no verification":                   {jira, `{"ca_verify":false}`, []string{"parameters.token"}},
		"headers, left out": {hook, `{"url":"https://evil.example.com/"}`,
			[]string{"parameters.headers.Authorization", "parameters.headers.X-Key"}},
		"headers, one of them masked": {hook,
			`{"url":"https://evil.example.com/","headers":{"Authorization":"********","X-Key":"k"}}`,
			[]string{"parameters.headers.Authorization"}},
		"headers, all of them entered": {hook,
			`{"url":"https://new.example.com/","headers":{"Authorization":"n"}}`, nil},
		"headers taken away": {hook, `{"url":"https://new.example.com/","headers":null}`, nil},
		"no verification, a header masked": {hook, `{"ca_verify":false,"headers":{"Authorization":"********"}}`,
			[]string{"parameters.headers.Authorization"}},
		"nothing that matters": {hook,
			`{"timeout":5,"headers":{"Authorization":"********","X-Key":"********"}}`, nil},
		"null for a parameter with a default": {hook, `{"ca_verify":null}`, nil},
		"the scheme": {hook, `{"url":"http://a.example.com/x"}`,
			[]string{"parameters.headers.Authorization", "parameters.headers.X-Key", "parameters.url"}},
		"a host that looks like the other one": {hook, `{"url":"https://a.example.com.evil.example.com/x"}`,
			[]string{"parameters.headers.Authorization", "parameters.headers.X-Key"}},
	}
}

// TestS3AChangedAddressNeedsItsSecretsAgain tries every way in which a saved secret can be sent: a saved change, a test
// of what is not saved, and a list of choices.
func TestS3AChangedAddressNeedsItsSecretsAgain(t *testing.T) {
	s, _ := service(t)
	made := func(system, parameters string) integration.Integration {
		i, err := s.Create(t.Context(), ada, integration.Draft{System: system, Name: system,
			Parameters: json.RawMessage(parameters)})
		require.NoError(t, err)
		return i
	}
	jira, splunk := made("jira", parametersOf["jira"]), made("splunk", parametersOf["splunk"])
	hook := made("web_hooks", parametersOf["web_hooks"])
	blank := made("web_hooks", parametersOf["blank"])
	for name, c := range changedAddresses(jira, splunk, hook) {
		t.Run(name, func(t *testing.T) {
			same := func(err error) {
				t.Helper()
				var invalid integration.InvalidError
				if c.fields == nil {
					require.NoError(t, err)
					return
				}
				require.ErrorAs(t, err, &invalid)
				var fields []string
				for _, p := range invalid {
					fields = append(fields, p.Field)
				}
				require.ElementsMatch(t, c.fields, fields)
				require.ErrorContains(t, err, "enter it again")
				require.NotContains(t, err.Error(), "s3cr3t")
			}
			_, err := s.OpenUnsaved(t.Context(), "42", c.of.ID, "", json.RawMessage(c.patch))
			same(err)
			_, err = s.OpenIncomplete(t.Context(), "42", c.of.ID, c.of.System, json.RawMessage(c.patch))
			same(err)
			// The first change of the table that is saved must not be what the next begins with.
			fresh := made(c.of.System, parametersOf[c.of.System])
			_, err = s.Update(t.Context(), ada, fresh.ID, 0, integration.Patch{Parameters: json.RawMessage(c.patch)})
			same(err)
			if c.fields != nil {
				kept, err := s.Store.Get(t.Context(), "42", fresh.ID)
				require.NoError(t, err)
				require.Equal(t, fresh.Parameters, kept.Parameters, "nothing of it is saved")
			}
		})
	}
	// A null beside the mask of a value that is empty was taken for a mask too, in half of the orders of a map. No
	// order may.
	for range 50 {
		patch := json.RawMessage(
			`{"url":"https://evil.example.com/","headers":{"Authorization":null,"X-Empty":"********"}}`)
		opened, err := s.OpenUnsaved(t.Context(), "42", blank.ID, "", patch)
		var invalid integration.InvalidError
		if !errors.As(err, &invalid) {
			require.NoError(t, err)
			require.NotContains(t, opened.Secrets, "s3cr3t")
		}
	}
	notEvenInTwoSteps(t, s, hook)
	_, err := s.OpenUnsaved(t.Context(), "42", splunk.ID, "web_hooks", json.RawMessage(`{}`))
	require.ErrorContains(t, err, "system: is not that of the integration")
	_, err = s.OpenUnsaved(t.Context(), "43", splunk.ID, "", json.RawMessage(`{}`))
	require.ErrorIs(t, err, integration.ErrNotFound)
}

func notEvenInTwoSteps(t *testing.T, s *integration.Service, hook integration.Integration) {
	t.Helper()
	// Not even in two steps: an address without its secrets, then the secrets.
	_, err := s.Update(t.Context(), ada, hook.ID, 0,
		integration.Patch{Parameters: json.RawMessage(`{"url":"https://evil.example.com/","headers":null}`)})
	require.NoError(t, err)
	_, err = s.Update(t.Context(), ada, hook.ID, 0,
		integration.Patch{Parameters: json.RawMessage(`{"headers":{"Authorization":"********"}}`)})
	require.ErrorContains(t, err, "no secret is kept")
	opened, err := s.OpenUnsaved(t.Context(), "42", hook.ID, "", json.RawMessage(`{}`))
	require.NoError(t, err)
	require.Empty(t, opened.Parameters.(*webhook.Parameters).Headers)
}

var parametersOf = map[string]string{
	"jira":      `{"url":"https://acme.atlassian.net/","email":"sec@example.com","token":"s3cr3t-token","project":"SEC","issue_type":"Bug"}`,
	"splunk":    `{"api":"https://hec.example.com:8088","token":"11111111-2222-3333-4444-555555555555"}`,
	"web_hooks": `{"url":"https://a.example.com/x","headers":{"Authorization":"s3cr3t","X-Key":"k"}}`,
	"blank":     `{"url":"https://a.example.com/x","headers":{"Authorization":"s3cr3t","X-Empty":""}}`,
}

func TestS3AMaskIsNoSecretOfANewIntegration(t *testing.T) {
	s, _ := service(t)
	for field, d := range map[string]integration.Draft{
		"parameters.token": {System: "jira",
			Parameters: json.RawMessage(
				`{"url":"https://acme.atlassian.net/","email":"sec@example.com","token":"********","project":"SEC","issue_type":"Bug"}`)},
		"parameters.headers": {System: "web_hooks",
			Parameters: json.RawMessage(`{"url":"https://a.example.com/x","headers":{"Authorization":"********"}}`)},
		"parameters.webhook_url": {System: "slack", Parameters: json.RawMessage(`{"webhook_url":"\u002a*******"}`)},
	} {
		d.Name = "copied"
		_, err := s.Create(t.Context(), ada, d)
		require.ErrorContains(t, err, field+": is a mask, and no secret is kept")
		_, err = s.OpenUnsaved(t.Context(), "42", "", d.System, d.Parameters)
		require.ErrorContains(t, err, field+": is a mask, and no secret is kept")
	}
}

// TestWhatIsChosenFromAListIsNotAskedForBeforeTheListIsThere: Slack's channels could be listed only by who had entered
// one.
func TestWhatIsChosenFromAListIsNotAskedForBeforeTheListIsThere(t *testing.T) {
	s, _ := service(t)
	without := map[string]string{ // what is needed to ask the system, and no more
		"jira":       `{"url":"https://acme.atlassian.net/","email":"sec@example.com","token":"s3cr3t-token"}`,
		"servicenow": `{"instance":"acme","username":"ada","password":"s3cr3t","client_id":"c","client_secret":"s3cr3t2"}`,
		"slack":      `{"authorization":"token","token":"xoxb-123456789012-123456789012-s3cr3ts3cr3ts3cr3ts3cr3t"}`,
	}
	for _, of := range catalogue.Default().All() {
		system := of.System
		if len(system.Choosable) == 0 {
			continue
		}
		for _, left := range []string{"", `""`, "null"} {
			parameters := map[string]json.RawMessage{}
			require.NoError(t, json.Unmarshal([]byte(without[system.Name]), &parameters), system.Name)
			for _, field := range system.Choosable {
				if left != "" {
					parameters[field] = json.RawMessage(left)
				}
			}
			raw, err := json.Marshal(parameters)
			require.NoError(t, err)
			_, err = s.OpenIncomplete(t.Context(), "42", "", system.Name, raw)
			require.NoError(t, err, "%s: %s", system.Name, raw)
		}
		_, err := s.OpenIncomplete(t.Context(), "42", "", system.Name, json.RawMessage(`{}`))
		require.Error(t, err, "%s: what is not chosen must be right", system.Name)
	}
	saved, err := s.Create(t.Context(), ada, integration.Draft{System: "slack", Name: "Ops",
		Parameters: json.RawMessage(
			`{"authorization":"token","token":"xoxb-123456789012-123456789012-s3cr3ts3cr3ts3cr3ts3cr3t","channel":"C0123456789"}`)})
	require.NoError(t, err)
	_, err = s.OpenIncomplete(t.Context(), "42", saved.ID, "", json.RawMessage(`{"channel":""}`))
	require.NoError(t, err, "a field that was emptied")
}
