// Package deliveries is the operations on what is sent to integrations: reading, sending again, recovering what was
// missed, and events that could not be processed.
package deliveries

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/report"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
)

// DeliveryView is a delivery without its events.
type DeliveryView struct {
	ID        string         `json:"id"`
	State     delivery.State `json:"state" enum:"pending,retrying,delivered,dead"`
	CreatedAt time.Time      `json:"created_at"`
	Kinds     []event.Kind   `json:"kinds" doc:"what its events are"`
	Count     int            `json:"count" doc:"how many events it carries"`
	Digest    string         `json:"digest,omitempty" enum:"quiet,mute,group,storm,fallback" doc:"why its events are one message where people read it: they were held by quiet hours or by a mute, they are grouped, there were too many, or they fell back from another integration within a minute"`
	Due       *time.Time     `json:"due,omitempty" doc:"when it is sent again; of one that is held, or waits for a file of several: when it is sent"`
	Held      *HeldView      `json:"held,omitempty" doc:"what holds it until due, or held it; absent when nothing did"`
	Fallback  *FallbackView  `json:"fallback,omitempty" doc:"of a dead one: where its events went instead; it stays when it is sent again"`
	From      *FromView      `json:"from,omitempty" doc:"whose events it has by fallback; absent of those that came for its integration"`
	Reason    string         `json:"reason,omitempty" worded:"true" doc:"why it failed last, or why it is dead"`
	Attempts  []AttemptView  `json:"attempts" doc:"oldest first; the newest 64 are kept"`
}

// FallbackView says where the events of a dead delivery went.
type FallbackView struct {
	Integration string               `json:"integration_id" example:"01GTD8R4000000000000000002"`
	Delivery    string               `json:"delivery_id,omitempty" doc:"the delivery that was made there; absent: none was" example:"01GTD8R4000000000000000003"`
	Why         delivery.NotFallback `json:"why,omitempty" enum:"deleted,disabled,direct,once" doc:"why none was made: the fallback is deleted or disabled; the events are for this integration alone, or about the fallback; or the delivery came by fallback itself, and events fall back once"`
}

// FromView says whose events a delivery has by fallback.
type FromView struct {
	Integration string `json:"integration_id" example:"01GTD8R4000000000000000001"`
	Name        string `json:"name" doc:"of the integration, as it was then" example:"On call"`
	Delivery    string `json:"delivery_id,omitempty" doc:"the dead delivery; absent: the integration was disabled when the events came" example:"01GTD8R4000000000000000003"`
	Reason      string `json:"reason" worded:"true" doc:"why they could not be delivered"`
}

// HeldView says what held a delivery.
type HeldView struct {
	By      string    `json:"by" enum:"quiet,mute,fallback" doc:"quiet hours, that somebody muted the integration, or that what falls back within a minute is one message"`
	Until   time.Time `json:"until" doc:"of one whose hold ended early, when it was sent for the first time"`
	Zone    string    `json:"zone,omitempty" doc:"of the quiet hours; absent when a mute ended last" example:"Europe/Berlin"`
	Account bool      `json:"account,omitempty" doc:"the quiet hours are the account's, not the integration's own"`
}

// AttemptView is one try at sending.
type AttemptView struct {
	At        time.Time `json:"at"`
	WaitedMS  int64     `json:"waited_ms" doc:"the planned wait before it"`
	LateMS    int64     `json:"late_ms" doc:"how much later than planned it began"`
	TookMS    float64   `json:"took_ms"`
	Status    int       `json:"status,omitempty" doc:"absent when there was no answer"`
	Delivered bool      `json:"delivered"`
	Reason    string    `json:"reason,omitempty" worded:"true"`
	Answer    string    `json:"answer,omitempty" doc:"the start of a failure's answer, secrets masked"`
	FellBack  bool      `json:"fell_back,omitempty" doc:"the message template made nothing of an event, which got the standard title or text: see reason"`
	Gone      bool      `json:"gone,omitempty" doc:"the system says that what was sent to does not exist any more: enter a new address, or disable the integration"`
}

// DeliveryDetail is a delivery with its events.
type DeliveryDetail struct {
	DeliveryView
	Cycle  int         `json:"cycle,omitempty" doc:"1 to 3: the retry cycle it waits in"`
	Parts  []PartView  `json:"parts,omitempty" doc:"what became of each receiver, or of each run of events, where that differs"`
	Events []EventView `json:"events"`
}

// PartView is what became of one part of a delivery that travels as several requests.
type PartView struct {
	Receiver string             `json:"receiver,omitempty" doc:"of a mail; absent of a run of events" example:"ada@example.com"`
	First    int                `json:"first,omitempty" doc:"the first event of the run, counted from 1; absent of a receiver"`
	Count    int                `json:"count,omitempty" doc:"how many events the run has"`
	State    delivery.PartState `json:"state" enum:"waiting,delivered,failed,refused,skipped" doc:"failed: it is tried again until the delivery is dead; refused: the mail system refuses this receiver for good; skipped: it is not to be sent to this receiver"`
	Status   int                `json:"status,omitempty" doc:"of the last answer; absent when there was none"`
	Reason   string             `json:"reason,omitempty" worded:"true" doc:"why it did not arrive"`
}

// EventView is an event as upstream published it.
type EventView struct {
	ID   string          `json:"id"`
	Kind event.Kind      `json:"kind"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"`
}

type deliveriesInput struct {
	ID     string    `path:"id"`
	State  string    `query:"state" enum:"all,pending,retrying,delivered,dead" default:"all" doc:"only deliveries in this state"`
	From   time.Time `query:"from" doc:"made at this time or later"`
	To     time.Time `query:"to" doc:"made before this time"`
	Cursor string    `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"items on a page, at most 1,000"`
}

type deliveriesOutput struct {
	Body struct {
		Items      []DeliveryView `json:"items" doc:"newest first"`
		NextCursor string         `json:"next_cursor,omitempty" doc:"go on with it, also when a page has few items or none"`
		Reached    *time.Time     `json:"reached,omitempty" doc:"with next_cursor: the list was looked through to this time"`
	}
}

type DeliveryInput struct {
	ID       string `path:"id"`
	Delivery string `path:"delivery"`
}

type deliveryOutput struct{ Body DeliveryDetail }

// RequestView is a request of a delivery: over HTTP, or a mail.
type RequestView struct {
	Method  string              `json:"method,omitempty" example:"POST"`
	URL     string              `json:"url,omitempty" doc:"scheme and host only where the address is a secret" example:"https://hooks.slack.com/********"`
	Headers map[string][]string `json:"headers,omitempty" doc:"the values of all but a few well-known ones are masked"`
	Body    string              `json:"body,omitempty" doc:"uncompressed, secrets masked"`
	Cut     bool                `json:"cut,omitempty" doc:"the body is longer than is shown"`
	Mail    *MailView           `json:"mail,omitempty"`
}

// Text is the request as it travels: its line, its headers, its body; or the mail that it is.
func (v RequestView) Text() string {
	if v.Mail != nil {
		return "To: " + v.Mail.To + "\nSubject: " + v.Mail.Subject + "\n\n" + v.Mail.Text
	}
	var out strings.Builder
	out.WriteString(v.Method + " " + v.URL + "\n")
	for _, name := range slices.Sorted(maps.Keys(v.Headers)) {
		for _, value := range v.Headers[name] {
			out.WriteString(name + ": " + value + "\n")
		}
	}
	out.WriteByte('\n')
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(v.Body), "", "  ") == nil {
		out.Write(indented.Bytes())
	} else {
		out.WriteString(v.Body)
	}
	return out.String()
}

// MailView is a mail that is a request of a delivery.
type MailView struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

type requestsOutput struct {
	Body struct {
		Items   []RequestView `json:"items" doc:"in the order in which they are sent"`
		Changed bool          `json:"changed" doc:"the integration was changed after the last attempt: what was sent can differ"`
	}
}

// Previewer shows what a delivery sends.
type Previewer interface {
	Preview(ctx context.Context, opener sending.Opener, i integration.Integration,
		d delivery.Delivery) ([]sending.RequestPreview, error)
}

// API is the operations on what is sent to integrations, and on events that could not be processed.
type API struct {
	rest.Kit
	Integrations *integration.Service
	Systems      integration.Systems
	Deliveries   History
	// Settings have the quiet hours of tenants; nil = there are none.
	Settings  report.SettingsReader
	Previewer Previewer
	// Recovery makes good what an integration missed; nil = this deployment can not.
	Recovery    *fanout.Recovery
	DeadLetters DeadLetters
	// MailQuota bounds what is mailed again to other people although it has arrived; nil = it is not bounded.
	MailQuota *mail.Quota
	// Wake is told of lanes that a replay filled.
	Wake func(lanes ...delivery.Lane)
}

// Register adds the operations.
func (s *API) Register(api huma.API) {
	s.deliveries(api)
	s.log(api)
	if s.Recovery != nil {
		s.recovery(api)
	}
	s.deadLetters(api)
}

func (s *API) deliveries(api huma.API) {
	tags := []string{"Deliveries"}
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-deliveries", Method: http.MethodGet, Path: "/v1/integrations/{id}/deliveries", Tags: tags,
		Errors:      []int{400, 404, 422},
		Summary:     "List an integration's deliveries",
		Description: "With every attempt: when, after which wait, what the system answered.",
	}), s.listDeliveries)
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "get-delivery", Method: http.MethodGet, Path: "/v1/integrations/{id}/deliveries/{delivery}",
		Tags: tags, Errors: []int{404},
		Summary: "Read a delivery", Description: "With its events.",
	}), s.getDelivery)
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-requests", Method: http.MethodGet,
		Path: "/v1/integrations/{id}/deliveries/{delivery}/requests", Tags: tags, Errors: []int{404, 409},
		Summary: "Read what a delivery sends",
		Description: "Its requests as they are made with the integration's present settings, secrets masked. Of an " +
			"event that was added to what an earlier one made, those that added it; none where there was nothing " +
			"to send. Requests that only looked for what was made are left out.",
	}), s.listRequests)
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "replay-delivery", Method: http.MethodPost,
		Path: "/v1/integrations/{id}/deliveries/{delivery}/replay", Tags: tags, Errors: []int{404, 409, 429},
		Summary: "Send a delivery again", Description: "A dead or delivered one, under its old id, with a new run of " +
			"the retry cycles. One that is on its way already is left alone (count 0). " + repeatedMails,
	}), func(ctx context.Context, in *DeliveryInput) (*ReplayOutput, error) {
		return s.replay(ctx, delivery.Replay{Integration: in.ID, ID: in.Delivery, Limit: 1})
	})
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "replay-deliveries", Method: http.MethodPost, Path: "/v1/integrations/{id}/replay", Tags: tags,
		Errors:  []int{400, 404, 409, 422, 429},
		Summary: "Send a range of deliveries again", Description: "At most 500 a call; go on with the cursor. " +
			repeatedMails,
	}), s.replayRange)
}

func (s *API) listDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	before, err := rest.OpenCursor(deliveryList, rest.Principal(ctx).Tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	if _, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID); err != nil {
		return nil, s.Answer(ctx, err)
	}
	q := delivery.Query{Tenant: rest.Principal(ctx).Tenant, Integration: in.ID, From: in.From, To: in.To,
		Before: before, Limit: in.Limit}
	if in.State != "all" {
		q.States = []delivery.State{delivery.State(in.State)}
	}
	page, err := s.index().List(ctx, q)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &deliveriesOutput{}
	out.Body.Items = make([]DeliveryView, len(page.Found))
	for n, f := range page.Found {
		out.Body.Items[n] = deliveryView(f.Delivery)
	}
	if page.Next != "" {
		out.Body.NextCursor, out.Body.Reached = rest.MakeCursor(deliveryList, q.Tenant, page.Next), &page.Reached
	}
	return out, nil
}

func deliveryView(d delivery.Delivery) DeliveryView {
	v := DeliveryView{
		ID: d.ID, State: d.State, CreatedAt: d.CreatedAt, Kinds: d.Kinds, Count: d.Count, Reason: d.Reason,
		Digest: delivery.DigestReason(d.Digest), Attempts: []AttemptView{},
	}
	if v.Kinds == nil {
		v.Kinds = []event.Kind{}
	}
	if !d.Due.IsZero() {
		v.Due = &d.Due
	}
	if f := d.Fallback; f != nil {
		v.Fallback = &FallbackView{Integration: f.Integration, Delivery: f.Delivery, Why: f.Why}
	}
	if f := d.From; f != nil {
		v.From = &FromView{Integration: f.Integration, Name: f.Name, Delivery: f.Delivery, Reason: f.Reason}
	}
	if h := d.Held; d.WasHeld() {
		v.Held = &HeldView{By: h.By, Until: h.Until, Zone: h.Zone, Account: h.Tenant}
		if len(d.Attempts) > 0 && d.Attempts[0].At.Before(h.Until) {
			v.Held.Until = d.Attempts[0].At // it ended early, in a version that did not write when
		}
	}
	for _, a := range d.Attempts {
		v.Attempts = append(v.Attempts, AttemptView{
			At: a.At, WaitedMS: a.Waited.Milliseconds(), LateMS: a.Late.Milliseconds(),
			TookMS: float64(a.Took.Microseconds()) / 1000,
			Status: Answered(a.Status), Delivered: a.Delivered, Reason: a.Reason, Answer: a.Answer, Gone: a.Gone,
			FellBack: messagetemplate.FellBack(a.Reason),
		})
	}
	return v
}

// Answered leaves out the status that nobody has answered: of a mail that was settled without being sent.
func Answered(status int) int {
	if status == destination.MailNotSent {
		return 0
	}
	return status
}

func (s *API) getDelivery(ctx context.Context, in *DeliveryInput) (*deliveryOutput, error) {
	if _, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID); err != nil {
		return nil, s.Answer(ctx, err)
	}
	d, err := s.Deliveries.Get(ctx, rest.Principal(ctx).Tenant, in.ID, in.Delivery)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	v := DeliveryDetail{DeliveryView: deliveryView(d), Events: []EventView{}}
	if d.State == delivery.Retrying {
		v.Cycle, _ = retry.Position(d.Failures)
	}
	for _, p := range d.Outcomes() {
		w := PartView{Receiver: p.Name, State: p.State, Status: p.Status, Reason: p.Reason}
		if p.To > 0 {
			w.First, w.Count = p.From+1, p.To-p.From
		}
		if p.State == delivery.PartSkipped {
			w.Status = 0 // nobody answered
		}
		v.Parts = append(v.Parts, w)
	}
	for _, e := range d.Events {
		v.Events = append(v.Events, EventView{ID: e.ID, Kind: e.Kind, Time: e.Time, Data: e.Data})
	}
	return &deliveryOutput{Body: v}, nil
}

func (s *API) listRequests(ctx context.Context, in *DeliveryInput) (*requestsOutput, error) {
	i, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	d, err := s.Deliveries.Get(ctx, i.Tenant, i.ID, in.Delivery)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	previews, err := s.Previewer.Preview(ctx, s.Integrations, i, d)
	if err != nil {
		s.Log.Warn("show what a delivery sends", "tenant", i.Tenant, "integration", i.ID, "delivery", d.ID, "error",
			err.Error())
		return nil, rest.NewProblem(http.StatusConflict,
			"with its present settings the integration can not write this delivery")
	}
	out := &requestsOutput{}
	out.Body.Items = []RequestView{}
	for _, r := range previews {
		out.Body.Items = append(out.Body.Items, ViewOf(r))
	}
	if n := len(d.Attempts); n > 0 {
		out.Body.Changed = i.UpdatedAt.After(d.Attempts[n-1].At)
	}
	return out, nil
}

// ViewOf is a request as the API answers with it.
func ViewOf(r sending.RequestPreview) RequestView {
	v := RequestView{Method: r.Method, URL: r.URL, Headers: r.Header, Body: r.Body, Cut: r.Cut}
	if r.Mail != nil {
		v.Mail = &MailView{To: r.Mail.To, Subject: r.Mail.Subject, Text: r.Mail.Text, HTML: r.Mail.HTML}
	}
	return v
}

const deliveryList rest.List = "deliveries"
