package sending

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/logsample"
)

// ErrEgress: the attempt failed because this deployment can reach nothing. Nothing was decided, and the delivery goes
// back as it was: neither its cycles nor its integration's health pay for our own fault.
var ErrEgress = errors.New("nothing can be reached from here: the way out of this deployment is gone")

// EgressPause is how long an integration is left alone then.
const EgressPause = 10 * time.Second

// egressGone notes an attempt for the egress breaker, and tells of the loss of the way out once a minute.
func (s *Sender) egressGone(ctx context.Context, d delivery.Delivery, a attempt) bool {
	if a.Status == 0 && a.lost == "" {
		return false // neither an answer nor a failure that says anything of our way out
	}
	gone, err := s.egress.Hear(ctx, s.Reachability, delivery.Lane{Tenant: d.Tenant, Integration: d.Integration}, a.lost,
		s.Now())
	if err != nil {
		s.lines.Add(s.Log, s.Now(), slog.LevelWarn, logsample.Kind{Class: "reachability"},
			"the processes do not hear of each other's way out", "error", err.Error())
	}
	if !gone {
		return false
	}
	s.lines.Add(s.Log, s.Now(), slog.LevelError, logsample.Kind{Class: "egress gone"},
		"the way out is gone: deliveries wait and nothing counts against their integrations", "alarm", "egress",
		"tenant", d.Tenant, "integration", d.Integration, "delivery", d.ID, "host", a.lost, "reason", a.Reason)
	return true
}

// fault reports whether an attempt failed by the deployment's own fault, and tells of that once a minute: the
// integration's administrator, who reads the reason, can do nothing about it.
func (s *Sender) fault(d delivery.Delivery, r result) bool {
	if !r.Ours || r.own || r.Delivered {
		return false
	}
	s.lines.Add(s.Log, s.Now(), slog.LevelError, logsample.Kind{Class: "own fault " + logsample.Class(d.Reason)},
		"deliveries fail by this deployment's own fault", "alarm", "own_fault", "tenant", d.Tenant, "integration",
		d.Integration, "delivery", d.ID, "reason", d.Reason)
	return true
}
