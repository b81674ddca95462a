package console_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADeletionSaysWhichTriggersNotifyTheIntegration(t *testing.T) {
	r := start(t)
	used, unused := r.slack("Ops"), r.slack("Spare")
	self := r.call("POST", "/v1/triggers", fmt.Sprintf(burst, used)).header.Get("Location")
	a := r.call("GET", "/v1/integrations/"+used+"/uses", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Contains(t, member(t, a, "triggers"), `"name":"SQLi burst"`)
	require.JSONEq(t, `[]`, member(t, a, "reports"))
	require.JSONEq(t, `[]`, member(t, r.call("GET", "/v1/integrations/"+unused+"/uses", ""), "triggers"))
	require.Equal(t, 404, r.call("GET", "/v1/integrations/nothing/uses", "").status)

	a = r.call("DELETE", "/v1/integrations/"+used, "")
	require.Equal(t, 409, a.status, a.raw)
	require.Contains(t, a.raw, "SQLi burst")
	require.Equal(t, 200, r.call("GET", "/v1/integrations/"+used, "").status, "it is there still")
	require.Equal(t, 204, r.call("DELETE", "/v1/integrations/"+unused, "").status)
	require.Equal(t, 204, r.call("DELETE", "/v1/integrations/"+used+"?force=true", "").status)
	require.Contains(t, member(t, r.call("GET", self, ""), "warnings"), "this integration was deleted")
	require.Equal(t, 404, r.call("DELETE", "/v1/integrations/"+used, "").status)
}

func TestTheUsesOfAnIntegrationNameItsReports(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/integrations", `{"system":"email","name":"Mails",`+
		`"parameters":{"addresses":["a@example.com"]},"events":[{"event":"report_weekly"},{"event":"system"}]}`)
	require.Equal(t, 201, a.status, a.raw)
	a = r.call("GET", "/v1/integrations/"+a.body["id"].(string)+"/uses", "")
	require.JSONEq(t, `["report_weekly"]`, member(t, a, "reports"))
}
