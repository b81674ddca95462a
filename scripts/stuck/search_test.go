package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
)

// rows and messages are tried over real servers in scripts/awslocal; here are the decisions.

var now = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

// service is DynamoDB and SQS as far as a search asks of them.
type service struct {
	rows    []map[string]any // of the table of deliveries
	markers []map[string]any
	waiting string // messages in the queue
	sent    []string
}

func (s *service) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	_, call, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
	var in struct{ TableName, QueueUrl, MessageBody string }
	_ = json.NewDecoder(q.Body).Decode(&in)
	var out any = map[string]any{}
	switch call {
	case "ListTables":
		out = map[string]any{"TableNames": []string{"other-DeliveriesTable", "s-DeliveriesTable-ABCDEFGH1234",
			"s-OutboxTable-ABCDEFGH1234"}}
	case "ListQueues":
		out = map[string]any{"QueueUrls": []string{"http://q/1/s-DeliveriesQueue-AbCdEfGh1234",
			"http://q/1/s-RetriesQueue-AbCdEfGh1234"}}
	case "GetQueueAttributes":
		out = map[string]any{"Attributes": map[string]string{"ApproximateNumberOfMessages": s.waiting}}
	case "Scan":
		items := s.rows
		if strings.Contains(in.TableName, "Outbox") {
			items = s.markers
		}
		out = map[string]any{"Items": items}
	case "SendMessage":
		s.sent = append(s.sent, in.QueueUrl[strings.LastIndex(in.QueueUrl, "/")+1:]+" "+in.MessageBody)
		out = map[string]any{"MessageId": "m"}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func over(t *testing.T, s *service) (*search, *bytes.Buffer) {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	keys := credentials.NewStaticCredentialsProvider("id", "secret", "")
	var out bytes.Buffer
	return &search{
		DB: dynamodb.New(dynamodb.Options{Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: keys,
			RetryMaxAttempts: 1}),
		SQS: sqs.New(sqs.Options{Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: keys, RetryMaxAttempts: 1,
			DisableMessageChecksumValidation: true}),
		Out: &out, Stack: "s", Older: time.Hour, Sample: 10, Now: func() time.Time { return now },
	}, &out
}

// made is a row of a delivery that was made so long ago; due and batch may be left out.
func made(state string, ago time.Duration, due time.Time, batch string) map[string]any {
	row := map[string]any{"lane": text1("acme 01H"),
		"id": text1(ulid.MustNew(ulid.Timestamp(now.Add(-ago)), nil).String()), "state": text1(state)}
	if !due.IsZero() {
		row["due"] = map[string]any{"N": itoa(due.UnixNano())}
	}
	if batch != "" {
		row["batch"] = text1(batch)
	}
	return row
}

func text1(s string) map[string]any { return map[string]any{"S": s} }

func itoa(n int64) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}

func TestWhatIsOpenForAnHourIsFoundAndNothingElse(t *testing.T) {
	s := &service{waiting: "0", rows: []map[string]any{
		made("pending", 2*time.Hour, time.Time{}, ""),
		made("pending", time.Minute, time.Time{}, ""),
		made("pending", 2*time.Hour, now.Add(5*time.Minute), ""), // gathers still
		made("retrying", 3*time.Hour, now.Add(-2*time.Hour), "b1"),
		made("retrying", 3*time.Hour, now.Add(-2*time.Hour), "b1"),
		made("retrying", 3*time.Hour, now.Add(10*time.Minute), "b2"), // waits for its turn
		made("retrying", 3*time.Hour, now.Add(-2*time.Hour), ""),
	}}
	r, out := over(t, s)
	require.NoError(t, r.run(t.Context(), false))
	require.Contains(t, out.String(), "1 pending for more than 1h0m0s, of 1 tenants\n")
	require.Contains(t, out.String(), "3 overdue for a retry by more than 1h0m0s, of 1 tenants\n")
	require.Contains(t, out.String(), "1 of those that are overdue are in no batch")
	require.Contains(t, out.String(), "Nothing was changed")
	require.Empty(t, s.sent)

	require.NoError(t, r.run(t.Context(), true))
	require.Len(t, s.sent, 2)
	require.Equal(t, `s-RetriesQueue-AbCdEfGh1234 {"batch":"b1"}`, s.sent[0])
	require.Contains(t, s.sent[1],
		`s-DeliveriesQueue-AbCdEfGh1234 {"tenant":"acme","integration":"01H","deliveries":["`)
}

func TestWhatMayBeInTheQueueIsLeftAlone(t *testing.T) {
	s := &service{waiting: "7", rows: []map[string]any{made("pending", 2*time.Hour, time.Time{}, ""),
		made("retrying", 3*time.Hour, now.Add(-2*time.Hour), "b1")}}
	r, _ := over(t, s)
	require.ErrorContains(t, r.run(t.Context(), true), "DeliveriesQueue is not empty")
	require.Equal(t, []string{`s-RetriesQueue-AbCdEfGh1234 {"batch":"b1"}`}, s.sent,
		"a batch is taken over, not doubled")
}

func TestAMessageNamesAtMostAParcelOfDeliveries(t *testing.T) {
	s := &service{waiting: "0"}
	for range 200 {
		s.rows = append(s.rows, made("pending", 2*time.Hour, time.Time{}, ""))
	}
	r, _ := over(t, s)
	require.NoError(t, r.run(t.Context(), true))
	require.Len(t, s.sent, 3)
}

func TestAnOldMarkerIsShown(t *testing.T) {
	marker := func(ago time.Duration) map[string]any {
		return map[string]any{"shard": text1("3"), "id": text1("acme 1"), "tenant": text1("acme"),
			"due": map[string]any{"N": itoa(now.Add(-ago).Unix())}}
	}
	r, out := over(t, &service{waiting: "0", markers: []map[string]any{marker(time.Minute), marker(10 * time.Minute)}})
	require.NoError(t, r.run(t.Context(), false))
	require.Contains(t, out.String(), "1 marks of the outbox that the sweeper should have looked at, of 1 tenants")
}

func TestAnUnknownStackIsSaid(t *testing.T) {
	r, _ := over(t, &service{})
	r.Stack = "nowhere"
	require.ErrorContains(t, r.run(t.Context(), true), `the stack "nowhere" has no DeliveriesTable`)
}
