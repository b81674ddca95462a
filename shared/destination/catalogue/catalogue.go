// Package catalogue lists every system of the product facts (section 1.4), in page order. It is the one place that
// knows them all: to add a system, write its folder and change its line here.
package catalogue

import (
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

// Catalogue finds systems. It does not change after New.
type Catalogue struct {
	entries []Entry
	by      map[string]int
	code    map[string]destination.Destination
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
	c := &Catalogue{by: map[string]int{}, code: map[string]destination.Destination{}}
	for _, d := range all {
		s := d.System()
		available := s.Parameters.Schema() != nil
		c.by[s.Name] = len(c.entries)
		c.entries = append(c.entries, Entry{System: s, Available: available})
		if available {
			c.code[s.Name] = d
		}
	}
	return c
}

// All lists the systems in page order.
func (c *Catalogue) All() []Entry { return c.entries }

// Lookup finds a system by its name.
func (c *Catalogue) Lookup(name string) (s destination.System, available, ok bool) {
	i, ok := c.by[name]
	if !ok {
		return s, false, false
	}
	return c.entries[i].System, c.entries[i].Available, true
}

// Destination finds the code of an available system.
func (c *Catalogue) Destination(name string) (destination.Destination, bool) {
	d, ok := c.code[name]
	return d, ok
}
