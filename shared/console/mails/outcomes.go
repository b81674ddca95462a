// Package mails is the operations on mails: what became of those of reports on demand and of those to people, and the
// mails that a deployment without a mail server keeps.
package mails

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/console/rest"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/mail/address"
	"tocsin/shared/profile"
	"tocsin/shared/report"
)

// The mails of people and of reports on demand are deliveries like any other, to receivers that are no integrations
// (package receiver). Here are their logs: of a report for who may see reports, of a person for that person, of all
// people of a tenant for administrators. None of them shows what a mail says.

// API is the operations on mails: those of reports on demand and to people, and those that are kept.
type API struct {
	rest.Kit
	Deliveries deliveries.History
	// Reports makes reports, nil = this deployment has none.
	Reports *report.Service
	// Profiles keeps each person's notifications, nil = there are none; with it SuppressionList has the addresses that
	// nothing is sent to.
	Profiles        *profile.Service
	SuppressionList mail.SuppressionList
	// Backlog counts what waits for a person; nil = that is not said.
	Backlog integration.Backlog
	// MailLog reads the mails of a tenant that an embedded engine keeps; nil when mails are sent.
	MailLog func(ctx context.Context, tenant, before string, limit int) ([]Mail, error)
	// MailQuota bounds mails on request; nil = they are not bounded.
	MailQuota *mail.Quota
	// Wake is told of lanes that a replay filled.
	Wake func(lanes ...delivery.Lane)
}

// Register adds the operations.
func (s *API) Register(api huma.API) {
	if s.Reports != nil {
		s.reportMails(api)
	}
	if s.Profiles != nil {
		s.personalMails(api)
	}
	s.mails(api)
}

// MailState says what became of a mail.
type MailState string

// The states of mails.
const (
	MailWaiting MailState = "waiting"
	MailSent    MailState = "sent"
	MailFailed  MailState = "failed"
	// MailNotSent is a mail that is settled without being sent: its address has left, or does not exist, or there is no
	// mail server.
	MailNotSent MailState = "not_sent"
	MailUnknown MailState = "unknown"
)

// TransformSchema says what the states mean: a tag would be one long line.
func (OutcomeView) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Properties["state"].Description = "waiting: it is on its way, or is tried again; failed: it is not tried " +
		"again; " +
		"not_sent: it is not to be sent to this address, or there is no mail server; " +
		"unknown: there is no record of it any more"
	return s
}

// OutcomeView is what became of one mail.
type OutcomeView struct {
	ID        string       `json:"id,omitempty" doc:"of its delivery; absent while that is not made"`
	Receiver  string       `json:"receiver" doc:"the address" example:"ada@example.com"`
	Kinds     []event.Kind `json:"kinds" doc:"what it tells of"`
	State     MailState    `json:"state" enum:"waiting,sent,failed,not_sent,unknown"`
	CreatedAt *time.Time   `json:"created_at,omitempty"`
	At        *time.Time   `json:"at,omitempty" doc:"when it was tried last"`
	Attempts  int          `json:"attempts" doc:"how often it was tried; at most 64 are counted"`
	Status    int          `json:"status,omitempty" doc:"the last answer of the mail server; absent when there was none"`
	Reason    string       `json:"reason,omitempty" worded:"true" doc:"why it failed, waits, or was not sent"`
	Due       *time.Time   `json:"due,omitempty" doc:"when it is tried again"`
}

// forgotten is how long after a report was made its mails must have become deliveries: without one they are not kept
// any more.
const forgotten = 24 * time.Hour

func outcomeView(d delivery.Delivery, to string) OutcomeView {
	v := OutcomeView{
		ID: d.ID, Receiver: to, Kinds: d.Kinds, State: MailWaiting, CreatedAt: &d.CreatedAt,
		Attempts: len(d.Attempts), Reason: d.Reason,
	}
	if v.Kinds == nil {
		v.Kinds = []event.Kind{}
	}
	if n := len(d.Attempts); n > 0 {
		last := d.Attempts[n-1]
		v.At, v.Status = &last.At, deliveries.Answered(last.Status)
		if v.Reason == "" {
			v.Reason = last.Reason
		}
	}
	switch {
	case d.State == delivery.Dead:
		v.State = MailFailed
	case d.State == delivery.Delivered && v.Status == 0: // nobody took it
		v.State = MailNotSent
	case d.State == delivery.Delivered:
		v.State, v.Reason = MailSent, ""
	case d.State == delivery.Retrying && !d.Due.IsZero():
		v.Due = &d.Due
	}
	return v
}

type outcomesOutput struct {
	Body struct {
		Items      []OutcomeView `json:"items"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}
}

// reportOutcomesOutput has one item for each receiver: the list has no further page.
type reportOutcomesOutput struct {
	Body struct {
		Items []OutcomeView `json:"items" doc:"one for each receiver of the report, in their order"`
	}
}

type personMailInput struct {
	ID     string `path:"id" maxLength:"64"`
	Cursor string `query:"cursor" maxLength:"400" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"items on a page, at most 200"`
}

type ownMailInput struct {
	Delivery string `path:"delivery"`
}

// againWords say what sending again costs.
const againWords = "One that has failed, was not sent or has arrived, under its old id; one that is on its way " +
	"is left alone (count 0). It counts as one of the account's mails on request: 429 when there is no room."

func (s *API) reportMails(api huma.API) {
	rest.Register(api, rest.Operation(access.ViewEvents, huma.Operation{
		OperationID: "list-report-mails", Method: http.MethodGet, Path: "/v1/reports/{id}/mails",
		Tags: []string{"Reports"}, Errors: []int{404},
		Summary: "List the mails of a report on demand",
		Description: "What became of the mail to each receiver. Those of a scheduled report are in the log of its " +
			"integration, and in each person's own.",
	}), s.listReportMails)
	rest.Register(api, rest.Operation(access.ManageEvents, huma.Operation{
		OperationID: "replay-report-mail", Method: http.MethodPost, Path: "/v1/reports/{id}/mails/{delivery}/replay",
		Tags: []string{"Reports"}, Errors: []int{404, 429},
		Summary: "Send a mail of a report again", Description: "For administrators and analysts. " + againWords,
	}), func(ctx context.Context, in *deliveries.DeliveryInput) (*deliveries.ReplayOutput, error) {
		r, err := s.Reports.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		return s.mailAgain(ctx, report.OrderReceiverID(r.ID), in.Delivery, nil)
	})
}

func (s *API) listReportMails(ctx context.Context, in *rest.IDInput) (*reportOutcomesOutput, error) {
	r, err := s.Reports.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	found := map[string]OutcomeView{}
	if r.State != report.Failed && len(r.Recipients) > 0 {
		if found, err = s.outcomesOf(ctx, r); err != nil {
			return nil, s.Answer(ctx, err)
		}
	}
	out := &reportOutcomesOutput{}
	out.Body.Items = []OutcomeView{}
	for _, to := range r.Recipients {
		v, ok := found[address.Canonical(to)]
		if !ok {
			v = OutcomeView{Receiver: to, Kinds: []event.Kind{event.Report}, State: MailWaiting}
			switch {
			case r.State == report.Failed:
				v.State, v.Reason = MailNotSent, r.Reason
			case s.Now().Sub(r.CreatedAt) > forgotten:
				v.State = MailUnknown
			}
		}
		out.Body.Items = append(out.Body.Items, v)
	}
	return out, nil
}

// outcomesOf finds the mails of a report by their canonical addresses, which only their events tell.
func (s *API) outcomesOf(ctx context.Context, r report.Report) (map[string]OutcomeView, error) {
	receiver := report.OrderReceiverID(r.ID)
	q := delivery.Query{Tenant: r.Tenant, Integration: receiver, Limit: 2 * report.MaxRecipients}
	list, err := s.Deliveries.List(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make(map[string]OutcomeView, len(list))
	for _, listed := range list {
		d, err := s.Deliveries.Get(ctx, r.Tenant, receiver, listed.ID)
		if errors.Is(err, delivery.ErrNotFound) || err == nil && len(d.Events) == 0 {
			continue // it has just been let go of
		}
		if err != nil {
			return nil, err
		}
		to := event.Data[event.ReportData](d.Events[0]).Address
		out[address.Canonical(to)] = outcomeView(d, to)
	}
	return out, nil
}

// mailAgain begins a new run of a mail that has ended. may says whether this mail may be sent again; nil = any.
func (s *API) mailAgain(
	ctx context.Context, receiver, id string, may func(delivery.Delivery) error,
) (*deliveries.ReplayOutput, error) {
	p := rest.Principal(ctx)
	d, err := s.Deliveries.Get(ctx, p.Tenant, receiver, id)
	if errors.Is(err, delivery.ErrNotFound) {
		return nil, rest.Missing("there is no such mail", `there is no mail "%s"`, "delivery")
	}
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if may != nil {
		if err := may(d); err != nil {
			return nil, err
		}
	}
	out := &deliveries.ReplayOutput{}
	if d.State == delivery.Dead || d.State == delivery.Delivered {
		// Also one that reached nobody: a server that refuses is not to be pestered either.
		if err := s.spend(ctx, 1); err != nil {
			return nil, s.Answer(ctx, err)
		}
	}
	// One that is pending is handed to the log as well, which mends what an engine lost of it.
	r := delivery.Replay{Tenant: p.Tenant, Integration: receiver, ID: id, Limit: 1}
	if out.Body.Count, _, err = s.Deliveries.Replay(ctx, r); err != nil {
		return nil, s.Answer(ctx, err)
	}
	if out.Body.Count > 0 {
		s.Log.Info("mail sent again", "tenant", p.Tenant, "receiver", receiver, "delivery", id, "by", p.Who())
		s.Wake(delivery.Lane{Tenant: p.Tenant, Integration: receiver})
		e := activity.Entry{Object: activity.Profile, ObjectID: receiver, Action: activity.Replay,
			Changes: []activity.Change{{Field: "delivery", After: id}}}
		if ordered, ok := strings.CutPrefix(receiver, report.OnDemand); ok {
			e.Object, e.ObjectID = activity.Report, ordered
		}
		s.Record(ctx, e)
	}
	return out, nil
}

// spend counts mails on request, where they are bounded.
func (s *API) spend(ctx context.Context, mails int) error {
	if s.MailQuota == nil {
		return nil
	}
	return s.MailQuota.Spend(ctx, rest.Principal(ctx).Tenant, mails)
}

// PersonView is a person to whom mails are sent, for an administrator.
type PersonView struct {
	ID    string      `json:"id"`
	Email string      `json:"email"`
	Name  string      `json:"name,omitempty"`
	Role  access.Role `json:"role,omitempty" doc:"the newest that is known"`
	// The numbers are floors where they reach personLimit.
	Waiting int    `json:"waiting" doc:"mails that wait; 100 stands for 100 or more"`
	Failed  int    `json:"failed" doc:"mails of the last 7 days that failed; 100 stands for 100 or more"`
	Paused  string `json:"paused,omitempty" worded:"true" doc:"why nothing is sent to the address"`
}

// What an administrator sees of a person's mails at a glance.
const (
	personLimit = 100
	lately      = 7 * 24 * time.Hour
)

type peopleInput struct {
	Cursor string `query:"cursor" maxLength:"400" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"50" default:"25" doc:"items on a page, at most 50"`
}

type peopleOutput struct {
	Body struct {
		Items      []PersonView `json:"items" doc:"in no order that means anything"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}
}

func (s *API) personalMails(api huma.API) {
	profiles, people := []string{"Profile"}, []string{"People"}
	rest.Register(api, rest.Operation(access.OwnProfile, huma.Operation{
		OperationID: "list-own-mails", Method: http.MethodGet, Path: "/v1/profile/mails",
		Tags: profiles, Errors: []int{400, 422},
		Summary: "List your mails",
		Description: "What became of the notifications and scheduled reports that were to be mailed to you, newest " +
			"first.",
	}), func(ctx context.Context, in *rest.PageInput) (*outcomesOutput, error) {
		p := rest.Principal(ctx).AtHome()
		ctx = rest.WithPrincipal(ctx, p)
		if p.Email == "" {
			return nil, rest.Nobody(ctx)
		}
		return s.mailsTo(ctx, profile.ID(p.Email), p.Email, in.Cursor, in.Limit)
	})
	rest.Register(api, rest.Operation(access.OwnProfile, huma.Operation{
		OperationID: "replay-own-mail", Method: http.MethodPost, Path: "/v1/profile/mails/{delivery}/replay",
		Tags: profiles, Errors: []int{404, 409, 429},
		Summary:     "Send a mail to you again",
		Description: againWords + " What your role may not see any more is not sent again: 409.",
	}), func(ctx context.Context, in *ownMailInput) (*deliveries.ReplayOutput, error) {
		p := rest.Principal(ctx).AtHome()
		if p.Email == "" {
			return nil, rest.Nobody(ctx)
		}
		return s.personalAgain(rest.WithPrincipal(ctx, p), profile.ID(p.Email), in.Delivery)
	})
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-people", Method: http.MethodGet, Path: "/v1/people",
		Tags: people, Errors: []int{400, 422},
		Summary:     "List the people who are mailed",
		Description: "Of your tenant, each with how many mails wait and how many have failed.",
	}), s.listPeople)
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-mails-to-person", Method: http.MethodGet, Path: "/v1/people/{id}/mails",
		Tags: people, Errors: []int{400, 404, 422},
		Summary:     "List the mails to a person",
		Description: "What became of each, newest first. It tells of what a mail was, and not what it said.",
	}), func(ctx context.Context, in *personMailInput) (*outcomesOutput, error) {
		p, err := s.personOf(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return s.mailsTo(ctx, p.ID, p.Email, in.Cursor, in.Limit)
	})
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "replay-mail-to-person", Method: http.MethodPost, Path: "/v1/people/{id}/mails/{delivery}/replay",
		Tags: people, Errors: []int{404, 409, 429},
		Summary:     "Send a mail to a person again",
		Description: againWords + " What the person's role may not see any more is not sent again: 409.",
	}), func(ctx context.Context, in *deliveries.DeliveryInput) (*deliveries.ReplayOutput, error) {
		return s.personalAgain(ctx, in.ID, in.Delivery)
	})
}

func (s *API) personOf(ctx context.Context, id string) (profile.Profile, error) {
	p, err := s.Profiles.Get(ctx, rest.Principal(ctx).Tenant, id)
	if errors.Is(err, profile.ErrNotFound) {
		return p, rest.Missing("there is no such person", `there is no person "%s"`, "id")
	}
	if err != nil {
		return p, s.Answer(ctx, err)
	}
	return p, nil
}

func (s *API) mailsTo(ctx context.Context, receiver, to, cursor string, limit int) (*outcomesOutput, error) {
	q := delivery.Query{Tenant: rest.Principal(ctx).Tenant, Integration: receiver, Limit: limit + 1}
	var err error
	if q.Before, err = rest.OpenCursor(outcomeList, q.Tenant, cursor); err != nil {
		return nil, err
	}
	found, err := s.Deliveries.List(ctx, q)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &outcomesOutput{}
	out.Body.Items = []OutcomeView{}
	for n, d := range found {
		if n == limit {
			out.Body.NextCursor = rest.MakeCursor(outcomeList, q.Tenant, found[n-1].ID)
			break
		}
		out.Body.Items = append(out.Body.Items, outcomeView(d, to))
	}
	return out, nil
}

// personalAgain sends a mail again to a person who may still see what it tells of: what it was about then is bounded by
// the role of now, like every mail (product facts, section 7).
func (s *API) personalAgain(ctx context.Context, receiver, id string) (*deliveries.ReplayOutput, error) {
	p, err := s.personOf(ctx, receiver)
	if err != nil {
		return nil, err
	}
	return s.mailAgain(ctx, p.ID, id, func(d delivery.Delivery) error {
		for _, e := range d.Events {
			if !p.MayBeTold(e) {
				return rest.NewProblem(http.StatusConflict, notTold(p))
			}
		}
		return nil
	})
}

func notTold(p profile.Profile) string {
	if p.Role == "" {
		return "the role of " + p.Email + " is not known here yet: it is when they have signed in to the Console once"
	}
	return "the role of " + p.Email + " may not see any more what this mail tells of"
}

func (s *API) listPeople(ctx context.Context, in *peopleInput) (*peopleOutput, error) {
	tenant := rest.Principal(ctx).Tenant
	after, err := rest.OpenCursor(peopleList, tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := s.Profiles.List(ctx, tenant, after, in.Limit+1)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &peopleOutput{}
	out.Body.Items = []PersonView{}
	for n, p := range found {
		if n == in.Limit {
			out.Body.NextCursor = rest.MakeCursor(peopleList, tenant, found[n-1].ID)
			break
		}
		v, err := s.personView(ctx, p)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		out.Body.Items = append(out.Body.Items, v)
	}
	return out, nil
}

func (s *API) personView(ctx context.Context, p profile.Profile) (PersonView, error) {
	v := PersonView{ID: p.ID, Email: p.Email, Name: p.Name, Role: p.Role}
	b, blocked, err := s.SuppressionList.Blocked(ctx, p.Tenant, p.ID, mail.Canonical(p.Email))
	if err != nil {
		return v, err
	}
	if blocked {
		v.Paused = string(b.Why) + ": " + b.Reason
	}
	if s.Backlog == nil {
		return v, nil
	}
	w, err := s.Backlog.CountWaiting(ctx, p.Tenant, p.ID, personLimit)
	if err != nil {
		return v, err
	}
	v.Waiting = w.Count
	v.Failed, err = s.Backlog.CountDead(ctx, p.Tenant, p.ID, s.Now().Add(-lately), personLimit)
	return v, err
}

const outcomeList rest.List = "mails to a person"

const peopleList rest.List = "people"
