// Package overview is the operation that answers what became of the last 24 hours, and what needs a person.
package overview

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/integrations"
	"tocsin/shared/console/rest"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/overview"
)

// Reader makes overviews.
type Reader interface {
	Read(ctx context.Context, tenant string) (overview.Overview, error)
}

// API is the operation.
type API struct {
	rest.Kit
	Reader Reader
}

// OverviewView is an overview as the answer shows it.
type OverviewView struct {
	From           time.Time       `json:"from" doc:"the beginning of the first hour"`
	To             time.Time       `json:"to" doc:"now"`
	Events         int             `json:"events" doc:"that came in" example:"1204"`
	Throttled      int             `json:"throttled,omitempty" doc:"entries that were answered ThrottlingException, each time: the account publishes more than it may. On AWS EventBridge answers, and this is 0" example:"0"`
	ThrottledAt    *time.Time      `json:"throttled_at,omitempty" doc:"the beginning of the ten minutes in which the last of them was"`
	Hours          []OverviewHour  `json:"hours" doc:"24 of them, the oldest first; the last one is not over"`
	Integrations   []OverviewLine  `json:"integrations" doc:"in the order of their making, without those that were deleted"`
	Attention      []AttentionView `json:"attention" doc:"what needs a person, the worst first: 50 at most"`
	AttentionCount int             `json:"attention_count" doc:"how many need a person; cause says of each of the integrations why"`
	Commands       []UntakenView   `json:"commands" doc:"what triggers ask of the platform and nobody takes: one item for a kind, until one of it is taken"`
	OverviewSum
}

// UntakenView is a kind of commands that nobody takes, with the first one of which that was found.
type UntakenView struct {
	Kind        event.Kind `json:"kind" enum:"ip_denylist_requested,ip_graylist_requested,ip_mark_requested,hits_group_requested"`
	ID          string     `json:"id" doc:"of the command"`
	Since       time.Time  `json:"since" doc:"when it was asked for"`
	Trigger     string     `json:"trigger_id"`
	TriggerName string     `json:"trigger_name"`
	IP          string     `json:"ip" example:"203.0.113.7"`
}

// OverviewSum is what became of deliveries.
type OverviewSum struct {
	Delivered   int          `json:"delivered" doc:"deliveries that arrived; one can carry several events"`
	Dead        int          `json:"dead" doc:"deliveries that were given up: their waits were used up, or the integration was disabled"`
	Waiting     int          `json:"waiting" doc:"deliveries that wait for a request now, without those that are held"`
	WaitingMore bool         `json:"waiting_more,omitempty" doc:"there are more than that"`
	RetriesOnly bool         `json:"retries_only,omitempty" doc:"waiting counts what waits for a retry: this deployment does not count what waits for its first request"`
	Latency     *LatencyView `json:"latency,omitempty" doc:"absent when nothing arrived"`
	integrations.HeldCount
}

// LatencyView says how long deliveries took. They are counted in classes, so that a percentile is known to lie between
// two bounds.
type LatencyView struct {
	Deliveries int           `json:"deliveries" doc:"that arrived for the first time"`
	P50        LatencyBounds `json:"p50"`
	P99        LatencyBounds `json:"p99"`
}

// LatencyBounds are the bounds of a percentile.
type LatencyBounds struct {
	MoreThan int64 `json:"more_than_ms" doc:"0 in the lowest class" example:"250"`
	AtMost   int64 `json:"at_most_ms,omitempty" doc:"absent when it is more than the longest bound, an hour" example:"500"`
}

// OverviewHour is an hour.
type OverviewHour struct {
	At        time.Time `json:"at"`
	Events    int       `json:"events"`
	Delivered int       `json:"delivered"`
	Dead      int       `json:"dead"`
}

// OverviewLine is what became of the deliveries of one integration.
type OverviewLine struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	System string            `json:"system" example:"slack"`
	State  integration.State `json:"state" enum:"ok,failing,disabled"`
	OverviewSum
	Cause           overview.Cause `json:"cause,omitempty" enum:"disabled,lost,missing,failing,away,held,not_sent" doc:"why it needs a person, as in attention; absent when it needs none"`
	LeftOut         int            `json:"left_out,omitempty" doc:"events of its types that its filters stopped, or that quiet hours or a mute dropped"`
	DeliveredByHour []int          `json:"delivered_by_hour,omitempty" doc:"as in hours; absent when there were none"`
	DeadByHour      []int          `json:"dead_by_hour,omitempty" doc:"likewise"`
}

// AttentionView is an integration that needs a person.
type AttentionView struct {
	ID          string                   `json:"id"`
	Name        string                   `json:"name"`
	System      string                   `json:"system" example:"slack"`
	Cause       overview.Cause           `json:"cause" enum:"disabled,lost,missing,failing,away,held,not_sent" doc:"disabled: it kept failing; lost: its secrets have to be entered again; missing: the deployment lacks what its system needs; failing: most of its newest requests fail; away: the key service does not answer; held: its system asked to be sent less (429, Retry-After); not_sent: it works, and some deliveries were given up"`
	Since       *time.Time               `json:"since,omitempty" doc:"absent when that is not known"`
	Answer      *integrations.AnswerView `json:"last_answer,omitempty" doc:"what its system said to the newest failure"`
	Reason      string                   `json:"reason,omitempty" worded:"true" doc:"more about the cause"`
	Waiting     int                      `json:"waiting" doc:"deliveries that wait for a request, without those that are held"`
	WaitingMore bool                     `json:"waiting_more,omitempty" doc:"there are more than that"`
	RetriesOnly bool                     `json:"retries_only,omitempty" doc:"as in the sum"`
	NextAttempt *time.Time               `json:"next_attempt,omitempty" doc:"when the next retry is due; of one that is held, when its system may be asked again"`
	NotSent     int                      `json:"not_sent" doc:"deliveries that were given up and can be sent again"`
	NotSentMore bool                     `json:"not_sent_more,omitempty" doc:"there are more than that"`
	integrations.HeldCount
}

// attentionMost bounds what is told at length of what needs a person: nobody reads more of it at once.
const attentionMost = 50

type output struct{ Body OverviewView }

// Register adds the operation.
func (s *API) Register(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "get-overview", Method: http.MethodGet, Path: "/v1/overview", Tags: []string{"Integrations"},
		Summary: "Read what became of the last 24 hours",
		Description: "By hour and by integration, with what needs a person. It is made of counters of ten minutes " +
			"that are kept anyway: a delivery counts in the hour in which it ended, an event in that in " +
			"which it arrived. A delivery that is sent again counts again. A process that ends by force can " +
			"leave a few uncounted. Latency is the time from the arrival of the oldest event to the answer " +
			"that confirmed it, with batch windows, retries and replays; what quiet hours or a mute " +
			"held back is not in it.",
	}), s.read)
}

func (s *API) read(ctx context.Context, _ *struct{}) (*output, error) {
	o, err := s.Reader.Read(ctx, rest.Principal(ctx).Tenant)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	v := OverviewView{From: o.From, To: o.To, Events: o.Events, Throttled: o.Throttled, OverviewSum: sum(o.All),
		Hours:        make([]OverviewHour, len(o.Hours)),
		Integrations: make([]OverviewLine, len(o.Integrations)),
		Attention:    make([]AttentionView, min(attentionMost, len(o.Trouble))), AttentionCount: len(o.Trouble),
		Commands: make([]UntakenView, len(o.Untaken))}
	if o.Throttled > 0 {
		v.ThrottledAt = &o.ThrottledAt
	}
	for n, h := range o.Hours {
		v.Hours[n] = OverviewHour(h)
	}
	for n, l := range o.Integrations {
		v.Integrations[n] = line(l)
	}
	for n, c := range o.Untaken {
		v.Commands[n] = UntakenView{Kind: c.Kind, ID: c.ID, Since: c.At, Trigger: c.Data.TriggerID,
			TriggerName: c.Data.TriggerName, IP: c.Data.IP}
	}
	causes := map[string]overview.Cause{}
	for _, t := range o.Trouble {
		causes[t.Integration.ID] = t.Cause
	}
	for n := range v.Integrations {
		v.Integrations[n].Cause = causes[v.Integrations[n].ID]
	}
	for n := range v.Attention {
		v.Attention[n] = trouble(o.Trouble[n])
	}
	return &output{v}, nil
}

func sum(s overview.Sum) OverviewSum {
	v := OverviewSum{Delivered: s.Delivered, Dead: s.Dead, Waiting: s.Waiting.Count, WaitingMore: s.More,
		RetriesOnly: s.Waiting.Floor, HeldCount: integrations.HeldCountOf(s.Waiting, s.HeldMore)}
	if n := s.Latencies.Count(); n > 0 {
		v.Latency = &LatencyView{Deliveries: n, P50: percentile(s.Latencies, 50), P99: percentile(s.Latencies, 99)}
	}
	return v
}

func percentile(l health.Latencies, percent int) LatencyBounds {
	more, most, _ := l.Percentile(percent)
	return LatencyBounds{MoreThan: more.Milliseconds(), AtMost: most.Milliseconds()}
}

func line(l overview.Line) OverviewLine {
	i := l.Integration
	v := OverviewLine{ID: i.ID, Name: i.Name, System: i.System, State: i.State(), OverviewSum: sum(l.Sum),
		LeftOut: l.LeftOut}
	if l.Hours == nil {
		return v
	}
	for _, h := range l.Hours {
		if l.Delivered > 0 {
			v.DeliveredByHour = append(v.DeliveredByHour, h.Delivered)
		}
		if l.Dead > 0 {
			v.DeadByHour = append(v.DeadByHour, h.Dead)
		}
	}
	return v
}

func trouble(t overview.Trouble) AttentionView {
	i := t.Integration
	v := AttentionView{ID: i.ID, Name: i.Name, System: i.System, Cause: t.Cause, Reason: t.Reason,
		Waiting: t.Waiting.Count, WaitingMore: t.Waiting.More(), RetriesOnly: t.Waiting.Floor,
		HeldCount: integrations.HeldCountOf(t.Waiting, t.Waiting.HeldMore()),
		NotSent:   t.NotSent, NotSentMore: t.NotSent >= integration.WaitingLimit}
	if !t.Since.IsZero() {
		v.Since = &t.Since
	}
	if !t.Waiting.Next.IsZero() {
		v.NextAttempt = &t.Waiting.Next
	}
	if t.Answer != (health.Answer{}) {
		v.Answer = &integrations.AnswerView{Status: t.Answer.Status, Words: t.Answer.Words}
	}
	return v
}
