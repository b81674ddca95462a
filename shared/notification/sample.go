package notification

import (
	"encoding/json"
	"strings"
	"time"

	"tocsin/shared/event"
)

// Class groups systems by what their test sends (facts, 1.12).
type Class int

// The classes of the product facts.
const (
	Basic    Class = iota // messengers and incident managers: no hits
	Mail                  // Email report
	Advanced              // SIEMs, log stores, collectors, webhooks: with a hit
	// Those of the newer product (facts, section 8).
	Tickets // ServiceNow: the basic set with a security issue, without scope
	Issues  // Jira: a security issue alone
	Files   // Amazon S3, MinIO: a hit alone
	classes // their number
)

// Read reports whether people read what these systems are sent; the others are read by machines.
func (c Class) Read() bool { return c != Advanced && c != Files }

// Samples are the notifications of the Console's test button, in the order of the facts, each its own record.
// The ids derive from id, so that two tests are two sets of events.
func Samples(class Class, p Platform, tenant, client, id string, at time.Time) []Notification {
	var out []Notification
	for _, s := range samples {
		if s.class[class] {
			out = append(out, Notification{Platform: p, Test: true, Headers: true, Event: event.Event{
				ID: id + "-" + string(s.kind), Tenant: tenant, ClientName: client, Kind: s.kind, Time: at,
				Data: json.RawMessage(s.data),
			}})
		}
	}
	return out
}

type sample struct {
	kind  event.Kind
	class [classes]bool // by Class
	data  string
}

var samples = []sample{
	{event.CreateUser, [classes]bool{Basic: true, Mail: true, Advanced: true, Tickets: true},
		`{"user":{"name":"Test User","email":"test.user@example.com","role":"Administrator"},"by":{"name":"Test Administrator","email":"admin@example.com"}}`},
	{event.NewHits, [classes]bool{Advanced: true, Files: true},
		`{"hit":{"domain":"example.com","heur_distance":0.01111,"method":"POST","parameter":"GET_id_value","path":"/","payloads":["' or 1=1--"],"point":["get","id"],"probability":0.01,"remote_country":"PL","remote_port":41253,"remote_addr4":"8.8.8.8","remote_addr6":"","tor":"none","request_time":1677628800,"create_time":1677628802,"response_len":345,"response_status":404,"response_time":359,"stamps":[1111],"regex":[],"stamps_hash":-22222,"regex_hash":-2147483648,"type":"sqli","block_status":"monitored","id":["hits_test","test"],"object_type":"hit","anomaly":0}}`},
	{event.NewScopeIPs, [classes]bool{Basic: true, Mail: true, Advanced: true},
		`{"data":[{"action":"create","entity":{"id":1,"ip":"8.8.8.8"},"object_type":"subnetorip","object_userid":1}]}`},
	{event.TriggerCreate, [classes]bool{Basic: true, Advanced: true, Tickets: true},
		`{"trigger":{"id":"test","name":"Test trigger"},"by":{"name":"Test Administrator","email":"admin@example.com"}}`},
	{event.Vuln, [classes]bool{Basic: true, Mail: true, Advanced: true},
		`{"object_id":555,"vuln":{"domain":"example.com","id":null,"method":null,"parameter":null,"path":null,"title":"Test","discovered_by":null,"threat":"Medium","type":"Info"}}`},
	{event.SecurityIssue, [classes]bool{Tickets: true, Issues: true},
		`{"object_id":555,"security_issue":{"host":"example.com","id":null,"method":null,"parameter":null,"path":"/","title":"Test","discovered_by":"scanner","risk":"Medium","type":"Info"}}`},
}

// examples are what stands for an event type that a test does not send.
var examples = map[event.Type]sample{
	event.Requests: {kind: event.RequestsPerHour, data: `{"requests":1048576,"from":"2023-03-01T00:00:00Z"}`},
	event.Command: {kind: event.IPDenylistRequested, data: `{"trigger_id":"test","trigger_name":"Test trigger",` +
		`"ip":"8.8.8.8","lock_time":3600}`},
}

func init() {
	const head = `"integration":"test","zone":"Europe/Berlin","totals":`
	const day = `"from":"2023-03-01","to":"2023-03-01",` + head
	const issues = day + `[{"name":"Critical issues","n":1}],"lines":[{"label":"Critical",` +
		`"text":"Test · GET example.com/"}],"more":0`
	const apis = `[{"name":"Endpoints added","n":1}],"lines":[{"label":"Added","text":"GET example.com/orders/{id}"}],"more":0`
	for t, data := range map[event.Type]string{
		event.IssuesDaily: issues, event.CriticalDaily: issues, event.APIDaily: day + apis,
		event.SurfaceWeekly: `"from":"2023-02-27","to":"2023-03-05",` + head + `[{"name":"New IPs","n":1}],` +
			`"lines":[{"label":"New IP","text":"8.8.8.8"}],"more":0`,
		event.APIHourly: `"from":"2023-03-01T10:00:00+01:00","to":"2023-03-01T11:00:00+01:00",` + head + apis,
	} {
		examples[t] = sample{kind: event.ScheduledDigest, data: `{"digest":"` + string(t) + `",` + data + `}`}
	}
}

// sampled are the kinds of samples that stand for an event type, with its level.
var sampled = map[event.Type]struct {
	kind  event.Kind
	level string
}{
	event.Hits: {event.NewHits, ""}, event.System: {event.CreateUser, ""}, event.Scope: {event.NewScopeIPs, ""},
	event.RulesAndTriggers: {event.TriggerCreate, ""},
	event.VulnHigh:         {event.Vuln, "High"}, event.VulnMedium: {event.Vuln, "Medium"},
	event.VulnLow: {event.Vuln, "Low"}, event.IssueCritical: {event.SecurityIssue, "Critical"},
	event.IssueHigh: {event.SecurityIssue, "High"}, event.IssueMedium: {event.SecurityIssue, "Medium"},
	event.IssueLow: {event.SecurityIssue, "Low"}, event.IssueInfo: {event.SecurityIssue, "Info"},
}

// Example is an event of a type as a system is sent it, made up, and not marked as a test. ok is false for a type of
// which there is none: a report is made of a tenant's own record.
func Example(t event.Type, p Platform, tenant, client, id string, at time.Time) (n Notification, ok bool) {
	found, ok := examples[t]
	if like, is := sampled[t]; is {
		for _, s := range samples {
			if s.kind == like.kind {
				found, ok = s, true
				found.data = strings.ReplaceAll(s.data, `"Medium"`, `"`+like.level+`"`)
			}
		}
	}
	if !ok {
		return n, false
	}
	return Notification{Platform: p, Headers: true, Event: event.Event{ID: id + "-" + string(t), Tenant: tenant,
		ClientName: client, Kind: found.kind, Time: at, Data: json.RawMessage(found.data)}}, true
}
