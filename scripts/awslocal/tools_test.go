//go:build awslocal

package awslocal_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// tools are the commands of the runbook, built once.
var tools = sync.OnceValues(func() (string, error) {
	into := filepath.Join(binaries, "tools")
	for _, name := range []string{"redrive", "stuck", "tablecopy"} {
		c := exec.Command("go", "build", "-o", filepath.Join(into, name), "../"+name)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return string(out), err
		}
	}
	return into, nil
})

// shell runs a line of the runbook as it stands there: `name` and `go run` are those of this stack.
func (r *rig) shell(line string) string {
	r.t.Helper()
	built, err := tools()
	require.NoError(r.t, err, built)
	c := exec.CommandContext(r.t.Context(), "bash", "-euc", `
		go() { [ "$1" = run ]; local tool=$TOOLS/${2##*/}; shift 2; "$tool" "$@"; }
		name() { printf %s "$STACK-$1"; }
		`+line)
	c.Env = append(os.Environ(), "TOOLS="+built, "STACK="+strings.TrimSuffix(r.Prefix, "-"), "AWS_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=local",
		"AWS_SECRET_ACCESS_KEY=local", "AWS_ENDPOINT_URL_SQS="+servers.SQS, "AWS_ENDPOINT_URL_DYNAMODB="+servers.Dynamo)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	require.NoError(r.t, c.Run(), "%s\n%s", line, out.String())
	r.t.Logf("$ %s\n%s", line, out.String())
	return out.String()
}

// ours finds the lines of a page that run our own commands.
var oursInPages = regexp.MustCompile(`(?m)^\s*(go run \./scripts/(?:redrive|stuck|tablecopy) .*)$`)

// line is the line of a page with all of these words.
func (r *rig) line(page string, words ...string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	require.NoError(r.t, err)
	for _, m := range oursInPages.FindAllStringSubmatch(string(text), -1) {
		has := true
		for _, w := range words {
			has = has && strings.Contains(m[1], w)
		}
		if has {
			return m[1]
		}
	}
	r.t.Fatalf("%s has no command with %q", page, words)
	return ""
}

func TestDeadLettersAreShownAndMovedBackAsTheRunbookSays(t *testing.T) {
	to := receive(t, always(200))
	r := deploy(t, []*receiver{to}, nil)
	r.webhook(to, 1)
	queue := r.Queues["EventsDeadLetters"]
	const secret = "a-secret-of-the-event"
	for _, id := range []string{"e1", "e2", "e3"} {
		body := `{"detail-type":"new_hits","time":"2026-03-01T12:00:00Z","detail":{"version":1,"id":"` + id +
			`","tenant":"42","client_name":"Acme","time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli","domain":"` + secret + `.example.com","path":"/","method":"POST","remote_addr4":"203.0.113.7"}}}}`
		_, err := r.SQS.SendMessage(t.Context(),
			&sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body, MessageGroupId: awssdk.String("42")})
		require.NoError(t, err)
	}
	depth := func() int {
		n, err := r.Depth(t.Context(), "EventsDeadLetters")
		require.NoError(t, err)
		return n
	}
	look, move := r.line("runbook/events-dead-letters.md", "EventsDeadLetters"),
		r.line("runbook/events-dead-letters.md", "-move", "EventsDeadLetters")
	require.NotContains(t, look, "-move")
	for range 2 {
		out := r.shell(look)
		require.Contains(t, out, "EventsDeadLetters: 3 messages, of EventsQueue, UnknownEventsQueue")
		require.Equal(t, 3, strings.Count(out, "tenant 42  event new_hits"), out)
		require.NotContains(t, out, secret)
		require.Equal(t, 3, depth(), "nothing was changed")
	}
	require.Contains(t, r.shell(move), "3 moved")
	r.eventually("the events are delivered", func() bool { return to.events() == 3 })
	require.Zero(t, depth())
	seen := map[string]bool{}
	for _, q := range to.requests() {
		seen[q.id] = true
	}
	require.Len(t, seen, 3, "each under an id of its own")
	require.Len(t, to.requests(), 3, "and once")
}

func TestAFIFOQueuesDeadLettersKeepTheirOrder(t *testing.T) {
	r := deploy(t, nil, func(o *awslocal.Options) { o.Hidden = 30 })
	queue, jobs := r.Queues["ReportJobsDeadLetters"], r.Queues["ReportJobsQueue"]
	r.Functions["Report"].Close() // nobody takes the jobs
	for _, body := range []string{"1", "2", "3"} {
		_, err := r.SQS.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: &queue, MessageBody: awssdk.String(`{"n":` + body + `}`), MessageGroupId: awssdk.String("report"),
			MessageDeduplicationId: &body,
		})
		require.NoError(t, err)
	}
	require.Contains(t, r.shell(r.line("runbook/report-dead-letters.md", "-move")), "3 moved")
	n, err := r.Depth(t.Context(), "ReportJobsDeadLetters")
	require.NoError(t, err)
	require.Zero(t, n)
	require.NotEmpty(t, jobs)
	n, err = r.Depth(t.Context(), "ReportJobsQueue")
	require.NoError(t, err)
	require.Equal(t, 3, n)
}

// set changes attributes of a delivery's row, as something that breaks off leaves it; remove names attributes that go.
func (r *rig) set(table, lane, id, expression string, values map[string]dynamotypes.AttributeValue) {
	r.t.Helper()
	_, err := r.DB.UpdateItem(r.t.Context(), &dynamodb.UpdateItemInput{
		TableName: awssdk.String(r.Prefix + table), UpdateExpression: &expression,
		ExpressionAttributeNames:  map[string]string{"#state": "state"},
		ExpressionAttributeValues: values, ConditionExpression: awssdk.String("attribute_exists(id)"),
		Key: map[string]dynamotypes.AttributeValue{"lane": &dynamotypes.AttributeValueMemberS{Value: lane},
			"id": &dynamotypes.AttributeValueMemberS{Value: id}},
	})
	require.NoError(r.t, err)
}

func textValue(s string) dynamotypes.AttributeValue {
	return &dynamotypes.AttributeValueMemberS{Value: s}
}

func TestWhatIsPendingWithoutAMessageGetsOneAgain(t *testing.T) {
	to := receive(t, always(200))
	r := deploy(t, []*receiver{to}, nil)
	id := r.webhook(to, 1)
	r.publish(3)
	r.eventually("all arrive", func() bool { return len(r.deliveries(id, "delivered")) == 3 })
	lost := r.deliveries(id, "delivered")[0].ID
	r.set("DeliveriesTable", "42 "+id, lost, "SET #state = :pending REMOVE attempts",
		map[string]dynamotypes.AttributeValue{":pending": textValue("pending")})

	r.idle()
	look := r.line("restore.md", "stuck") + " -older 0s"
	require.Contains(t, r.shell(look), "1 pending for more than 0s, of 1 tenants")
	require.Len(t, to.requests(), 3, "nothing was changed")
	require.Contains(t, r.shell(look+" -repair"), "1 pending deliveries have a message again")
	r.eventually("it is delivered again", func() bool { return len(to.requests()) == 4 })
	require.Equal(t, lost, to.requests()[3].id)
	r.eventually("nothing is open", func() bool {
		return strings.Contains(r.shell(look), "0 pending for more than 0s")
	})
}

func TestARetryBatchWithoutAnExecutionIsTakenUpAgain(t *testing.T) {
	healthy := false
	var mu sync.Mutex
	to := receive(t, func(int) int {
		mu.Lock()
		defer mu.Unlock()
		return map[bool]int{true: 200, false: 503}[healthy]
	})
	r := deploy(t, []*receiver{to}, nil)
	id := r.webhook(to, 1)
	r.publish(1)
	r.finished(1)
	var dead []deliveryView
	r.eventually("it is dead", func() bool { dead = r.deliveries(id, "dead"); return len(dead) == 1 })
	// As if the execution had been stopped after five attempts.
	row, err := r.DB.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: awssdk.String(r.Prefix + "DeliveriesTable"),
		Key: map[string]dynamotypes.AttributeValue{
			"lane": textValue("42 " + id), "id": textValue(dead[0].ID),
		}})
	require.NoError(t, err)
	trouble := row.Item["trouble"].(*dynamotypes.AttributeValueMemberS).Value
	r.set("DeliveriesTable", "42 "+id, dead[0].ID,
		"SET #state = :retrying, trouble = :trouble, failures = :failures, due = :due",
		map[string]dynamotypes.AttributeValue{
			":retrying": textValue("retrying"), ":trouble": textValue(strings.Replace(trouble, "dead", "retrying", 1)),
			":failures": &dynamotypes.AttributeValueMemberN{Value: "5"},
			":due":      &dynamotypes.AttributeValueMemberN{Value: "1000000000"},
		})
	mu.Lock()
	healthy = true
	mu.Unlock()
	before := len(to.requests())

	require.Contains(t, r.shell(r.line("restore.md", "stuck")),
		"1 overdue for a retry by more than 1h0m0s, of 1 tenants")
	require.Contains(t, r.shell(r.line("runbook/retries-failed.md", "-repair")), "1 retry batches are taken up again")
	r.eventually("it is delivered", func() bool { return len(r.deliveries(id, "delivered")) == 1 })
	require.Len(t, to.requests(), before+1)
}

// TestTablesAreRestoredFromOlderOnesAsThePageSays restores what a point-in-time recovery would make: older copies of
// tables.
func TestTablesAreRestoredFromOlderOnesAsThePageSays(t *testing.T) {
	to := receive(t, always(200))
	r := deploy(t, []*receiver{to}, nil)
	require.NoError(t, r.Template.CreateTables(t.Context(), r.DB, r.Prefix+"restored-"))
	keep := func(table string) {
		r.shell(`go run ./scripts/tablecopy -from "$(name ` + table + `)" -to "$STACK-restored-` + table +
			`" -write -delete`)
	}
	id := r.webhook(to, 1)
	r.publish(2)
	r.eventually("all arrive", func() bool { return len(r.deliveries(id, "delivered")) == 2 })
	keep("IntegrationsTable")
	keep("DeliveriesTable")
	open := r.deliveries(id, "delivered")[0].ID
	r.set("restored-DeliveriesTable", "42 "+id, open, "SET #state = :pending REMOVE attempts",
		map[string]dynamotypes.AttributeValue{":pending": textValue("pending")})

	// What comes after: another delivery, and the integration is deleted by mistake.
	r.publish(1)
	r.eventually("the third arrives", func() bool { return len(r.deliveries(id, "delivered")) == 3 })
	require.Equal(t, 204, r.api("DELETE", "/v1/integrations/"+id, nil, nil))
	require.Equal(t, 404, r.api("GET", "/v1/integrations/"+id, nil, nil))

	out := r.shell(strings.Replace(r.line("restore.md", "tablecopy", "-key acme"), "acme", "42", 1))
	require.Regexp(t, `[1-9]\d* are missing`, out)
	require.Contains(t, out, "Nothing was changed")
	require.Equal(t, 404, r.api("GET", "/v1/integrations/"+id, nil, nil))
	r.shell(r.line("restore.md", "tablecopy", "-write"))
	require.Equal(t, 200, r.api("GET", "/v1/integrations/"+id, nil, nil), "the integration is back, its secrets open")

	deliveries := strings.ReplaceAll(r.line("restore.md", "tablecopy", "-write"), "IntegrationsTable",
		"DeliveriesTable") + " -delete"
	require.Contains(t, r.shell(deliveries), "1 rows deleted.", "the third is gone from the log")
	require.Len(t, r.deliveries(id, "all"), 2)
	r.idle()
	time.Sleep(time.Second) // deliver may answer from memory for that long that there is no such integration
	r.shell(r.line("restore.md", "stuck") + " -older 0s -repair")
	r.eventually("what was open then is sent again, under its id", func() bool { return len(to.requests()) == 4 })
	require.Equal(t, open, to.requests()[3].id)
	require.Contains(t, r.shell(strings.ReplaceAll(r.line("restore.md", "tablecopy", "-key acme"), "acme", "nobody")),
		": 0 rows.")
}
