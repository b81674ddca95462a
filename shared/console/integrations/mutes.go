package integrations

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// MuteView is a mute that lasts.
type MuteView struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason" example:"database migration"`
	By     string    `json:"by,omitempty" doc:"who muted it"`
	At     time.Time `json:"at"`
	Then   hold.Then `json:"then,omitempty" enum:"send,digest,drop" doc:"what becomes of what came meanwhile; absent: what the integration's hold says"`
}

func muteView(m *hold.Mute) *MuteView {
	if m == nil {
		return nil
	}
	return &MuteView{Until: m.Until, Reason: m.Reason, By: m.By, At: m.At, Then: m.Then}
}

type muteInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match" doc:"the ETag that you read; without it the last change wins"`
	Body    struct {
		Hours  int       `json:"hours" doc:"from now, 1 to 720" example:"2"`
		Reason string    `json:"reason" doc:"why, at most 200 characters" example:"database migration"`
		Then   hold.Then `json:"then,omitempty" doc:"send, digest or drop; left out: what the integration's hold says"`
	}
}

// mutes are the operations that hold what comes for an integration for a time.
func (s *API) mutes(api huma.API) {
	tags := []string{"Integrations"}
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "mute-integration", Method: http.MethodPost, Path: "/v1/integrations/{id}/mute", Tags: tags,
		Errors: []int{400, 404, 409, 412, 413, 415, 422}, DefaultStatus: http.StatusOK,
		Summary: "Mute an integration",
		Description: "What comes for it is held for some hours. It stays enabled: tests, reports, what passes its " +
			"hold and what a person sends again are sent. One that is muted is muted anew from now on.",
	}), func(ctx context.Context, in *muteInput) (*integrationOutput, error) {
		return s.held(ctx, in.IfMatch, func(revision int64) (integration.Integration, error) {
			return s.Integrations.Mute(ctx, rest.Person(ctx), in.ID, revision, in.Body.Hours, in.Body.Reason,
				in.Body.Then)
		})
	})
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "unmute-integration", Method: http.MethodPost, Path: "/v1/integrations/{id}/unmute", Tags: tags,
		Errors:  []int{404, 409, 412},
		Summary: "End the mute of an integration",
		Description: "What the mute held is let go, unless quiet hours hold it. It is no error when the integration " +
			"is not muted.",
	}), func(ctx context.Context, in *rest.ConditionalInput) (*integrationOutput, error) {
		return s.held(ctx, in.IfMatch, func(revision int64) (integration.Integration, error) {
			return s.Integrations.Unmute(ctx, rest.Person(ctx), in.ID, revision)
		})
	})
}

func (s *API) held(ctx context.Context, ifMatch string,
	change func(revision int64) (integration.Integration, error)) (*integrationOutput, error) {
	var i integration.Integration
	err := s.UnlessChanged(ctx, ifMatch, func(revision int64) (err error) {
		i, err = change(revision)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Changed(i.Tenant, i.ID)
	return s.one(ctx, i, nil)
}
