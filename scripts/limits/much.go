package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

// littleMemory has the waiting events wait in 48 MiB.
func (t *trials) littleMemory() error {
	if err := os.Setenv("GOMEMLIMIT", "48MiB"); err != nil {
		return err
	}
	defer os.Unsetenv("GOMEMLIMIT")
	say("GOMEMLIMIT=48MiB")
	return t.wait(t.waiting)
}

// manyWait has events wait, kills the program, and has them sent.
func (t *trials) manyWait() error { return t.wait(t.waiting) }

func (t *trials) wait(events int) error {
	folder, clean, err := temporary()
	if err != nil {
		return err
	}
	defer clean()
	r, err := newReceiver(events, true)
	if err != nil {
		return err
	}
	defer r.close()
	p, err := t.start(folder, "-allow", r.host, "-faster", "100")
	if err != nil {
		return err
	}
	defer func() { p.Kill() }()
	if err := load.Create(p, "receiver", "http://"+r.host+"/hook", 100, ""); err != nil {
		return err
	}
	if err := publish(p, folder, events); err != nil {
		return err
	}
	p.Kill()
	say("killed; the system answers from now on")
	r.answer()
	begin := time.Now()
	if p, err = t.start(folder, "-allow", r.host, "-faster", "100"); err != nil {
		return err
	}
	if err := readied(p, begin); err != nil {
		return err
	}
	if !waitFor(r.count.Load, int64(events)) {
		return fmt.Errorf("only %d of %d events arrived", r.count.Load(), events)
	}
	took := time.Since(begin)
	say("all arrived in %s (%.0f/s)", took.Round(time.Second), float64(events)/took.Seconds())
	weigh(p, folder)
	return nil
}

// stretch is how many events are published between two lines that say how it goes.
const stretch = 1_000_000

// publish has events wait for a system that hangs, and says at each million what they cost.
func publish(p *embedded.Process, folder string, events int) error {
	begin := time.Now()
	for from := 0; from < events; from += stretch {
		since, count := time.Now(), min(stretch, events-from)
		if _, err := putAll(p, from/10, count/10); err != nil {
			return err
		}
		took := time.Since(since)
		say("%d events wait for a system that takes 8 s a request; the last %d were taken in %s (%.0f/s)", from+count,
			count, took.Round(time.Second), float64(count)/took.Seconds())
		weigh(p, folder)
	}
	took := time.Since(begin)
	say("all were taken in %s (%.0f/s)", took.Round(time.Second), float64(events)/took.Seconds())
	return nil
}

// readied waits until a program that was started says that it is ready.
func readied(p *embedded.Process, begin time.Time) error {
	for said := ""; !strings.HasPrefix(said, "200"); time.Sleep(10 * time.Millisecond) {
		if said = ready(p); time.Since(begin) > 10*time.Minute {
			return errors.New("not ready after ten minutes: " + said)
		}
	}
	say("ready %s after the start", time.Since(begin).Round(10*time.Millisecond))
	return nil
}

// weigh says how much memory and disk is used.
func weigh(p *embedded.Process, folder string) {
	say("resident %d MiB, at most %d; state file %d MiB", resident(p.PID()), load.PeakKiB(p.PID())>>10, size(folder))
}

// timed says how long something takes.
func timed(what string, do func() error) error {
	begin := time.Now()
	err := do()
	if err == nil {
		say("%s: %s", what, time.Since(begin).Round(time.Millisecond))
	}
	return err
}

// manyIntegrations gives a tenant many, and has one event go to all.
func (t *trials) manyIntegrations() error {
	folder, clean, err := temporary()
	if err != nil {
		return err
	}
	defer clean()
	r, err := newReceiver(10, false)
	if err != nil {
		return err
	}
	defer r.close()
	args := []string{"-allow", r.host, "-tenant-requests", "0", "-token-requests", "0"}
	p, err := t.start(folder, args...)
	if err != nil {
		return err
	}
	defer func() { p.Kill() }()
	if err := timed(fmt.Sprintf("%d integrations are made over the API", t.integrations), func() error {
		return load.Parallel(load.Publishers, t.integrations, func(n int) error {
			return load.Create(p, fmt.Sprintf("receiver %d", n), "http://"+r.host+"/hook", 1, "")
		})
	}); err != nil {
		return err
	}
	p.Kill()
	if p, err = t.start(folder, args...); err != nil {
		return err
	}
	if err := timed("readyz", func() error { say("%s", ready(p)); return nil }); err != nil {
		return err
	}
	weigh(p, folder)
	if err := listed(p); err != nil {
		return err
	}
	for _, one := range []struct{ what, path string }{
		{"the first page of the list", "/v1/integrations"},
		{"the first thousand, as the Console reads them", "/v1/integrations?brief=true&limit=1000"},
		{"a search that finds nothing", "/v1/integrations?q=nowhere"},
		{"the systems, with how many integrations each has", "/v1/systems?brief=true"},
		{"the overview of the tenant", "/v1/overview"},
	} {
		if err := repeated(p, one.what, one.path); err != nil {
			return err
		}
	}
	weigh(p, folder)
	if err := timed("an event is sent to each of them", func() error {
		if err := p.PublishRaw(load.Client(1), load.PutEvents(0, 1)); err != nil {
			return err
		}
		if !waitFor(r.calls.Load, int64(t.integrations)) {
			return fmt.Errorf("only %d requests came", r.calls.Load())
		}
		return nil
	}); err != nil {
		return err
	}
	weigh(p, folder)
	return nil
}

// repeats is how often a page is read.
const repeats = 9

// repeated says how long a page takes, in the median.
func repeated(p *embedded.Process, what, path string) error {
	took := make([]time.Duration, repeats)
	for n := range took {
		begin := time.Now()
		if err := p.Call(http.MethodGet, path, nil, nil); err != nil {
			return err
		}
		took[n] = time.Since(begin)
	}
	slices.Sort(took)
	say("%s: %s (%s to %s)", what, took[repeats/2].Round(time.Millisecond), took[0].Round(time.Millisecond),
		took[repeats-1].Round(time.Millisecond))
	return nil
}

// listed reads all integrations, page by page.
func listed(p *embedded.Process) error {
	count, pages := 0, 0
	if err := timed("all pages of the list", func() error {
		for cursor := ""; ; pages++ {
			var page struct {
				Items      []struct{ ID string }
				NextCursor string `json:"next_cursor"`
			}
			if err := p.Call(http.MethodGet, "/v1/integrations"+embedded.Query("limit", "200", "cursor", cursor), nil,
				&page); err != nil {
				return err
			}
			count += len(page.Items)
			if cursor = page.NextCursor; cursor == "" {
				return nil
			}
		}
	}); err != nil {
		return err
	}
	say("%d integrations in %d pages", count, pages+1)
	return nil
}

// manyTenants makes tenants with an administrator, an integration and a weekly report each.
func (t *trials) manyTenants() error {
	folder, clean, err := temporary()
	if err != nil {
		return err
	}
	defer clean()
	r, err := newReceiver(10*t.tenants, false)
	if err != nil {
		return err
	}
	defer r.close()
	args := []string{"-allow", r.host}
	p, err := t.start(folder, args...)
	if err != nil {
		return err
	}
	defer func() { p.Kill() }()
	if err := timed(fmt.Sprintf("%d tenants are made, each with a person, a webhook and a report by e-mail", t.tenants),
		func() error {
			return load.Parallel(4, t.tenants, func(n int) error { return peopled(p, n, r.host) })
		}); err != nil {
		return err
	}
	p.Kill()
	if p, err = t.start(folder, args...); err != nil {
		return err
	}
	say("readyz: %s", ready(p))
	c := load.Client(load.Publishers)
	var sent atomic.Int64
	if err := timed("ten events of each arrive", func() error {
		if err := load.Parallel(load.Publishers, t.tenants, func(n int) error {
			sent.Add(10)
			return p.PublishRaw(c, load.PutEventsOf(tenantOf(n), 10*n, 10*n+10))
		}); err != nil {
			return err
		}
		if !waitFor(r.count.Load, sent.Load()) {
			return fmt.Errorf("only %d of %d arrived", r.count.Load(), sent.Load())
		}
		return nil
	}); err != nil {
		return err
	}
	if err := timed("the overview of one", func() error {
		return p.Call(http.MethodGet, "/v1/overview", nil, nil)
	}); err != nil {
		return err
	}
	weigh(p, folder)
	return nil
}

// tenantOf is the id of the n-th tenant.
func tenantOf(n int) string { return fmt.Sprintf("tenant-%d", n) }

// peopled makes a tenant.
func peopled(p *embedded.Process, n int, host string) error {
	of, err := p.As(fmt.Sprintf("admin-%d@example.com", n), tenantOf(n))
	if err != nil {
		return err
	}
	if err := load.Create(of, "hook", "http://"+host+"/hook", 1, ""); err != nil {
		return err
	}
	return of.Call(http.MethodPost, "/v1/integrations", map[string]any{"system": "email", "name": "weekly",
		"events":     []map[string]any{{"event": "report_weekly", "active": true}},
		"parameters": map[string]any{"addresses": []string{"admin@example.com"}}}, nil)
}
