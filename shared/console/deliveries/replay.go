package deliveries

import (
	"context"
	"net/http"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/delivery"
	"tocsin/shared/integration"
	"tocsin/shared/mail/address"
)

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

type ReplayOutput struct{ Body ReplayView }

// replayLimit is how many deliveries one call sends again.
const replayLimit = 500

func (s *API) replayRange(ctx context.Context, in *replayInput) (*ReplayOutput, error) {
	after, err := rest.OpenCursor(replayList, rest.Principal(ctx).Tenant, in.Body.Cursor)
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
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "the range is empty",
			rest.Fault("to", "must be after from"))
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
func (s *API) spendRepeats(ctx context.Context, i integration.Integration, r delivery.Replay) error {
	if s.MailQuota == nil || r.ID == "" && !slices.Contains(r.States, delivery.Delivered) {
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
	own := address.Canonical(rest.Principal(ctx).Email)
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
	return s.MailQuota.Spend(ctx, r.Tenant, repeats*others)
}

func (s *API) replay(ctx context.Context, r delivery.Replay) (*ReplayOutput, error) {
	r.Tenant = rest.Principal(ctx).Tenant
	i, err := s.Integrations.Get(ctx, r.Tenant, r.Integration)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if !i.Enabled() {
		return nil, rest.NewProblem(http.StatusConflict, "the integration is disabled: enable it first")
	}
	if err := s.spendRepeats(ctx, i, r); err != nil {
		return nil, s.Answer(ctx, err)
	}
	count, after, err := s.Deliveries.Replay(ctx, r)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if count > 0 {
		s.Log.Info("deliveries replayed", "tenant", r.Tenant, "integration", r.Integration, "count", count, "by",
			rest.Principal(ctx).Who())
		s.Wake(delivery.Lane{Tenant: r.Tenant, Integration: r.Integration})
		s.Record(ctx, activity.Entry{Object: s.Integrations.Object(i.System), ObjectID: i.ID, ObjectName: i.Name,
			Action: activity.Replay, Changes: activity.Diff(nil, map[string]any{"deliveries": count,
				"delivery": r.ID, "from": told(r.From), "to": told(r.To), "states": r.States})})
	}
	out := &ReplayOutput{Body: ReplayView{Count: count}}
	if after != "" {
		out.Body.NextCursor = rest.MakeCursor(replayList, r.Tenant, after)
		if at, err := delivery.MadeAt(after); err == nil {
			out.Body.Reached = &at
		}
	}
	return out, nil
}

// told is a time for the activity log, "" for none.
func told(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

const replayList rest.List = "replay"
