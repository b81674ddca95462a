//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/engine/aws/table"
)

// whereIs are the tables and queues of the stack in which a text is found: as it stands, in JSON in JSON, in bytes, and
// in what is compressed.
func (r *rig) whereIs(text string) map[string][]string {
	r.t.Helper()
	out := map[string][]string{}
	for name, resource := range r.Template.Resources {
		switch resource.Type {
		case "AWS::DynamoDB::Table":
			pages := dynamodb.NewScanPaginator(r.DB, &dynamodb.ScanInput{TableName: aws.String(r.Prefix + name),
				ConsistentRead: aws.Bool(true)})
			for pages.HasMorePages() {
				page, err := pages.NextPage(r.t.Context())
				require.NoError(r.t, err)
				for _, item := range page.Items {
					if row := plain(r.t, item); strings.Contains(row, text) {
						out[name] = append(out[name], row)
					}
				}
			}
		case "AWS::SQS::Queue":
			url := r.Queues[name]
			for range 5 {
				got, err := r.SQS.ReceiveMessage(r.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url,
					MaxNumberOfMessages: 10, VisibilityTimeout: 0})
				require.NoError(r.t, err)
				for _, m := range got.Messages {
					if strings.Contains(*m.Body, text) {
						out[name] = append(out[name], *m.Body)
					}
				}
			}
		}
	}
	return out
}

// plain is a row as text, what it holds compressed beside it.
func plain(t *testing.T, item table.Item) string {
	var fields map[string]any
	require.NoError(t, attributevalue.UnmarshalMap(item, &fields))
	var text strings.Builder
	for name, v := range fields {
		fmt.Fprintf(&text, "%s=%v ", name, v)
		if raw, ok := v.([]byte); ok {
			text.Write(raw)
			if inflated, err := table.Inflate(raw); err == nil {
				text.Write(inflated)
			}
		}
	}
	return text.String()
}

// TestATenantThatLeavesIsFoundInNoTableAndNoQueue erases a tenant over the API while a request of it is being sent,
// retries wait, and messages of it are in the queue of what failed.
//
//nolint:funlen // one story, told in its order
func TestATenantThatLeavesIsFoundInNoTableAndNoQueue(t *testing.T) {
	const leaving, staying = "tenant-that-leaves", "tenant-that-stays"
	sent, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := receive(t, func(int) int {
		once.Do(func() { close(sent) })
		<-release
		return 500
	})
	down := receive(t, always(500))
	released := sync.OnceFunc(func() { close(release) })
	t.Cleanup(released)
	r := deploy(t, []*receiver{slow, down}, func(o *awslocal.Options) {
		o.WaitMS = 2000 // retries wait
		o.Env = map[string]string{"TOCSIN_ERASURE_SETTLE_SECONDS": "1"}
	})
	for _, tenant := range []string{leaving, staying} {
		to := down
		if tenant == leaving {
			to = slow
		}
		for n, at := range []*receiver{to, down} {
			status, raw := r.request(tenant, "administrator", "POST", "/v1/integrations", fmt.Sprintf(`{"system":"web_hooks",`+
				`"name":"R%d","events":[{"event":"siem"}],"parameters":{"url":"%s/hook"}}`, n, at.URL))
			require.Equal(t, 201, status, raw)
		}
		status, raw := r.request(tenant, "administrator", "POST", "/v1/reports",
			fmt.Sprintf(`{"period":{"frequency":"daily","from":%q}}`, time.Now().UTC().Format(time.DateOnly)))
		require.Equal(t, 202, status, raw)
		status, raw = r.request(tenant, "administrator", "POST", "/v1/tokens", `{"name":"CI","kind":"shared",`+
			`"expires_at":"2126-01-01T00:00:00Z"}`)
		require.Equal(t, 201, status, raw)
	}
	hit := func(tenant string, n int) types.PutEventsRequestEntry {
		return r.entry("new_hits", fmt.Sprintf(`{"version":1,"id":"%s-%d","tenant":%q,"client_name":"of %s",`+
			`"time":"2026-03-01T12:00:00Z","data":{"hit":{"type":"sqli","path":"/%s"}}}`, tenant, n, tenant, tenant,
			tenant))
	}
	time.Sleep(time.Second) // fan-out may answer from memory for that long (integration.Store)
	for n := range 5 {
		r.put([]types.PutEventsRequestEntry{hit(leaving, n), hit(staying, n),
			r.entry("new_hits", fmt.Sprintf(`{"version":9,"tenant":%q}`, leaving))})
	}
	body := fmt.Sprintf(`{"tenant":%q,"integration":"i","deliveries":["d"]}`, leaving)
	dead := r.Queues["DeliveriesDeadLetters"]
	_, err := r.SQS.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &dead, MessageBody: &body})
	require.NoError(t, err)
	<-sent
	r.eventually("retries of it wait", func() bool { return len(r.whereIs(leaving)["BatchesTable"]) > 0 })
	require.Greater(t, len(r.whereIs(leaving)), 10)

	// All of it is exported.
	rows := map[string]int{}
	for cursor := ""; ; {
		status, raw := r.request("platform", "operator", "GET", "/v1/tenants/"+leaving+"/export?cursor="+cursor, "")
		require.Equal(t, 200, status, raw)
		require.NotContains(t, raw, staying)
		var page struct {
			Items []struct{ Table string }
			Next  string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal([]byte(raw), &page))
		for _, row := range page.Items {
			rows[row.Table]++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Greater(t, len(rows), 10, rows)

	require.Equal(t, 403, r.as(leaving, "administrator", "POST", "/v1/tenants/"+leaving+"/erasure",
		map[string]any{"confirm": leaving}, nil))
	require.Equal(t, 202, r.as("platform", "operator", "POST", "/v1/tenants/"+leaving+"/erasure",
		map[string]any{"confirm": leaving}, nil))
	var at struct {
		State, Problem string
		Rows           map[string]int
		Total          int
	}
	works := func(state string) {
		r.eventually("it is "+state, func() bool {
			_, err := r.Functions["Erase"].Invoke(t.Context(), []byte(`{"due":true}`))
			require.NoError(t, err)
			r.as("platform", "operator", "GET", "/v1/tenants/"+leaving+"/erasure", nil, &at)
			require.NotEqual(t, "failed", at.State, at.Problem)
			return at.State == state
		})
	}
	works("settling")
	require.Equal(t, 1, at.Rows["messages of DELIVERIES"])
	released() // what was being sent when its rows went is answered, and what follows from it is written
	for _, queue := range []string{"DeliveriesQueue", "EventsQueue", "CountingQueue", "ReportJobsQueue"} {
		r.eventually(queue+" is empty", func() bool {
			n, err := r.Depth(t.Context(), queue)
			return err == nil && n == 0
		})
	}
	works("done")
	require.Empty(t, at.Problem)
	for table, n := range rows {
		require.GreaterOrEqual(t, at.Rows[table], n, table)
	}
	left := r.whereIs(leaving)
	require.Len(t, left["AccountsTable"], 1, "how it went")
	require.Len(t, left["ActivityTable"], 2, "the entry of it, and that of who asked")
	require.Len(t, left, 2, "%v", left)
	require.Greater(t, len(r.whereIs(staying)), 10)
	r.eventually("executions that had batches of it end", func() bool {
		_, err := r.Functions["Erase"].Invoke(t.Context(), []byte(`{"due":true}`))
		return err == nil && len(r.whereIs(leaving)) == 2
	})
	r.withinRoles("Api", "Erase")
}

// TestAPersonWhoIsErasedIsFoundInNoTable erases somebody over the API, who gets mails of an integration and is told of
// in events.
func TestAPersonWhoIsErasedIsFoundInNoTable(t *testing.T) {
	const tenant, eve = "tenant-of-eve", "eve@lovelace.example"
	down := receive(t, always(500))
	r := deploy(t, []*receiver{down}, func(o *awslocal.Options) {
		o.WaitMS = 2000 // retries wait
		o.Env = map[string]string{"TOCSIN_ERASURE_SETTLE_SECONDS": "1"}
	})
	for _, body := range []string{`{"system":"web_hooks","name":"R","events":[{"event":"system"}],"parameters":{` +
		`"url":"` + down.URL + `/hook"}}`, `{"system":"email","name":"M","parameters":{"addresses":["` + eve + `"]}}`} {
		status, raw := r.request(tenant, "administrator", "POST", "/v1/integrations", body)
		require.Equal(t, 201, status, raw)
	}
	time.Sleep(time.Second) // fan-out may answer from memory for that long (integration.Store)
	for n := range 3 {
		r.put([]types.PutEventsRequestEntry{r.entry("create_user", fmt.Sprintf(`{"version":1,"id":"u-%d","tenant":%q,`+
			`"client_name":"Acme","time":"2026-03-01T12:00:00Z","data":{"user":{"name":"Eve Lovelace","email":%q}}}`, n,
			tenant, eve)), r.entry("create_user", fmt.Sprintf(`{"version":9,"tenant":%q,"of":%q}`, tenant, eve))})
	}
	r.eventually("retries wait", func() bool { return len(r.whereIs(tenant)["BatchesTable"]) > 0 })
	require.Greater(t, len(r.whereIs(eve)), 2)
	path := "/v1/tenants/" + tenant + "/people/erasure"
	var at struct {
		State, Problem, Pseudonym string
		Integrations              []struct{ Disabled bool }
	}
	require.Equal(t, 403, r.as(tenant, "administrator", "POST", path, map[string]any{"person": eve, "confirm": eve},
		nil))
	require.Equal(t, 202, r.as("platform", "operator", "POST", path, map[string]any{"person": eve, "confirm": eve},
		&at))
	require.Len(t, at.Integrations, 1)
	require.True(t, at.Integrations[0].Disabled)
	r.eventually("it is done", func() bool {
		_, err := r.Functions["Erase"].Invoke(t.Context(), []byte(`{"due":true}`))
		require.NoError(t, err)
		require.Equal(t, 200, r.as("platform", "operator", "GET", path+"?person=eve%40lovelace.example", nil, &at))
		require.NotEqual(t, "failed", at.State, at.Problem)
		return at.State == "done"
	})
	for _, name := range []string{eve, "Eve Lovelace"} {
		for place, rows := range r.whereIs(name) {
			require.Empty(t, rows, place)
		}
	}
	require.Greater(t, len(r.whereIs(at.Pseudonym)), 2)
	r.withinRoles("Api", "Erase")
}
