package servicenow

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

var number = regexp.MustCompile(`^-?[0-9]+$`)

// setting are the fields that a change of the state writes.
type setting struct {
	State string `json:"state"`
	Code  string `json:"close_code,omitempty"`
	Notes string `json:"close_notes,omitempty"`
}

// sets is the request that gives an incident the state that the integration names for what happened; ok is false where
// it names none. The Table API takes the number of a state: that of a name is looked up.
func (p *Parameters) sets(n notification.Notification, reference string) (q destination.Request, ok bool) {
	to := strings.TrimSpace(map[event.Step]string{event.Closed: p.Closed, event.Reopened: p.Reopened}[n.Step()])
	change := func(of state) destination.Request {
		s := setting{State: of.Value}
		if n.Step() == event.Closed {
			s.Code, s.Notes = p.Code, cut.UTF16(line(n.Summary()), descriptionLimit)
		}
		body, err := ijson.Marshal(s)
		if err != nil {
			panic(err) // texts always encode
		}
		q := p.change(reference, body)
		q.Judge = func(r destination.Response) destination.Verdict { return changed(r, n.Step(), of) }
		return q
	}
	switch {
	case to == "":
		return q, false
	case number.MatchString(to):
		return change(state{to, to}), true
	}
	q = p.states()
	q.Judge = func(r destination.Response) destination.Verdict {
		all, v := readStates(r)
		if !v.Delivered {
			return v
		}
		at := slices.IndexFunc(all, func(s state) bool { return strings.EqualFold(s.Label, to) })
		if at < 0 {
			v = destination.Failed(r, "ServiceNow has no state "+destination.Said(to)+", but "+names(all))
			v.Apart = true // the rest of the settings is right
			return v
		}
		next := change(all[at])
		v.Next = &next
		return v
	}
	return q, true
}

// changed takes the record for a success, whether it is active then or not. An instance refuses a state (403) that its
// rules do not allow, or for which they ask for more fields. An incident that can not be opened again is as good as
// gone, if it is closed.
func changed(r destination.Response, step event.Step, to state) destination.Verdict {
	if destination.Success(r.Status) {
		v := Destination{}.Judge(r)
		if v.Reference = ""; v.Delivered {
			v.Reason = "the incident has the state " + destination.Said(to.Label)
		}
		return v
	}
	v := failed(r)
	v.Missing = r.Status == http.StatusNotFound
	if r.Status == http.StatusForbidden || r.Status == http.StatusBadRequest {
		v = destination.JudgeSaid(r, map[int]string{r.Status: "ServiceNow did not set the state of the incident: " +
			"give the user the right to, and a resolution code if the instance asks for one"}, words(r))
		v.Apart, v.Unread, v.Missing = true, false, step == event.Reopened
	}
	return v
}

// state of incidents, a row of the table sys_choice.
type state struct{ Label, Value string }

// states asks for the states of incidents. ServiceNow, "Choice lists": the table sys_choice.
func (p *Parameters) states() destination.Request {
	query := url.Values{"sysparm_limit": {"200"}, "sysparm_fields": {"label,value"}, "sysparm_query": {
		"name=incident^element=state^inactive=false^ORDERBYsequence"}}
	return destination.Request{Method: http.MethodGet, URL: p.base() + "/api/now/table/sys_choice?" + query.Encode(),
		Header: http.Header{"Accept": {"application/json"}}, Authorizer: p.authorizer(), Keep: destination.MaxKeep}
}

// readStates reads the list. A user who may not read it sees none of its rows.
func readStates(r destination.Response) ([]state, destination.Verdict) {
	const mend = "the user may not read the names of the states (table sys_choice): enter the state's number, such " +
		"as 6 for Resolved"
	var a struct{ Result []state }
	switch {
	case r.Status == http.StatusForbidden || r.Status == http.StatusNotFound:
		v := destination.Failed(r, mend)
		v.Apart = true
		return nil, v
	case !destination.Success(r.Status):
		return nil, failed(r)
	case r.Broken || json.Unmarshal(r.Body, &a) != nil || a.Result == nil:
		return nil, destination.Unproven(r, "ServiceNow answers 200 with a list of states")
	case len(a.Result) == 0:
		v := destination.Failed(r, mend)
		v.Apart = true
		return nil, v
	}
	return a.Result, destination.Delivered()
}

// names lists what can be entered instead.
func names(all []state) string {
	var out []string
	for _, s := range all {
		out = append(out, s.Label+" ("+s.Value+")")
	}
	return cmp.Or(destination.Said(strings.Join(out, ", ")), "none")
}

// Options asks for the states.
func (Destination) Options(parameters any, field, _ string) (destination.Request, error) {
	q := parameters.(*Parameters).states()
	if field != "on_closed" && field != "on_reopened" {
		return q, errors.New(field + " is not a parameter that ServiceNow lists")
	}
	return q, nil
}

// Choices reads the list: a state goes by its name, which people know, in the language of the user.
func (Destination) Choices(_ string, r destination.Response) ([]destination.Option, string, destination.Verdict) {
	all, v := readStates(r)
	var out []destination.Option
	for _, s := range all {
		o := destination.Option{Value: s.Label, Title: s.Label + " (" + s.Value + ")"}
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out, "", v
}
