package trigger_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/trigger"
)

// one is a store with one trigger.
type one struct {
	trigger.Store // the rest is not asked for
	trigger.Trigger
}

func (o one) Active(context.Context, string) ([]trigger.Trigger, bool, error) {
	return []trigger.Trigger{o.Trigger}, true, nil
}

func (o one) States(_ context.Context, tenant string, ids []string) ([]trigger.State, error) {
	states := make([]trigger.State, len(ids)) // nothing was counted before
	for n, id := range ids {
		states[n].Tenant, states[n].Trigger = tenant, id
	}
	return states, nil
}

// A new account's first trigger asks to list an address that sent more than three different payloads within an hour.
func ExampleEvaluator() {
	now := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	e := trigger.Evaluator{Store: one{Trigger: trigger.Defaults("42", "Acme", now)[0]},
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	var batch []trigger.Seen
	for n := range 4 {
		hit, err := event.Parse("new_hits", fmt.Appendf(nil, `{"version":1,"id":"hit-%d","tenant":"42",
			"client_name":"Acme","time":"2023-03-01T12:00:00Z","data":{"hit":{"type":"sqli","domain":"shop.example.com",
			"remote_addr4":"203.0.113.7","payloads":["' or %d=%d--"]}}}`, n, n, n))
		if err != nil {
			fmt.Println(err)
			return
		}
		batch = append(batch, trigger.Seen{Event: hit, At: now})
	}
	outcome, err := e.Evaluate(context.Background(), batch)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, made := range outcome.Publish {
		fmt.Println(made.Kind, event.Data[event.CommandData](made).IP)
	}
	// Output:
	// ip_graylist_requested 203.0.113.7
}
