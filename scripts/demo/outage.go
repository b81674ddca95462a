package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tocsin/scripts/embedded"
)

const (
	// broken is how many events are published to the receiver that always fails; 20 failed requests are needed to
	// disable it.
	broken = 30
	// missed is how many are published while it is off.
	missed = 12
	// disableAfter stands in for the half hour that an integration must have been failing for.
	disableAfter = 6 * time.Second
)

// outage takes an integration from its first failure to the end of its absence: its people are told, it is disabled,
// events come meanwhile, its receiver is mended, and nothing is missing.
func outage(p *embedded.Process, r *receiver) error {
	begin := time.Now().Add(-time.Second)
	r.fail("/broken", -1)
	bad, err := create(p, "web_hooks", "Broken receiver",
		map[string]any{"url": "http://" + r.host + "/broken", "max_events": 1}, "rules_and_triggers")
	if err != nil {
		return err
	}
	if _, err := create(p, "slack", "Ops channel", map[string]any{"webhook_url": "http://" + r.host + "/slack"},
		"system"); err != nil {
		return err
	}
	fmt.Printf("\nA second receiver answers nothing but 503. Publishing %d events to it, one by one.\n", broken)
	fmt.Printf("To be disabled it must fail for %s here, in place of half an hour and three ten-minute counters.\n",
		disableAfter)
	if err := rules(p, 0, broken); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return failing(p, bad.ID) },
		func() error { return told(r, "integration_failing", "Last answer: answered 503") },
		func() error { return disabled(p, bad.ID) },
		func() error { return told(r, "integration_broken", "Last answer: answered 503") },
		func() error { return absent(p, bad.ID, begin) },
		func() error { return mended(p, r, bad.ID, begin) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// rules publishes events with these numbers.
func rules(p *embedded.Process, from, to int) error {
	for n := from; n < to; n++ {
		detail := fmt.Sprintf(`{"version":1,"id":"demo-rule-%d","tenant":"42","client_name":"Acme","time":%q,"data":{"rule":{"id":%d,"type":"vpatch"}}}`,
			n, time.Now().UTC().Format(time.RFC3339), n)
		if err := p.Publish(embedded.Entry{Source: "platform.rules", DetailType: "rule_create",
			Detail: detail}); err != nil {
			return err
		}
	}
	return nil
}

// until reads an integration until it is in a state.
func until(p *embedded.Process, id, state string) (integration, error) {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		var i integration
		if err := p.Call(http.MethodGet, "/v1/integrations/"+id, nil, &i); err != nil {
			return i, err
		}
		if i.State == state {
			return i, nil
		}
		if time.Now().After(deadline) {
			return i, fmt.Errorf("the integration should be %s, is %s", state, i.State)
		}
	}
}

func failing(p *embedded.Process, id string) error {
	i, err := until(p, id, "failing")
	if err != nil {
		return err
	}
	if i.Failing == nil || i.Failing.Answer.Status != http.StatusServiceUnavailable {
		return fmt.Errorf("the integration should say what its receiver answered: %+v", i.Failing)
	}
	fmt.Printf("\nIt has been failing since %s; its last answer: %s.\n", i.Failing.Since.UTC().Format("15:04:05 UTC"),
		i.Failing.Answer.Words)
	return nil
}

func disabled(p *embedded.Process, id string) error {
	i, err := until(p, id, "disabled")
	if err != nil {
		return err
	}
	if i.Disabled == nil || i.Disabled.By != "platform" || i.Disabled.Answer.Status != http.StatusServiceUnavailable {
		return fmt.Errorf("the integration should say that the platform disabled it, and for which answer: %+v",
			i.Disabled)
	}
	fmt.Printf("\nIt was disabled by the platform: %s; its last answer: %s.\n", i.Disabled.Reason,
		i.Disabled.Answer.Words)
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		found, err := deliveries(p, id)
		if err != nil {
			return err
		}
		dead := 0
		for _, d := range found {
			if d.State == "dead" {
				dead++
			}
		}
		if dead == broken {
			fmt.Printf("Its %d deliveries are dead letters: kept, listed, and replayable once it is mended.\n", dead)
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d deliveries are dead letters, of %d events", dead, len(found), broken)
		}
	}
}

// told sees a notice at the other integration, once.
func told(r *receiver, kind, cause string) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if times(r, kind) > 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the other integration was not told: %s", kind)
		}
	}
	time.Sleep(200 * time.Millisecond) // a second one would follow at once
	if n := times(r, kind); n != 1 {
		return fmt.Errorf("the other integration should be told once, was told %d times: %s", n, kind)
	}
	for _, a := range r.arrivals("/slack") {
		if !about(a, kind) {
			continue
		}
		var m struct{ Text string }
		if err := json.Unmarshal([]byte(a.body), &m); err != nil {
			return err
		}
		if !strings.Contains(m.Text, cause) {
			return fmt.Errorf("the notice should hold %q: %s", cause, m.Text)
		}
		fmt.Printf("The Slack integration was told:\n\n  %s\n",
			strings.ReplaceAll(strings.TrimSpace(m.Text), "\n", "\n  "))
	}
	return nil
}

func times(r *receiver, kind string) (n int) {
	for _, a := range r.arrivals("/slack") {
		if about(a, kind) {
			n++
		}
	}
	return n
}

func about(a arrival, kind string) bool {
	return strings.Contains(a.body, kind) && strings.Contains(a.body, "Broken receiver")
}

// recovery is the answer of the API to what an integration missed.
type recovery struct {
	Missed, Deliveries int
	Next               string `json:"next_cursor"`
}

func recovered(p *embedded.Process, id string, from time.Time, dry bool) (recovery, error) {
	var sum recovery
	for cursor := ""; ; cursor = sum.Next {
		var page recovery
		if err := p.Call(http.MethodPost, "/v1/integrations/"+id+"/recover",
			map[string]any{"from": from, "dry_run": dry, "cursor": cursor}, &page); err != nil {
			return sum, err
		}
		sum = recovery{sum.Missed + page.Missed, sum.Deliveries + page.Deliveries, page.Next}
		if sum.Next == "" {
			return sum, nil
		}
	}
}

// absent publishes while the integration is off.
func absent(p *embedded.Process, id string, from time.Time) error {
	fmt.Printf("\nPublishing %d more events while it is off.\n", missed)
	if err := rules(p, broken, broken+missed); err != nil {
		return err
	}
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		sum, err := recovered(p, id, from, true)
		if err != nil {
			return err
		}
		if sum.Missed == missed {
			fmt.Printf("Counted, and nothing sent yet: it missed %d events.\n", sum.Missed)
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d events should have been missed, not %d", missed, sum.Missed)
		}
	}
}

// mended enables the integration again, has it sent what it missed and what is dead, and counts at the receiver.
func mended(p *embedded.Process, r *receiver, id string, from time.Time) error {
	r.fail("/broken", 0)
	if err := p.Call(http.MethodPost, "/v1/integrations/"+id+"/enable", nil, nil); err != nil {
		return err
	}
	sum, err := recovered(p, id, from, false)
	if err != nil {
		return err
	}
	var again struct{ Count int }
	if err := p.Call(http.MethodPost, "/v1/integrations/"+id+"/replay", map[string]any{"states": []string{"dead"}},
		&again); err != nil {
		return err
	}
	fmt.Printf("The receiver is mended and the integration enabled: "+
		"%d deliveries recovered, %d dead ones sent again.\n",
		sum.Deliveries, again.Count)
	if sum.Deliveries != missed || again.Count != broken {
		return fmt.Errorf("%d deliveries should be recovered and %d sent again", missed, broken)
	}
	if err := everyOnce(r); err != nil {
		return err
	}
	if _, err := until(p, id, "ok"); err != nil {
		return err
	}
	fmt.Printf("Counted at the receiver: each of the %d events once, none missing.\n", broken+missed)
	return nil
}

// everyOnce counts what the mended receiver took.
func everyOnce(r *receiver) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if got, err := taken(r); err != nil || len(got) == broken+missed {
			break
		}
		if time.Now().After(deadline) {
			break
		}
	}
	time.Sleep(300 * time.Millisecond) // one too many would have come by now
	got, err := taken(r)
	if err != nil {
		return err
	}
	var wrong []error
	for n := range broken + missed {
		if got[n] != 1 {
			wrong = append(wrong, fmt.Errorf("event %d arrived %d times", n, got[n]))
		}
	}
	return errors.Join(wrong...)
}

// taken counts, by the number of the rule, what arrived and was answered 200.
func taken(r *receiver) (map[int]int, error) {
	got := map[int]int{}
	for _, a := range r.arrivals("/broken") {
		if !a.taken {
			continue
		}
		var events []struct {
			Details struct{ Rule struct{ ID *int } }
		}
		if err := json.Unmarshal([]byte(a.body), &events); err != nil {
			return nil, fmt.Errorf("read what arrived: %w: %s", err, a.body)
		}
		for _, e := range events {
			if e.Details.Rule.ID == nil {
				return nil, fmt.Errorf("this is no event of a rule: %s", a.body)
			}
			got[*e.Details.Rule.ID]++
		}
	}
	return got, nil
}
