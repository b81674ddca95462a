//go:build awslocal

package chaos_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal/sim"
)

// sabotages break what the engine relies on. Each must be found by its own invariant, or that proves nothing.
var sabotages = []struct {
	name  string
	do    func(w *world)
	finds string // what the invariant says, a regular expression
}{
	// What was there before is written anew, and counts anew.
	{"a write is made although its condition does not hold", func(w *world) {
		w.cloud.Change = func(c sim.Call, body []byte) []byte {
			if c.Service != "DynamoDB" {
				return body
			}
			return without(body)
		}
	}, `the record of tenant|fired \d+ times|is in deliveries|saw .* under`},
	{"messages of deliveries vanish, and nobody sweeps", func(w *world) {
		w.idle = true
		w.cloud.Change = func(c sim.Call, body []byte) []byte {
			if c.Function == "Fanout" && c.Action == "SendMessageBatch" {
				return swallow(body)
			}
			return body
		}
	}, `is pending`},
	{"executions never go on, and nobody sweeps", func(w *world) {
		w.idle = true
		w.cloud.Machine.Dead = true
	}, `is retrying`},
	{"a delivery has other events each time", func(w *world) { w.shuffled = true }, `saw .* with .* and with`},
	{"a death is written, and what falls back by it is not", func(w *world) {
		w.cloud.Change = func(c sim.Call, body []byte) []byte {
			if c.Action == "TransactWriteItems" {
				return unfallen(body)
			}
			return body
		}
	}, `is in no delivery to its fallback`},
	{"a message of the events queue is lost", func(w *world) {
		w.cloud.Queues["EventsQueue"].Purge()
		time.AfterFunc(w.plan.during/2, func() { w.cloud.Queues["EventsQueue"].Purge() })
	}, `is in no delivery`},
}

// nowhere is a queue that the tests have no use for.
const nowhere = "MailFeedbackDeadLetters"

// always is a condition that holds: a check must have one.
const always = "attribute_exists(a0) OR attribute_not_exists(a0)"

// without removes conditions wherever they are, and what only they use.
func without(body []byte) []byte {
	const member = "ConditionExpression"
	var v any
	if json.Unmarshal(body, &v) != nil {
		return body
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, ok := v[member]; ok && v["UpdateExpression"] == nil { // an update's names are its own, too
				delete(v, member)
				delete(v, "ExpressionAttributeNames")
				delete(v, "ExpressionAttributeValues")
			}
			for _, x := range v {
				strip(x)
			}
			if check, ok := v["ConditionCheck"].(map[string]any); ok {
				check[member] = always
			}
		case []any:
			for _, x := range v {
				strip(x)
			}
		}
	}
	strip(v)
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return out
}

// unfallen takes the rows of deliveries that came by fallback out of a transaction.
func unfallen(body []byte) []byte {
	var v map[string]any
	if json.Unmarshal(body, &v) != nil {
		return body
	}
	items, _ := v["TransactItems"].([]any)
	v["TransactItems"] = slices.DeleteFunc(items, func(one any) bool {
		put, _ := one.(map[string]any)["Put"].(map[string]any)
		row, _ := put["Item"].(map[string]any)
		return row["came_from"] != nil
	})
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return out
}

// swallow sends messages to a queue that nobody reads.
func swallow(body []byte) []byte {
	var v map[string]any
	if json.Unmarshal(body, &v) != nil {
		return body
	}
	v["QueueUrl"] = "https://sqs.invalid/" + nowhere
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return out
}

// TestSabotageIsFound: what breaks the engine is seen by the invariants, within a few seeds.
func TestSabotageIsFound(t *testing.T) {
	const within = 6
	for _, s := range sabotages {
		t.Run(s.name, func(t *testing.T) {
			var cover coverage
			finds := regexp.MustCompile(s.finds)
			for seed := uint64(1001); seed < 1001+within; seed++ {
				for _, wrong := range try(t, seed, &cover, s.do) {
					if finds.MatchString(wrong) {
						t.Logf("seed %d finds it: %s", seed, wrong)
						return
					}
				}
			}
			require.Failf(t, "nothing was found", "in %d seeds", within)
		})
	}
}
