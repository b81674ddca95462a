package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
)

// People keeps people's profiles.
type People struct{ e *Engine }

// People returns the people.
func (e *Engine) People() *People { return &People{e} }

// SuppressionList keeps addresses that get no mail.
type SuppressionList struct{ e *Engine }

// SuppressionList returns them.
func (e *Engine) SuppressionList() *SuppressionList { return &SuppressionList{e} }

var (
	_ profile.Store        = (*People)(nil)
	_ mail.SuppressionList = (*SuppressionList)(nil)
)

// Get returns one person.
func (p *People) Get(_ context.Context, tenant, id string) (profile.Profile, error) {
	defer p.e.lock()()
	v, ok := p.e.people[key{tenant, id}]
	if !ok {
		return v, fmt.Errorf("read person %s: %w", id, profile.ErrNotFound)
	}
	return clone(v), nil
}

// where returns the people that a test says, in the order of their ids.
func (p *People) where(test func(profile.Profile) bool) (out []profile.Profile) {
	defer p.e.lock()()
	for _, v := range p.e.people {
		if test(v) {
			out = append(out, clone(v))
		}
	}
	slices.SortFunc(out, func(a, b profile.Profile) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Several returns those of the keys that there are.
func (p *People) Several(_ context.Context, keys []profile.Key) ([]profile.Profile, error) {
	return p.where(func(v profile.Profile) bool {
		return slices.Contains(keys, profile.Key{Tenant: v.Tenant, ID: v.ID})
	}), nil
}

// List returns a page of a tenant's people.
func (p *People) List(_ context.Context, tenant, after string, limit int) ([]profile.Profile, error) {
	all := p.where(func(v profile.Profile) bool { return v.Tenant == tenant && v.ID > after })
	return all[:min(limit, len(all))], nil
}

// Save inserts a person of revision 1, or replaces the one of the revision before.
func (p *People) Save(_ context.Context, v profile.Profile, entries ...activity.Entry) error {
	defer p.e.lock()()
	if p.e.people[key{v.Tenant, v.ID}].Revision != v.Revision-1 {
		return fmt.Errorf("save person %s: %w", v.ID, profile.ErrConflict)
	}
	p.e.people[key{v.Tenant, v.ID}] = clone(v)
	p.e.activity = append(p.e.activity, clone(entries)...)
	p.e.subscribe(v.Tenant, v.ID, v.UpdatedAt, v.Told().Reports())
	return nil
}

// Delete forgets a person.
func (p *People) Delete(_ context.Context, tenant, id string) error {
	defer p.e.lock()()
	delete(p.e.people, key{tenant, id})
	p.e.subscribe(tenant, id, time.Time{}, nil)
	return nil
}

type suppressionKey struct{ tenant, address, integration string }

// Suppress adds an address, once.
func (l *SuppressionList) Suppress(_ context.Context, s mail.Suppression) (added bool, err error) {
	defer l.e.lock()()
	k := suppressionKey{s.Tenant, s.Address, s.Integration}
	if _, ok := l.e.suppressions[k]; ok {
		return false, nil
	}
	l.e.suppressions[k] = s
	l.e.activity = append(l.e.activity, clone(s.Entry()))
	return true, nil
}

// Blocked returns the suppression that holds for a mail of an integration: that of the tenant before its own.
func (l *SuppressionList) Blocked(_ context.Context, tenant, integration, address string) (mail.Suppression, bool,
	error) {
	defer l.e.lock()()
	for _, of := range []string{"", integration} {
		if s, ok := l.e.suppressions[suppressionKey{tenant, address, of}]; ok {
			return s, true, nil
		}
	}
	return mail.Suppression{}, false, nil
}

// List returns the suppressions of at most limit addresses.
func (l *SuppressionList) List(_ context.Context, tenant, after string, limit int) (out []mail.Suppression,
	err error) {
	defer l.e.lock()()
	for _, s := range l.e.suppressions {
		if s.Tenant == tenant && s.Address > after {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b mail.Suppression) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Integration, b.Integration))
	})
	addresses := map[string]bool{}
	for n, s := range out {
		if addresses[s.Address] = true; len(addresses) > limit {
			return out[:n], nil
		}
	}
	return out, nil
}

// Allow removes the suppressions of an address.
func (l *SuppressionList) Allow(_ context.Context, tenant, address string, e activity.Entry) error {
	defer l.e.lock()()
	before := len(l.e.suppressions)
	for k := range l.e.suppressions {
		if k.tenant == tenant && k.address == address {
			delete(l.e.suppressions, k)
		}
	}
	if len(l.e.suppressions) < before {
		l.e.activity = append(l.e.activity, clone(e))
	}
	return nil
}
