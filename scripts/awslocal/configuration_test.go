//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/configuration"
	"tocsin/shared/configuration/client"
)

// caller is a way to the API's function, as an administrator of a tenant.
type caller struct {
	rig    *rig
	tenant string
}

// RoundTrip invokes the function as API Gateway does.
func (a caller) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{"host": "api.example.com"}
	for name := range q.Header {
		headers[strings.ToLower(name)] = q.Header.Get(name)
	}
	headers["authorization"] = "Bearer " + a.rig.Issuer.Token(map[string]any{"tenant": a.tenant,
		"role": "administrator", "client_name": "Acme", "email": "ada@example.com", "name": "Ada"})
	payload, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "ANY /v1/{proxy+}", "rawPath": q.URL.Path, "rawQueryString": q.URL.RawQuery,
		"headers": headers, "body": string(body), "isBase64Encoded": false,
		"requestContext": map[string]any{"stage": "$default", "domainName": "api.example.com",
			"http": map[string]string{"method": q.Method, "path": q.URL.Path, "sourceIp": "192.0.2.1"}},
	})
	if err != nil {
		return nil, err
	}
	raw, err := a.rig.Functions["Api"].Invoke(q.Context(), payload)
	if err != nil {
		return nil, err
	}
	var got struct {
		StatusCode int
		Headers    map[string]string
		Body       string
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		return nil, err
	}
	answer := &http.Response{StatusCode: got.StatusCode, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(got.Body)), Request: q}
	for name, value := range got.Headers {
		answer.Header.Set(name, value)
	}
	return answer, nil
}

func (r *rig) account(t *testing.T, tenant string) *client.Client {
	t.Helper()
	c, err := client.New("https://api.example.com", "of the rig", caller{r, tenant})
	require.NoError(t, err)
	return c
}

const document = `version: 1
integrations:
  Ops:
    system: slack
    language: ja
    events: [system]
    parameters: {webhook_url: "https://hooks.slack.com/services/T/B/x"}
  Hook:
    system: web_hooks
    parameters: {url: https://hooks.example.com/a, timeout: 30}
triggers:
  People:
    template_id: user_created
    actions:
      - {id: send_notification, integrations: [Ops, Hook]}
report_settings: {time_zone: Asia/Tokyo, language: ja}
`

// planned is what makes an account like the document.
func planned(t *testing.T, c *client.Client) (configuration.Plan, configuration.State) {
	t.Helper()
	d, err := configuration.Read([]byte(document))
	require.NoError(t, err)
	state, err := c.State(t.Context())
	require.NoError(t, err)
	require.NoError(t, d.Fill(state.Systems, func(string) string { return "" }, false))
	plan, err := configuration.NewPlan(d, state, false)
	require.NoError(t, err)
	return plan, state
}

// TestOfTwoAppliesAtOnceOneWins applies a document to a new account by two at once, over DynamoDB.
func TestOfTwoAppliesAtOnceOneWins(t *testing.T) {
	r := deploy(t, nil, nil)
	c := r.account(t, "42")
	plan, state := planned(t, c)
	errs := make([]error, 2)
	var both sync.WaitGroup
	for n := range errs {
		both.Go(func() { errs[n] = c.Apply(t.Context(), plan, state, func(client.Outcome) {}) })
	}
	both.Wait()
	if errs[0] != nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], client.ErrConflict)
	again, state := planned(t, c)
	for _, s := range again.Steps {
		require.Equal(t, configuration.Send, s.Verb, "nothing is left to do: %s %v", s.Name, s.Differences)
	}
	require.Len(t, state.Integrations, 2, "and nothing is there twice")

	other := r.account(t, "43")
	plan, state = planned(t, other)
	require.NoError(t, other.Apply(t.Context(), plan, state, func(client.Outcome) {}))
	first, err := c.Export(t.Context(), true)
	require.NoError(t, err)
	second, err := other.Export(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
	require.Contains(t, string(first), "language: ja")
}
