package memory

import (
	"cmp"
	"context"
	"slices"

	"tocsin/shared/activity"
)

// ActivityLog keeps the activity log.
type ActivityLog struct{ e *Engine }

// ActivityLog returns the activity log.
func (e *Engine) ActivityLog() *ActivityLog { return &ActivityLog{e} }

var _ activity.Store = (*ActivityLog)(nil)

// Append adds an entry.
func (l *ActivityLog) Append(_ context.Context, e activity.Entry) error {
	defer l.e.lock()()
	l.e.activity = append(l.e.activity, clone(e))
	return nil
}

// List answers a query.
func (l *ActivityLog) List(_ context.Context, q activity.Query) (page activity.Page, err error) {
	defer l.e.lock()()
	for _, e := range l.e.activity {
		if e.Tenant == q.Tenant && (q.Before == "" || e.Place() < q.Before) && q.Takes(e) {
			page.Entries = append(page.Entries, clone(e))
		}
	}
	slices.SortFunc(page.Entries, func(a, b activity.Entry) int { return cmp.Compare(b.Place(), a.Place()) })
	if len(page.Entries) > q.Limit {
		page.Entries = page.Entries[:q.Limit]
		page.Next = page.Entries[q.Limit-1].Place()
	}
	return page, nil
}

// record is what a change writes with it.
func (e *Engine) record(r activity.Record) error {
	e.activity = append(e.activity, clone(r.Entry))
	return e.publish(r.Event)
}
