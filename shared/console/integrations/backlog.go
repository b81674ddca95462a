package integrations

import (
	"context"
	"time"

	"tocsin/shared/integration"
)

// BacklogView says what waits for its turn.
type BacklogView struct {
	Waiting     int       `json:"waiting" doc:"deliveries that wait for a request"`
	WaitingMore bool      `json:"waiting_more,omitempty" doc:"there are more than that"`
	DoneAt      time.Time `json:"done_at" doc:"when these are sent at its rate, if all are taken"`
}

// backlog is nil for an integration without a rate, or without anything that waits for its turn; also where an engine
// does not count what waits for its first request, and while retries wait: when these are due is no matter of the rate.
func (s *API) backlog(ctx context.Context, i integration.Integration) (*BacklogView, error) {
	every := i.Rate.Every()
	if every == 0 || !i.Enabled() || s.Integrations.Backlog == nil {
		return nil, nil
	}
	waiting, err := s.Integrations.Backlog.CountWaiting(ctx, i.Tenant, i.ID, integration.WaitingLimit)
	if err != nil || waiting.Count == 0 || waiting.Floor || !waiting.Next.IsZero() {
		return nil, err
	}
	return &BacklogView{
		Waiting: waiting.Count, WaitingMore: waiting.Count == integration.WaitingLimit,
		DoneAt: s.Now().UTC().Add(time.Duration(waiting.Count) * every),
	}, nil
}
