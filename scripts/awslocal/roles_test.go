//go:build awslocal

package awslocal_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// TestRolesAllowWhatTheFunctionsDo takes the functions through all that they do and holds each AWS call against the
// role that template.yaml gives to its function.
func TestRolesAllowWhatTheFunctionsDo(t *testing.T) {
	up, down := receive(t, always(200)), receive(t, always(500))
	r := deploy(t, []*receiver{up, down}, atOnce)
	id, failing := r.webhook(up, 100), r.webhook(down, 1)
	r.publish(30)
	r.put([]types.PutEventsRequestEntry{r.entry("new_hits", `{"version":9}`)})
	r.eventually("the failing one is disabled", func() bool {
		var now struct{ Enabled bool }
		r.api("GET", "/v1/integrations/"+failing, nil, &now)
		return !now.Enabled
	})
	r.eventually("its retries end", func() bool { return len(r.deliveries(failing, "retrying")) == 0 })
	for _, state := range []string{"all", "pending", "retrying", "delivered", "dead"} {
		r.deliveries(id, state)
	}
	one := r.deliveries(id, "delivered")[0].ID
	for _, call := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"GET", "/v1/systems", nil, 200},
		{"GET", "/v1/integrations", nil, 200},
		{"GET", "/v1/integrations/" + id + "/deliveries/" + one, nil, 200},
		{"GET", "/v1/integrations/" + id + "/health", nil, 200},
		{"GET", "/v1/dead-letters", nil, 200},
		{"PATCH", "/v1/integrations/" + id, map[string]any{"name": "Another"}, 200},
		{"POST", "/v1/integrations/" + id + "/test", nil, 200},
		{"POST", "/v1/integrations/" + id + "/deliveries/" + one + "/replay", nil, 200},
		{"POST", "/v1/integrations/" + id + "/replay", map[string]any{"states": []string{"delivered", "dead"}}, 200},
		{"POST", "/v1/integrations/" + id + "/disable", nil, 200},
		{"POST", "/v1/integrations/" + id + "/enable", nil, 200},
		{"POST", "/v1/integrations/" + id + "/recover", map[string]any{"from": "2026-01-01T00:00:00Z"}, 200},
		{"DELETE", "/v1/integrations/" + id, nil, 204},
		{"GET", "/v1/tokens", nil, 200},
	} {
		require.Equal(t, call.status, r.api(call.method, call.path, call.body, nil), call.method+" "+call.path)
	}
	var made struct{ ID string }
	require.Equal(t, 201, r.api("POST", "/v1/tokens", map[string]any{"name": "ci", "kind": "shared",
		"expires_at": time.Now().Add(72 * time.Hour)}, &made))
	require.Equal(t, 204, r.api("DELETE", "/v1/tokens/"+made.ID, nil, nil))
	require.Equal(t, 200, r.api("GET", "/v1/tenants", nil, nil))
	_, err := r.Functions["Retry"].Invoke(t.Context(), []byte(`{"relay":true}`))
	require.NoError(t, err)
	answer, err := r.Functions["Retry"].Invoke(t.Context(), []byte(`{"sweep":true}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"deliveries":0,"running":0,"batches":0,"alone":0}`, string(answer))

	r.withinRoles("Api", "Fanout", "Deliver", "Retry")
}

// withinRoles holds all calls so far against the roles; the functions named are at least among the callers.
func (r *rig) withinRoles(names ...string) {
	r.t.Helper()
	seen := map[string]int{}
	for _, g := range []*awslocal.Gate{r.Dynamo, r.Sending, r.StepFunctions, r.KMS, r.Bus, r.SES, r.Manager} {
		for _, u := range g.Uses() {
			if !slices.Contains(awslocal.Names, u.Caller) {
				continue
			}
			seen[u.Caller]++
			require.True(r.t, r.Template.Allows(u, r.Prefix), "the role of %s does not allow %s on %s", u.Caller,
				u.Action, strings.TrimPrefix(u.Resource, r.Prefix))
		}
	}
	for _, name := range names {
		require.GreaterOrEqual(r.t, seen[name], 2, name)
	}
}
