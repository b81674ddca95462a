//go:build awslocal

package awslocal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/retry"
)

var (
	servers  *awslocal.Servers
	binaries string
)

// TestMain starts the servers and builds the functions once. scripts/test-aws installs the servers and sets the tag
// awslocal: without it these tests are no part of a run, so that no run prints ok for what did not run.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "tocsin-functions-*"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	if err := awslocal.Build("../..", binaries, awslocal.Names...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if servers, err = awslocal.StartServers(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer servers.Close()
	return m.Run()
}

// receiver is a customer's system: it answers what its test says and remembers what came.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(n int) int // status of the n-th request, from 1
	got    []received
}

type received struct {
	at     time.Time
	id     string
	events int
	body   []byte
}

func receive(t *testing.T, answer func(n int) int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		var list []json.RawMessage
		_ = json.Unmarshal(body, &list) // a body that is no array counts as none
		r.mu.Lock()
		r.got = append(r.got, received{time.Now(), q.Header.Get("webhook-id"), len(list), body})
		status := r.answer(len(r.got))
		r.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) events() (n int) {
	for _, g := range r.requests() {
		n += g.events
	}
	return n
}

// atOnce leaves the time out of the rule: twenty failures disable, and need not take half an hour over three counters.
func atOnce(o *awslocal.Options) {
	o.Env = map[string]string{"TOCSIN_DISABLE_SPREAD": "1", "TOCSIN_DISABLE_MINUTES": "0"}
}

func always(status int) func(int) int { return func(int) int { return status } }

type rig struct {
	*awslocal.Stack
	t   *testing.T
	bus *eventbridge.Client
	n   int
}

func deploy(t *testing.T, allow []*receiver, change func(*awslocal.Options)) *rig {
	t.Helper()
	var hosts []string
	for _, r := range allow {
		hosts = append(hosts, strings.TrimPrefix(r.URL, "http://"))
	}
	log, err := os.CreateTemp("", "tocsin-functions-*.log")
	require.NoError(t, err)
	o := awslocal.Options{Root: "../..", Binaries: binaries, Allow: strings.Join(hosts, ","), WaitMS: 1, Hidden: 2,
		Log: log, BatchSize: 10, Window: 20 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	s, err := awslocal.Deploy(t.Context(), servers, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Log("the functions' log is kept in", log.Name())
		} else {
			os.Remove(log.Name())
		}
		log.Close()
	})
	c, err := awslocal.Config(t.Context(), s.Bus.URL)
	require.NoError(t, err)
	return &rig{Stack: s, t: t, bus: eventbridge.NewFromConfig(c)}
}

// api calls the api function as an HTTP API does, with the token of an administrator.
func (r *rig) api(method, path string, body, out any) int {
	r.t.Helper()
	return r.as("42", "administrator", method, path, body, out)
}

func (r *rig) as(tenant, role, method, path string, body, out any) int {
	r.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(r.t, err)
	if body == nil {
		raw = nil
	}
	status, answer := r.request(tenant, role, method, path, string(raw))
	if out != nil {
		require.Less(r.t, status, 300, answer)
		require.NoError(r.t, json.Unmarshal([]byte(answer), out))
	}
	return status
}

// request calls the api function with a body as it is.
func (r *rig) request(tenant, role, method, path, body string) (status int, answered string) {
	r.t.Helper()
	path, query, _ := strings.Cut(path, "?")
	payload, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "ANY /v1/{proxy+}", "rawPath": path, "rawQueryString": query,
		"headers": map[string]string{"content-type": "application/json", "host": "api.example.com",
			"authorization": "Bearer " + r.Issuer.Token(map[string]any{"tenant": tenant, "role": role,
				"client_name": "Acme", "email": "ada@example.com", "name": "Ada"})},
		"body": body, "isBase64Encoded": false,
		"requestContext": map[string]any{
			"stage": "$default", "domainName": "api.example.com",
			"http": map[string]string{"method": method, "path": path, "sourceIp": "192.0.2.1"},
		},
	})
	require.NoError(r.t, err)
	answer, err := r.Functions["Api"].Invoke(r.t.Context(), payload)
	require.NoError(r.t, err)
	var got struct {
		StatusCode int
		Body       string
	}
	require.NoError(r.t, json.Unmarshal(answer, &got))
	return got.StatusCode, got.Body
}

// webhook makes an integration that receives hits only.
func (r *rig) webhook(to *receiver, maxEvents int) string {
	r.t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	r.api("POST", "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "Receiver", "events": []map[string]any{{"event": "siem"}},
		"parameters": map[string]any{"url": to.URL + "/hook", "max_events": maxEvents},
	}, &made)
	require.NotEmpty(r.t, made.ID)
	time.Sleep(time.Second) // fan-out may answer from memory for that long (integration.Store)
	return made.ID
}

// publish puts hits on the bus, ten in a call.
func (r *rig) publish(count int) (ids []string) {
	r.t.Helper()
	var entries []types.PutEventsRequestEntry
	for range count {
		r.n++
		id := fmt.Sprintf("hit-%d", r.n)
		ids = append(ids, id)
		entries = append(entries, r.entry("new_hits",
			fmt.Sprintf(
				`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/%d","method":"POST","remote_addr4":"203.0.113.7"}}}`, id, r.n)))
	}
	r.put(entries)
	return ids
}

func (r *rig) entry(detailType, detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{Source: awssdk.String("upstream"), DetailType: awssdk.String(detailType),
		Detail: awssdk.String(detail), EventBusName: awssdk.String("tocsin")}
}

func (r *rig) put(entries []types.PutEventsRequestEntry) {
	r.t.Helper()
	for chunk := range slices.Chunk(entries, 10) {
		out, err := r.bus.PutEvents(r.t.Context(), &eventbridge.PutEventsInput{Entries: chunk})
		require.NoError(r.t, err)
		require.Zero(r.t, out.FailedEntryCount)
	}
}

type deliveryView struct {
	ID       string
	State    string
	Reason   string
	Attempts []struct {
		Status   int
		WaitedMS int64 `json:"waited_ms"`
	}
}

func (r *rig) deliveries(integration, state string) []deliveryView {
	r.t.Helper()
	var page struct{ Items []deliveryView }
	r.api("GET", "/v1/integrations/"+integration+"/deliveries?limit=200&state="+state, nil, &page)
	return page.Items
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	require.Eventually(r.t, ok, 6*time.Minute, 50*time.Millisecond, what) // on a machine that is busy elsewhere
}

// waits are those of the product facts, in seconds.
func waits() (out []int) {
	for _, c := range retry.Cycles() {
		for _, w := range c {
			out = append(out, int(w/time.Second))
		}
	}
	return out
}

func (r *rig) executions() []awslocal.Execution {
	r.t.Helper()
	all, err := r.Executions(r.t.Context())
	require.NoError(r.t, err)
	return all
}

func (r *rig) finished(count int) []awslocal.Execution {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%d executions end", count), func() bool {
		n := 0
		for _, e := range r.executions() {
			if e.Status != "RUNNING" {
				n++
			}
		}
		return n == count
	})
	return r.executions()
}

func TestAnEventIsDelivered(t *testing.T) {
	to := receive(t, always(204))
	r := deploy(t, []*receiver{to}, nil)
	id := r.webhook(to, 100)
	r.publish(25)
	r.eventually("all events arrive", func() bool { return to.events() == 25 })
	r.eventually("the log says so", func() bool {
		n := 0
		for _, d := range r.deliveries(id, "delivered") {
			require.Len(t, d.Attempts, 1)
			require.Equal(t, 204, d.Attempts[0].Status)
			n++
		}
		return n == len(to.requests())
	})
	require.Empty(t, r.executions(), "what is healthy costs no execution")
	for _, dead := range []string{"EventsDeadLetters", "DeliveriesDeadLetters", "RetryDeadLetters",
		"UnknownEventsQueue"} {
		n, err := r.Depth(t.Context(), dead)
		require.NoError(t, err)
		require.Zero(t, n, dead)
	}
}

func TestTheWaitsOfTheStateMachineAreThoseOfTheProduct(t *testing.T) {
	never, third, gone := receive(t, always(503)),
		receive(t, func(n int) int { return map[bool]int{true: 200, false: 500}[n > 3] }), receive(t, always(500))
	r := deploy(t, []*receiver{never, third, gone}, nil)
	t.Run("a system that never answers gets all sixteen, then the delivery is dead", func(t *testing.T) {
		id := r.webhook(never, 1)
		r.publish(1)
		got := r.finished(1)[0]
		require.Equal(t, "SUCCEEDED", got.Status)
		require.Equal(t, waits(), got.Waits)
		require.Less(t, 5*got.Transitions, 1000, "five history events for a transition stay far below 25,000")
		require.Len(t, never.requests(), 17)
		for _, q := range never.requests() {
			require.Equal(t, never.requests()[0].id, q.id, "the delivery keeps its id")
		}
		dead := r.deliveries(id, "dead")
		require.Len(t, dead, 1)
		require.Len(t, dead[0].Attempts, 17)
		require.Equal(t, 204, r.api("DELETE", "/v1/integrations/"+id, nil, nil))
	})
	t.Run("one that comes back ends the cycles", func(t *testing.T) {
		id := r.webhook(third, 1)
		r.publish(1)
		got := r.finished(2)[1]
		require.Equal(t, waits()[:3], got.Waits)
		require.Len(t, r.deliveries(id, "delivered"), 1)
		require.Equal(t, 204, r.api("DELETE", "/v1/integrations/"+id, nil, nil))
	})
	t.Run("an integration that is deleted ends them too", func(t *testing.T) {
		id := r.webhook(gone, 1)
		gone.mu.Lock()
		gone.answer = func(n int) int {
			if n == 3 {
				go r.api("DELETE", "/v1/integrations/"+id, nil, nil)
				time.Sleep(time.Second)
			}
			return 500
		}
		gone.mu.Unlock()
		r.publish(1)
		got := r.finished(3)[2]
		require.Equal(t, waits()[:3], got.Waits)
		require.Len(t, gone.requests(), 3)
	})
}

func TestFailuresOfOneParcelShareAnExecution(t *testing.T) {
	down := receive(t, always(500))
	r := deploy(t, []*receiver{down}, func(o *awslocal.Options) {
		o.Env = map[string]string{"TOCSIN_DISABLE_MINIMUM": "100000"}
	})
	id := r.webhook(down, 1)
	r.publish(40)
	r.eventually("all are dead", func() bool { return len(r.deliveries(id, "dead")) == 40 })
	all := r.finished(len(r.executions()))
	require.LessOrEqual(t, len(all), 8, "40 deliveries in messages of up to ten events")
	require.Len(t, down.requests(), 40*17)
}

func TestAutoDisableFiresOnceUnderConcurrency(t *testing.T) {
	down, watcher := receive(t, always(500)), receive(t, always(200))
	r := deploy(t, []*receiver{down, watcher}, atOnce)
	id := r.webhook(down, 1)
	var made struct {
		ID string `json:"id"`
	}
	r.api("POST", "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "Watcher", "events": []map[string]any{{"event": "system"}},
		"parameters": map[string]any{"url": watcher.URL},
	}, &made)
	r.publish(60)
	told := func(what string) (n int) {
		for _, g := range watcher.requests() {
			n += strings.Count(string(g.body), `"`+what+`"`)
		}
		return n
	}
	r.eventually("the watcher is told", func() bool {
		return told("integration_broken") > 0 && told("integration_failing") > 0
	})
	var now struct {
		Enabled  bool
		Disabled struct{ By, Reason string }
	}
	r.api("GET", "/v1/integrations/"+id, nil, &now)
	require.False(t, now.Enabled)
	require.Equal(t, "platform", now.Disabled.By)
	require.Contains(t, now.Disabled.Reason, "requests failed within 12 hours")
	r.eventually("everything that waited has ended", func() bool {
		return len(r.deliveries(id, "retrying")) == 0 && len(r.deliveries(id, "pending")) == 0
	})
	require.Equal(t, 1, told("integration_broken"), "once, although many workers saw it")
	require.Equal(t, 1, told("integration_failing"), "and that it fails, once too")
	require.Len(t, r.deliveries(id, "dead"), 60, "kept for a replay")
	require.Equal(t, 409, r.api("POST", "/v1/integrations/"+id+"/replay", map[string]any{}, nil),
		"not while it is disabled")
}

func TestWhatCanNotBeProcessedIsKept(t *testing.T) {
	to := receive(t, always(200))
	r := deploy(t, []*receiver{to}, nil)
	r.webhook(to, 100)
	r.put([]types.PutEventsRequestEntry{
		r.entry("something_new", `{"version":1,"id":"new","tenant":"42","time":"2026-03-01T12:00:00Z","data":{}}`),
		r.entry("something_new", `{"version":1}`),
		r.entry("new_hits", `{"version":1,"id":"none","time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli"}}}`),
		r.entry("new_hits",
			`{"version":1,"id":"odd","tenant":"no message group","time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli"}}}`),
		r.entry("new_hits", `{"version":9,"id":"x","tenant":"42","time":"2026-03-01T12:00:00Z","data":{}}`),
		r.entry("new_hits", `{"version":1,"id":"bad","tenant":"42","time":"2026-03-01T12:00:00Z","data":{"hit":7}}`),
	})
	large := strings.Repeat("x", 200<<10)
	r.put([]types.PutEventsRequestEntry{r.entry("new_hits",
		`{"version":1,"id":"large","tenant":"42","time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli","path":"/`+
			large+`"}}}`)})
	queue := r.Queues["EventsQueue"]
	_, err := r.SQS.SendMessage(t.Context(),
		&sqs.SendMessageInput{QueueUrl: &queue, MessageBody: awssdk.String("not JSON at all")})
	require.NoError(t, err)
	r.publish(3)
	r.eventually("good events are not held up", func() bool { return to.events() == 4 })
	r.eventually("the tenant's bad events are listed with their reasons",
		func() bool { return len(r.letters("administrator")) == 3 })
	r.replayedOnce()
	r.eventually("it goes through fan-out again, and is refused again",
		func() bool { return len(r.letters("administrator")) == 4 })
	r.eventually("those of no tenant are kept for the platform's engineers",
		func() bool { return len(r.letters("operator")) == 8 }) // with the garbage
	for _, queue := range []string{"UnknownEventsQueue", "EventsDeadLetters"} {
		depth, err := r.Depth(t.Context(), queue)
		require.NoError(t, err)
		require.Zero(t, depth, "nothing stays in a queue that nobody reads: %s", queue)
	}
}

type letter struct {
	ID, Reason string
	DetailType string `json:"detail_type"`
}

// letters lists the dead letters as that role sees them.
func (r *rig) letters(role string) []letter {
	var page struct{ Items []letter }
	r.as("42", role, "GET", "/v1/dead-letters", nil, &page)
	return page.Items
}

// replayedOnce holds the tenant's letters against their reasons, and replays that of an unknown kind twice.
func (r *rig) replayedOnce() {
	r.t.Helper()
	var reasons []string
	letters := r.letters("administrator")
	for _, l := range letters {
		reasons = append(reasons, l.Reason)
	}
	for _, want := range []string{"version: is 9", "data.hit", `"something_new" is not a known kind of event`} {
		require.Contains(r.t, strings.Join(reasons, "\n"), want)
	}
	n := slices.IndexFunc(letters, func(l letter) bool { return l.DetailType == "something_new" })
	path := "/v1/dead-letters/" + letters[n].ID + "/replay"
	for _, count := range []int{1, 0} {
		var replayed struct{ Count int }
		require.Equal(r.t, 200, r.api("POST", path, nil, &replayed))
		require.Equal(r.t, count, replayed.Count, "once")
	}
}

func TestMessagesThatComeTwice(t *testing.T) {
	down := receive(t, always(500))
	r := deploy(t, []*receiver{down}, func(o *awslocal.Options) {
		o.Env = map[string]string{"TOCSIN_DISABLE_MINIMUM": "100000"}
		o.WaitMS = 1500
	})
	id := r.webhook(down, 1)
	r.publish(3)
	r.eventually("they wait for their retries", func() bool { return len(r.deliveries(id, "retrying")) == 3 })
	var ids []string
	for _, d := range r.deliveries(id, "retrying") {
		ids = append(ids, d.ID)
	}
	before := len(r.executions())
	for range 3 { // in other company, several times
		body, err := json.Marshal(map[string]any{"tenant": "42", "integration": id, "deliveries": ids})
		require.NoError(t, err)
		queue := r.Queues["DeliveriesQueue"]
		_, err = r.SQS.SendMessage(t.Context(),
			&sqs.SendMessageInput{QueueUrl: &queue, MessageBody: awssdk.String(string(body))})
		require.NoError(t, err)
	}
	r.eventually("the queue is empty", func() bool {
		n, err := r.Depth(t.Context(), "DeliveriesQueue")
		return err == nil && n == 0
	})
	require.Len(t, r.executions(), before, "the batch that holds them has one execution")
	r.publish(1)
	same := r.entry("new_hits",
		`{"version":1,"id":"hit-1","tenant":"42","time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli"}}}`)
	r.put([]types.PutEventsRequestEntry{same, same})
	r.eventually("the new one is there", func() bool { return len(r.deliveries(id, "all")) == 4 })
	time.Sleep(500 * time.Millisecond)
	require.Len(t, r.deliveries(id, "all"), 4, "an event counts once")
}

func TestAFunctionThatCrashesLosesNothing(t *testing.T) {
	var r *rig
	var once sync.Once
	to := receive(t, func(n int) int {
		if n == 3 {
			once.Do(func() { go r.Functions["Retry"].Kill() })
			time.Sleep(300 * time.Millisecond)
		}
		return 500
	})
	r = deploy(t, []*receiver{to}, nil)
	id := r.webhook(to, 1)
	r.publish(1)
	got := r.finished(1)[0]
	require.Equal(t, "SUCCEEDED", got.Status)
	require.Equal(t, waits(), got.Waits, "the round is made again, the waits stay")
	dead := r.deliveries(id, "dead")
	require.Len(t, dead, 1)
	require.Len(t, dead[0].Attempts, 17)
	require.GreaterOrEqual(t, len(to.requests()), 18, "the attempt that broke off was made again")
}

func TestARetryFunctionThatKeepsFailingLeavesADeadLetterThatCanBeRedriven(t *testing.T) {
	status := 500
	var mu sync.Mutex
	to := receive(t, func(int) int {
		mu.Lock()
		defer mu.Unlock()
		return status
	})
	r := deploy(t, []*receiver{to}, nil)
	id := r.webhook(to, 1)
	r.Dynamo.Faults(func(call string) *awslocal.Fault {
		if call == "GetItem" && len(r.executionsQuietly()) > 0 {
			return &awslocal.Fault{Status: 400, Type: "AccessDeniedException"}
		}
		return nil
	})
	r.publish(1)
	got := r.finished(1)[0]
	require.Equal(t, "FAILED", got.Status)
	r.eventually("the batch is in the dead-letter queue", func() bool {
		n, err := r.Depth(t.Context(), "RetryDeadLetters")
		return err == nil && n == 1
	})
	r.Dynamo.Faults(nil)
	require.Len(t, r.deliveries(id, "retrying"), 1, "it is still listed")
	mu.Lock()
	status = 200
	mu.Unlock()
	r.redrive("RetryDeadLetters", "RetriesQueue")
	r.eventually("the redriven batch is delivered", func() bool { return len(r.deliveries(id, "delivered")) == 1 })
}

// TestInfrastructureInTroubleForHoursBreaksNothingOff: each retrier's waits are those of the definition but for their
// length.
func TestInfrastructureInTroubleForHoursBreaksNothingOff(t *testing.T) {
	to := receive(t, func(n int) int { return map[bool]int{true: 200, false: 500}[n > 1] })
	r := deploy(t, []*receiver{to}, nil)
	id := r.webhook(to, 1)
	count := func(names ...string) (left func() int) {
		var n atomic.Int64
		r.TaskFaults(func(state string) string {
			if k := int(n.Add(1)) - 1; k < len(names) && state == "Attempt" {
				return names[k]
			}
			return ""
		})
		return func() int { return len(names) - int(n.Load()) }
	}
	var trouble []string
	for _, name := range []string{"Lambda.TooManyRequestsException", "Lambda.ServiceException",
		"Lambda.SdkClientException", "States.Timeout", handlers.Unavailable} {
		trouble = append(trouble, slices.Repeat([]string{name}, 58)...)
	}
	left := count(append(trouble, slices.Repeat([]string{"errorString"}, 19)...)...)
	r.publish(1)
	got := r.finished(1)[0]
	require.Equal(t, "SUCCEEDED", got.Status, "a round outlasts 290 failures of services and 19 of the function")
	require.Negative(t, left())
	require.Len(t, r.deliveries(id, "delivered"), 1)
	n, err := r.Depth(t.Context(), "RetryDeadLetters")
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestADeadLetterOutlastsTheTroubleOfItsQueue(t *testing.T) {
	to := receive(t, always(500))
	r := deploy(t, []*receiver{to}, nil)
	r.webhook(to, 1)
	var sends atomic.Int64
	r.TaskFaults(func(state string) string {
		if state == "Dead letter" && sends.Add(1) > 90 {
			return ""
		}
		return "errorString"
	})
	r.publish(1)
	require.Equal(t, "FAILED", r.finished(1)[0].Status)
	n, err := r.Depth(t.Context(), "RetryDeadLetters")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func (r *rig) executionsQuietly() []awslocal.Execution {
	all, err := r.Executions(context.Background())
	if err != nil {
		return nil
	}
	return all
}

// redrive moves messages as StartMessageMoveTask does.
func (r *rig) redrive(from, to string) {
	r.t.Helper()
	source, sink := r.Queues[from], r.Queues[to]
	got, err := r.SQS.ReceiveMessage(r.t.Context(),
		&sqs.ReceiveMessageInput{QueueUrl: &source, MaxNumberOfMessages: 10, WaitTimeSeconds: 3})
	require.NoError(r.t, err)
	require.NotEmpty(r.t, got.Messages)
	for _, m := range got.Messages {
		_, err := r.SQS.SendMessage(r.t.Context(), &sqs.SendMessageInput{QueueUrl: &sink, MessageBody: m.Body})
		require.NoError(r.t, err)
		_, err = r.SQS.DeleteMessage(r.t.Context(),
			&sqs.DeleteMessageInput{QueueUrl: &source, ReceiptHandle: m.ReceiptHandle})
		require.NoError(r.t, err)
	}
}

func TestAWSCallsThatFailLoseNothing(t *testing.T) {
	to := receive(t, always(200))
	r := deploy(t, []*receiver{to}, nil)
	id := r.webhook(to, 100)
	t.Run("DynamoDB throttles every third call", func(t *testing.T) {
		var mu sync.Mutex
		n := 0
		r.Dynamo.Faults(func(call string) *awslocal.Fault {
			mu.Lock()
			defer mu.Unlock()
			if n++; n%3 == 0 {
				return &awslocal.Fault{Status: 400, Type: "ThrottlingException"}
			}
			return nil
		})
		r.publish(30)
		r.eventually("all arrive", func() bool { return distinct(to) == 30 })
		r.Dynamo.Faults(nil)
	})
	t.Run("KMS does not answer for a while: deliveries wait", func(t *testing.T) {
		r.Functions["Deliver"].Kill() // its opened keys are in memory
		r.KMS.Faults(func(string) *awslocal.Fault { return &awslocal.Fault{Status: 500, Type: "KMSInternalException"} })
		r.publish(10)
		time.Sleep(3 * time.Second)
		require.Equal(t, 30, distinct(to))
		require.Empty(t, r.deliveries(id, "dead"))
		r.KMS.Faults(nil)
		r.eventually("they arrive when it does", func() bool { return distinct(to) == 40 })
	})
	t.Run("the bus fails while a change is announced: it is announced later", func(t *testing.T) {
		r.Bus.Faults(func(string) *awslocal.Fault { return &awslocal.Fault{Status: 400, Type: "InternalFailure"} })
		require.Equal(t, 204, r.api("DELETE", "/v1/integrations/"+id, nil, nil))
		r.Bus.Faults(nil)
		answer, err := r.Functions["Retry"].Invoke(t.Context(), []byte(`{"relay":true}`))
		require.NoError(t, err)
		require.JSONEq(t, `{"batch":"","round":0,"seconds":0,"more":false}`, string(answer),
			"a minute must pass: its writer may be at work")
	})
}

// distinct counts the events that arrived at least once.
func distinct(to *receiver) int {
	seen := map[string]bool{}
	for _, g := range to.requests() {
		var list []struct {
			Details struct {
				Hit struct{ Path string }
			}
		}
		if json.Unmarshal(g.body, &list) == nil {
			for _, e := range list {
				seen[e.Details.Hit.Path] = true
			}
		}
	}
	return len(seen)
}
