package metrics_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/metrics"
)

var now = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

func meter(out *bytes.Buffer) *metrics.Meter {
	return &metrics.Meter{Out: out, Namespace: "Tocsin/prod", Function: "deliver", Now: func() time.Time { return now }}
}

// values reads the one line that a call wrote.
func values(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")), "one line a call: %s", out)
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	return line
}

func TestACallWritesOneLineInTheEmbeddedMetricFormat(t *testing.T) {
	var out bytes.Buffer
	handle := metrics.Batch(meter(&out), func(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse,
		error) {
		metrics.Count(ctx, metrics.Rejected, 2)
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "2"}}}, nil
	})
	sent := strconv.FormatInt(now.Add(-90*time.Second).UnixMilli(), 10)
	_, err := handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "1", Attributes: map[string]string{"SentTimestamp": sent}}, {MessageId: "2"}, {MessageId: "3"},
	}})
	require.NoError(t, err)
	require.JSONEq(t, `{
		"_aws": {"Timestamp": 1677672000000, "CloudWatchMetrics": [{
			"Namespace": "Tocsin/prod", "Dimensions": [["Function"]], "Metrics": [
				{"Name": "FailedItems", "Unit": "Count"}, {"Name": "Late", "Unit": "Seconds"},
				{"Name": "Processed", "Unit": "Count"}, {"Name": "Rejected", "Unit": "Count"}
			]}]},
		"Function": "deliver", "FailedItems": 1, "Late": 90, "Processed": 2, "Rejected": 2}`, out.String())
}

func TestWhatIsHiddenOnPurposeIsNotLate(t *testing.T) {
	sent := strconv.FormatInt(now.Add(-10*time.Minute).UnixMilli(), 10)
	for name, c := range map[string]struct {
		attributes map[string]string
		delay      string
		late       any
	}{
		"a file gathers for ten minutes":   {map[string]string{"SentTimestamp": sent}, "600", 0.0},
		"a file is opened a minute late":   {map[string]string{"SentTimestamp": sent}, "540", 60.0},
		"a message that waits for nothing": {map[string]string{"SentTimestamp": sent}, "", 600.0},
		"a delay that is no number":        {map[string]string{"SentTimestamp": sent}, "soon", 600.0},
		"nobody knows when it was sent":    {nil, "", 0.0},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			message := events.SQSMessage{Attributes: c.attributes}
			if c.delay != "" {
				message.MessageAttributes = map[string]events.SQSMessageAttribute{
					"delay": {StringValue: &c.delay, DataType: "Number"}}
			}
			_, _ = metrics.Batch(meter(&out), func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
				return events.SQSEventResponse{}, nil
			})(t.Context(), events.SQSEvent{Records: []events.SQSMessage{message}})
			require.Equal(t, c.late, values(t, &out)["Late"])
		})
	}
	require.Nil(t, metrics.Delay(0))
	require.Equal(t, "540", *metrics.Delay(540)["delay"].StringValue)
}

func TestACallThatFailsAsAWholeFailsAllOfItsItems(t *testing.T) {
	var out bytes.Buffer
	_, err := metrics.Batch(meter(&out), func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
		return events.SQSEventResponse{}, errors.New("no table")
	})(t.Context(), events.SQSEvent{Records: make([]events.SQSMessage, 5)})
	require.Error(t, err)
	require.Equal(t, 5.0, values(t, &out)["FailedItems"])
	require.Equal(t, 0.0, values(t, &out)["Processed"])

	out.Reset()
	_, err = metrics.Of(meter(&out), func(context.Context, string) (string, error) {
		return "", errors.New("no table")
	})(t.Context(), "")
	require.Error(t, err)
	require.Equal(t, 1.0, values(t, &out)["FailedItems"])
}

func TestWhatRunsSideBySideCountsIntoItsOwnCall(t *testing.T) {
	var out bytes.Buffer
	m := meter(&out)
	var calls sync.WaitGroup
	for n := range 8 {
		calls.Go(func() {
			_, _ = metrics.Of(m, func(ctx context.Context, n int) (int, error) {
				var parts sync.WaitGroup
				for range n {
					parts.Go(func() { metrics.Count(ctx, metrics.Repaired, 1) })
				}
				parts.Wait()
				return n, nil
			})(t.Context(), n)
		})
	}
	calls.Wait()
	sum := 0.0
	for _, raw := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
		var line map[string]any
		require.NoError(t, json.Unmarshal(raw, &line), string(raw))
		repaired, _ := line["Repaired"].(float64)
		sum += repaired
	}
	require.Equal(t, 28.0, sum)
}

func TestWithoutANamespaceNothingIsWritten(t *testing.T) {
	var out bytes.Buffer
	m := meter(&out)
	m.Namespace = ""
	_, err := metrics.Of(m, func(ctx context.Context, in string) (string, error) {
		metrics.Count(ctx, metrics.Rejected, 1)
		return in, nil
	})(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, out.String())
}

// client is one whose calls are answered so, each in turn, without a pause between them.
func client(t *testing.T, answers ...func(http.ResponseWriter)) (config awssdk.Config) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		answers[min(int(calls.Add(1)), len(answers))-1](w)
	}))
	t.Cleanup(server.Close)
	return awssdk.Config{
		Region: "eu-west-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		APIOptions:  []func(*middleware.Stack) error{metrics.Watch},
	}
}

func answer(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

var (
	aKey   = map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: "v"}}
	aTable = awssdk.String("t")
)

func get(ctx context.Context, db *dynamodb.Client) error {
	_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aTable, Key: aKey})
	return err
}

func transact(ctx context.Context, db *dynamodb.Client) error {
	_, err := db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Delete: &types.Delete{TableName: aTable, Key: aKey}},
	}})
	return err
}

func batchGet(ctx context.Context, db *dynamodb.Client) error {
	_, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		"t": {Keys: []map[string]types.AttributeValue{aKey}},
	}})
	return err
}

func statement(ctx context.Context, db *dynamodb.Client) error {
	_, err := db.BatchExecuteStatement(ctx, &dynamodb.BatchExecuteStatementInput{
		Statements: []types.BatchStatementRequest{{Statement: awssdk.String("INSERT INTO t VALUE {'k': 'v'}")}},
	})
	return err
}

func TestEveryAttemptThatAServicePutsOffCounts(t *testing.T) {
	ok := answer(200, `{}`)
	throttled := answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}`)
	cancelled := func(code string) func(http.ResponseWriter) {
		return answer(400, `{"__type":"TransactionCanceledException","CancellationReasons":[{"Code":"None"},{"Code":"`+
			code+`"}]}`)
	}
	for name, c := range map[string]struct {
		answers                 []func(http.ResponseWriter)
		call                    func(context.Context, *dynamodb.Client) error
		throttled, serverErrors any
	}{
		"none":                     {[]func(http.ResponseWriter){ok}, get, nil, nil},
		"put off twice, then done": {[]func(http.ResponseWriter){throttled, throttled, ok}, get, 2.0, nil},
		"a fault of the service": {[]func(http.ResponseWriter){
			answer(500, `{"__type":"InternalServerError"}`), ok}, get, nil, 1.0},
		"a transaction that is put off": {[]func(http.ResponseWriter){cancelled("ThrottlingError"), ok}, transact,
			1.0, nil},
		"a transaction whose condition met": {[]func(http.ResponseWriter){cancelled("ConditionalCheckFailed"), ok},
			transact, nil, nil},
		"a batch that is done in part": {
			[]func(http.ResponseWriter){answer(200,
				`{"Responses":{},"UnprocessedKeys":{"t":{"Keys":[{"k":{"S":"v"}}]}}}`)},
			batchGet, 1.0, nil,
		},
		"a statement of a batch that is put off": {
			[]func(http.ResponseWriter){answer(200,
				`{"Responses":[{"Error":{"Code":"ThrottlingError","Message":"later"}}]}`)},
			statement, 1.0, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := dynamodb.NewFromConfig(client(t, c.answers...), func(o *dynamodb.Options) { o.Retryer = quick{} })
			var out bytes.Buffer
			_, _ = metrics.Of(meter(&out), func(ctx context.Context, _ string) (string, error) {
				return "", c.call(ctx, db)
			})(t.Context(), "")
			line := values(t, &out)
			require.Equal(t, c.throttled, line["Throttled"])
			require.Equal(t, c.throttled, line["ThrottledDynamoDB"])
			require.Equal(t, c.serverErrors, line["ServerErrors"])
		})
	}
}

func TestAMessageThatSQSCouldNotTakeCountsAsPutOff(t *testing.T) {
	queue := sqs.NewFromConfig(client(t, answer(200,
		`{"Successful":[],"Failed":[{"Id":"0","Code":"InternalError","SenderFault":false}]}`)))
	var out bytes.Buffer
	_, _ = metrics.Of(meter(&out), func(ctx context.Context, _ string) (string, error) {
		_, err := queue.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: awssdk.String("q"),
			Entries: []sqstypes.SendMessageBatchRequestEntry{
				{Id: awssdk.String("0"), MessageBody: awssdk.String("b")},
			}})
		return "", err
	})(t.Context(), "")
	require.Equal(t, 1.0, values(t, &out)["ThrottledSQS"])
}

// quick tries five times, without a pause.
type quick struct{ awssdk.NopRetryer }

func (quick) IsErrorRetryable(error) bool                  { return true }
func (quick) MaxAttempts() int                             { return 5 }
func (quick) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
