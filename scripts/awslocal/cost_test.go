//go:build awslocal

package awslocal_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// List prices in dollars, us-east-1, without free tiers, as AWS's price pages gave them in 2025: EventBridge custom
// events, SQS standard requests, Lambda on arm64, DynamoDB on demand, Step Functions Standard, KMS.
const (
	priceEvent      = 1.00 / 1e6
	priceQueue      = 0.40 / 1e6
	priceFIFO       = 0.50 / 1e6
	priceInvocation = 0.20 / 1e6
	priceGBSecond   = 0.0000133334
	priceWrite      = 0.625 / 1e6
	priceRead       = 0.125 / 1e6
	priceTransition = 0.025 / 1e3
	priceKey        = 0.03 / 1e4
	priceLog        = 0.50 / 1e9 // of a byte that CloudWatch Logs takes in; not in the sums
)

// What a million deliveries may cost, in dollars, without logs, storage, and what there is at rest.
const (
	targetBatched = 2.5
	targetSingle  = 5.0
	targetDown    = 40.0
	// targetFiltered is that of a million events, of which filters leave out 99 %.
	targetFiltered = 3.0
)

// memory of a function in GB: that of template.yaml.
const memory = 0.5

type bill struct {
	calls   map[string]int // made by the functions and by Lambda's pollers, by service
	detail  map[string]int
	dollars float64
	time    float64            // dollars of these for Lambda's time, which is longer on a machine that is busy
	parts   map[string]float64 // dollars by what for
	starts  int
}

func (r *rig) bill(published int) bill {
	b := bill{calls: map[string]int{}, detail: map[string]int{}, parts: map[string]float64{}}
	for service, g := range map[string]*awslocal.Gate{"DynamoDB": r.Dynamo, "SQS": r.Sending,
		"SQS by Lambda": r.Polling, "Step Functions": r.StepFunctions, "KMS": r.KMS, "EventBridge": r.Bus} {
		calls, units := g.Calls()
		for name, n := range calls {
			if strings.HasPrefix(name, "GET ") {
				continue
			}
			b.calls[service] += n
			b.detail[service+" "+name] += n
		}
		b.parts["DynamoDB writes"] += units["write"] * priceWrite
		b.parts["DynamoDB reads"] += units["read"] * priceRead
		requests := g.Requests()
		b.parts["SQS"] += float64(requests.Standard)*priceQueue + float64(requests.FIFO)*priceFIFO
	}
	empty := int(r.Empty.Swap(0))
	b.calls["SQS by Lambda"] -= empty
	b.detail["SQS by Lambda ReceiveMessage"] -= empty
	b.calls["EventBridge"] = 0 // upstream's own calls; its events are counted below
	b.starts = b.calls["Step Functions"]
	for _, e := range r.executions() {
		b.detail["state transitions"] += e.Transitions
	}
	for _, f := range r.Functions {
		n, busy := f.Billed()
		time := busy.Seconds() * memory * priceGBSecond
		b.parts["Lambda"] += float64(n)*priceInvocation + time
		b.time += time
		b.detail["Lambda invocations"] += n
	}
	// EventBridge sends every event to the events queue: one request of SQS each.
	b.parts["EventBridge"] = float64(published) * priceEvent
	b.parts["SQS"] += float64(published) * priceQueue
	b.parts["Step Functions"] = float64(b.detail["state transitions"]) * priceTransition
	b.parts["KMS"] = float64(b.calls["KMS"]) * priceKey
	for _, d := range b.parts {
		b.dollars += d
	}
	return b
}

// held is what a test holds to its target, for a million deliveries: all but Lambda's time, which is told beside.
func (b bill) held(deliveries int) float64 { return (b.dollars - b.time) / float64(deliveries) * 1e6 }

func (b bill) total() (n int) {
	for _, c := range b.calls {
		n += c
	}
	return n
}

func (b bill) print(t *testing.T, what string, deliveries int) {
	t.Helper()
	t.Logf("%s: %.2f calls a delivery, $%.2f per million deliveries", what, float64(b.total())/float64(deliveries),
		b.dollars/float64(deliveries)*1e6)
	for _, name := range slices.Sorted(maps.Keys(b.parts)) {
		t.Logf("  %-40s $%.2f per million", name, b.parts[name]/float64(deliveries)*1e6)
	}
	for _, name := range slices.Sorted(maps.Keys(b.detail)) {
		t.Logf("  %-40s %6.1f per 1,000 deliveries", name, float64(b.detail[name])*1000/float64(deliveries))
	}
}

// settled waits until nothing is left to do.
func (r *rig) settled() {
	r.t.Helper()
	r.eventually("nothing is left to do", func() bool {
		n, err := r.Depth(r.t.Context(), "DeliveriesQueue")
		return err == nil && n == 0 && r.counted()
	})
	time.Sleep(500 * time.Millisecond) // the last counters
}

// quiet leaves what was done before out of the next bill.
func (r *rig) quiet() {
	time.Sleep(time.Second)
	r.bill(0)
}

// untouched has the queues as the template has them.
func untouched(env map[string]string) func(o *awslocal.Options) {
	return func(o *awslocal.Options) { o.BatchSize, o.Env, o.Hidden = 0, env, 30 }
}

// of has the functions write to the journal too.
func (j *journal) of(change func(*awslocal.Options)) func(*awslocal.Options) {
	return func(o *awslocal.Options) {
		change(o)
		o.Log = io.MultiWriter(o.Log, j)
	}
}

// print tells what the lines of metrics cost that the functions wrote.
func (j *journal) print(t *testing.T, deliveries int) {
	t.Helper()
	lines := j.lines()
	bytes := 0
	for _, line := range lines {
		bytes += len(line) + logOverhead
	}
	t.Logf("  %-40s $%.3f per million, %d lines", "metrics, not in the sum",
		float64(bytes)/float64(deliveries)*1e6*priceLog, len(lines))
}

// logOverhead is what CloudWatch Logs counts for a line besides its bytes. User Guide, "CloudWatch Logs quotas".
const logOverhead = 26

// TestCost counts what the deliveries of 1,000 events cost. Events are published ten in a call; the poller gathers them
// as the template says (up to 100 or a second).
func TestCost(t *testing.T) {
	t.Run("healthy, a request for each event", func(t *testing.T) {
		to := receive(t, always(200))
		written := &journal{}
		r := deploy(t, []*receiver{to}, written.of(untouched(nil)))
		r.webhook(to, 1)
		r.quiet()
		r.publish(1000)
		r.eventually("all arrive", func() bool { return distinct(to) == 1000 })
		r.settled()
		b := r.bill(1000)
		b.print(t, "healthy, a request for each event", 1000)
		written.print(t, 1000)
		require.LessOrEqual(t, float64(b.total())/1000, 0.6,
			"calls, of which 25 rows are one: dearer ones took a hundred")
		require.LessOrEqual(t, b.held(1000), targetSingle)
	})
	t.Run("healthy, batched", func(t *testing.T) {
		to := receive(t, always(200))
		written := &journal{}
		r := deploy(t, []*receiver{to}, written.of(untouched(nil)))
		r.webhook(to, 100)
		r.quiet()
		r.publish(1000)
		r.eventually("all arrive", func() bool { return distinct(to) == 1000 })
		r.settled()
		b := r.bill(1000)
		b.print(t, fmt.Sprintf("healthy, %d requests for 1,000 events", len(to.requests())), 1000)
		written.print(t, 1000)
		require.LessOrEqual(t, b.held(1000), targetBatched)
	})
	t.Run("one system is down for all of the cycles", func(t *testing.T) {
		const count = 594 // six full batches: how many are full is a matter of the pollers' luck
		to := receive(t, always(503))
		written := &journal{}
		r := deploy(t, []*receiver{to}, written.of(untouched(map[string]string{"TOCSIN_DISABLE_MINIMUM": "1000000"})))
		r.webhook(to, 1)
		r.quiet()
		r.publish(count)
		r.eventually("all attempts were made", func() bool { return len(to.requests()) == 17*count })
		r.settled()
		r.finished(len(r.executions()))
		b := r.bill(count)
		b.print(t, "down: 17 attempts each", count)
		written.print(t, count)
		require.LessOrEqual(t, float64(b.starts)/count, 0.1, "executions for a failed delivery: the target")
		require.LessOrEqual(t, b.held(count), targetDown)
	})
}

// TestCostOfFilters counts what a million events cost, of which filters leave out 99 %.
func TestCostOfFilters(t *testing.T) {
	to := receive(t, always(200))
	r := deploy(t, []*receiver{to}, untouched(nil))
	id := r.webhook(to, 100)
	var few []string
	for n := 100; n <= 1000; n += 100 {
		few = append(few, fmt.Sprintf("shop.example.com/orders/%d", n))
	}
	r.api("PATCH", "/v1/integrations/"+id, map[string]any{"filters": []map[string]any{
		{"id": "url", "operator": "eq", "values": few}}}, nil)
	time.Sleep(time.Second) // as in webhook
	r.quiet()
	r.publish(1000)
	r.eventually("those that pass arrive", func() bool { return distinct(to) == 10 })
	r.settled()
	b := r.bill(1000)
	b.print(t, "filters leave out 99 of 100 events", 1000)
	require.LessOrEqual(t, b.held(1000), targetFiltered)
}

// targetDigests is what a million events may cost that people are told of in digests.
const targetDigests = 4.0

// TestCostOfDigests counts what a million events cost of which filters leave out half, and the others are held for a
// digest, or come faster than the storm guard lets messages through.
func TestCostOfDigests(t *testing.T) {
	for name, with := range map[string]func() map[string]any{
		"filters, and quiet hours with a digest": func() map[string]any {
			at := time.Now().UTC()
			return map[string]any{"hold": map[string]any{"then": "digest", "quiet": []map[string]any{
				{"from": at.Add(-time.Minute).Format("15:04"), "to": at.Add(3 * time.Minute).Format("15:04"),
					"zone": "UTC"}}}}
		},
		"filters, and the storm guard": func() map[string]any { return map[string]any{} },
	} {
		t.Run(name, func(t *testing.T) {
			to := receive(t, always(200))
			told := to.Config.Handler
			to.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				told.ServeHTTP(w, q)
				_, _ = io.WriteString(w, "ok") // as Slack says
			})
			r := deploy(t, []*receiver{to}, untouched(nil))
			body := with()
			body["system"], body["name"] = "slack", "Receiver"
			body["events"] = []map[string]any{{"event": "vuln_high"}, {"event": "vuln_low"}}
			body["filters"] = []map[string]any{{"id": "severity", "operator": "eq", "values": []string{"high"}}}
			body["parameters"] = map[string]any{"webhook_url": to.URL + "/services/T0/B0/x"}
			r.api("POST", "/v1/integrations", body, nil)
			time.Sleep(time.Second) // as in webhook
			r.quiet()
			r.findings(1000)
			last := 0
			for range 12 {
				time.Sleep(70 * time.Second) // nothing comes for longer than a minute of the guard: that is all
				n := len(to.requests())
				if n > 0 && n == last {
					break
				}
				last = n
			}
			r.settled()
			b := r.bill(1000)
			b.print(t, fmt.Sprintf("%s, %d messages for 500 events", name, len(to.requests())), 1000)
			require.NotEmpty(t, to.requests())
			require.Less(t, len(to.requests()), 100)
			require.LessOrEqual(t, b.held(1000), targetDigests)
		})
	}
}

// findings publishes vulnerabilities, every other of which is of a low risk.
func (r *rig) findings(count int) {
	r.t.Helper()
	var entries []types.PutEventsRequestEntry
	for n := range count {
		entries = append(entries, r.entry("vuln", fmt.Sprintf(
			`{"version":1,"id":"vuln-%d","tenant":"42","client_name":"Acme","time":"2026-03-01T12:00:00Z",`+
				`"data":{"vuln":{"id":"V%d","threat":%q,"title":"XSS"}}}`, n, n, []string{"High", "Low"}[n%2])))
	}
	r.put(entries)
}
