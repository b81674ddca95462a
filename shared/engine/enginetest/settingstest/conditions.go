package settingstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/trigger"
)

// look is an event that a condition watches for. It has every value of there, and none of elsewhere.
type look struct {
	kind event.Kind
	data string
}

const assault = `"id":"a1","type":"sqli","host":"shop.example.com","path":"/login","sources":["203.0.113.7"],` +
	`"response_status":404,"applications":["7"],"target":"server"`

var (
	anyHit = look{event.NewHits, `{"hit":{"type":"sqli","host":"shop.example.com","path":"/login",` +
		`"remote_addr4":"203.0.113.7","response_status":404,"applications":["7"],"target":"server",` +
		`"payloads":["' or 1=1"]}}`}
	counted = `{"ip":"203.0.113.7","count":1,"url":"shop.example.com/login","applications":["7"],` +
		`"domain":"shop.example.com"}`
)

// looks are what sets each condition off.
var looks = map[trigger.TemplateID][]look{
	trigger.BruteForce:     {{event.BruteForceRequests, counted}},
	trigger.ForcedBrowsing: {{event.ForcedBrowsingResponses, counted}},
	trigger.BOLA:           {{event.BOLARequests, counted}},
	trigger.Payloads:       {anyHit},
	trigger.Attacks:        {anyHit, {event.NewAttack, `{"attack":{` + assault + `}}`}},
	trigger.Hits:           {anyHit},
	trigger.Incidents:      {{event.NewIncident, `{"incident":{` + assault + `}}`}},
	trigger.Denylisted: {{event.IPBlocked, `{"ip":"203.0.113.7","application":"Application #7",` +
		`"reason":"Many attacks","expire_at":"2023-03-02 12:00:00 +0000"}`}},
	trigger.APIChanged: {{event.APIStructureChanged, `{"application_id":7,"domain":"shop.example.com",` +
		`"endpoint_path":"/v1/orders","http_method":"GET","change_type":"added","sensitive_data":["IBAN"]}`}},
	trigger.HitsFromIP: {anyHit},
	trigger.UserAdded: {{event.CreateUser, `{"user":{"name":"Grace","email":"grace@example.com",` +
		`"role":"Administrator"}}`}},
	trigger.Compromised: {{event.CompromisedLogins, `{"accounts":["grace@example.com"]}`}},
	trigger.RogueAPI: {{event.APIComparisonResult, `{"api_host":"shop.example.com","endpoint_path":"/v1",` +
		`"type_of_endpoint":"shadow","api_spec_id":3}`}},
}

var there = map[filter.ID]filter.Value{
	filter.ByURL: "shop.example.com/*", filter.ByType: "sqli", filter.ByApplication: "7", filter.ByIP: "203.0.113.7",
	filter.ByDomain: "shop.example.com", filter.ByStatus: "4xx", filter.ByTarget: "server", filter.ByRole: "admin",
	filter.ByChange: "added", filter.ByPII: "IBAN", filter.ByDeviation: "shadow", filter.BySpec: "3",
}

var elsewhere = map[filter.ID]filter.Value{
	filter.ByURL: "shop.example.com/admin", filter.ByType: "xss", filter.ByApplication: "8",
	filter.ByIP: "203.0.113.8", filter.ByDomain: "api.example.com", filter.ByStatus: "5xx", filter.ByTarget: "client",
	filter.ByRole: "analytic", filter.ByChange: "unused", filter.ByPII: "password", filter.ByDeviation: "zombie",
	filter.BySpec: "4",
}

// reactions are the kinds of events that reactions publish; of the others, a notification.
var reactions = map[event.Kind]trigger.ActionID{
	event.IPDenylistRequested: trigger.Denylist, event.IPGraylistRequested: trigger.Graylist,
	event.IPMarkRequested: trigger.Mark, event.HitsGroupRequested: trigger.Group,
}

// marks are what requests are marked as.
var marks = map[trigger.TemplateID]string{trigger.BruteForce: "brute", trigger.ForcedBrowsing: "dirbust",
	trigger.BOLA: "bola"}

// of makes a trigger with all reactions of its condition, which goes off at the first event.
func of(tenant, id string, template trigger.Template, filters ...filter.Filter) trigger.Trigger {
	t := trigger.Trigger{ID: id, Tenant: tenant, Name: "Watch", Template: template.ID, Filters: filters, Revision: 1,
		Epoch: 1, CreatedAt: at, UpdatedAt: at}
	if template.Threshold != nil {
		t.Threshold = &trigger.Threshold{Period: template.Threshold.Default.Period}
	}
	for _, a := range template.Actions {
		action := trigger.Action{ID: a}
		switch {
		case a == trigger.Notify:
			action.Integrations = []string{"i"}
		case a.Lists():
			action.LockTime = 900
		}
		t.Actions = append(t.Actions, action)
	}
	return t
}

// scene is an event of a tenant's, and the reactions that are to come of it: those of each trigger that goes off.
type scene struct {
	template trigger.Template
	entry    delivery.Entry
	want     []string
}

// scenes sets a tenant up for each condition, and for each filter of it with either operator: of two triggers, one asks
// for a value that is there, the other for one that is not.
func (r *triggerRig) scenes() map[string]scene {
	r.t.Helper()
	out := map[string]scene{}
	add := func(tenant string, l look, template trigger.Template, fires string, triggers ...trigger.Trigger) {
		require.NoError(r.t, r.Store.Seed(r.t.Context(), tenant, triggers, enginetest.Entry(tenant)))
		s := scene{template: template, entry: delivery.Entry{DetailType: string(l.kind), At: at.Add(24 * time.Hour),
			Detail: fmt.Appendf(nil, `{"version":1,"id":"e","tenant":%q,"client_name":"Acme","time":%q,"data":%s}`,
				tenant, at.Format(time.RFC3339), l.data)}}
		for _, a := range template.Actions {
			s.want = append(s.want, fires+" "+string(a))
		}
		out[tenant] = s
	}
	for _, template := range trigger.Templates() {
		require.NotEmpty(r.t, looks[template.ID], "nothing sets %s off", template.ID)
		for n, l := range looks[template.ID] {
			name := fmt.Sprintf("%s-%d", template.ID, n)
			add(name, l, template, "t", of(name, "t", template))
			for _, id := range template.Filters {
				for operator, fires := range map[string]string{filter.Equal: "there", filter.NotEqual: "elsewhere"} {
					tenant := name + "-" + string(id) + "-" + operator
					by := func(values map[filter.ID]filter.Value) filter.Filter {
						require.NotEmpty(r.t, values[id], "no value of %s", id)
						return filter.Filter{ID: id, Operator: operator, Values: []filter.Value{values[id]}}
					}
					add(tenant, l, template, fires, of(tenant, "there", template, by(there)),
						of(tenant, "elsewhere", template, by(elsewhere)))
				}
			}
		}
	}
	return out
}

// everyConditionFires sets every condition off, with each of its filters, and looks at each of its reactions.
func everyConditionFires(t *testing.T, r *triggerRig) {
	scenes := r.scenes()
	f := r.fanout()
	got := map[string][]string{}
	for tenants := range slices.Chunk(slices.Sorted(maps.Keys(scenes)), 20) {
		var entries []delivery.Entry
		for _, tenant := range tenants {
			entries = append(entries, scenes[tenant].entry)
		}
		for _, e := range r.process(f, entries...) {
			action, ok := reactions[e.Kind]
			if !ok {
				action = trigger.Notify
			}
			got[e.Tenant] = append(got[e.Tenant], reacted(t, e, action, scenes[e.Tenant].template))
		}
	}
	for tenant, s := range scenes {
		require.ElementsMatch(t, s.want, got[tenant], tenant)
	}
}

// reacted checks what a reaction published, and tells whose it is.
func reacted(t *testing.T, e event.Event, action trigger.ActionID, template trigger.Template) string {
	t.Helper()
	require.Contains(t, template.Actions, action, e.Kind)
	if action == trigger.Notify {
		require.Equal(t, template.Notice, e.Kind)
		to, ok := e.Reaction()
		require.True(t, ok)
		require.Equal(t, []string{"i"}, to.Integrations)
		var data map[string]any
		require.NoError(t, json.Unmarshal(e.Data, &data))
		require.Equal(t, "Watch", data["trigger_name"])
		if template.Threshold != nil {
			require.Equal(t, template.Threshold.Subject, data["counted"])
			require.EqualValues(t, template.Threshold.Default.Period, data["period"])
		}
		return to.Trigger + " " + string(action)
	}
	c := event.Data[event.CommandData](e)
	require.Equal(t, "203.0.113.7", c.IP)
	require.Equal(t, "Watch", c.TriggerName)
	require.Equal(t, map[bool]int64{true: 900}[action.Lists()], c.LockTime)
	require.Equal(t, map[bool]string{true: marks[template.ID]}[action == trigger.Mark], c.Mark)
	require.Equal(t, action == trigger.Mark || action == trigger.Group, c.From > 0)
	require.Equal(t, action == trigger.Mark, c.To > 0)
	return c.TriggerID + " " + string(action)
}

// defaultsFire has the triggers of a new account go off as the facts have them (4.8), and not before.
func defaultsFire(t *testing.T, r *triggerRig) {
	f := r.fanout()
	brute := func(payload string) delivery.Entry {
		return r.entry("new_hits", "brute-"+payload, at, map[string]any{"hit": map[string]any{"type": "brute",
			"host": "shop.example.com", "remote_addr4": "203.0.113.2", "payloads": []string{payload}}})
	}
	require.Empty(t, r.process(f, brute("a"), brute("b"), brute("c"), brute("d"), brute("e")),
		"brute force does not count")
	const source = "203.0.113.1"
	require.Empty(t, r.process(f, r.hit(at, source, "a"), r.hit(at, source, "b", "a"),
		r.hit(at.Add(59*time.Minute), source, "c")))
	fired := r.process(f, r.hit(at.Add(59*time.Minute), source, "d"))
	require.Len(t, fired, 1)
	require.Equal(t, event.IPGraylistRequested, fired[0].Kind)
	listed := event.Data[event.CommandData](fired[0])
	require.Equal(t, []any{source, int64(3600)}, []any{listed.IP, listed.LockTime})

	var many []delivery.Entry
	for range 50 {
		many = append(many, r.hit(at.Add(2*time.Hour), "203.0.113.3"))
	}
	require.Empty(t, r.process(f, many...))
	fired = r.process(f, r.hit(at.Add(2*time.Hour+14*time.Minute), "203.0.113.3"))
	require.Len(t, fired, 1)
	require.Equal(t, event.HitsGroupRequested, fired[0].Kind)
	require.Equal(t, "203.0.113.3", event.Data[event.CommandData](fired[0]).IP)
}
