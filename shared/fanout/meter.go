package fanout

import (
	"context"

	"tocsin/shared/integration"
	"tocsin/shared/metrics"
)

// goes notes that deliveries of an intake may go to an integration, where somebody counts them.
func (f *Fanout) goes(in *Intake, i integration.Integration) {
	if f.Meter == nil {
		return
	}
	if in.systems == nil {
		in.systems = map[integration.Key]string{}
	}
	in.systems[integration.Key{Tenant: i.Tenant, ID: i.ID}] = i.System
}

// meter adds what an intake came to. What is handed in again counts when it is accepted.
func (f *Fanout) meter(ctx context.Context, in Intake, rest *Unfinished) {
	if f.Meter == nil {
		return
	}
	type id struct{ tenant, event string }
	again := map[id]bool{}
	if rest != nil {
		receipts := make(map[string]bool, len(rest.Entries))
		for _, e := range rest.Entries {
			receipts[e.Receipt] = true
		}
		for _, a := range in.Accepted {
			if receipts[a.Entry.Receipt] {
				again[id{a.Event.Tenant, a.Event.ID}] = true
			}
		}
	}
	var b metrics.Batch
	b.Count(metrics.Accepted, len(in.Accepted)-len(again))
	b.Count(metrics.Repeated, len(in.Repeated))
	b.Count(metrics.Rejected, len(in.Rejected))
	for _, l := range in.LeftOut {
		b.Count(metrics.LeftOut, l.Events)
	}
	for n := range in.Deliveries {
		d := &in.Deliveries[n]
		if len(again) > 0 && len(d.Events) > 0 && again[id{d.Tenant, d.Events[0].ID}] {
			continue
		}
		b.Count(metrics.FannedOut, 1, in.systems[integration.Key{Tenant: d.Tenant, ID: d.Integration}])
	}
	if !b.Empty() {
		f.Meter.Add(ctx, &b)
	}
}
