package integrations

import (
	"context"
	"time"

	"tocsin/shared/integration"
)

// HeldCount says what is held back by quiet hours, by a mute or for the minute of a fallback: deliveries that do not
// wait for a request yet. The list of integrations does not count them, the overview and the answer with one
// integration do.
type HeldCount struct {
	Held      int        `json:"held,omitempty" doc:"deliveries that quiet hours, a mute or the minute of a fallback hold back, beside those that wait"`
	HeldMore  bool       `json:"held_more,omitempty" doc:"there are more than that"`
	HeldUntil *time.Time `json:"held_until,omitempty" doc:"when the first of them is let go, by the rules as they are"`
}

// HeldCountOf is empty where nothing is held.
func HeldCountOf(w integration.Waiting, more bool) (v HeldCount) {
	if w.Held == 0 {
		return v
	}
	return HeldCount{Held: w.Held, HeldMore: more, HeldUntil: &w.HeldUntil}
}

// BacklogView says what waits for its turn.
type BacklogView struct {
	Waiting     int       `json:"waiting" doc:"deliveries that wait for a request"`
	WaitingMore bool      `json:"waiting_more,omitempty" doc:"there are more than that"`
	DoneAt      time.Time `json:"done_at" doc:"when these are sent at its rate, if all are taken"`
}

// waiting counts what waits for an integration; nil = that is not known, or nothing waits for it because it is off.
func (s *API) waiting(ctx context.Context, i integration.Integration) (*integration.Waiting, error) {
	if s.Integrations.Backlog == nil || !i.Enabled() {
		return nil, nil
	}
	w, err := s.Integrations.Backlog.CountWaiting(ctx, i.Tenant, i.ID, integration.WaitingLimit)
	return &w, err
}

// backlog is nil for an integration without a rate, or without anything that waits for its turn; also where an engine
// does not count what waits for its first request, and while retries wait or it fails: then no rate says when it is
// done. What gathers waits for its time, and is fewer messages then.
func (s *API) backlog(i integration.Integration, waiting *integration.Waiting) *BacklogView {
	every := i.Rate.Every()
	if every == 0 || waiting == nil || waiting.Floor || !waiting.Next.IsZero() ||
		i.State() == integration.StateFailing {
		return nil
	}
	ready := waiting.Count - waiting.Gathering
	if ready <= 0 {
		return nil
	}
	return &BacklogView{Waiting: ready, WaitingMore: waiting.More(),
		DoneAt: s.Now().UTC().Add(time.Duration(ready) * every)}
}
