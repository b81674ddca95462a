package jira

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// done is the category of the statuses of issues that are over. Jira, "Status categories": new, indeterminate, done.
const done = "done"

// status of an issue.
type status struct {
	Name     string
	Category struct{ Key string } `json:"statusCategory"`
}

// transition is a way from an issue's status to another.
type transition struct {
	ID   string
	Name string
	To   status
}

// moves are the requests that bring an issue to the status that the integration names for what happened; none where it
// names none.
func (p *Parameters) moves(n notification.Notification, issue string) []destination.Request {
	to := map[event.Step]string{event.Closed: p.Closed, event.Reopened: p.Reopened}[n.Step()]
	if to = strings.TrimSpace(to); to == "" {
		return nil
	}
	q := p.request(http.MethodGet, p.api("issue", issue)+"?fields=status&expand=transitions")
	q.Keep, q.Newest = keep, true
	q.Judge = func(r destination.Response) destination.Verdict {
		return p.way(r, issue, to, n.Step() == event.Closed)
	}
	return []destination.Request{q}
}

// way reads an issue with the transitions from its status, and goes on with the one that is named, or that leads to the
// status that is named. An issue that a person moved before is left where it is: over, or open.
func (p *Parameters) way(r destination.Response, issue, to string, closing bool) destination.Verdict {
	if !destination.Success(r.Status) {
		return judge(r, map[int]string{404: "the issue is gone"})
	}
	var is struct {
		Fields      struct{ Status status }
		Transitions []transition
	}
	if r.Broken || json.Unmarshal(r.Body, &is) != nil || is.Fields.Status.Name == "" {
		return destination.Unproven(r, "Jira answers 200 with the issue's status and its transitions")
	}
	now := is.Fields.Status
	if strings.EqualFold(now.Name, to) {
		return stays(now)
	}
	for _, named := range []func(transition) string{
		func(t transition) string { return t.Name }, func(t transition) string { return t.To.Name },
		func(t transition) string { return t.ID },
	} {
		at := slices.IndexFunc(is.Transitions, func(t transition) bool { return strings.EqualFold(named(t), to) })
		if at >= 0 {
			v := destination.Delivered()
			v.Next = p.move(issue, is.Transitions[at])
			return v
		}
	}
	if (now.Category.Key == done) == closing {
		return stays(now)
	}
	v := destination.Failed(r, "the comment is there, but the issue could not be moved: from "+
		destination.Said(now.Name)+" Jira offers no transition or status "+destination.Said(to)+", but "+
		names(is.Transitions))
	v.Apart = true // of this issue's workflow: others can be moved
	return v
}

func stays(at status) destination.Verdict {
	v := destination.Delivered()
	v.Reason = "the issue stays at " + destination.Said(at.Name)
	return v
}

// names lists what can be entered instead.
func names(all []transition) string {
	var out []string
	for _, t := range all {
		out = append(out, cmp.Or(t.To.Name, t.Name))
		if t.To.Name != "" && !strings.EqualFold(t.To.Name, t.Name) {
			out[len(out)-1] += " (by " + t.Name + ")"
		}
	}
	return cmp.Or(destination.Said(strings.Join(out, ", ")), "none")
}

// move makes a transition. Jira, REST API, "Transition issue": 204.
func (p *Parameters) move(issue string, way transition) *destination.Request {
	body, err := ijson.Marshal(map[string]any{"transition": map[string]string{"id": way.ID}})
	if err != nil {
		panic(err) // a text always encodes
	}
	q := p.request(http.MethodPost, p.api("issue", issue, "transitions"))
	q.Body = body
	q.Header.Set("Content-Type", "application/json")
	q.Judge = func(r destination.Response) destination.Verdict {
		if destination.Success(r.Status) {
			v := destination.Proved(r, r.Status == http.StatusNoContent, "Jira answers 204 when an issue was moved")
			if v.Delivered {
				v.Reason = "the issue was moved to " + destination.Said(cmp.Or(way.To.Name, way.Name))
			}
			return v
		}
		v := judge(r, map[int]string{
			400: "the comment is there, but Jira did not move the issue: the transition must need no fields",
			403: "the user may not move the issue: give it the permission Transition issues", 404: "the issue is gone",
			409: "somebody else moved the issue at the same time",
		})
		v.Apart = r.Status == http.StatusBadRequest
		return v
	}
	return &q
}
