package worker

// share bounds what the lanes of one tenant take of the places of all. Else a tenant with thousands of integrations
// that hang would stand in line with each of them before the first request of another's: 2,000 of them took 55 s
// (make limits ARGS="-only crowd"), of which a share leaves none. An eighth is what a tenant leaves to others, and not
// more, for most installations have one busy tenant.
type share struct {
	trusted, failing, mails chan struct{}
	lanes                   int // Pool.mu
}

func shareOf(places int) chan struct{} { return make(chan struct{}, places-places/8) }

// take counts a new lane; Pool.mu is held.
func (p *Pool) take(tenant string) *share {
	s := p.shares[tenant]
	if s == nil {
		s = &share{trusted: shareOf(cap(p.trusted)), failing: shareOf(cap(p.failing)), mails: shareOf(cap(p.mails))}
		p.shares[tenant] = s
	}
	s.lanes++
	return s
}

// drop counts a lane that is forgotten; Pool.mu is held.
func (p *Pool) drop(tenant string) {
	s := p.shares[tenant]
	if s.lanes--; s.lanes == 0 {
		delete(p.shares, tenant)
	}
}

// of is the share of these places.
func (s *share) of(p *Pool, places chan struct{}) chan struct{} {
	switch places {
	case p.mails:
		return s.mails
	case p.failing:
		return s.failing
	}
	return s.trusted
}
