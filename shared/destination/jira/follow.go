package jira

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// recent is how many of the user's newest issues are looked through for one whose answer was lost. Jira Cloud, "Search
// for issues using JQL": 100 at most with fields.
const recent = 100

// margin is how much longer ago than our clock says an issue may have been made.
const margin = 10 * time.Minute

// Find looks through the user's newest issues of the project for that of the object. Labels and text would be found by
// a search of its own, but a label needs the field on the project's screen, and an index of words splits ids; of the
// newest issues Jira Cloud gives the property by which it is known. Jira on premise gives none in a list: there the
// lines of the description that are the object's own decide.
func (Destination) Find(t destination.Target, n notification.Notification, since time.Time) destination.Request {
	p := t.Parameters.(*Parameters)
	minutes := int64((t.Now.Sub(since) + margin) / time.Minute)
	query := url.Values{"maxResults": {strconv.Itoa(recent)}, "jql": {fmt.Sprintf(
		"project = %q AND reporter = currentUser() AND created >= -%dm ORDER BY created DESC", p.Project, minutes)}}
	q := p.request(http.MethodGet, "")
	if p.TokenType == bearer {
		query.Set("fields", "summary,description")
		q.URL = p.api("search")
	} else {
		query.Set("fields", "summary")
		query.Set("properties", Property)
		q.URL = p.api("search", "jql")
	}
	q.URL += "?" + query.Encode()
	q.Keep = keep
	q.Judge = func(r destination.Response) destination.Verdict { return p.found(r, n) }
	return q
}

// found is an issue in a list.
type found struct {
	Key    string
	Fields struct {
		Summary     string
		Description json.RawMessage // of version 2 a text
	}
	Properties map[string]json.RawMessage
}

// found reads the list. A user who may not search has made nothing that could be found.
func (p *Parameters) found(r destination.Response, n notification.Notification) destination.Verdict {
	switch r.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
		return destination.Delivered()
	}
	var list struct{ Issues []found }
	if !destination.Success(r.Status) {
		return judge(r, nil)
	}
	if r.Broken || json.Unmarshal(r.Body, &list) != nil || list.Issues == nil {
		return destination.Unproven(r, "Jira answers 200 with a list of issues")
	}
	v := destination.Delivered()
	for _, i := range list.Issues {
		if p.is(i, n) {
			v.Reference = i.Key
			break
		}
	}
	return v
}

// is reports whether an issue is that of the object.
func (p *Parameters) is(i found, n notification.Notification) bool {
	if p.TokenType != bearer {
		var m mark
		return json.Unmarshal(i.Properties[Property], &m) == nil && m.Object == n.Dedup()
	}
	var text string
	if json.Unmarshal(i.Fields.Description, &text) != nil {
		return false
	}
	text = "\n" + strings.ReplaceAll(text, "\r\n", "\n")
	for _, line := range own(n) {
		if !strings.Contains(text, "\n"+line+"\n") {
			return false
		}
	}
	return true
}

// own are the lines of a description that tell one object from another, as plain writes them: its id, or its link, or,
// of an object without either, all its facts.
func own(n notification.Notification) []string {
	n.Late, n.FellBack = false, nil
	var all []string
	for _, f := range n.Facts() {
		line := n.Mark(f.Label) + escaped(cut.UTF16(destination.Printable(f.Value), valueLimits[0]))
		if f.Label == n.Say("ID") {
			return []string{line}
		}
		all = append(all, line)
	}
	if link := destination.WebLink(n.Link(), linkLimit); link != "" {
		return []string{n.Label("More details") + link}
	}
	return all
}

// Following is the same for all integrations: only new issues are looked through.
func (Destination) Following(destination.Target) (destination.Following, bool) {
	return destination.Following{}, true
}

type remark struct {
	Body any `json:"body"` // a document, or a text
}

// Follow adds a comment, and moves the issue where the integration says where to. Otherwise its status is the team's
// own affair: its workflow is not known here.
func (Destination) Follow(t destination.Target, n notification.Notification, reference string) (
	[]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	c := remark{comment(n)}
	if p.TokenType == bearer {
		c.Body = plainComment(n)
	}
	body, err := ijson.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write the comment on %s: %w", reference, err)
	}
	q := p.request(http.MethodPost, p.api("issue", reference, "comment"))
	q.Body = body
	q.Header.Set("Content-Type", "application/json")
	q.Judge = commented
	return append([]destination.Request{q}, p.moves(n, reference)...), nil
}

// commented takes a 201 with the comment's id for a success. Jira, REST API, "Add comment": 404 where the issue is gone
// or hidden from the user, who may also lack the right to comment (403): then the event gets an issue of its own, which
// says so again if it is the token that is not accepted.
func commented(r destination.Response) destination.Verdict {
	if destination.Success(r.Status) {
		return destination.Proved(r, ijson.Fields(r.Body)["id"] != "",
			"Jira answers 201 with the id of the comment")
	}
	reasons := map[int]string{400: "Jira did not take the comment"}
	maps.Copy(reasons, map[int]string{403: "the user may not comment on the issue", 404: "the issue is gone"})
	v := judge(r, reasons)
	v.Missing = r.Status == http.StatusForbidden || r.Status == http.StatusNotFound
	return v
}
