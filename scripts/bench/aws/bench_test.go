//go:build awslocal

package aws_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/scripts/awslocal/meter"
	"tocsin/scripts/awslocal/sim"
	"tocsin/scripts/awslocal/simstack"
	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
	"tocsin/shared/trigger"
)

const root = "../../.."

var check = flag.Bool("check", true, "assert the targets")

var batches = flag.Int("batches", 4, "batches of events for each function")

var (
	servers  *awslocal.Servers
	template *awslocal.Template
	hit      map[string]any // the sample of events/hits.json
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := 1
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	if servers != nil {
		servers.Close()
	}
	os.Exit(code)
}

func prepare() (err error) {
	if template, err = awslocal.ReadTemplate(filepath.Join(root, "template.yaml")); err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(root, "events", "hits.json"))
	if err != nil {
		return err
	}
	var entries []struct{ Detail string }
	if err := json.Unmarshal(raw, &entries); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(entries[0].Detail), &hit); err != nil {
		return err
	}
	servers, err = awslocal.StartDynamo(context.Background())
	return err
}

// perBatch is how many events the model counts as a batch: what fan-out gets at once is the template's BatchSize.
var perBatch = func() int {
	return awslocal.Number(awslocal.At(template.Resources["FanoutFunction"].Properties, "Events", "Queue",
		"Properties", "BatchSize"))
}

// load is what a measurement puts on the engine.
type load struct {
	functions int
	tenants   int
	// quiet publishes an event every fifth of a second for a tenant of its own, beside the others or, with no others,
	// alone.
	quiet int
}

// result of a measurement, in virtual time.
type result struct {
	load
	events    int
	accepted  float64 // events a second
	delivered float64
	counted   float64
	again     int // messages that came again
	write     float64
	read      float64 // units an event
	hottest   string
	heat      float64 // units a second
	p50, p99  time.Duration
	tables    map[string]float64
	wall      time.Duration
}

// latency is that of the real services as measured from Lambda in one region: a transaction 30 ms, a batch 10 ms,
// anything else 6 ms, a customer's system 50 ms; each call between 0.8 times that and a tail.
func latency(c sim.Call) time.Duration {
	mean := 6.0
	switch {
	case strings.HasPrefix(c.Action, "Transact"):
		mean = 30
	case strings.HasPrefix(c.Action, "Batch"):
		mean = 10
	case c.Service == "Receiver":
		mean = 50
	}
	r := sim.Random(1, c.Function, c.Invocation, c.Number, c.Action)
	return time.Duration(mean * (0.8 + 0.2*r.ExpFloat64()) * float64(time.Millisecond))
}

// arrivals are the times at which a customer's system got events, by their path.
type arrivals struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (a *arrivals) note(body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range paths.FindAllString(string(body), -1) {
		if a.at[id].IsZero() {
			a.at[id] = time.Now()
		}
	}
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

var paths = regexp.MustCompile(`/orders/\d{8}`)

type transport struct {
	*sim.Sandbox
	to *arrivals
}

func (c transport) Do(ctx context.Context, q destination.Request) (destination.Response, error) {
	err := c.Request(ctx, "web_hooks", func() error { c.to.note(destinationtest.Plain(q)); return nil })
	return destination.Response{Status: 200, At: c.Now()}, err
}

// measure puts a load on a stack of its own.
func measure(t *testing.T, l load) (out result) {
	prefix := fmt.Sprintf("b%d-", time.Now().UnixNano())
	config, err := awslocal.Config(t.Context(), servers.Dynamo)
	require.NoError(t, err)
	db := dynamodb.NewFromConfig(config)
	require.NoError(t, template.CreateTables(t.Context(), db, prefix))
	defer func() { require.NoError(t, template.DeleteTables(context.Background(), db, prefix)) }()
	began := time.Now()
	synctest.Test(t, func(t *testing.T) { out = run(t, l, prefix) })
	out.wall = time.Since(began)
	return out
}

func run(t *testing.T, l load, prefix string) result {
	ctx := context.Background()
	c, err := sim.New(ctx, template, sim.Options{Root: root, Seed: 1, Dynamo: servers.Dynamo, Prefix: prefix})
	require.NoError(t, err)
	defer c.Close()
	log, to := slog.New(slog.DiscardHandler), &arrivals{at: map[string]time.Time{}}
	simstack.Deploy(c, func(s *sim.Sandbox) sending.Transport { return transport{s, to} }, log)
	tool := simstack.Open(c, c.Sandbox("", 0), log)
	for n := range l.tenants + min(1, l.quiet) {
		setUp(ctx, t, tool, tenant(n))
	}
	time.Sleep(time.Second)
	c.Queues["EventsQueue"].Purge() // the announcements of the set-up
	c.Latency, c.Meter = latency, &meter.Meter{}
	events := max(20, *batches*l.functions) * perBatch()
	if l.tenants == 0 {
		events = 0
	}
	for n := range events {
		c.Publish(string(event.NewHits), detail(tenant(n%max(1, l.tenants)), n))
	}
	out := result{load: l, events: events}
	received := map[string]int{}
	c.Queues["EventsQueue"].Received = func(m sim.Message) { received[m.ID]++ }
	start := time.Now()
	for _, f := range simstack.Polled {
		c.Poll(f, l.functions, nil)
	}
	published := trickle(c, l, events)
	drained := func(q string) float64 {
		for c.Queues[q] != nil && c.Queues[q].Len() > 0 {
			time.Sleep(time.Millisecond)
		}
		return float64(events+l.quiet) / time.Since(start).Seconds()
	}
	out.accepted = drained("EventsQueue")
	out.delivered = drained("DeliveriesQueue")
	out.counted = drained("CountingQueue")
	took := time.Since(start)
	require.Eventually(t, func() bool { return to.count() == events+l.quiet }, time.Minute, time.Second, "all arrive")
	for _, n := range received {
		out.again += min(1, n-1)
	}
	units, tables := c.Meter.Units()
	out.write, out.read, out.tables = units["write"]/float64(events+l.quiet), units["read"]/float64(events+l.quiet),
		tables
	out.hottest, out.heat = c.Meter.Hottest()
	out.heat /= took.Seconds()
	out.p50, out.p99 = published.percentiles(to)
	require.Empty(t, c.Problems())
	return out
}

// trickle is the quiet tenant.
func trickle(c *sim.Cloud, l load, from int) (at times) {
	at = times{}
	for n := range l.quiet {
		at[path(from+n)] = time.Now()
		c.Publish(string(event.NewHits), detail(tenant(l.tenants), from+n))
		time.Sleep(200 * time.Millisecond)
	}
	return at
}

type times map[string]time.Time

func (p times) percentiles(to *arrivals) (p50, p99 time.Duration) {
	var list []time.Duration
	for path, at := range p {
		list = append(list, to.at[path].Sub(at))
	}
	if slices.Sort(list); len(list) == 0 {
		return 0, 0
	}
	return list[len(list)/2], list[(len(list)*99+99)/100-1]
}

func tenant(n int) string { return fmt.Sprint(4200 + n) }

func path(n int) string { return fmt.Sprintf("/orders/%08d", n) }

// detail is the sample hit as one of many: another place, another address, another payload.
func detail(tenant string, n int) []byte {
	d := map[string]any{}
	for k, v := range hit {
		d[k] = v
	}
	now := time.Now()
	d["id"], d["tenant"], d["time"] = fmt.Sprintf("evt-hits-%026d", n), tenant, now.Format(time.RFC3339Nano)
	inner := map[string]any{}
	for k, v := range hit["data"].(map[string]any)["hit"].(map[string]any) {
		inner[k] = v
	}
	inner["remote_addr4"], inner["path"], inner["request_time"] = fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255,
		n&255), path(n), now.Unix()
	inner["payloads"] = []string{fmt.Sprintf("' or %d=%d--", n, n)}
	d["data"] = map[string]any{"hit": inner}
	raw, err := json.Marshal(d)
	if err != nil {
		panic(err) // it came out of JSON
	}
	return raw
}

func setUp(ctx context.Context, t *testing.T, tool *simstack.Stack, tenant string) {
	_, err := tool.Service().Create(ctx, activity.Actor{Tenant: tenant, ClientName: "Acme",
		Email: "ada@example.com"}, integration.Draft{
		System: "web_hooks", Name: "Receiver", Subscriptions: []integration.Subscription{{Event: event.Hits}},
		Parameters: json.RawMessage(`{"url":"https://receiver.example.com/hook","max_events":100}`),
	})
	require.NoError(t, err)
	require.NoError(t, tool.Triggers().Seed(ctx, tenant, trigger.Defaults(tenant, "Acme", time.Now()),
		enginetest.Entry(tenant)))
}

func (r result) String() string {
	return fmt.Sprintf("%9d %8d %8d | %9.0f %9.0f %9.0f | %6d | %6.2f %6.2f | %6.0f %s (%s)", r.functions, r.tenants,
		r.events, r.accepted, r.delivered,
		r.counted, r.again, r.write, r.read, r.heat, r.hottest[strings.Index(r.hottest, "-")+1:],
		r.wall.Round(time.Second))
}

const heading = "functions  tenants   events |  accepted delivered   counted |  again |  write   read | hottest key, " +
	"write units/s"

// TestThroughput: one tenant's ceiling must not fall with functions, and grow to 20 of them.
func TestThroughput(t *testing.T) {
	lines := []string{heading + "  (events a second; units an event)"}
	var all []result
	for _, l := range []load{{1, 1, 0}, {5, 1, 0}, {10, 1, 0}, {20, 1, 0}, {20, 50, 0}} {
		r := measure(t, l)
		all = append(all, r)
		lines = append(lines, r.String())
		t.Logf("%s\n%s\n%v", heading, r, r.tables)
	}
	t.Log("\n" + strings.Join(lines, "\n"))
	if *check {
		for n, r := range all {
			require.Zero(t, r.again, "no batch gives up")
			if r.tenants == 1 {
				require.LessOrEqual(t, r.write, 1.7, "write units an event, batched")
			}
			if n > 0 && n < 4 {
				require.Greater(t, r.accepted, all[n-1].accepted, "it grows with functions")
			}
		}
		require.GreaterOrEqual(t, all[3].accepted, 5000.0, "events a second of one tenant at 20 functions")
	}
}

// TestAQuietTenant: what it waits beside a busy one.
func TestAQuietTenant(t *testing.T) {
	alone := measure(t, load{functions: 20, quiet: 60})
	beside := measure(t, load{functions: 20, tenants: 1, quiet: 60})
	t.Logf("a quiet tenant alone: p50 %s, p99 %s; beside a busy one: p50 %s, p99 %s", alone.p50, alone.p99, beside.p50,
		beside.p99)
	if *check {
		require.Less(t, beside.p99, 2*alone.p99)
	}
}
