package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"tocsin/scripts/embedded"
)

// period is of the trigger, in seconds: long enough for a machine that stands still for a moment.
const period = 20

// thresholds shows a trigger that fires once for a window and then again: more than 3 hits in a period.
func thresholds(p *embedded.Process, r *receiver) error {
	fmt.Printf("\nA trigger on a threshold: more than 3 hits in %d s, once for a window.\n", period)
	target, err := create(p, "web_hooks", "Trigger receiver",
		map[string]any{"url": "http://" + r.host + "/trigger", "max_events": 1})
	if err != nil {
		return err
	}
	var made struct{ ID string }
	if err := p.Call(http.MethodPost, "/v1/triggers", map[string]any{
		"name": "SQLi burst", "template_id": "hits_exceeded", "threshold": map[string]any{"period": period, "count": 3},
		"filters": []any{map[string]any{"id": "attack_type", "operator": "eq", "values": []string{"sqli"}}},
		"actions": []any{map[string]any{"id": "send_notification",
			"params": map[string]any{"integration_ids": []string{target.ID}}}},
	}, &made); err != nil {
		return err
	}
	published := 0
	step := func(what string, count int, kind string, want int) error {
		if err := p.Publish(hits(published, count, kind)...); err != nil {
			return err
		}
		published += count
		if _, err := r.wait("/trigger", want, limit); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond) // one message too many would have come by now
		got := r.arrivals("/trigger")
		if len(got) != want {
			return fmt.Errorf("trigger: %d messages after %s, not %d", len(got), what, want)
		}
		fmt.Printf("  %-46s %d message(s)\n", what, len(got))
		return nil
	}
	if err := step("3 hits: not more than 3", 3, "sqli", 0); err != nil {
		return err
	}
	if err := step("5 of another type: the filter leaves them out", 5, "xss", 0); err != nil {
		return err
	}
	if err := step("1 more: it fires", 1, "sqli", 1); err != nil {
		return err
	}
	if err := step("4 more in the same window: once is enough", 4, "sqli", 1); err != nil {
		return err
	}
	time.Sleep(period * time.Second) // the window passes
	if err := step("4 in the next window: it fires again", 4, "sqli", 2); err != nil {
		return err
	}
	for _, part := range []string{"The number of detected hits exceeded the threshold",
		fmt.Sprintf("exceeded 3 in %d seconds", period), "SQLi burst", "View events: https://console.example.com/attacks?", "Attack type: SQLi."} {
		if body := r.arrivals("/trigger")[0].body; !strings.Contains(body, part) {
			return fmt.Errorf("trigger: the message lacks %q: %s", part, body)
		}
	}
	return nil
}

// hits are events of attacks of that type, with the ids that follow those of the events published before.
func hits(published, count int, kind string) []embedded.Entry {
	var entries []embedded.Entry
	for n := range count {
		entries = append(entries, embedded.Entry{Source: "platform.hits", DetailType: "new_hits", Detail: fmt.Sprintf(
			`{"version":1,"id":"burst-%d","tenant":"42","client_name":"Acme","time":%q,"data":{"hit":{"type":%q,"host":"shop.example.com","path":"/login","remote_addr4":"203.0.113.7"}}}`,
			published+n+1, time.Now().UTC().Format(time.RFC3339Nano), kind)})
	}
	return entries
}
