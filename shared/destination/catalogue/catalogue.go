// Package catalogue lists every system of the product facts (section 1.4), in page order. It is the one place that
// knows them all: to add a system, write its folder and change its line here.
package catalogue

import (
	"context"
	"slices"

	"tocsin/shared/destination"
	"tocsin/shared/destination/datadog"
	"tocsin/shared/destination/email"
	"tocsin/shared/destination/fluentd"
	"tocsin/shared/destination/insightconnect"
	"tocsin/shared/destination/jira"
	"tocsin/shared/destination/logstash"
	"tocsin/shared/destination/minio"
	"tocsin/shared/destination/opsgenie"
	"tocsin/shared/destination/pagerduty"
	"tocsin/shared/destination/s3"
	"tocsin/shared/destination/sentinel"
	"tocsin/shared/destination/servicenow"
	"tocsin/shared/destination/slack"
	"tocsin/shared/destination/splunk"
	"tocsin/shared/destination/sumologic"
	"tocsin/shared/destination/teams"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/destination/webhook"
)

// Entry is a system and whether it can be set up in this release.
type Entry struct {
	System    destination.System
	Available bool
}

// Catalogue finds systems. Which there are does not change after New; what one says of itself can, with what the
// deployment turns out to have.
type Catalogue struct {
	all []destination.Destination
	by  map[string]int
}

// Default is the catalogue of this release. What
// is given stands in for the system of the same name: one that the deployment configures.
func Default(configured ...destination.Destination) *Catalogue {
	all := []destination.Destination{
		email.Personal(),
		email.New(),
		slack.New(),
		telegram.New(telegram.Bot{}),
		teams.New(),
		insightconnect.New(),
		opsgenie.New(),
		pagerduty.New(),
		jira.New(),
		servicenow.New(),
		sumologic.New(),
		sentinel.New(),
		splunk.New(),
		datadog.New(),
		fluentd.New(),
		logstash.New(),
		s3.New(s3.Platform{}),
		minio.New(),
		webhook.New(),
	}
	for _, d := range configured {
		name := d.System().Name
		at := slices.IndexFunc(all, func(x destination.Destination) bool { return x.System().Name == name })
		if at < 0 {
			panic("catalogue: there is no system " + name)
		}
		all[at] = d
	}
	return New(all...)
}

// New makes a catalogue of the systems given. One without parameters is listed only.
func New(all ...destination.Destination) *Catalogue {
	c := &Catalogue{all: all, by: map[string]int{}}
	for n, d := range all {
		c.by[d.System().Name] = n
	}
	return c
}

func entry(d destination.Destination) Entry {
	s := d.System()
	return Entry{System: s, Available: s.Parameters.Schema() != nil}
}

// Prepare has each system look for what it says of itself, and waits for that a short time at most. It is for who is
// about to show the catalogue.
func (c *Catalogue) Prepare(ctx context.Context) {
	for _, d := range c.all {
		if p, ok := d.(interface{ Prepare(ctx context.Context) }); ok {
			p.Prepare(ctx)
		}
	}
}

// All lists the systems in page order.
func (c *Catalogue) All() []Entry {
	out := make([]Entry, len(c.all))
	for n, d := range c.all {
		out[n] = entry(d)
	}
	return out
}

// Lookup finds a system by its name.
func (c *Catalogue) Lookup(name string) (s destination.System, available, ok bool) {
	n, ok := c.by[name]
	if !ok {
		return s, false, false
	}
	e := entry(c.all[n])
	return e.System, e.Available, true
}

// Names are those of the systems that integrations can be made for.
func (c *Catalogue) Names() (out []string) {
	for _, d := range c.all {
		if e := entry(d); e.Available && !e.System.Personal {
			out = append(out, e.System.Name)
		}
	}
	return out
}

// Destination finds the code of an available system.
func (c *Catalogue) Destination(name string) (destination.Destination, bool) {
	n, ok := c.by[name]
	if !ok || !entry(c.all[n]).Available {
		return nil, false
	}
	return c.all[n], true
}
