package deliveries

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/delivery"
)

// DeadLetterView is an event that could not be processed.
type DeadLetterView struct {
	ID         string    `json:"id"`
	Tenant     string    `json:"tenant,omitempty" doc:"absent when it could not be read"`
	DetailType string    `json:"detail_type"`
	Detail     string    `json:"detail" doc:"as upstream published it"`
	At         time.Time `json:"at"`
	Reason     string    `json:"reason" worded:"true" example:"data.vuln.threat: must be High, Medium or Low, is \"Dreadful\""`
	// ReplayedAt is absent while it was not sent again.
	ReplayedAt *time.Time `json:"replayed_at,omitempty" doc:"when it was sent through again; if it was refused once more, that is an entry of its own"`
}

type deadLettersOutput struct {
	Body struct {
		Items      []DeadLetterView `json:"items" doc:"newest first"`
		NextCursor string           `json:"next_cursor,omitempty"`
	}
}

func (s *API) deadLetters(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: "/v1/dead-letters",
		Tags: []string{"Dead letters"}, Errors: []int{400, 422},
		Summary: "List events that could not be processed",
		Description: "Each with its reason. An administrator sees the tenant's own, an operator of the platform sees " +
			"all.",
	}), func(ctx context.Context, in *rest.PageInput) (*deadLettersOutput, error) {
		before, err := rest.OpenCursor(deadLetterList, rest.Principal(ctx).Tenant, in.Cursor)
		if err != nil {
			return nil, err
		}
		found, err := s.listRejected(ctx, before, in.Limit+1)
		if err != nil {
			return nil, s.Answer(ctx, err)
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
			out.Body.NextCursor = rest.MakeCursor(deadLetterList, rest.Principal(ctx).Tenant, found[in.Limit-1].ID)
		}
		return out, nil
	})
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "replay-dead-letter", Method: http.MethodPost, Path: "/v1/dead-letters/{id}/replay",
		Tags: []string{"Dead letters"}, Errors: []int{404, 409},
		Summary: "Send a rejected event through again",
		Description: "After what was wrong is mended. It goes the way of a new event, once: count is 0 when it was " +
			"sent through before. If it is refused again, that is a new entry with its reason.",
	}), func(ctx context.Context, in *rest.IDInput) (*ReplayOutput, error) {
		sent, err := s.resend(ctx, in.ID)
		switch {
		case errors.Is(err, delivery.ErrNotFound):
			return nil, rest.Missing("there is no such rejected event", `there is no rejected event "%s"`, "id")
		case errors.Is(err, delivery.ErrNoEntry):
			return nil, rest.NewProblem(http.StatusConflict,
				"this did not come over the bus in a form that the bus takes: have upstream publish it anew")
		case err != nil:
			return nil, s.Answer(ctx, err)
		}
		out := &ReplayOutput{}
		if sent {
			out.Body.Count = 1
			s.Record(ctx, activity.Entry{Object: activity.DeadLetter, ObjectID: in.ID, Action: activity.Replay})
			s.Log.Info("rejected event sent through again", "tenant", rest.Principal(ctx).Tenant, "dead_letter", in.ID,
				"by",
				rest.Principal(ctx).Email)
		}
		return out, nil
	})
}

// listRejected lists the dead letters that the caller sees: an operator of the platform, those of all tenants.
func (s *API) listRejected(ctx context.Context, before string, limit int) ([]delivery.DeadLetter, error) {
	if p := rest.Principal(ctx); !p.May(access.Unowned) {
		return s.DeadLetters.DeadLetters(ctx, p.Tenant, before, limit)
	}
	return s.DeadLetters.AllDeadLetters(ctx, before, limit)
}

// resend sends one of them through again.
func (s *API) resend(ctx context.Context, id string) (sent bool, err error) {
	if p := rest.Principal(ctx); !p.May(access.Unowned) {
		return s.DeadLetters.Resend(ctx, p.Tenant, id, s.Now().UTC())
	}
	return s.DeadLetters.ResendOfAny(ctx, id, s.Now().UTC())
}

const deadLetterList rest.List = "dead letters"
