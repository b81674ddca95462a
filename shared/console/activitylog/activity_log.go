// Package activitylog is the operations on the activity log: the list, and the same as a CSV file.
package activitylog

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/mail/address"
)

// EntryView is one line of the log.
type EntryView struct {
	ID         string            `json:"id"`
	At         time.Time         `json:"at"`
	Email      string            `json:"email,omitempty" doc:"who did it; absent for Tocsin itself and for a shared token"`
	Name       string            `json:"name,omitempty"`
	By         string            `json:"by" doc:"who did it, by what is known" example:"ada@example.com"`
	Source     access.Source     `json:"source" enum:"console,api_token,platform,system,mail" doc:"through what"`
	Token      string            `json:"token,omitempty" doc:"the name of the API token"`
	HomeTenant string            `json:"home_tenant,omitempty" doc:"of who did it, where a global role acted for you"`
	Object     activity.Object   `json:"object" example:"Integration"`
	ObjectID   string            `json:"object_id,omitempty"`
	ObjectName string            `json:"object_name,omitempty" doc:"as it was called then"`
	Action     activity.Action   `json:"action" example:"update"`
	Changes    []activity.Change `json:"changes" doc:"field by field; long values are cut"`
	More       int               `json:"more,omitempty" doc:"changes that are not listed"`
	RequestID  string            `json:"request_id,omitempty" doc:"X-Request-Id of the call"`
}

// Filter narrows the log.
type Filter struct {
	Person   string          `query:"person" maxLength:"320" doc:"e-mail address of who did it, or by of an entry without one"`
	Object   activity.Object `query:"object" enum:"Integration,Email integration,Trigger,Report,Report settings,Personal notifications,Suppressed address,Command,Dead letter,API token,Session,User,Linked tenant,Tenant" doc:"type of object"`
	ObjectID string          `query:"object_id" maxLength:"256"`
	Action   activity.Action `query:"action" enum:"create,update,delete,enable,disable,fail,work,mute,unmute,test,replay,recover,acknowledge,revoke,sign in,sign out,refuse sign-in,link,unlink,erase,export" doc:"what was done"`
	Source   access.Source   `query:"source" enum:"console,api_token,platform,system,mail" doc:"through what"`
	From     time.Time       `query:"from" doc:"at this time or later"`
	To       time.Time       `query:"to" doc:"before this time"`
	Cursor   string          `query:"cursor" maxLength:"400" doc:"next_cursor of the page before"`
}

type activityInput struct {
	Filter

	Limit int `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"items on a page, at most 200"`
}

type activityOutput struct {
	Body struct {
		Items      []EntryView `json:"items" doc:"newest first"`
		NextCursor string      `json:"next_cursor,omitempty" doc:"go on with it, also when a page has few items or none"`
	}
}

type activityFileInput struct{ Filter }

// API is the operations.
type API struct {
	rest.Kit
	Log activity.Reader
}

const entryList rest.List = "activity"

// Register adds the operations.
func (s *API) Register(api huma.API) {
	const kept = "Who changed what, when, through what, and from which value to which. Secrets are only said to have " +
		"changed. Entries are kept for 13 months. For administrators and read-only users."
	tags := []string{"Activity log"}
	rest.Register(api, rest.Operation(access.ViewActivity, huma.Operation{
		OperationID: "list-activity", Method: http.MethodGet, Path: "/v1/activity", Tags: tags,
		Errors: []int{400, 422}, Summary: "List the activity log", Description: kept,
	}), s.list)
	huma.Register(api, rest.Operation(access.ViewActivity, huma.Operation{
		OperationID: "export-activity", Method: http.MethodGet, Path: "/v1/activity/export", Tags: tags,
		Errors: []int{400, 422}, Summary: "Read the activity log as CSV",
		Description: kept + " A line for each change. A value that a spreadsheet would take for a formula has an " +
			"apostrophe before it. One answer has at most 2,000 entries: X-Next-Cursor says that there are more.",
		Responses: rest.CSVAnswers(),
	}), s.export)
}

func (s *API) query(ctx context.Context, f Filter, limit int) (q activity.Query, err error) {
	q = activity.Query{Tenant: rest.Principal(ctx).Tenant, Person: strings.TrimSpace(f.Person), Object: f.Object,
		ObjectID: f.ObjectID, Action: f.Action, Source: f.Source, From: f.From, To: f.To, Limit: limit}
	if strings.Contains(q.Person, "@") {
		q.Person = address.Canonical(q.Person)
	}
	q.Before, err = rest.OpenCursor(entryList, q.Tenant, f.Cursor)
	return q, err
}

func (s *API) list(ctx context.Context, in *activityInput) (*activityOutput, error) {
	q, err := s.query(ctx, in.Filter, in.Limit)
	if err != nil {
		return nil, err
	}
	page, err := s.Log.List(ctx, q)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &activityOutput{}
	out.Body.Items = []EntryView{}
	for _, e := range page.Entries {
		out.Body.Items = append(out.Body.Items, view(e))
	}
	if page.Next != "" {
		out.Body.NextCursor = rest.MakeCursor(entryList, q.Tenant, page.Next)
	}
	return out, nil
}

func view(e activity.Entry) EntryView {
	v := EntryView{ID: e.ID, At: e.At, Email: e.Email, Name: e.Name, By: e.Who(), Source: e.Source, Token: e.Token,
		Object: e.Object, ObjectID: e.ObjectID, ObjectName: e.ObjectName, Action: e.Action, Changes: e.Changes,
		More: e.More, RequestID: e.RequestID}
	if e.Home != e.Tenant {
		v.HomeTenant = e.Home
	}
	if v.Changes == nil {
		v.Changes = []activity.Change{}
	}
	return v
}
