package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"tocsin/shared/delivery"
)

// Stranded finds retrying deliveries whose next attempt was due before a time. They come without events, in groups of
// the engine's choice.
type Stranded interface {
	Stranded(ctx context.Context, before time.Time, visit func([]delivery.Delivery) error) error
	// Replay is that of the history: see delivery.Replay.
	Replay(ctx context.Context, r delivery.Replay) (count int, after string, err error)
}

// Sweeper takes retries up again that no execution works at. All that it does can be done again, and by several at
// once.
type Sweeper struct {
	Stranded Stranded
	Batches  BatchReader
	Retries  RetryStarter
	Resume   func(ctx context.Context, batch, reason string) error // that of Handler
	Now      func() time.Time
	Log      *slog.Logger
}

// BatchReader is the part of BatchStore that reads batches.
type BatchReader interface {
	Batch(ctx context.Context, id string) (Batch, error)
}

// Swept is what a sweep found.
type Swept struct {
	// Deliveries are overdue, Running of them wait in batches that an execution works at: it waits for a service, or
	// for its system. They are left alone.
	Deliveries int `json:"deliveries"`
	Running    int `json:"running"`
	// Batches were taken up again, or would be in a dry run. Alone are the deliveries whose batch is kept no more: they
	// begin a new run.
	Batches int `json:"batches"`
	Alone   int `json:"alone"`
}

// Sweep looks for stranded retries and takes them up again, at most once an hour each; a dry run only counts.
func (s *Sweeper) Sweep(ctx context.Context, dry bool) (Swept, error) {
	var out Swept
	running := map[string]*bool{} // by batch; nil when the batch is kept no more
	err := s.Stranded.Stranded(ctx, s.Now().Add(-delivery.Overdue), func(found []delivery.Delivery) error {
		for _, d := range found {
			out.Deliveries++
			at, known := running[d.Batch]
			if !known {
				var err error
				if at, err = s.look(ctx, d.Batch, dry); err != nil {
					return err
				}
				if running[d.Batch] = at; at != nil && !*at {
					out.Batches++
				}
			}
			switch {
			case at == nil:
				out.Alone++
				if !dry {
					r := delivery.Replay{Tenant: d.Tenant, Integration: d.Integration, ID: d.ID, Limit: 1}
					if _, _, err := s.Stranded.Replay(ctx, r); err != nil && !errors.Is(err, delivery.ErrNotFound) {
						return fmt.Errorf("begin a new run of delivery %s of integration %s: %w", d.ID, d.Integration,
							err)
					}
				}
			case *at:
				out.Running++
			}
		}
		return nil
	})
	if out.Batches+out.Alone > 0 {
		s.Log.Warn("retries that no execution worked at are taken up again", "batches", out.Batches,
			"deliveries without a batch", out.Alone, "dry run", dry)
	}
	if err != nil {
		return out, fmt.Errorf("look for stranded retries: %w", err)
	}
	return out, nil
}

// look reports whether a batch is at work, and has it taken up again if it is not; nil when it is kept no more.
func (s *Sweeper) look(ctx context.Context, batch string, dry bool) (running *bool, err error) {
	b, err := s.Batches.Batch(ctx, batch)
	if errors.Is(err, delivery.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at, err := s.Retries.Running(ctx, cmp.Or(b.Execution, batch))
	if err != nil || at || dry {
		return &at, err
	}
	// The reason is the hour: who sweeps twice starts one execution.
	hour := s.Now().Unix() / int64(time.Hour/time.Second)
	return &at, s.Resume(ctx, batch, "swept-"+strconv.FormatInt(hour, 10))
}
