package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"
)

// service is SQS as far as a move asks of it, as its API reference describes the answers: the local SQS server has no
// StartMessageMoveTask. What is moved by hand is tested over that server, in scripts/awslocal.
type service struct {
	mu     sync.Mutex
	calls  []string
	status []map[string]any // answers of ListMessageMoveTasks, the last again and again
	refuse string           // the code that StartMessageMoveTask is refused with
	left   int              // messages that are there to be received
}

const dead, work = "arn:aws:sqs:eu-west-1:1:s-EventsDeadLetters-AbCdEfGh1234",
	"arn:aws:sqs:eu-west-1:1:s-EventsQueue-AbCdEfGh1234"

func (s *service) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := strings.TrimPrefix(q.Header.Get("X-Amz-Target"), "AmazonSQS.")
	s.calls = append(s.calls, call)
	var in struct{ QueueUrl string }
	_ = json.NewDecoder(q.Body).Decode(&in)
	var out any = map[string]any{}
	switch call {
	case "ListQueues":
		out = map[string]any{"QueueUrls": []string{"http://q/1/s-EventsDeadLetters-AbCdEfGh1234",
			"http://q/1/s-EventsQueue-AbCdEfGh1234"}}
	case "GetQueueAttributes":
		attributes := map[string]string{"QueueArn": dead, "ApproximateNumberOfMessages": "2"}
		if strings.Contains(in.QueueUrl, "EventsQueue") {
			attributes = map[string]string{"QueueArn": work, "RedrivePolicy": `{"deadLetterTargetArn":"` + dead +
				`","maxReceiveCount":100}`}
		}
		out = map[string]any{"Attributes": attributes}
	case "ReceiveMessage":
		var list []map[string]any
		for range min(s.left, 1) {
			list = append(list, map[string]any{"MessageId": "m", "ReceiptHandle": "r", "Body": "{}",
				"MD5OfBody": "99914b932bd37a50b983c5e7c90ae93b"})
		}
		out = map[string]any{"Messages": list}
	case "DeleteMessage":
		s.left--
	case "SendMessage":
		out = map[string]any{"MessageId": "n", "MD5OfMessageBody": "99914b932bd37a50b983c5e7c90ae93b"}
	case "StartMessageMoveTask":
		if s.refuse != "" {
			w.WriteHeader(http.StatusBadRequest)
			out = map[string]any{"__type": "com.amazonaws.sqs#" + s.refuse, "message": "no"}
		} else {
			out = map[string]any{"TaskHandle": "handle"}
		}
	case "ListMessageMoveTasks":
		out = map[string]any{"Results": s.status[:1]}
		if len(s.status) > 1 {
			s.status = s.status[1:]
		}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func over(t *testing.T, s *service) (*redrive, *bytes.Buffer) {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	var out bytes.Buffer
	client := sqs.New(sqs.Options{
		Region: "eu-west-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), RetryMaxAttempts: 1,
	})
	return &redrive{SQS: client, Out: &out, Stack: "s", Sample: 10}, &out
}

func TestAMoveIsATaskOfSQSAndItsEndIsWaitedFor(t *testing.T) {
	s := &service{left: 2, status: []map[string]any{{"Status": "RUNNING"},
		{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 2}}}
	r, out := over(t, s)
	require.NoError(t, r.run(t.Context(), []string{"EventsDeadLetters"}, true, ""))
	require.Contains(t, out.String(), "EventsDeadLetters: 2 messages, of EventsQueue\n")
	require.Contains(t, out.String(), "--task-handle handle")
	require.Contains(t, out.String(), "completed: 2 moved")
	require.NotContains(t, s.calls, "SendMessage")
}

func TestWithoutMoveNothingIsMoved(t *testing.T) {
	s := &service{left: 2}
	r, out := over(t, s)
	require.NoError(t, r.run(t.Context(), nil, false, ""))
	require.Contains(t, out.String(), "Nothing was changed")
	for _, call := range []string{"StartMessageMoveTask", "SendMessage", "DeleteMessage"} {
		require.NotContains(t, s.calls, call)
	}
	require.Contains(t, s.calls, "ChangeMessageVisibilityBatch", "what was looked at is visible again")
}

func TestWhatSQSDoesNotMoveIsMovedByHand(t *testing.T) {
	for name, s := range map[string]*service{
		"messages that the bus put there": {left: 2,
			status: []map[string]any{{"Status": "FAILED", "FailureReason": "CouldNotDetermineMessageSource"}}},
		"a server without tasks": {left: 2, refuse: "UnsupportedOperation"},
	} {
		t.Run(name, func(t *testing.T) {
			r, out := over(t, s)
			require.NoError(t, r.run(t.Context(), []string{"EventsDeadLetters"}, true, ""))
			require.Contains(t, out.String(), "2 moved by hand")
			require.Zero(t, s.left)
		})
	}
}

func TestARefusalEndsTheMove(t *testing.T) {
	r, _ := over(t, &service{left: 2, refuse: "AccessDeniedException"})
	require.ErrorContains(t, r.run(t.Context(), []string{"EventsDeadLetters"}, true, ""), "AccessDenied")
	r, _ = over(t, &service{left: 2, status: []map[string]any{{"Status": "FAILED", "FailureReason": "AccessDenied"}}})
	require.ErrorContains(t, r.run(t.Context(), []string{"EventsDeadLetters"}, true, ""), "AccessDenied")
	r, _ = over(t, &service{})
	require.ErrorContains(t, r.run(t.Context(), []string{"EventsQueue"}, true, ""), "is no dead-letter queue")
	require.ErrorContains(t, r.run(t.Context(), []string{"Nothing"}, true, ""),
		"there are EventsDeadLetters, EventsQueue")
}

func TestALetterTellsWhoAndWhyAndNothingOfTheContent(t *testing.T) {
	const secret = "https://hooks.example/T0KEN"
	for body, want := range map[string]letter{
		`{"detail-type":"new_hits","detail":{"tenant":"acme","url":"` + secret +
			`"}}`: {tenant: "acme", what: "event new_hits"},
		`{"tenant":"acme","integration":"1","deliveries":["` + secret +
			`","2"]}`: {tenant: "acme", what: "2 deliveries"},
		`{"batch":"01H","error":{"Error":"Lambda.TooManyRequestsException","Cause":"` + secret +
			`"}}`: {what: "retry batch 01H", reason: "Lambda.TooManyRequestsException"},
		`{"requestContext":{"functionArn":"arn:aws:lambda:eu-west-1:1:function:s-Retry:live","condition":"RetriesExhausted"},"responsePayload":{"errorType":"errorString","errorMessage":"` + secret + `"}}`: {what: "call of s-Retry:live", reason: "errorString"},
		`{"detail-type":"new\u001b[31mhits","detail":{"tenant":{"a":1}}}`: {what: "event new?[31mhits"},
		`no JSON ` + secret: {what: "no JSON"},
	} {
		got := read(types.Message{MessageId: awssdk.String("m"), Body: awssdk.String(body)})
		require.Equal(t, want.tenant, got.tenant)
		require.Equal(t, want.what, got.what)
		if want.reason != "" {
			require.Equal(t, want.reason, got.reason)
		}
		require.NotContains(t, got.String(), "T0KEN")
	}
}
