package v2test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// condition is a trigger template with what the provider sends of it.
type condition struct {
	template string
	filters  string // each that it takes
	// threshold and next are two, "null" where it takes none.
	threshold, next string
	actions         string // %d is the id of an integration
	// filterIDs and actionIDs are those of its template.
	filterIDs, actionIDs []string
}

const (
	byCount = `{"id":"ip_address","operator":"eq","values":["2.2.2.2"]},` +
		`{"id":"pool","operator":"ne","values":[43,-1]},` +
		`{"id":"attack_type","operator":"eq","values":["sqli","xss"]},` +
		`{"id":"domain","operator":"eq","values":["example.com"]},` +
		`{"id":"response_status","operator":"eq","values":["5xx",404]}`
	byTarget = `,{"id":"target","operator":"eq","values":["server","database"]}`
	byURL    = `{"id":"url","operator":"eq","values":["example.com/login"]},` +
		`{"id":"ip_address","operator":"eq","values":["1.1.1.1"]},{"id":"pool","operator":"eq","values":[1]}`
	often  = `{"period":60,"operator":"gt","allowed_operators":["gt"],"count":5}`
	tenK   = `{"period":86400,"operator":"gt","allowed_operators":["gt"],"count":10000}`
	rarely = `{"period":3600,"operator":"gt","allowed_operators":["gt"],"count":7}`
	notify = `[{"id":"send_notification","params":{"integration_ids":[%d]}}]`
	block  = `[{"id":"mark_as_brute","params":{}},{"id":"block_ips","params":{"lock_time":2592000}},` +
		`{"id":"add_to_graylist","params":{"lock_time":315360000}}]`
)

var (
	countFilters = []string{"attack_type", "pool", "ip_address", "domain", "response_status"}
	rateFilters  = []string{"url", "pool", "ip_address"}
	rateActions  = []string{"mark_as_brute", "block_ips", "add_to_graylist"}
	notifyAction = []string{"send_notification"}
)

var conditions = []condition{
	{"bruteforce_started", "[" + byURL + "]", often, rarely, block, rateFilters, rateActions},
	{"forced_browsing_started", "[" + byURL + "]", often, rarely, block, rateFilters, rateActions},
	{"bola_search_started", "[" + byURL + "]", often, rarely, block, rateFilters, rateActions},
	{"vector_attack", "[" + byCount + byTarget + "]", often, tenK,
		`[{"id":"send_notification","params":{"integration_ids":[%d]}},` +
			`{"id":"block_ips","params":{"lock_time":604800}}]`,
		append(countFilters[:5:5], "target"), []string{"send_notification", "block_ips", "add_to_graylist"}},
	{"attacks_exceeded", "[" + byCount + byTarget + "]", often, tenK, notify, append(countFilters[:5:5], "target"),
		notifyAction},
	{"hits_exceeded", "[" + byCount + "]", often, rarely, notify, countFilters, notifyAction},
	{"incidents_exceeded", "[" + byCount + byTarget + "]", often, tenK, notify, append(countFilters[:5:5], "target"),
		notifyAction},
	{"blacklist_ip_added", `[{"id":"pool","operator":"eq","values":[8,-1]}]`, "null", "null", notify,
		[]string{"pool"}, notifyAction},
	{"api_structure_changed", `[{"id":"pool","operator":"eq","values":[43]},` +
		`{"id":"domain","operator":"eq","values":["ex.com"]},` +
		`{"id":"change_type","operator":"eq","values":["added","changed","excluded"]},` +
		`{"id":"pii","operator":"eq","values":["password","IBAN"]}]`, "null", "null", notify,
		[]string{"pool", "domain", "change_type", "pii"}, notifyAction},
	{"attack_ip_grouping", "[]", often, rarely, `[{"id":"group_attack_by_ip","params":{}}]`, nil,
		[]string{"group_attack_by_ip"}},
	{"user_created", "[]", "null", "null", notify, []string{"role"}, notifyAction},
	{"compromised_logins", "[]", "null", "null", notify, nil, notifyAction},
	{"rogue_api_detected", `[{"id":"deviation_type","operator":"eq","values":["shadow","orphan","zombie"]},` +
		`{"id":"api_spec_ids","operator":"eq","values":[1,2]}]`, "null", "null", notify,
		[]string{"deviation_type", "api_spec_ids"}, notifyAction},
}

// trigger is what the client reads of one, and what is compared beside it.
type trigger struct {
	ID         int               `json:"id"`
	Name       string            `json:"name"`
	Comment    string            `json:"comment"`
	Enabled    bool              `json:"enabled"`
	Client     int               `json:"client_id"`
	TemplateID string            `json:"template_id"`
	Filters    json.RawMessage   `json:"filters"`
	Actions    json.RawMessage   `json:"actions"`
	Threshold  json.RawMessage   `json:"threshold"`
	Thresholds []json.RawMessage `json:"thresholds"`
	Template   struct {
		ID      string `json:"id"`
		Filters []struct {
			ID        string   `json:"id"`
			Required  *bool    `json:"required"`
			Values    []any    `json:"values"`
			Operators []string `json:"allowed_operators"`
			Operator  string   `json:"operator"`
		} `json:"filters"`
		Threshold *struct {
			Operators []string `json:"allowed_operators"`
			Operator  string   `json:"operator"`
			Period    int      `json:"period"`
			Count     int      `json:"count"`
		} `json:"threshold"`
		Actions []struct {
			ID     string `json:"id"`
			Params struct {
				LockTime int `json:"lock_time"`
			} `json:"params"`
		} `json:"actions"`
	} `json:"template"`
}

var triggersPath = fmt.Sprintf("/v2/clients/%d/triggers", Client)

func (c client) findTrigger(t *testing.T, id int) (trigger, bool) {
	t.Helper()
	var got struct {
		Triggers []trigger `json:"triggers"`
	}
	c.do(t, "GET", triggersPath+"?denormalize=true", "", &got)
	for _, one := range got.Triggers {
		if one.ID == id {
			return one, true
		}
	}
	return trigger{}, false
}

// plannedTrigger reads twice: a second plan has nothing to do.
func (c client) plannedTrigger(t *testing.T, want trigger) trigger {
	t.Helper()
	for range 2 {
		got, ok := c.findTrigger(t, want.ID)
		require.True(t, ok)
		require.Equal(t, want, got, "a plan would find a difference")
	}
	return want
}

// put creates a trigger, or replaces one.
func (c client) put(t *testing.T, method, path, template, rest string) trigger {
	t.Helper()
	var got struct {
		Trigger trigger `json:"trigger"`
	}
	c.do(t, method, path, fmt.Sprintf(`{"trigger":{"template_id":%q,%s}}`, template, rest), &got)
	return c.plannedTrigger(t, got.Trigger)
}

// receiver is an integration that every condition can notify.
func (c client) receiver(t *testing.T) int {
	t.Helper()
	var made changed
	c.do(t, "POST", "/v2/integration", fmt.Sprintf(`{"name":"Receiver","active":true,"type":"slack","clientid":%d,`+
		`"target":"https://hooks.slack.com/services/T/B/r","events":[]}`, Client), &made)
	t.Cleanup(func() { c.do(t, "DELETE", fmt.Sprint("/v2/integration/", made.Body.Object.ID), "", nil) })
	return made.Body.Object.ID
}

func (c client) trigger(t *testing.T, k condition) {
	actions := k.actions
	if k.actionIDs[0] == "send_notification" {
		actions = fmt.Sprintf(actions, c.receiver(t))
	}
	made := c.put(t, "POST", triggersPath, k.template, fmt.Sprintf(`"name":"Made by Terraform","enabled":true,`+
		`"comment":"This trigger set by Terraform","filters":%s,"threshold":%s,"actions":%s`, k.filters, k.threshold,
		actions))
	require.Positive(t, made.ID)
	require.Equal(t, []any{Client, k.template, true, "Made by Terraform", "This trigger set by Terraform"},
		[]any{made.Client, made.TemplateID, made.Enabled, made.Name, made.Comment})
	k.shows(t, made, k.threshold, actions)

	path := fmt.Sprint(triggersPath, "/", made.ID)
	next := c.put(t, "PUT", path, k.template, fmt.Sprintf(`"name":"Renamed","enabled":false,"comment":"other",`+
		`"filters":[],"threshold":%s,"actions":%s`, k.next, actions))
	require.Equal(t, []any{made.ID, false, "Renamed", "other"}, []any{next.ID, next.Enabled, next.Name, next.Comment})
	require.JSONEq(t, `[]`, string(next.Filters))
	back := c.put(t, "PUT", path, k.template, fmt.Sprintf(`"name":"Renamed","enabled":true,"comment":"other",`+
		`"filters":%s,"threshold":%s,"actions":%s`, k.filters, k.next, actions))
	k.shows(t, back, k.next, actions)
	var one struct {
		Trigger trigger `json:"trigger"`
	}
	c.do(t, "GET", path, "", &one)
	require.Equal(t, back, one.Trigger)

	c.do(t, "DELETE", path, "", nil)
	_, there := c.findTrigger(t, made.ID)
	require.False(t, there)
	status, raw := c.call(t, "DELETE", path, "")
	require.Equal(t, 404, status, raw)
}

// shows compares a trigger with what was sent, and its template with the facts.
func (k condition) shows(t *testing.T, got trigger, threshold, actions string) {
	t.Helper()
	require.JSONEq(t, k.filters, string(got.Filters))
	require.JSONEq(t, actions, string(got.Actions))
	require.JSONEq(t, threshold, string(got.Threshold))
	require.Equal(t, k.template, got.Template.ID)
	var filters, reactions []string
	for _, f := range got.Template.Filters {
		filters = append(filters, f.ID)
		require.NotNil(t, f.Required)
		require.Equal(t, []string{"eq", "ne"}, f.Operators)
	}
	for _, a := range got.Template.Actions {
		reactions = append(reactions, a.ID)
	}
	require.Equal(t, k.filterIDs, filters)
	require.Equal(t, k.actionIDs, reactions)
	if threshold == "null" {
		require.Nil(t, got.Template.Threshold)
		require.Empty(t, got.Thresholds)
		return
	}
	require.Equal(t, []string{"gt"}, got.Template.Threshold.Operators)
	require.Positive(t, got.Template.Threshold.Period)
	require.Len(t, got.Thresholds, 1)
	require.JSONEq(t, threshold, string(got.Thresholds[0]))
}

// anotherCondition: the provider changes template_id in place. Where a condition has no threshold of the
// configuration's it is sent null, and takes its own.
func (c client) anotherCondition(t *testing.T) {
	actions := fmt.Sprintf(notify, c.receiver(t))
	made := c.put(t, "POST", triggersPath, "hits_exceeded",
		`"name":"n","comment":"c","enabled":true,"filters":[`+byCount+`],"threshold":`+often+`,"actions":`+actions)
	path := fmt.Sprint(triggersPath, "/", made.ID)
	now := c.put(t, "PUT", path, "user_created",
		`"name":"n","comment":"c","enabled":true,"filters":[],"threshold":null,"actions":`+actions)
	require.Equal(t, []any{made.ID, "user_created", "null"}, []any{now.ID, now.TemplateID, string(now.Threshold)})
	now = c.put(t, "PUT", path, "bruteforce_started",
		`"name":"n","comment":"c","enabled":true,"filters":[],"threshold":null,"actions":`+block)
	require.JSONEq(t, `{"period":30,"operator":"gt","allowed_operators":["gt"],"count":30}`, string(now.Threshold))
	require.JSONEq(t, block, string(now.Actions))
	c.do(t, "DELETE", path, "", nil)
}
