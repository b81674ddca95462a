//go:build awslocal

package awslocal_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
)

type sentMail struct {
	Subject     string
	Destination struct{ To []string }
	Body        struct{ Text string }
	Attachments []struct{ Filename, ContentType, Content string }
}

// mails are those that the SES server took, to an address and with a word in the subject.
func (r *rig) mails(to, word string) (out []sentMail) {
	r.t.Helper()
	answer, err := http.Get(servers.SES + "/store")
	require.NoError(r.t, err)
	defer answer.Body.Close()
	var store struct{ Emails []sentMail }
	require.NoError(r.t, json.NewDecoder(answer.Body).Decode(&store))
	for _, m := range store.Emails {
		if m.Destination.To[0] == to && strings.Contains(m.Subject, word) {
			out = append(out, m)
		}
	}
	return out
}

// mailing lets the functions send mail.
func mailing(o *awslocal.Options) {
	o.Env = map[string]string{"TOCSIN_MAIL_FROM": "Tocsin <tocsin@example.com>"}
}

// reporting makes an integration with daily reports and hits of the last day that is over, and lets its time come.
func (r *rig) reporting(addresses ...string) (id string, p calendar.Period) {
	r.t.Helper()
	p = calendar.Last(calendar.Daily, time.Now(), "UTC", calendar.DefaultHour)
	var made struct {
		ID string `json:"id"`
	}
	r.api("POST", "/v1/integrations", map[string]any{
		"system": "email", "name": "Reports", "events": []map[string]any{{"event": "report_daily"}},
		"parameters": map[string]any{"addresses": addresses},
	}, &made)
	require.NotEmpty(r.t, made.ID)
	answer, err := r.Functions["Report"].Invoke(r.t.Context(), []byte(`{"due":true}`))
	require.NoError(r.t, err)
	require.JSONEq(r.t, `{"due":0}`, string(answer), "the first one is that of the day that goes on")
	var entries []types.PutEventsRequestEntry
	for n := range 25 {
		entries = append(entries, r.entry("new_hits", fmt.Sprintf(
			`{"version":1,"id":"recorded-%d","tenant":"42","client_name":"Acme","time":"%sT12:00:00Z","data":{"hit":{"type":"sqli","host":"shop.example.com","path":"/%d","remote_addr4":"203.0.113.7","block_status":"blocked"}}}`, n, p.From, n%5)))
	}
	r.put(entries)
	r.put(entries[:10]) // again
	r.eventually("all is recorded", r.counted)
	r.due(made.ID)
	return made.ID, p
}

// due lets the time of an integration's daily report come.
func (r *rig) due(id string) {
	r.t.Helper()
	_, err := r.DB.UpdateItem(r.t.Context(), &dynamodb.UpdateItemInput{
		TableName: awssdk.String(r.Prefix + "ReportsTable"),
		Key: map[string]dynamotypes.AttributeValue{
			"tenant": &dynamotypes.AttributeValueMemberS{Value: "42"},
			"id":     &dynamotypes.AttributeValueMemberS{Value: "due daily " + id}},
		UpdateExpression: awssdk.String("SET due = :one"), ConditionExpression: awssdk.String("attribute_exists(id)"),
		ExpressionAttributeValues: map[string]dynamotypes.AttributeValue{
			":one": &dynamotypes.AttributeValueMemberN{Value: "1"}},
	})
	require.NoError(r.t, err)
}

func (r *rig) runSchedule() (jobs int) {
	r.t.Helper()
	answer, err := r.Functions["Report"].Invoke(r.t.Context(), []byte(`{"due":true}`))
	require.NoError(r.t, err)
	var out struct{ Due int }
	require.NoError(r.t, json.Unmarshal(answer, &out))
	return out.Due
}

// idle waits until no queue holds work.
func (r *rig) idle() {
	r.t.Helper()
	r.eventually("the queues are empty", func() bool {
		for _, q := range []string{"ReportJobsQueue", "EventsQueue", "CountingQueue", "DeliveriesQueue",
			"MailFeedbackQueue"} {
			if n, err := r.Depth(r.t.Context(), q); err != nil || n > 0 {
				return false
			}
		}
		return true
	})
	time.Sleep(300 * time.Millisecond)
}

// counted reports whether all that was published is accepted and counted: the message of counting is sent before that
// of an event is done with.
func (r *rig) counted() bool {
	for _, q := range []string{"EventsQueue", "CountingQueue"} {
		if n, err := r.Depth(r.t.Context(), q); err != nil || n > 0 {
			return false
		}
	}
	return true
}

func (r *rig) send(queue, body, group string) {
	r.t.Helper()
	url := r.Queues[queue]
	in := &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}
	if group != "" {
		in.MessageGroupId, in.MessageDeduplicationId = &group, awssdk.String(fmt.Sprint(time.Now().UnixNano()))
	}
	_, err := r.SQS.SendMessage(r.t.Context(), in)
	require.NoError(r.t, err)
}

func TestAScheduledReportIsMailedOnce(t *testing.T) {
	r := deploy(t, nil, mailing)
	id, p := r.reporting("daily-one@example.org", "daily-two@example.org")
	require.Equal(t, 2, r.runSchedule(), "a job for each address")
	r.eventually("both have it", func() bool {
		return len(r.mails("daily-one@example.org", "report")) == 1 &&
			len(r.mails("daily-two@example.org", "report")) == 1
	})
	m := r.mails("daily-one@example.org", "report")[0]
	require.Contains(t, m.Body.Text, "Malicious requests: 25 ", "a hit that was published again counts once")
	require.Contains(t, m.Body.Text, "Attacks: 5 ")
	require.Len(t, m.Attachments, 1)
	pdf, err := base64.StdEncoding.DecodeString(m.Attachments[0].Content)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(pdf), "%PDF-"))
	require.Equal(t, "tocsin-daily-report-"+p.Key()+".pdf", m.Attachments[0].Filename)
	require.Zero(t, r.runSchedule(), "the schedule called again has nothing to do")

	// The schedule broke off before it wrote that it had handed over; a message comes twice; so does the delivery's.
	r.due(id)
	require.Equal(t, 2, r.runSchedule())
	job, err := json.Marshal(map[string]any{
		"job": report.Job{Tenant: "42", Client: "Acme", Receiver: id, Address: "daily-one@example.org", Period: p}})
	require.NoError(t, err)
	r.send("ReportJobsQueue", string(job), "any")
	r.send("ReportJobsQueue", string(job), "any")
	sent := r.deliveries(id, "delivered")
	require.Len(t, sent, 2)
	r.send("DeliveriesQueue", fmt.Sprintf(`{"tenant":"42","integration":%q,"deliveries":[%q,%q]}`, id, sent[0].ID,
		sent[1].ID), "")
	r.idle()
	require.Len(t, r.mails("daily-one@example.org", "report"), 1)
	require.Len(t, r.mails("daily-two@example.org", "report"), 1)
	require.Len(t, r.deliveries(id, "all"), 2)

	// What can not be done comes again, and is kept in the end.
	r.send("ReportJobsQueue", "no job", "broken")
	r.eventually("it is kept", func() bool {
		n, err := r.Depth(t.Context(), "ReportJobsDeadLetters")
		return err == nil && n == 1
	})
	r.withinRoles("Api", "Fanout", "Count", "Deliver", "Report")
}

func TestReportsOnDemandAndTheLinksOfMails(t *testing.T) {
	r := deploy(t, nil, mailing)
	id, p := r.reporting("left@example.org")
	r.ordered(p)
	r.filtered(p.From)
	require.Equal(t, 1, r.runSchedule())
	r.unsubscribes("left@example.org", id)
	r.answers(id)
	for _, kind := range []string{"create_user", "delete_user"} {
		r.put([]types.PutEventsRequestEntry{r.entry(kind, `{"version":1,"id":"`+kind+
			`","tenant":"42","time":"2026-03-01T12:00:00Z","data":{"user":{"name":"Grace","email":"grace@example.org"}}}`)})
		r.idle()
	}
	r.withinRoles("Api", "Fanout", "Deliver", "Report")
}

// ordered has a report of a period made: it is mailed once, and its files can be had.
func (r *rig) ordered(p calendar.Period) {
	r.t.Helper()
	var made struct{ ID, State string }
	status := r.api("POST", "/v1/reports", map[string]any{
		"period": map[string]any{"from": p.From, "to": p.To}, "format": "csv",
		"recipients": []string{"ordered@example.org"},
	}, &made)
	require.Equal(r.t, 202, status)
	var got struct {
		State    string
		Headline struct{ Now struct{ Hits int } }
		Files    []struct{ Href string }
	}
	r.eventually("it is made", func() bool {
		r.api("GET", "/v1/reports/"+made.ID, nil, &got)
		return got.State == "ready"
	})
	require.Equal(r.t, 25, got.Headline.Now.Hits)
	r.eventually("it is mailed", func() bool { return len(r.mails("ordered@example.org", "report")) == 1 })
	require.Len(r.t, r.mails("ordered@example.org", "report")[0].Attachments, len(got.Files))
	require.Equal(r.t, 200, r.api("GET", got.Files[0].Href, nil, nil))
	r.idle()
	r.send("ReportJobsQueue", fmt.Sprintf(`{"tenant":"42","report":%q}`, made.ID), "again")
	r.idle()
	require.Len(r.t, r.mails("ordered@example.org", "report"), 1)
}

// filtered has a report made of the events since a day that a filter selects.
func (r *rig) filtered(since calendar.Day) {
	r.t.Helper()
	var made, got struct {
		ID, State string
		Headline  struct{ Now struct{ Hits int } }
	}
	status := r.api("POST", "/v1/reports", map[string]any{
		"period":  map[string]any{"from": since, "to": calendar.DayOf(time.Now(), time.UTC)},
		"filters": []map[string]any{{"id": "url", "operator": "eq", "values": []string{"shop.example.com/3"}}},
	}, &made)
	require.Equal(r.t, 202, status)
	r.eventually("it is made", func() bool {
		r.api("GET", "/v1/reports/"+made.ID, nil, &got)
		return got.State == "ready"
	})
	require.Equal(r.t, 5, got.Headline.Now.Hits)
}

// unsubscribes follows the link of the scheduled report that an address of an integration gets.
func (r *rig) unsubscribes(address, integration string) {
	r.t.Helper()
	r.eventually("the scheduled one arrives", func() bool { return len(r.mails(address, "report")) == 1 })
	link := regexp.MustCompile(awslocal.PublicURL +
		`(/unsubscribe/\S+)`).FindStringSubmatch(r.mails(address, "report")[0].Body.Text)
	require.NotNil(r.t, link, "the mail has a link")
	require.Equal(r.t, 200, r.anybody("POST", link[1]))
	require.Equal(r.t, 404, r.anybody("POST", link[1]+"x"))
	var blocked struct {
		Items []struct{ Address, Integration, Why string }
	}
	r.api("GET", "/v1/blocked-addresses", nil, &blocked)
	require.Len(r.t, blocked.Items, 1)
	require.Equal(r.t, integration, blocked.Items[0].Integration)
}

// answers calls what the Console calls for reports and mails, up to the integration's end.
func (r *rig) answers(integration string) {
	r.t.Helper()
	for _, call := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"GET", "/v1/reports", nil, 200},
		{"GET", "/v1/report-settings", nil, 200},
		{"PUT", "/v1/report-settings", map[string]any{"time_zone": "Asia/Tokyo"}, 200},
		{"GET", "/v1/profile/notifications", nil, 200},
		{"PUT", "/v1/profile/notifications",
			map[string]any{"choices": map[string]bool{"report_daily": true, "report_weekly": false,
				"report_monthly": false, "system": true, "vuln": false, "scope": false}}, 200},
		{"DELETE", "/v1/blocked-addresses/left@example.org", nil, 204},
		{"DELETE", "/v1/integrations/" + integration, nil, 204},
	} {
		require.Equal(r.t, call.status, r.api(call.method, call.path, call.body, nil), call.method+" "+call.path)
	}
}

// anybody calls the api function without a token.
func (r *rig) anybody(method, path string) int {
	r.t.Helper()
	payload, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": method + " /unsubscribe/{token}", "rawPath": path,
		"headers": map[string]string{"host": "api.example.com"},
		"body":    "List-Unsubscribe=One-Click", "requestContext": map[string]any{"stage": "$default",
			"http": map[string]string{"method": method, "path": path}},
	})
	require.NoError(r.t, err)
	answer, err := r.Functions["Api"].Invoke(r.t.Context(), payload)
	require.NoError(r.t, err)
	var got struct{ StatusCode int }
	require.NoError(r.t, json.Unmarshal(answer, &got))
	return got.StatusCode
}

func TestAnAddressThatBouncesIsSentToNoMore(t *testing.T) {
	r := deploy(t, nil, mailing)
	r.api("GET", "/v1/session", nil, nil) // the administrator is known, and is told of system events
	raw, err := os.ReadFile("../../events/functions/feedback.json")
	require.NoError(t, err)
	var sample struct{ Records []struct{ Body string } }
	require.NoError(t, json.Unmarshal(raw, &sample))
	for range 2 { // SES may say it twice
		r.send("MailFeedbackQueue", sample.Records[0].Body, "")
	}
	var blocked struct {
		Items []struct{ Address, Why string }
	}
	r.eventually("it is blocked", func() bool {
		r.api("GET", "/v1/blocked-addresses", nil, &blocked)
		return len(blocked.Items) == 1
	})
	require.Equal(t, "gone@example.org", blocked.Items[0].Address)
	require.Equal(t, "bounced", blocked.Items[0].Why)
	told := func() (n int) {
		for _, m := range r.mails("ada@example.com", "") {
			if strings.Contains(m.Body.Text, "gone@example.org") {
				n++
			}
		}
		return n
	}
	r.eventually("the administrator is told", func() bool { return told() > 0 })
	r.idle()
	require.Equal(t, 1, told())

	_, p := r.reporting("gone@example.org", "here@example.org")
	require.Equal(t, 2, r.runSchedule())
	r.eventually("the other has it", func() bool { return len(r.mails("here@example.org", p.Title())) == 1 })
	r.idle()
	require.Empty(t, r.mails("gone@example.org", ""))
	r.send("MailFeedbackQueue", "no event", "")
	r.eventually("what is no event is kept", func() bool {
		n, err := r.Depth(t.Context(), "MailFeedbackDeadLetters")
		return err == nil && n == 1
	})
	r.withinRoles("Feedback")
}
