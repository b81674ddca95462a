package servicenow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Find looks for the newest incident with the object's correlation ID that is not closed: a closed one takes no notes.
// ServiceNow, Table API, "Retrieve records from a table".
func (Destination) Find(t destination.Target, n notification.Notification, _ time.Time) destination.Request {
	p := t.Parameters.(*Parameters)
	query := url.Values{"sysparm_limit": {"1"}, "sysparm_fields": {"number,sys_id"}, "sysparm_query": {
		"correlation_id=" + correlation(n.Dedup()) + "^active=true^ORDERBYDESCsys_created_on"}}
	return destination.Request{
		Method: http.MethodGet, URL: p.base() + "/api/now/table/incident?" + query.Encode(),
		Header: http.Header{"Accept": {"application/json"}}, Authorizer: p.authorizer(), Judge: found,
	}
}

// found reads the list. A user who may not read incidents sees none.
func found(r destination.Response) destination.Verdict {
	if r.Status == http.StatusForbidden {
		return destination.Delivered()
	}
	var a struct {
		Result []struct {
			ID string `json:"sys_id"`
		}
	}
	if !destination.Success(r.Status) {
		return failed(r)
	}
	if r.Broken || json.Unmarshal(r.Body, &a) != nil || a.Result == nil {
		return destination.Unproven(r, "ServiceNow answers 200 with a list of incidents")
	}
	v := destination.Delivered()
	if len(a.Result) > 0 {
		v.Reference = a.Result[0].ID
	}
	return v
}

// Following is the same for all integrations: an incident is found whenever it was made.
func (Destination) Following(destination.Target) (destination.Following, bool) {
	return destination.Following{Lists: true}, true
}

type note struct {
	Text string `json:"work_notes"`
}

// Follow adds a work note, and sets the state where the integration says which. Otherwise that is the team's own
// affair: which codes close an incident is the instance's. One that is closed takes no note: it is opened before.
func (Destination) Follow(t destination.Target, n notification.Notification, reference string) (
	[]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	body, err := ijson.Marshal(note{cut.UTF16(unmarked(destination.Printable(n.Summary()+"\n\n"+n.PlainText())),
		descriptionLimit)})
	if err != nil {
		return nil, fmt.Errorf("write the work note on %s: %w", reference, err)
	}
	q := p.change(reference, body)
	q.Judge = noted
	set, ok := p.sets(n, reference)
	set.Newest = true
	switch {
	case ok && n.Step() == event.Reopened:
		return []destination.Request{set, q}, nil
	case ok:
		return []destination.Request{q, set}, nil
	}
	return []destination.Request{q}, nil
}

// change writes fields of an incident.
func (p *Parameters) change(reference string, body []byte) destination.Request {
	q := destination.Post(destination.URL(p.base(), "api", "now", "table", "incident", reference)+
		"?sysparm_fields=active%2Cnumber%2Csys_id", body, "Accept", "application/json")
	q.Method, q.Authorizer = http.MethodPatch, p.authorizer()
	return q
}

// noted takes the record for a success, if it is not closed: a closed one drops the note without a word. ServiceNow,
// Table API, "Update a record": 404 where it is gone, 403 where the user may not change it; then the event gets an
// incident of its own.
func noted(r destination.Response) destination.Verdict {
	a := ijson.Fields(r.Body)
	switch {
	case destination.Success(r.Status) && a["result.sys_id"] != "" && a["result.active"] == "false":
		v := destination.Failed(r, "the incident is closed")
		v.Missing = true
		return v
	case destination.Success(r.Status):
		return Destination{}.Judge(r)
	}
	v := failed(r)
	v.Missing = r.Status == http.StatusForbidden || r.Status == http.StatusNotFound
	return v
}
