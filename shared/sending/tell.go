package sending

import (
	"context"
	"log/slog"

	"tocsin/shared/delivery"
	"tocsin/shared/logsample"
)

// Tell logs what became of a delivery. An outage of one integration fails thousands of them for one reason, again and
// again: of those a sample is written.
func (s *Sender) Tell(log *slog.Logger, v delivery.Delivery) {
	if v.State == delivery.Delivered && len(v.Parts) == 0 && !log.Enabled(context.Background(), slog.LevelDebug) {
		return // nearly all, and their attributes would be made for nothing
	}
	attrs := []any{"tenant", v.Tenant, "integration", v.Integration, "delivery", v.ID, "events", v.Count}
	switch v.State {
	case delivery.Delivered:
		if len(v.Parts) > 0 {
			s.lines.Add(log, s.Now(), slog.LevelInfo, alike(v), "delivered, but not to all",
				append(attrs, "reason", v.Reason)...)
		} else {
			log.Debug("delivered", append(attrs, "attempts", len(v.Attempts))...)
		}
	case delivery.Retrying:
		s.lines.Add(log, s.Now(), slog.LevelInfo, alike(v), "delivery failed: will be sent again",
			append(attrs, "failures", v.Failures, "due", v.Due, "reason", v.Reason)...)
	case delivery.Dead:
		s.lines.Add(log, s.Now(), slog.LevelWarn, alike(v), "delivery is dead",
			append(attrs, "failures", v.Failures, "reason", v.Reason)...)
	}
}

// alike says which failures share a line.
func alike(v delivery.Delivery) logsample.Kind {
	return logsample.Kind{Group: v.Tenant + " " + v.Integration, Class: string(v.State) + " " +
		logsample.Class(v.Reason)}
}
