package jira

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tocsin/shared/destination"
)

// hints say what to do about a field that Jira names.
var hints = map[string]string{
	"project": "choose another project", "issuetype": "choose another issue type",
	"priority": "switch Set the priority off, or put the field on the project's create screen",
}

// usual explains statuses whatever was asked.
var usual = map[int]string{
	401: "the token was not accepted: check e-mail, token and token type; tokens of Jira Cloud expire",
	403: "the user may not do this, or Jira asks for a CAPTCHA after failed sign-ins: check the user's rights in the " +
		"project, and sign in once with a browser",
	429: "Jira asks to slow down",
}

// judge puts Jira's words beside the status's. Jira, REST API, "Status codes": errorMessages and errors by field.
func judge(r destination.Response, reasons map[int]string) destination.Verdict {
	var a struct {
		Messages []string          `json:"errorMessages"`
		Errors   map[string]string `json:"errors"`
		Message  string            `json:"message"`
	}
	_ = json.Unmarshal(r.Body, &a) // without words the status speaks
	all := maps.Clone(usual)
	maps.Copy(all, reasons)
	said := append([]string{a.Message}, a.Messages...)
	hint := ""
	for _, field := range slices.Sorted(maps.Keys(a.Errors)) {
		said = append(said, field+": "+a.Errors[field])
		if hint == "" {
			hint = hints[field]
		}
	}
	// Only of the two texts that are the event's own is a refusal the event's.
	texts := 0
	for _, field := range []string{"summary", "description"} {
		if a.Errors[field] != "" {
			texts++
		}
	}
	if hint == "" && len(a.Errors) > texts && r.Status == http.StatusBadRequest {
		hint = "the issue type must need no fields but summary and description"
	}
	if hint != "" {
		all[r.Status] = hint
	}
	v := destination.JudgeSaid(r, all, destination.Said(said...))
	if v.Unread && r.Status == http.StatusBadRequest {
		v.Unread = texts > 0 && texts == len(a.Errors)
	}
	return v
}

// keep is how much of a list is read.
const keep = destination.MaxKeep

// page is how many projects are asked for at once. Jira Cloud, "Get projects paginated": 100 at most.
const page = 100

// Options asks for the projects in which the user may create issues, or for the issue types or statuses of one.
func (Destination) Options(parameters any, field, after string) (destination.Request, error) {
	p := parameters.(*Parameters)
	q := p.request(http.MethodGet, "")
	q.Keep = keep
	switch {
	case field == "project" && p.TokenType == bearer:
		q.URL = p.api("project") // all of them in one list
	case field == "project":
		v := url.Values{"action": {"create"}, "orderBy": {"name"}, "maxResults": {strconv.Itoa(page)}}
		if after != "" {
			v.Set("startAt", after)
		}
		q.URL = p.api("project", "search") + "?" + v.Encode()
	case field == "issue_type" && p.Project == "":
		return q, errors.New("choose the project first: the issue types are those of a project")
	case strings.HasPrefix(field, "on_") && p.Project == "":
		return q, errors.New("choose the project first: the statuses are those of a project")
	case field == "issue_type":
		q.URL = p.api("project", p.Project)
	case strings.HasPrefix(field, "on_"):
		q.URL = p.api("project", p.Project, "statuses")
	default:
		return q, errors.New(field + " is not a parameter that Jira lists")
	}
	return q, nil
}

// project is a project in a list, and alone with its issue types.
type project struct {
	Key        string
	Name       string
	IssueTypes []struct {
		ID, Name string
		Subtask  bool
	} `json:"issueTypes"`
}

// Choices reads the list. Subtasks are left out: they need a parent.
func (Destination) Choices(field string, r destination.Response) ([]destination.Option, string, destination.Verdict) {
	if !destination.Success(r.Status) {
		return nil, "",
			judge(r, map[int]string{
				404: "there is no Jira at this address, or no such project: check the host URL and the project"})
	}
	if field == "project" {
		return projects(r)
	}
	if strings.HasPrefix(field, "on_") {
		return statuses(r)
	}
	var p project
	if json.Unmarshal(r.Body, &p) != nil {
		return nil, "", unreadable(r)
	}
	var out []destination.Option
	for _, t := range p.IssueTypes {
		if !t.Subtask {
			out = append(out, destination.Option{Value: t.ID, Title: t.Name})
		}
	}
	return out, "", destination.Delivered()
}

// statuses reads those of a project's issue types. Jira, REST API, "Get all statuses for project".
func statuses(r destination.Response) ([]destination.Option, string, destination.Verdict) {
	var types []struct{ Statuses []status }
	if json.Unmarshal(r.Body, &types) != nil {
		return nil, "", unreadable(r)
	}
	var out []destination.Option
	for _, t := range types {
		for _, s := range t.Statuses {
			if o := (destination.Option{Value: s.Name, Title: s.Name}); !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out, "", destination.Delivered()
}

func projects(r destination.Response) ([]destination.Option, string, destination.Verdict) {
	var paged struct {
		Values  []project
		StartAt int
		Last    bool `json:"isLast"`
	}
	if json.Unmarshal(r.Body, &paged.Values) == nil {
		paged.Last = true // version 2: the list itself
	} else if json.Unmarshal(r.Body, &paged) != nil {
		return nil, "", unreadable(r)
	}
	var out []destination.Option
	for _, p := range paged.Values {
		out = append(out, destination.Option{Value: p.Key, Title: p.Name + " (" + p.Key + ")"})
	}
	next := ""
	if !paged.Last && len(out) > 0 {
		next = strconv.Itoa(paged.StartAt + len(out))
	}
	if len(out) == 0 {
		return nil, "",
			destination.Failed(r,
				"Jira shows this user no project to create issues in: check e-mail and token, and the user's rights")
	}
	return out, next, destination.Delivered()
}

func unreadable(r destination.Response) destination.Verdict {
	if r.Broken {
		return destination.Failed(r, "answered "+destination.StatusText(r.Status)+
			", but the list broke off before its end: try again, or enter the value by hand")
	}
	what := "what is no list of Jira's, or one that is too long"
	if destination.WebPage(r) {
		what = "a web page, which is no list of Jira's: a page to sign in at, a proxy or a captive portal stands at " +
			"this address"
	}
	return destination.Failed(r, "answered "+destination.StatusText(r.Status)+" with "+what+
		": check the host URL, or enter the value by hand")
}
