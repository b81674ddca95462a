//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// logged is an entry of the activity log.
type logged struct{ ID, Object, Action, By, Source string }

// log is the activity log of the tenant 42, newest first, but for what Tocsin does itself.
func (r *rig) log() []logged {
	r.t.Helper()
	status, raw := r.request("42", "administrator", "GET", "/v1/activity?limit=200", "")
	require.Equal(r.t, 200, status, raw)
	var page struct{ Items []logged }
	require.NoError(r.t, json.Unmarshal([]byte(raw), &page))
	return slices.DeleteFunc(page.Items, func(e logged) bool { return e.Source == "system" })
}

// TestEachChangeLeavesOneEntryOverDynamoDB takes what is kept in a table through its changes. What sends something is
// in the walk of package console, over the other engines.
func TestEachChangeLeavesOneEntryOverDynamoDB(t *testing.T) {
	r := deploy(t, nil, nil)
	ids := map[string]string{}
	for _, step := range []struct{ keep, role, method, path, body, entry string }{
		{"i", "administrator", "POST", "/v1/integrations", `{"system":"slack","name":"Ops","parameters":` +
			`{"webhook_url":"https://hooks.slack.com/services/T/B/x"}}`, "Integration create"},
		{"", "administrator", "PATCH", "/v1/integrations/{i}", `{"name":"Other"}`, "Integration update"},
		{"", "administrator", "PATCH", "/v1/integrations/{i}", `{"language":"ja"}`, "Integration update"},
		{"", "administrator", "POST", "/v1/integrations/{i}/disable", "", "Integration disable"},
		{"", "administrator", "POST", "/v1/integrations/{i}/enable", "", "Integration enable"},
		{"t", "administrator", "POST", "/v1/triggers", `{"name":"New","template_id":"user_created","actions":` +
			`[{"id":"send_notification","params":{"integration_ids":["{i}"]}}]}`, "Trigger create"},
		{"", "administrator", "PATCH", "/v1/triggers/{t}", `{"name":"Other"}`, "Trigger update"},
		{"", "administrator", "POST", "/v1/triggers/{t}/disable", "", "Trigger disable"},
		{"", "administrator", "POST", "/v1/triggers/{t}/enable", "", "Trigger enable"},
		{"c", "administrator", "POST", "/v1/triggers/{t}/copy", "", "Trigger create"},
		{"", "administrator", "DELETE", "/v1/triggers/{c}", "", "Trigger delete"},
		{"", "administrator", "PATCH", "/v1/triggers/0-group-hits", `{"name":"Group"}`, "Trigger update"},
		{"k", "administrator", "POST", "/v1/tokens", `{"name":"CI","kind":"shared"}`, "API token create"},
		{"", "administrator", "DELETE", "/v1/tokens/{k}", "", "API token revoke"},
		{"", "administrator", "PUT", "/v1/report-settings", `{"time_zone":"Asia/Tokyo","language":"ja"}`,
			"Report settings update"},
		{"", "administrator", "POST", "/v1/reports", fmt.Sprintf(`{"period":{"frequency":"daily","from":%q}}`,
			time.Now().UTC().Format(time.DateOnly)), "Report create"},
		{"", "operator", "PUT", "/v1/tenants/42/linked/43", `{"client_name":"Other"}`, "Linked tenant link"},
		{"", "operator", "DELETE", "/v1/tenants/42/linked/43", "", "Linked tenant unlink"},
		{"", "administrator", "DELETE", "/v1/integrations/{i}?force=true", "", "Integration delete"},
	} {
		fill := func(s string) string {
			for name, id := range ids {
				s = strings.ReplaceAll(s, "{"+name+"}", id)
			}
			return s
		}
		before := len(r.log())
		status, raw := r.request("42", step.role, step.method, fill(step.path), fill(step.body))
		require.Less(t, status, 300, "%s %s: %s", step.method, step.path, raw)
		if step.keep != "" {
			var made struct{ ID string }
			require.NoError(t, json.Unmarshal([]byte(raw), &made))
			ids[step.keep] = made.ID
		}
		after := r.log()
		require.Len(t, after, before+1, "%s %s", step.method, step.path)
		require.Equal(t, step.entry, after[0].Object+" "+after[0].Action, "%s %s", step.method, step.path)
		require.Equal(t, "ada@example.com", after[0].By)
	}
}
