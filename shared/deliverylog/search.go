package deliverylog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/integration"
)

// What one search looks at, at most, because a person waits for it. What that costs is in docs/delivery-log.md.
const (
	Scanned = 10_000 // deliveries
	Opened  = 1_000  // deliveries whose events are read, for a text
)

// Query selects deliveries. Each member narrows it; the zero value of a member does not.
type Query struct {
	Tenant       string
	Integrations []string
	Event        string // that they carry
	Delivery     string // an id
	States       []delivery.State
	Kinds        []event.Kind
	Status       Status
	Text         string    // in what people read of an event of theirs; languages, upper and lower case are the same
	From, To     time.Time // by CreatedAt, From included, To not
	Before       string    // the id to go on from, not included
	Limit        int
}

// Found is a delivery, without its events, and where it goes.
type Found struct {
	delivery.Delivery

	To      integration.Integration
	Summary string // of the first event that holds the text; "" where none was asked for
}

// Page is a part of the log, newest first.
type Page struct {
	Found []Found
	// Next is the id to go on from, "" at the end. A page can have few rows, or none, and a Next.
	Next string
	// Reached is the time that the log was looked through to, with a Next.
	Reached time.Time
}

// Search returns a page of the log.
func (l *Log) Search(ctx context.Context, q Query) (Page, error) {
	page, _, err := l.search(ctx, q)
	return page, err
}

// search returns a page, and the search that goes on behind it: nil where all is on the page.
func (l *Log) search(ctx context.Context, q Query) (page Page, s *search, err error) {
	to, err := l.integrations(ctx, q.Tenant, q.Integrations)
	if err != nil {
		return page, nil, fmt.Errorf("list the integrations of tenant %s: %w", q.Tenant, err)
	}
	if q.Event != "" || q.Delivery != "" {
		page, err = l.named(ctx, q, to)
		return page, nil, err
	}
	s = &search{Query: q, log: l, merge: newMerge(q, to, l.Store), names: byID(to)}
	if page, err = s.run(ctx); err != nil {
		return Page{}, nil, fmt.Errorf("search the log of tenant %s: %w", q.Tenant, err)
	}
	return page, s, nil
}

// List returns a page of the list of one receiver: an integration, or a person.
func (l *Log) List(ctx context.Context, q delivery.Query) (Page, error) {
	query := Query{Tenant: q.Tenant, States: q.States, From: q.From, To: q.To, Before: q.Before, Limit: q.Limit}
	to := []integration.Integration{{ID: q.Integration}}
	s := search{Query: query, log: l, merge: newMerge(query, to, l.Store), names: byID(to)}
	page, err := s.run(ctx)
	if err != nil {
		return Page{}, fmt.Errorf("list deliveries of %s: %w", q.Integration, err)
	}
	return page, nil
}

// receivers are the integrations of a search by their ids.
type receivers map[string]*integration.Integration

func byID(all []integration.Integration) receivers {
	out := make(receivers, len(all))
	for n := range all {
		out[all[n].ID] = &all[n]
	}
	return out
}

// found is a delivery with where it goes.
func (r receivers) found(d delivery.Delivery, summary string) Found {
	d.Events = nil
	out := Found{Delivery: d, Summary: summary}
	if to := r[d.Integration]; to != nil {
		out.To = *to
	}
	return out
}

// named finds the deliveries of an event, or the one that has an id: all are on one page.
func (l *Log) named(ctx context.Context, q Query, to []integration.Integration) (page Page, err error) {
	var found []delivery.Delivery
	if q.Event != "" {
		t, err := l.trace(ctx, q.Tenant, q.Event, to)
		if err != nil {
			return page, err
		}
		for _, one := range t.Deliveries {
			found = append(found, one.Delivery)
		}
	} else {
		names := make([]Name, len(to))
		for n, i := range to {
			names[n] = Name{i.ID, q.Delivery}
		}
		if found, err = l.Store.Lookup(ctx, q.Tenant, names); err != nil {
			return page, fmt.Errorf("find delivery %s: %w", q.Delivery, err)
		}
	}
	known := byID(to)
	for _, d := range found {
		summary, holds := q.says(d)
		if (q.Delivery == "" || d.ID == q.Delivery) && q.within(d) && q.takes(d) && holds {
			page.Found = append(page.Found, known.found(d, summary))
		}
	}
	slices.SortFunc(page.Found, func(a, b Found) int { return strings.Compare(b.ID, a.ID) })
	return page, nil
}

// search is one at work.
type search struct {
	Query

	log     *Log
	merge   *merge
	names   receivers
	opened  int
	page    Page
	waiting []delivery.Delivery // whose events are to be looked at
}

// openedAtOnce is how many deliveries' events are read together.
const openedAtOnce = 100

func (s *search) run(ctx context.Context) (Page, error) {
	for len(s.page.Found) < s.Limit && s.opened < Opened {
		d, ok, err := s.merge.next(ctx)
		if err != nil {
			return s.page, err
		}
		if ok && s.takes(d) {
			s.waiting = append(s.waiting, d)
		}
		if s.Text == "" || !ok || len(s.waiting) >= openedAtOnce {
			if err := s.look(ctx); err != nil {
				return s.page, err
			}
		}
		if !ok {
			break
		}
	}
	return s.page, s.end(ctx)
}

// end says where to go on, unless this is the end of the log.
func (s *search) end(ctx context.Context) error {
	next := s.merge.last
	if n := len(s.page.Found); n == s.Limit {
		next = s.page.Found[n-1].ID // what was read beyond is read again
	}
	if next == s.merge.last && !s.merge.stopped {
		d, more, err := s.merge.next(ctx)
		if err != nil || !more && !s.merge.stopped {
			return err
		}
		if more {
			s.merge.ahead = &d
		}
	}
	s.page.Next = next
	s.page.Reached, _ = delivery.MadeAt(next)
	return nil
}

// look keeps those of what waits that hold the text.
func (s *search) look(ctx context.Context) error {
	list := s.waiting
	s.waiting = nil
	if s.Text != "" && len(list) > 0 {
		s.opened += len(list)
		names := make([]Name, len(list))
		for n, d := range list {
			names[n] = Name{d.Integration, d.ID}
		}
		var err error
		if list, err = s.log.Store.Lookup(ctx, s.Tenant, names); err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b delivery.Delivery) int { return strings.Compare(b.ID, a.ID) })
	}
	for _, d := range list {
		if summary, holds := s.says(d); holds && len(s.page.Found) < s.Limit {
			s.page.Found = append(s.page.Found, s.names.found(d, summary))
		}
	}
	return nil
}
