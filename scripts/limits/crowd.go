package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

// quietEvents is how many events the quiet tenant publishes, one after the other.
const quietEvents = 20

// crowd gives a tenant many integrations whose systems all hang, and looks how long another tenant's events take.
func (t *trials) crowd() error {
	folder, clean, err := temporary()
	if err != nil {
		return err
	}
	defer clean()
	hanging, err := newReceiver(10, true)
	if err != nil {
		return err
	}
	defer hanging.close()
	r, err := newReceiver(3*quietEvents, false)
	if err != nil {
		return err
	}
	defer r.close()
	p, err := t.start(folder, "-allow", r.host+","+hanging.host, "-tenant-requests", "0", "-token-requests", "0")
	if err != nil {
		return err
	}
	defer func() { p.Kill() }()
	if err := quietTenant(p, r); err != nil {
		return err
	}
	c, next := load.Client(1), 0
	arrive := func(when string) error { return arriving(p, c, r, &next, when) }
	if err := arrive("alone"); err != nil {
		return err
	}
	if err := load.Parallel(load.Publishers, t.crowded, func(n int) error {
		return load.Create(p, fmt.Sprintf("receiver %d", n), "http://"+hanging.host+"/hook", 1, "")
	}); err != nil {
		return err
	}
	if err := p.PublishRaw(c, load.PutEvents(0, 1)); err != nil {
		return err
	}
	time.Sleep(time.Second) // until the lanes are at it
	if err := arrive(fmt.Sprintf("beside a tenant whose %d integrations hang", t.crowded)); err != nil {
		return err
	}
	weigh(p, folder)
	return nil
}

// arriving publishes the quiet tenant's events, and says how long they took.
func arriving(p *embedded.Process, c *http.Client, r *receiver, next *int, when string) error {
	took := make([]time.Duration, quietEvents)
	for n := range took {
		begin := time.Now()
		if err := p.PublishRaw(c, load.PutEventsOf("quiet", *next, *next+1)); err != nil {
			return err
		}
		*next++
		for r.count.Load() < int64(*next) {
			if time.Since(begin) > 10*time.Minute {
				return fmt.Errorf("%s: event %d did not arrive within ten minutes", when, n)
			}
			time.Sleep(time.Millisecond)
		}
		took[n] = time.Since(begin)
	}
	slices.Sort(took)
	say("the quiet tenant's events %s: %s in the median, %s at most", when,
		took[quietEvents/2].Round(time.Millisecond), took[quietEvents-1].Round(time.Millisecond))
	return nil
}

// quietTenant makes the quiet tenant's integration.
func quietTenant(p *embedded.Process, r *receiver) error {
	quiet, err := p.As("admin@quiet.example.com", "quiet")
	if err != nil {
		return err
	}
	return load.Create(quiet, "receiver", "http://"+r.host+"/hook", 1, "")
}
