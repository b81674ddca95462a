package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
)

// Reports keeps reports, their files, settings and the schedule.
type Reports struct{ e *Engine }

// Reports returns the reports.
func (e *Engine) Reports() *Reports { return &Reports{e} }

var _ report.Store = (*Reports)(nil)

// kept is a report with its files.
type kept struct {
	Report report.Report
	Files  []report.File
}

type subscription struct {
	key
	frequency calendar.Frequency
}

// subscribe makes a receiver's subscriptions those of the frequencies given.
func (e *Engine) subscribe(tenant, receiver string, since time.Time, frequencies []calendar.Frequency) {
	for _, f := range calendar.Frequencies() {
		k := subscription{key{tenant, receiver}, f}
		_, ok := e.schedule[k]
		switch wanted := slices.Contains(frequencies, f); {
		case !wanted:
			delete(e.schedule, k)
		case !ok:
			e.schedule[k] = report.Subscription{Tenant: tenant, Receiver: receiver, Frequency: f, Since: since}
		}
	}
}

// Settings returns a tenant's settings.
func (r *Reports) Settings(_ context.Context, tenant string) (report.Settings, error) {
	defer r.e.lock()()
	s := r.e.settings[tenant]
	s.Tenant = tenant
	return s, nil
}

// SettingsOf returns the settings of tenants.
func (r *Reports) SettingsOf(ctx context.Context, tenants []string) (map[string]report.Settings, error) {
	out := map[string]report.Settings{}
	for _, t := range tenants {
		out[t], _ = r.Settings(ctx, t) // never fails
	}
	return out, nil
}

// SaveSettings replaces them and schedules the tenant's reports anew.
func (r *Reports) SaveSettings(_ context.Context, s report.Settings, e activity.Entry) error {
	defer r.e.lock()()
	if s.Revision > 0 && r.e.settings[s.Tenant].Revision != s.Revision-1 {
		return report.ErrConflict
	}
	r.e.activity = append(r.e.activity, clone(e))
	r.e.settings[s.Tenant] = s
	for k, v := range r.e.schedule {
		if k.tenant == s.Tenant {
			v.Due = time.Time{}
			r.e.schedule[k] = v
		}
	}
	return nil
}

// Save inserts or replaces a report.
func (r *Reports) Save(_ context.Context, v report.Report, files []report.File, entries ...activity.Entry) error {
	defer r.e.lock()()
	r.e.activity = append(r.e.activity, clone(entries)...)
	k := key{v.Tenant, v.ID}
	if len(files) == 0 {
		files = r.e.reports[k].Files
	}
	r.e.reports[k] = kept{clone(v), slices.Clone(files)}
	return nil
}

// where returns the reports that a test says, oldest first.
func (r *Reports) where(test func(report.Report) bool) (out []report.Report) {
	defer r.e.lock()()
	for _, v := range r.e.reports {
		if test(v.Report) {
			out = append(out, clone(v.Report))
		}
	}
	slices.SortFunc(out, func(a, b report.Report) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Get returns one report.
func (r *Reports) Get(_ context.Context, tenant, id string) (report.Report, error) {
	defer r.e.lock()()
	v, ok := r.e.reports[key{tenant, id}]
	if !ok {
		return v.Report, fmt.Errorf("read report %s: %w", id, report.ErrNotFound)
	}
	return clone(v.Report), nil
}

// Recent returns the newest.
func (r *Reports) Recent(_ context.Context, tenant string, limit int) ([]report.Report, error) {
	all := r.where(func(v report.Report) bool { return v.Tenant == tenant })
	slices.Reverse(all)
	return all[:min(limit, len(all))], nil
}

// Waiting returns the reports that are to be made, oldest first.
func (r *Reports) Waiting(_ context.Context, limit int) ([]report.Report, error) {
	all := r.where(func(v report.Report) bool { return v.State == report.Waiting })
	return all[:min(limit, len(all))], nil
}

// File returns one file of a report.
func (r *Reports) File(_ context.Context, tenant, id, name string) (report.File, error) {
	defer r.e.lock()()
	for _, f := range r.e.reports[key{tenant, id}].Files {
		if f.Name == name {
			return f, nil
		}
	}
	return report.File{}, fmt.Errorf("read file %s of report %s: %w", name, id, report.ErrNotFound)
}

// Due returns the subscriptions whose time has come.
func (r *Reports) Due(_ context.Context, now time.Time, limit int) (out []report.Subscription, err error) {
	defer r.e.lock()()
	for _, v := range r.e.schedule {
		if !v.Due.After(now) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b report.Subscription) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Receiver, b.Receiver),
			cmp.Compare(a.Frequency, b.Frequency))
	})
	return out[:min(limit, len(out))], nil
}

// Reschedule moves subscriptions that are due as they were read.
func (r *Reports) Reschedule(_ context.Context, moves []report.Move) error {
	defer r.e.lock()()
	for _, m := range moves {
		k := subscription{key{m.Tenant, m.Receiver}, m.Frequency}
		if v, ok := r.e.schedule[k]; ok && v.Due.Equal(m.Due) {
			m.Subscription.Due = m.Next.UTC()
			r.e.schedule[k] = m.Subscription
		}
	}
	return nil
}
