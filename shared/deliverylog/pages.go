package deliverylog

import (
	"context"
	"fmt"
)

// Pages are the pages of a search, one after the other. Each is what Search returns that goes on from the one before;
// but the lists of the integrations are looked into once for all of them.
type Pages struct {
	log   *Log
	query Query
	at    *search // nil: the next page is a search of its own
	ended bool
}

// Pages begins a search of which several pages are read.
func (l *Log) Pages(q Query) *Pages { return &Pages{log: l, query: q} }

// Next returns the next page: an empty one behind the last.
func (p *Pages) Next(ctx context.Context) (page Page, err error) {
	if p.ended {
		return page, nil
	}
	if p.at == nil {
		page, p.at, err = p.log.search(ctx, p.query)
	} else {
		p.at.again()
		if page, err = p.at.run(ctx); err != nil {
			err = fmt.Errorf("search the log of tenant %s: %w", p.query.Tenant, err)
		}
	}
	p.query.Before, p.ended = page.Next, err == nil && page.Next == ""
	if p.query.Text != "" {
		p.at = nil // what was opened beyond a page is not kept
	}
	return page, err
}

// again goes on with the next page.
func (s *search) again() {
	s.page, s.opened = Page{}, 0
	s.merge.scanned, s.merge.stopped = 0, false
}
