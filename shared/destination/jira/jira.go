// Package jira creates an issue in Jira for each security issue (product facts, section 8), and comments on it when
// that is closed or opened again: in Jira Cloud through version 3 of its REST API, whose texts are Atlassian Document
// Format, and on premise through version 2, whose texts are plain. Where the
// integration names a status for that, the issue is moved there.
//
// Jira has no call that creates an issue once. The key of the issue is kept (reference.Store). After an answer that
// got lost the user's newest issues are looked through (Find) before another is made: of an object there are two issues
// only where Jira does not list the first by then, or where the user made more than 100 since. Each issue carries the
// keys of the event and of its object as an entity property, which no screen of a project can refuse.
package jira

import (
	"cmp"
	"embed"
	"encoding/base64"
	"net/http"
	"regexp"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Limits in characters. Jira, "Create issue": summary 255; a text field 32,767.
const (
	summaryLimit     = 255
	descriptionLimit = 32_767
)

// Kinds of token (facts, section 8).
const (
	basic  = "basic"
	bearer = "bearer"
)

// Property is the entity property of an issue that holds its event's key.
const Property = "platform.event"

// Parameters of an integration.
type Parameters struct {
	URL       string `json:"url" jsonschema:"required,title=Host URL,format=uri,minLength=1,maxLength=1024" jsonschema_description:"Of Jira, such as https://company.atlassian.net/."`
	Email     string `json:"email,omitempty" jsonschema:"title=User e-mail,maxLength=254" jsonschema_description:"Of the user whose token it is, who becomes the reporter of the issues. Jira Cloud needs it."`
	TokenType string `json:"token_type" jsonschema:"title=Token type,enum=basic,enum=bearer,default=basic" jsonschema_description:"basic for an API token of Jira Cloud, bearer for a personal access token of Jira on premise."`
	Token     string `json:"token" jsonschema:"required,title=Token,minLength=8,maxLength=1024,pattern=^[!-~]*$,writeOnly=true" jsonschema_description:"Jira Cloud: id.atlassian.com, Security, API tokens. On premise: your profile, Personal Access Tokens."`
	Verify    bool   `json:"ca_verify" form:"advanced" receiver:"true" jsonschema:"title=Verify TLS certificate,default=true" jsonschema_description:"Leave this on in production: without it anyone on the way can read the token."`
	Project   string `json:"project" jsonschema:"required,title=Project,pattern=^[A-Za-z][A-Za-z0-9_]*$,maxLength=255" jsonschema_description:"Key of the project (space) that the issues go to, such as SEC. The list shows those in which the user may create issues."`
	IssueType string `json:"issue_type" jsonschema:"required,title=Issue type,minLength=1,maxLength=255" jsonschema_description:"Name or ID of a type of that project. It must need no fields but summary and description."`
	Priority  bool   `json:"set_priority" form:"advanced" jsonschema:"title=Set the priority,default=false" jsonschema_description:"Highest, High, Medium, Low or Lowest by the risk. Only if the project has these priorities and the field is on its create screen: else Jira refuses the issues."`
	Closed    string `json:"on_closed,omitempty" form:"advanced" jsonschema:"title=Status when closed,maxLength=255" jsonschema_description:"Name of the status that an issue is moved to when its security issue is closed, or of the transition. The workflow must have a transition there that needs no fields. Empty: the issue keeps its status and gets a comment."`
	Reopened  string `json:"on_reopened,omitempty" form:"advanced" jsonschema:"title=Status when re-opened,maxLength=255" jsonschema_description:"Likewise, when it is opened again. An issue that is not done then stays where it is."`
}

var address = regexp.MustCompile(`^[^@\s:]+@[^@\s:]+$`)

// KeepsObjects says that Jira keeps an issue of an object: see integration.Keeper.
func (*Parameters) KeepsObjects() bool { return true }

// Check finds what the schema can not say.
func (p *Parameters) Check() []destination.FieldProblem {
	var out destination.InvalidParameters
	if why := destination.BaseProblem(p.URL); why != "" {
		out.Add("url", why)
	}
	if p.TokenType == basic && !address.MatchString(p.Email) {
		out.Add("email",
			"must be the e-mail address of the token's user: an API token of Jira Cloud works only with it")
	}
	return out
}

// api is an address of the REST API.
func (p *Parameters) api(segments ...string) string {
	version := "3"
	if p.TokenType == bearer {
		version = "2"
	}
	return destination.URL(p.URL, append([]string{"rest", "api", version}, segments...)...)
}

// request is a call of the REST API.
func (p *Parameters) request(method, address string) destination.Request {
	q := destination.Request{
		Method: method, URL: address, Transport: destination.Transport{SkipVerify: !p.Verify},
		Header: http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer " + p.Token}},
	}
	if p.TokenType != bearer {
		both := base64.StdEncoding.EncodeToString([]byte(p.Email + ":" + p.Token))
		q.Header.Set("Authorization", "Basic "+both)
		q.Secrets = []string{both}
	}
	return q
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Jira.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "jira", Title: "Jira", Group: destination.Incidents, Class: notification.Issues,
		Parameters: destination.ParametersOf[Parameters](),
		Choosable:  []string{"project", "issue_type", "on_closed", "on_reopened"},
		Folder:     destination.ReadFolder(files),
		Events: []event.Type{event.IssueCritical, event.IssueHigh, event.IssueMedium, event.IssueLow,
			event.IssueInfo},
	}}
}

// System describes Jira.
func (d Destination) System() destination.System { return d.system }

type issue struct {
	Fields     fields     `json:"fields"`
	Properties []property `json:"properties"`
}

type fields struct {
	Project     key    `json:"project"`
	Type        named  `json:"issuetype"`
	Summary     string `json:"summary"`
	Description any    `json:"description"` // a document, or a text
	Priority    *named `json:"priority,omitempty"`
}

type key struct {
	Key string `json:"key"`
}

// named is a thing that Jira finds by either.
type named struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type property struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// mark is the value of the property.
type mark struct {
	Event    string `json:"event"`
	Object   string `json:"object"` // what the event tells of: that of all its events
	Delivery string `json:"delivery"`
}

var priorities = map[notification.Severity]string{
	notification.Critical: "Highest", notification.High: "High", notification.Medium: "Medium", notification.Low: "Low",
	notification.Info: "Lowest",
}

// Encode makes one issue of each notification.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	return destination.Each(ns, func(n notification.Notification) any { return p.issue(t, n) },
		func(body []byte) destination.Request {
			q := p.request(http.MethodPost, p.api("issue"))
			q.Body = body
			q.Header.Set("Content-Type", "application/json")
			return q
		})
}

func (p *Parameters) issue(t destination.Target, n notification.Notification) issue {
	f := fields{Project: key{p.Project}, Type: named{Name: p.IssueType}, Summary: summary(n)}
	if number.MatchString(p.IssueType) {
		f.Type = named{ID: p.IssueType}
	}
	if f.Description = document(n); p.TokenType == bearer {
		f.Description = plain(n)
	}
	if p.Priority {
		f.Priority = &named{Name: priorities[n.Urgency()]}
	}
	m := mark{Event: n.EventKey(), Object: n.Dedup(), Delivery: t.Delivery}
	return issue{Fields: f, Properties: []property{{Property, m}}}
}

// summary is on one line: Jira refuses line breaks here.
func summary(n notification.Notification) string {
	return cut.UTF16(destination.OneLine(n.Title()), summaryLimit)
}

var number = regexp.MustCompile(`^[0-9]+$`)

// Judge takes a 2xx with the issue's id or key for a success, and reads Jira's words otherwise: those of the whole
// request, and those of single fields. Jira, REST API, "Create issue": 201 with id, key and self. A page to sign in at,
// which single sign-on puts before Jira, answers 200.
func (Destination) Judge(r destination.Response) destination.Verdict {
	if destination.Success(r.Status) {
		a := ijson.Fields(r.Body)
		v := destination.Proved(r, a["id"] != "" || a["key"] != "", "Jira answers 201 with the key of the issue")
		if v.Delivered {
			v.Reference = cmp.Or(a["key"], a["id"])
		}
		return v
	}
	return judge(r, map[int]string{
		400: "Jira did not take the issue",
		404: "there is no Jira at this address, or the user may not see the project: " +
			"check the host URL and the project",
	})
}
