// Package servicenow opens an incident in ServiceNow for each notification (product facts, section 8: the table and its
// fields are silent there; this is the platform's own choice), through the Table API with an OAuth token. What becomes
// of the notification's object is added to its incident as a work note.
//
// The incident is found by its correlation ID before another is made, so that a repeat after a lost answer makes none,
// unless the user may not read incidents. Who makes it claims that first (reference.Store).
package servicenow

import (
	"embed"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/destination/oauth"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Limits in characters: the lengths of the incident's columns in a new instance. ServiceNow cuts what is longer without
// a mark, so it is cut here.
const (
	shortLimit       = 160
	descriptionLimit = 4000
	correlationLimit = 100
)

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Parameters of an integration.
type Parameters struct {
	Instance string `json:"instance" receiver:"true" jsonschema:"required,title=Instance name,minLength=1,maxLength=256" jsonschema_description:"acme when the address is https://acme.service-now.com; the whole https address when it is another one."`
	User     string `json:"username" jsonschema:"required,title=User name,minLength=1,maxLength=128" jsonschema_description:"A user for this integration alone, with the role itil or another that may create incidents. It is shown as the caller's side of the incident."`
	Password string `json:"password" jsonschema:"required,title=Password,minLength=1,maxLength=256,writeOnly=true" jsonschema_description:"Of that user."`
	Client   string `json:"client_id" jsonschema:"required,title=OAuth client ID,minLength=1,maxLength=128" jsonschema_description:"From ServiceNow: System OAuth, Application Registry, an OAuth API endpoint for external clients."`
	Secret   string `json:"client_secret" jsonschema:"required,title=OAuth client secret,minLength=4,maxLength=256,writeOnly=true" jsonschema_description:"On the same page."`
	Closed   string `json:"on_closed,omitempty" form:"advanced" jsonschema:"title=State when closed,maxLength=128" jsonschema_description:"Name or number of the state that an incident gets when its finding is closed, such as Resolved or 6. Empty: the incident keeps its state and gets a work note."`
	Code     string `json:"close_code,omitempty" form:"advanced when=on_closed:" jsonschema:"title=Resolution code,maxLength=128" jsonschema_description:"Of the incident that is closed so, such as Solution provided. Most instances ask for one. The resolution notes say that the platform closed it."`
	Reopened string `json:"on_reopened,omitempty" form:"advanced" jsonschema:"title=State when re-opened,maxLength=128" jsonschema_description:"Name or number of the state that an incident gets when its finding is opened again, such as In Progress or 2."`
}

// KeepsObjects says that ServiceNow keeps an incident of an object: see integration.Keeper.
func (*Parameters) KeepsObjects() bool { return true }

// name is an instance's name: a label of a host name.
var name = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// Check finds what the schema can not say.
func (p *Parameters) Check() []destination.FieldProblem {
	if name.MatchString(p.Instance) {
		return nil
	}
	u, err := url.Parse(p.Instance)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" ||
		u.User != nil || destination.BaseProblem(p.Instance) != "" {
		return []destination.FieldProblem{{Field: "instance", Reason: "must be the instance's name, such as acme, or " +
			"its whole address without a path, such as https://support.example.com"}}
	}
	return nil
}

// Addresses has the instance's name or address checked.
func (p *Parameters) Addresses() map[string]string { return map[string]string{"instance": p.base()} }

// base is the instance's address without a slash at its end.
func (p *Parameters) base() string {
	if name.MatchString(p.Instance) {
		return "https://" + strings.ToLower(p.Instance) + ".service-now.com"
	}
	return strings.TrimRight(p.Instance, "/")
}

// authorizer is OAuth's resource owner password credentials. ServiceNow, "OAuth API endpoint for external clients".
func (p *Parameters) authorizer() oauth.ClientCredentials {
	return oauth.ClientCredentials{
		URL: p.base() + "/oauth_token.do",
		Form: oauth.Form("grant_type", "password", "client_id", p.Client, "client_secret", p.Secret, "username", p.User,
			"password", p.Password),
		Who:  "ServiceNow",
		Mend: "check user name, password, client ID and client secret; the user must not be locked out",
	}
}

// Destination is ServiceNow.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "servicenow", Title: "ServiceNow", Group: destination.Incidents, Class: notification.Tickets,
		Events:     events(),
		Choosable:  []string{"on_closed", "on_reopened"},
		Parameters: destination.ParametersOf[Parameters](), Folder: destination.ReadFolder(files),
	}}
}

// events are the basic set of the newer product: no scope, and security issues in place of vulnerabilities.
func events() []event.Type {
	return []event.Type{event.System, event.RulesAndTriggers, event.IssueCritical, event.IssueHigh, event.IssueMedium,
		event.IssueLow, event.IssueInfo}
}

// System describes ServiceNow.
func (d Destination) System() destination.System { return d.system }

// incident is a row of the table as it is written: every value is a text.
type incident struct {
	Short              string `json:"short_description"`
	Description        string `json:"description"`
	Impact             string `json:"impact"`
	Urgency            string `json:"urgency"`
	CorrelationID      string `json:"correlation_id"`
	CorrelationDisplay string `json:"correlation_display"`
}

// levels are impact and urgency, of which ServiceNow makes the priority: Critical 1, High 2, Moderate 3, Low 4,
// Planning 5 (its table of priority lookups as delivered).
var levels = map[notification.Severity][2]string{
	notification.Critical: {"1", "1"}, notification.High: {"2", "1"}, notification.Medium: {"2", "2"},
	notification.Low: {"3", "2"}, notification.Info: {"3", "3"},
}

// Encode makes one incident of each notification. Its correlation ID is that of the event's object for ever, by which
// the incident is found again.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	return destination.Each(ns, func(n notification.Notification) any { return render(n) },
		func(body []byte) destination.Request {
			q := destination.Post(p.base()+"/api/now/table/incident?sysparm_fields=number%2Csys_id", body,
				"Accept", "application/json")
			q.Authorizer = p.authorizer()
			return q
		})
}

func render(n notification.Notification) incident {
	l := levels[n.Urgency()]
	return incident{
		Short:       cut.UTF16(line(n.Title()), shortLimit),
		Description: cut.UTF16(unmarked(destination.Printable(n.PlainText())), descriptionLimit),
		Impact:      l[0], Urgency: l[1], CorrelationID: correlation(n.Dedup()),
		CorrelationDisplay: cut.UTF16(line(n.Platform.Name), correlationLimit),
	}
}

// unmarked keeps the text from being read as HTML where it is copied to a journal, which takes what stands between
// [code] and [/code] for that. ServiceNow, "Add formatting to journal fields".
func unmarked(s string) string { return code.ReplaceAllString(s, "[ $1]") }

var code = regexp.MustCompile(`(?i)\[(/?code)\]`)

// line is a text on one line.
func line(s string) string { return unmarked(destination.OneLine(s)) }

// correlation keeps the id within its column, and such that a query can hold it (ServiceNow, "Encoded query strings": ^
// parts conditions, javascript: runs a script): another becomes a digest, which is as unique.
func correlation(id string) string {
	if len(id) <= correlationLimit && !strings.Contains(id, "^") &&
		!strings.HasPrefix(strings.ToLower(id), "javascript:") {
		return id
	}
	return destination.Digest(id)
}

var reasons = map[int]string{
	400: "ServiceNow could not take the incident",
	401: "the access token was not accepted: check the user's rights to use the REST API",
	403: "the user may not create incidents: give it the role itil, or rights on the table incident",
	404: "there is no Table API at this address: check the instance name",
	429: "the instance's limit of requests is reached: an administrator can raise it under REST API rate limit rules",
}

// Judge takes a 2xx with a record for a success: an instance that sleeps answers 200 with a page. ServiceNow, Table
// API, "Create a record": 201 with result, which holds the fields that were asked for.
func (Destination) Judge(r destination.Response) destination.Verdict {
	said := words(r)
	if destination.Success(r.Status) {
		switch {
		case ijson.Fields(r.Body)["result.sys_id"] != "":
			v := destination.Delivered()
			v.Reference = ijson.Fields(r.Body)["result.sys_id"]
			return v
		case said != "":
			return destination.Failed(r, "ServiceNow answered "+destination.StatusText(r.Status)+
				" and made no incident (it says: "+said+")")
		}
		v := destination.Unproven(r, "ServiceNow answers 201 with the sys_id of the incident")
		if destination.WebPage(r) {
			v.Reason += "; a hibernating instance answers so too: wake it up"
		}
		return v
	}
	return failed(r)
}

// failed puts ServiceNow's words beside the status's.
func failed(r destination.Response) destination.Verdict {
	v := destination.JudgeSaid(r, reasons, words(r))
	v.Stale = r.Status == http.StatusUnauthorized
	return v
}

// words are ServiceNow's own.
func words(r destination.Response) string {
	var a struct {
		Error struct{ Message, Detail string }
	}
	_ = json.Unmarshal(r.Body, &a) // without words the status speaks
	return destination.Said(a.Error.Message, a.Error.Detail)
}
