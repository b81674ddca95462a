package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/mail/address"
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
	Due       *time.Time     `json:"due,omitempty" doc:"when it is sent again"`
	Reason    string         `json:"reason,omitempty" doc:"why it failed last, or why it is dead"`
	Attempts  []AttemptView  `json:"attempts" doc:"oldest first; the newest 64 are kept"`
}

// AttemptView is one try at sending.
type AttemptView struct {
	At        time.Time `json:"at"`
	WaitedMS  int64     `json:"waited_ms" doc:"the planned wait before it"`
	LateMS    int64     `json:"late_ms" doc:"how much later than planned it began"`
	TookMS    float64   `json:"took_ms"`
	Status    int       `json:"status,omitempty" doc:"absent when there was no answer"`
	Delivered bool      `json:"delivered"`
	Reason    string    `json:"reason,omitempty"`
	Answer    string    `json:"answer,omitempty" doc:"the start of a failure's answer, secrets masked"`
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
	Reason   string             `json:"reason,omitempty" doc:"why it did not arrive"`
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
	Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"items on a page, at most 200"`
}

type deliveriesOutput struct {
	Body struct {
		Items      []DeliveryView `json:"items" doc:"newest first"`
		NextCursor string         `json:"next_cursor,omitempty"`
	}
}

type deliveryInput struct {
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

type replayInput struct {
	ID   string `path:"id"`
	Body struct {
		From   *time.Time       `json:"from,omitempty" doc:"made at this time or later"`
		To     *time.Time       `json:"to,omitempty" doc:"made before this time"`
		States []delivery.State `json:"states,omitempty" enum:"dead,delivered" maxItems:"2" doc:"dead when left out"`
		Cursor string           `json:"cursor,omitempty" maxLength:"200" doc:"of the answer before"`
	}
}

// ReplayView says what was made ready to be sent again.
type ReplayView struct {
	Count      int        `json:"count" doc:"deliveries that are sent again, under their old ids"`
	NextCursor string     `json:"next_cursor,omitempty" doc:"call again with it: the range is not done yet"`
	Reached    *time.Time `json:"reached,omitempty" doc:"with next_cursor: the range is done up to this time"`
}

type replayOutput struct{ Body ReplayView }

// replayLimit is how many deliveries one call sends again.
const replayLimit = 500

func (s *server) deliveries(api huma.API) {
	tags := []string{"Deliveries"}
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "list-deliveries", Method: http.MethodGet, Path: "/v1/integrations/{id}/deliveries", Tags: tags,
		Errors:      []int{400, 404, 422},
		Summary:     "List an integration's deliveries",
		Description: "With every attempt: when, after which wait, what the system answered.",
	}), s.listDeliveries)
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "get-delivery", Method: http.MethodGet, Path: "/v1/integrations/{id}/deliveries/{delivery}",
		Tags: tags, Errors: []int{404},
		Summary: "Read a delivery", Description: "With its events.",
	}), s.getDelivery)
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "list-requests", Method: http.MethodGet,
		Path: "/v1/integrations/{id}/deliveries/{delivery}/requests", Tags: tags, Errors: []int{404, 409},
		Summary:     "Read what a delivery sends",
		Description: "Its requests as they are made with the integration's present settings, secrets masked.",
	}), s.listRequests)
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "replay-delivery", Method: http.MethodPost,
		Path: "/v1/integrations/{id}/deliveries/{delivery}/replay", Tags: tags, Errors: []int{404, 409, 429},
		Summary: "Send a delivery again", Description: "A dead or delivered one, under its old id, with a new run of " +
			"the retry cycles. One that is on its way already is left alone (count 0). " + repeatedMails,
	}), func(ctx context.Context, in *deliveryInput) (*replayOutput, error) {
		return s.replay(ctx, delivery.Replay{Integration: in.ID, ID: in.Delivery, Limit: 1})
	})
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "replay-deliveries", Method: http.MethodPost, Path: "/v1/integrations/{id}/replay", Tags: tags,
		Errors:  []int{400, 404, 409, 422, 429},
		Summary: "Send a range of deliveries again", Description: "At most 500 a call; go on with the cursor. " +
			repeatedMails,
	}), s.replayRange)
}

func (s *server) listDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	before, err := openCursor(deliveryList, principal(ctx).Tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	if _, err := s.Integrations.Get(ctx, principal(ctx).Tenant, in.ID); err != nil {
		return nil, s.answer(err)
	}
	q := delivery.Query{Tenant: principal(ctx).Tenant, Integration: in.ID, From: in.From, To: in.To, Before: before,
		Limit: in.Limit + 1}
	if in.State != "all" {
		q.States = []delivery.State{delivery.State(in.State)}
	}
	found, err := s.Deliveries.List(ctx, q)
	if err != nil {
		return nil, s.answer(err)
	}
	out := &deliveriesOutput{}
	out.Body.Items = []DeliveryView{}
	for n, d := range found {
		if n == in.Limit {
			out.Body.NextCursor = makeCursor(deliveryList, q.Tenant, found[n-1].ID)
			break
		}
		out.Body.Items = append(out.Body.Items, deliveryView(d))
	}
	return out, nil
}

func deliveryView(d delivery.Delivery) DeliveryView {
	v := DeliveryView{
		ID: d.ID, State: d.State, CreatedAt: d.CreatedAt, Kinds: d.Kinds, Count: d.Count, Reason: d.Reason,
		Attempts: []AttemptView{},
	}
	if v.Kinds == nil {
		v.Kinds = []event.Kind{}
	}
	if !d.Due.IsZero() {
		v.Due = &d.Due
	}
	for _, a := range d.Attempts {
		v.Attempts = append(v.Attempts, AttemptView{
			At: a.At, WaitedMS: a.Waited.Milliseconds(), LateMS: a.Late.Milliseconds(),
			TookMS: float64(a.Took.Microseconds()) / 1000,
			Status: answered(a.Status), Delivered: a.Delivered, Reason: a.Reason, Answer: a.Answer, Gone: a.Gone,
		})
	}
	return v
}

// answered leaves out the status that nobody has answered: of a mail that was settled without being sent.
func answered(status int) int {
	if status == destination.MailNotSent {
		return 0
	}
	return status
}

func (s *server) getDelivery(ctx context.Context, in *deliveryInput) (*deliveryOutput, error) {
	if _, err := s.Integrations.Get(ctx, principal(ctx).Tenant, in.ID); err != nil {
		return nil, s.answer(err)
	}
	d, err := s.Deliveries.Get(ctx, principal(ctx).Tenant, in.ID, in.Delivery)
	if err != nil {
		return nil, s.answer(err)
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

func (s *server) listRequests(ctx context.Context, in *deliveryInput) (*requestsOutput, error) {
	i, err := s.Integrations.Get(ctx, principal(ctx).Tenant, in.ID)
	if err != nil {
		return nil, s.answer(err)
	}
	d, err := s.Deliveries.Get(ctx, i.Tenant, i.ID, in.Delivery)
	if err != nil {
		return nil, s.answer(err)
	}
	replicas, err := s.Tester.Preview(ctx, s.Integrations, i, d)
	if err != nil {
		s.Log.Warn("show what a delivery sends", "tenant", i.Tenant, "integration", i.ID, "delivery", d.ID, "error",
			err.Error())
		return nil, problem(http.StatusConflict,
			"with its present settings the integration can not write this delivery")
	}
	out := &requestsOutput{}
	out.Body.Items = []RequestView{}
	for _, r := range replicas {
		out.Body.Items = append(out.Body.Items, requestView(r))
	}
	if n := len(d.Attempts); n > 0 {
		out.Body.Changed = i.UpdatedAt.After(d.Attempts[n-1].At)
	}
	return out, nil
}

func requestView(r sending.RequestPreview) RequestView {
	v := RequestView{Method: r.Method, URL: r.URL, Headers: r.Header, Body: r.Body, Cut: r.Cut}
	if r.Mail != nil {
		v.Mail = &MailView{To: r.Mail.To, Subject: r.Mail.Subject, Text: r.Mail.Text, HTML: r.Mail.HTML}
	}
	return v
}

func (s *server) replayRange(ctx context.Context, in *replayInput) (*replayOutput, error) {
	after, err := openCursor(replayList, principal(ctx).Tenant, in.Body.Cursor)
	if err != nil {
		return nil, err
	}
	r := delivery.Replay{Integration: in.ID, States: in.Body.States, After: after, Limit: replayLimit}
	if in.Body.From != nil {
		r.From = *in.Body.From
	}
	if in.Body.To != nil {
		r.To = *in.Body.To
	}
	if in.Body.From != nil && in.Body.To != nil && !r.From.Before(r.To) {
		return nil, problem(http.StatusUnprocessableEntity, "the range is empty", fault("to", "must be after from"))
	}
	return s.replay(ctx, r)
}

// repeatedMails says what of a replay is bounded.
const repeatedMails = "Mails that have arrived and are sent again count as those of a test do (see " +
	"test-integration): 429 when there is no room."

// mostRepeats is how many delivered mails are counted at most: more than any limit lets through.
const mostRepeats = 1000

// spendRepeats counts the mails to other people that would be sent although they have arrived. What is dead is sent
// again uncounted: it has reached nobody.
func (s *server) spendRepeats(ctx context.Context, i integration.Integration, r delivery.Replay) error {
	if s.Relay == nil || r.ID == "" && !slices.Contains(r.States, delivery.Delivered) {
		return nil
	}
	opened, err := s.Integrations.Open(ctx, i)
	if err != nil {
		return err
	}
	mails, ok := opened.Parameters.(interface{ MailAddresses() []string })
	if !ok {
		return nil
	}
	own := address.Canonical(principal(ctx).Email)
	others := len(slices.DeleteFunc(slices.Clone(mails.MailAddresses()),
		func(a string) bool { return address.Canonical(a) == own }))
	if others == 0 {
		return nil
	}
	repeats := 0
	if r.ID != "" {
		d, err := s.Deliveries.Get(ctx, r.Tenant, r.Integration, r.ID)
		if err != nil {
			return err
		}
		if d.State == delivery.Delivered {
			repeats = 1
		}
	} else {
		if reached, err := delivery.MadeAt(r.After); err == nil && reached.After(r.From) {
			r.From = reached
		}
		found, err := s.Deliveries.List(ctx, delivery.Query{
			Tenant: r.Tenant, Integration: r.Integration, States: []delivery.State{delivery.Delivered}, From: r.From,
			To: r.To, Limit: mostRepeats,
		})
		if err != nil {
			return err
		}
		repeats = len(found)
	}
	return s.Relay.Spend(ctx, r.Tenant, repeats*others)
}

func (s *server) replay(ctx context.Context, r delivery.Replay) (*replayOutput, error) {
	r.Tenant = principal(ctx).Tenant
	i, err := s.Integrations.Get(ctx, r.Tenant, r.Integration)
	if err != nil {
		return nil, s.answer(err)
	}
	if !i.Enabled() {
		return nil, problem(http.StatusConflict, "the integration is disabled: enable it first")
	}
	if err := s.spendRepeats(ctx, i, r); err != nil {
		return nil, s.answer(err)
	}
	count, after, err := s.Deliveries.Replay(ctx, r)
	if err != nil {
		return nil, s.answer(err)
	}
	if count > 0 {
		s.Log.Info("deliveries replayed", "tenant", r.Tenant, "integration", r.Integration, "count", count, "by",
			principal(ctx).Email)
		s.Wake(delivery.Lane{Tenant: r.Tenant, Integration: r.Integration})
	}
	out := &replayOutput{Body: ReplayView{Count: count}}
	if after != "" {
		out.Body.NextCursor = makeCursor(replayList, r.Tenant, after)
		if at, err := delivery.MadeAt(after); err == nil {
			out.Body.Reached = &at
		}
	}
	return out, nil
}

type pageInput struct {
	Cursor string `query:"cursor" maxLength:"400" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"items on a page, at most 200"`
}

type mailsOutput struct {
	Body struct {
		Items      []Mail `json:"items" doc:"newest first"`
		NextCursor string `json:"next_cursor,omitempty"`
	}
}

func (s *server) mails(api huma.API) {
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "list-mails", Method: http.MethodGet, Path: "/v1/outbox", Tags: []string{"Outbox"},
		Errors:  []int{400, 404, 422},
		Summary: "List the outbox", Description: "The mails of your tenant that a deployment without a mail server " +
			"keeps, the newest 1,000. 404 where mails are sent.",
	}), func(ctx context.Context, in *pageInput) (*mailsOutput, error) {
		if s.Outbox == nil {
			return nil, problem(http.StatusNotFound, "this deployment sends its mails and keeps none")
		}
		before, err := openCursor(mailList, principal(ctx).Tenant, in.Cursor)
		if err != nil {
			return nil, err
		}
		found, err := s.Outbox(ctx, principal(ctx).Tenant, before, in.Limit+1)
		if err != nil {
			return nil, s.answer(err)
		}
		out := &mailsOutput{}
		out.Body.Items = append([]Mail{}, found[:min(len(found), in.Limit)]...)
		if len(found) > in.Limit {
			out.Body.NextCursor = makeCursor(mailList, principal(ctx).Tenant, found[in.Limit-1].ID)
		}
		return out, nil
	})
}

// DeadLetterView is an event that could not be processed.
type DeadLetterView struct {
	ID         string    `json:"id"`
	Tenant     string    `json:"tenant,omitempty" doc:"absent when it could not be read"`
	DetailType string    `json:"detail_type"`
	Detail     string    `json:"detail" doc:"as upstream published it"`
	At         time.Time `json:"at"`
	Reason     string    `json:"reason" example:"data.vuln.threat: must be High, Medium or Low, is \"Dreadful\""`
	// ReplayedAt is absent while it was not sent again.
	ReplayedAt *time.Time `json:"replayed_at,omitempty" doc:"when it was sent through again; if it was refused once more, that is an entry of its own"`
}

type deadLettersOutput struct {
	Body struct {
		Items      []DeadLetterView `json:"items" doc:"newest first"`
		NextCursor string           `json:"next_cursor,omitempty"`
	}
}

func (s *server) deadLetters(api huma.API) {
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: "/v1/dead-letters",
		Tags: []string{"Dead letters"}, Errors: []int{400, 422},
		Summary: "List events that could not be processed",
		Description: "Each with its reason. An administrator sees the tenant's own, an operator of the platform sees " +
			"all.",
	}), func(ctx context.Context, in *pageInput) (*deadLettersOutput, error) {
		before, err := openCursor(deadLetterList, principal(ctx).Tenant, in.Cursor)
		if err != nil {
			return nil, err
		}
		found, err := s.listRejected(ctx, before, in.Limit+1)
		if err != nil {
			return nil, s.answer(err)
		}
		out := &deadLettersOutput{}
		out.Body.Items = []DeadLetterView{}
		for _, d := range found[:min(len(found), in.Limit)] {
			v := DeadLetterView{ID: d.ID, Tenant: d.Tenant, DetailType: d.DetailType, Detail: string(d.Detail),
				At: d.At, Reason: d.Reason}
			if !d.ReplayedAt.IsZero() {
				v.ReplayedAt = &d.ReplayedAt
			}
			out.Body.Items = append(out.Body.Items, v)
		}
		if len(found) > in.Limit {
			out.Body.NextCursor = makeCursor(deadLetterList, principal(ctx).Tenant, found[in.Limit-1].ID)
		}
		return out, nil
	})
	huma.Register(api, operation(access.Administer, huma.Operation{
		OperationID: "replay-dead-letter", Method: http.MethodPost, Path: "/v1/dead-letters/{id}/replay",
		Tags: []string{"Dead letters"}, Errors: []int{404, 409},
		Summary: "Send a rejected event through again",
		Description: "After what was wrong is mended. It goes the way of a new event, once: count is 0 when it was " +
			"sent through before. If it is refused again, that is a new entry with its reason.",
	}), func(ctx context.Context, in *idInput) (*replayOutput, error) {
		sent, err := s.resend(ctx, in.ID)
		switch {
		case errors.Is(err, delivery.ErrNotFound):
			return nil, problem(http.StatusNotFound, "there is no such rejected event")
		case errors.Is(err, delivery.ErrNoEntry):
			return nil, problem(http.StatusConflict,
				"this did not come over the bus in a form that the bus takes: have upstream publish it anew")
		case err != nil:
			return nil, s.answer(err)
		}
		out := &replayOutput{}
		if sent {
			out.Body.Count = 1
			s.Log.Info("rejected event sent through again", "tenant", principal(ctx).Tenant, "dead_letter", in.ID, "by",
				principal(ctx).Email)
		}
		return out, nil
	})
}

// listRejected lists the dead letters that the caller sees: an operator of the platform, those of all tenants.
func (s *server) listRejected(ctx context.Context, before string, limit int) ([]delivery.DeadLetter, error) {
	if p := principal(ctx); !p.May(access.Unowned) {
		return s.DeadLetters.DeadLetters(ctx, p.Tenant, before, limit)
	}
	return s.DeadLetters.AllDeadLetters(ctx, before, limit)
}

// resend sends one of them through again.
func (s *server) resend(ctx context.Context, id string) (sent bool, err error) {
	if p := principal(ctx); !p.May(access.Unowned) {
		return s.DeadLetters.Resend(ctx, p.Tenant, id, s.Now().UTC())
	}
	return s.DeadLetters.ResendOfAny(ctx, id, s.Now().UTC())
}
