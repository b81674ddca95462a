// Package receiver finds who an event can go to. Beside integrations these are the people of a tenant, and the
// addresses of a report on demand: both look to delivery like integrations of their own, so that lanes, retry cycles
// and the log serve them as they serve the others.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/shared/cache"
	"tocsin/shared/destination"
	"tocsin/shared/destination/email"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/timezone"
)

// Integrations are the real ones.
type Integrations interface {
	Get(ctx context.Context, tenant, id string) (integration.Integration, error)
	Several(ctx context.Context, keys []integration.Key) ([]integration.Integration, error)
	Enabled(ctx context.Context, tenant string) ([]integration.Integration, error)
}

// Opener opens a real integration for sending.
type Opener interface {
	Open(ctx context.Context, i integration.Integration) (integration.Opened, error)
}

// Systems is the catalogue.
type Systems interface {
	Lookup(name string) (s destination.System, available, ok bool)
}

// Reports finds a report on demand.
type Reports interface {
	Get(ctx context.Context, tenant, id string) (report.Report, error)
}

// Directory finds receivers. It is safe for concurrent use.
type Directory struct {
	Integrations Integrations
	Opener       Opener
	Systems      Systems
	People       profile.Store // nil: nobody has notifications of their own, as where no mail is sent
	Reports      Reports
	Now          func() time.Time

	people cache.Aging[string, []integration.Integration] // by tenant
}

// peopleGood is how long the people of a tenant are remembered: a change shows within a second (see integration.Store).
const peopleGood = time.Second

// maxTenants bounds the tenants whose people are remembered.
const maxTenants = 10_000

// Enabled lists a tenant's enabled integrations and the people who are told of something.
func (d *Directory) Enabled(ctx context.Context, tenant string) ([]integration.Integration, error) {
	all, err := d.Integrations.Enabled(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if d.People == nil {
		return all, nil
	}
	people, err := d.known(ctx, tenant)
	if err != nil || len(people) == 0 {
		return all, err
	}
	return append(append(make([]integration.Integration, 0, len(all)+len(people)), all...), people...), nil
}

func (d *Directory) known(ctx context.Context, tenant string) ([]integration.Integration, error) {
	now := d.Now()
	if people, ok := d.people.Get(tenant, now, peopleGood); ok {
		return people, nil
	}
	var people []integration.Integration
	const page = 500
	for after := ""; ; {
		found, err := d.People.List(ctx, tenant, after, page)
		if err != nil {
			return nil, fmt.Errorf("list the people of tenant %s: %w", tenant, err)
		}
		for _, p := range found {
			if after = p.ID; p.Told() != (profile.Choices{}) {
				people = append(people, person(p))
			}
		}
		if len(found) < page {
			break
		}
	}
	d.people.Keep(tenant, people, now, maxTenants)
	return people, nil
}

// person is a person as delivery sees one.
func person(p profile.Profile) integration.Integration {
	i := integration.Integration{
		ID: p.ID, Tenant: p.Tenant, ClientName: p.ClientName, System: email.PersonalName, Name: "Personal email",
		Language: p.Language,
		Revision: p.Revision, CreatedBy: p.Email, UpdatedAt: p.UpdatedAt,
	}
	if p.Zone != "" {
		i.Zone = timezone.Open(p.Zone)
	}
	told := p.Told()
	i.Subscriptions = append(i.Subscriptions, integration.Subscription{Event: event.TokenExpiry})
	for _, t := range told.Types() {
		i.Subscriptions = append(i.Subscriptions, integration.Subscription{Event: t, Kinds: p.Kinds(t)})
	}
	if told == (profile.Choices{}) && p.Choices != told && p.Role != "" {
		// What waits to be sent was for the role that the person had.
		i.Off = &integration.Off{By: integration.ByPlatform, Reason: "the role of this person may not see this",
			At: p.UpdatedAt}
	}
	return i
}

// onDemand is the receiver of one report on demand.
func onDemand(r report.Report) integration.Integration {
	return integration.Integration{
		ID: report.OrderReceiverID(r.ID), Tenant: r.Tenant, ClientName: r.Client, System: "email",
		Name: "Report on demand", Revision: 1, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy,
		Subscriptions: []integration.Subscription{{Event: event.ReportOnce}},
	}
}

// Get finds one receiver. Error: integration.ErrNotFound.
func (d *Directory) Get(ctx context.Context, tenant, id string) (integration.Integration, error) {
	switch {
	case report.KindOf(id) == report.PersonReceiver:
		if d.People == nil {
			return integration.Integration{}, integration.ErrNotFound
		}
		p, err := d.People.Get(ctx, tenant, id)
		if errors.Is(err, profile.ErrNotFound) {
			err = integration.ErrNotFound
		}
		return person(p), err
	case report.KindOf(id) == report.OrderReceiver:
		r, err := d.Reports.Get(ctx, tenant, report.OrderedReport(id))
		if errors.Is(err, report.ErrNotFound) {
			err = integration.ErrNotFound
		}
		return onDemand(r), err
	}
	return d.Integrations.Get(ctx, tenant, id)
}

// Open opens a receiver for sending.
func (d *Directory) Open(ctx context.Context, i integration.Integration) (integration.Opened, error) {
	return d.open(ctx, i, d.Opener)
}

// shown opens an integration without its secrets: who needs no more need not be able to open them.
type shown struct{ systems Systems }

func (s shown) Open(_ context.Context, i integration.Integration) (integration.Opened, error) {
	system, _, ok := s.systems.Lookup(i.System)
	if !ok {
		return integration.Opened{}, fmt.Errorf("open receiver %s: there is no system %s", i.ID, i.System)
	}
	parameters, err := system.Parameters.Open(i.Parameters)
	return integration.Opened{System: system, Parameters: parameters}, err
}

func (d *Directory) open(ctx context.Context, i integration.Integration, opener Opener) (integration.Opened, error) {
	var to []string
	switch {
	case report.KindOf(i.ID) == report.PersonReceiver:
		to = []string{i.CreatedBy}
	case report.KindOf(i.ID) == report.OrderReceiver:
		r, err := d.Reports.Get(ctx, i.Tenant, report.OrderedReport(i.ID))
		if err != nil {
			return integration.Opened{}, fmt.Errorf("open the receivers of a report on demand: %w", err)
		}
		to = r.Recipients
	default:
		return opener.Open(ctx, i)
	}
	system, _, ok := d.Systems.Lookup(i.System)
	if !ok {
		return integration.Opened{}, fmt.Errorf("open receiver %s: there is no system %s", i.ID, i.System)
	}
	return integration.Opened{System: system, Parameters: &email.Parameters{Addresses: to}}, nil
}

// addressed is what the parameters of a mail system are.
type addressed interface{ MailAddresses() []string }

// Receivers finds the addresses of scheduled reports (report.Receivers), which are no secrets.
func (d *Directory) Receivers(ctx context.Context, subs []report.Subscription) ([]report.Found, error) {
	known, err := d.several(ctx, subs)
	out := make([]report.Found, len(subs))
	for n, sub := range subs {
		i, ok := known[integration.Key{Tenant: sub.Tenant, ID: sub.Receiver}]
		switch {
		case err != nil: // perhaps over one of them: each for itself
			out[n].Receiver, out[n].Err = d.receiver(ctx, sub.Tenant, sub.Receiver)
		case !ok || !i.Enabled():
			out[n].Err = fmt.Errorf("receiver %s: %w", sub.Receiver, report.ErrNotFound)
		default:
			out[n].Receiver, out[n].Err = d.addresses(ctx, i)
		}
	}
	return out, nil
}

// several reads the receivers of subscriptions, as many a call as the engine takes.
func (d *Directory) several(ctx context.Context,
	subs []report.Subscription) (map[integration.Key]integration.Integration, error) {
	known := make(map[integration.Key]integration.Integration, len(subs))
	var integrations []integration.Key
	var people []profile.Key
	for _, s := range subs {
		k := integration.Key{Tenant: s.Tenant, ID: s.Receiver}
		if _, seen := known[k]; seen {
			continue // it has several frequencies
		}
		known[k] = integration.Integration{}
		if report.KindOf(s.Receiver) == report.PersonReceiver {
			people = append(people, profile.Key(k))
		} else {
			integrations = append(integrations, k)
		}
	}
	clear(known)
	found, err := d.Integrations.Several(ctx, integrations)
	if err != nil {
		return nil, err
	}
	if d.People != nil && len(people) > 0 {
		several, err := d.People.Several(ctx, people)
		if err != nil {
			return nil, err
		}
		for _, p := range several {
			found = append(found, person(p))
		}
	}
	for _, i := range found {
		known[integration.Key{Tenant: i.Tenant, ID: i.ID}] = i
	}
	return known, nil
}

// receiver is one of Receivers alone. Error: report.ErrNotFound.
func (d *Directory) receiver(ctx context.Context, tenant, id string) (report.Receiver, error) {
	i, err := d.Get(ctx, tenant, id)
	if errors.Is(err, integration.ErrNotFound) || err == nil && !i.Enabled() {
		return report.Receiver{}, fmt.Errorf("receiver %s: %w", id, report.ErrNotFound)
	}
	if err != nil {
		return report.Receiver{}, err
	}
	return d.addresses(ctx, i)
}

func (d *Directory) addresses(ctx context.Context, i integration.Integration) (report.Receiver, error) {
	opened, err := d.open(ctx, i, shown{d.Systems})
	if err != nil {
		return report.Receiver{}, err
	}
	r := report.Receiver{Client: i.ClientName, Addresses: []string{""}}
	if a, ok := opened.Parameters.(addressed); ok {
		r.Addresses = a.MailAddresses()
	}
	return r, nil
}
