package sim

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

const root = "../../.."

// within runs a test in a cloud of the template, in virtual time. DynamoDB is not there.
func within(t *testing.T, test func(t *testing.T, c *Cloud)) {
	template, err := awslocal.ReadTemplate(filepath.Join(root, "template.yaml"))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		c, err := New(context.Background(), template, Options{Root: root, Seed: 1, Dynamo: "http://127.0.0.1:1"})
		require.NoError(t, err)
		defer c.Close()
		test(t, c)
	})
}

func bodies(list []Message) (out []string) {
	for _, m := range list {
		out = append(out, m.Body)
	}
	return out
}

func TestAMessageIsHiddenThenComesAgainAndThenIsDead(t *testing.T) {
	within(t, func(t *testing.T, c *Cloud) {
		q := c.Queues["EventsQueue"]
		q.put(&Message{Body: "a", Group: "42"}, 10*time.Second)
		began := time.Now()
		for n := range q.most {
			got := q.receive(t.Context(), 10)
			require.Equal(t, []string{"a"}, bodies(got))
			require.Equal(t, 10*time.Second+time.Duration(n)*q.Hidden, time.Since(began),
				"delayed, then hidden for the visibility time-out")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.Empty(t, q.receive(ctx, 10))
		require.Zero(t, q.Len())
		require.Equal(t, 1, q.dead.Len())
		require.Equal(t, 1, q.dead.Redrive(q))
		again := q.receive(t.Context(), 10)
		require.Equal(t, "EventsQueue-2", again[0].ID, "a redrive gives a new id")
		q.delete([]string{again[0].receipt})
		require.Zero(t, q.Len())
	})
}

func TestAFIFOQueueKeepsTheOrderOfAGroup(t *testing.T) {
	within(t, func(t *testing.T, c *Cloud) {
		q := c.Queues["ReportJobsQueue"]
		require.True(t, q.FIFO)
		for _, body := range []string{"a1", "b1", "a2", "b2", "a2"} {
			q.put(&Message{Body: body, Group: body[:1], Dedup: body}, 0)
		}
		require.Equal(t, 4, q.Len(), "a repeat is dropped")
		first, second := q.receive(t.Context(), 1), q.receive(t.Context(), 10)
		require.Equal(t, "1", first[0].Body[1:])
		require.NotEqual(t, first[0].Group, second[0].Group, "no more of a group while one of it is in flight")
		require.Len(t, second, 2)
		q.delete([]string{first[0].receipt})
		require.Equal(t, "2", q.receive(t.Context(), 10)[0].Body[1:])
		time.Sleep(dedupFor)
		q.put(&Message{Body: "a2", Group: "a", Dedup: "a2"}, 0)
		require.Equal(t, 4, q.Len(), "after five minutes it is no repeat")
	})
}

// sender is a function that sends two messages; a fault is injected at the first.
func sender(t *testing.T, c *Cloud, fault Kind) (sent []string, err error) {
	q := c.Queues["DeliveriesQueue"]
	c.Faults = func(call Call) Fault {
		if call.Number == 1 {
			return Fault{Kind: fault}
		}
		return Fault{}
	}
	f := c.Deploy("Fanout", func(s *Sandbox) Handler {
		client := sqs.NewFromConfig(s.Config())
		return func(ctx context.Context, _ []byte) ([]byte, error) {
			var wrong []error
			for _, body := range []string{"one", "two"} { // it goes on after an error, as no crashed function does
				_, err := client.SendMessage(context.WithoutCancel(ctx), &sqs.SendMessageInput{QueueUrl: &q.URL,
					MessageBody: &body})
				wrong = append(wrong, err)
			}
			return []byte(`{}`), errors.Join(wrong...)
		}
	})
	_, err = f.Invoke(t.Context(), []byte(`{}`))
	synctest.Wait()
	return q.Bodies(), err
}

func TestWhatAFaultDoesToACall(t *testing.T) {
	for _, c := range []struct {
		fault Kind
		sent  string
		ended bool
	}{
		{fault: None, sent: "one two"},
		{fault: Throttled, sent: "one two"}, // the SDK tries again
		{fault: Broken, sent: "one two"},
		{fault: Unsent, sent: "one two"},
		{fault: Lost, sent: "one one two"}, // it took effect twice
		{fault: Doubtful, sent: "one one two"},
		{fault: KillFirst, sent: "", ended: true},
		{fault: KillAfter, sent: "one", ended: true},
		{fault: Frozen, sent: "", ended: true}, // its time was up
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			within(t, func(t *testing.T, cloud *Cloud) {
				sent, err := sender(t, cloud, c.fault)
				require.Equal(t, c.sent, strings.Join(sent, " "))
				require.Equal(t, c.ended, errors.Is(err, ErrKilled), "%v", err)
			})
		})
	}
}

func start(t *testing.T, c *Cloud, name string) {
	client := sfn.NewFromConfig(c.Sandbox("", 0).Config())
	_, err := client.StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: awssdk.String("retry"), Name: &name, Input: awssdk.String(`{"batch":"b"}`),
	})
	require.NoError(t, err)
}

func TestTheMachineWaitsAsTheFunctionSays(t *testing.T) {
	within(t, func(t *testing.T, c *Cloud) {
		var rounds atomic.Int64
		began := time.Now()
		c.Deploy("Retry", func(*Sandbox) Handler {
			return func(context.Context, []byte) ([]byte, error) {
				if rounds.Add(1) == 3 {
					return []byte(`{"batch":"b","round":2,"seconds":0,"more":false}`), nil
				}
				return []byte(`{"batch":"b","round":1,"seconds":600,"more":true}`), nil
			}
		})
		start(t, c, "e")
		time.Sleep(time.Hour)
		require.Equal(t, int64(3), rounds.Load())
		require.Equal(t, "SUCCEEDED", c.Machine.All()[0].Status)
		require.Empty(t, c.Machine.Running())
		require.Less(t, 20*time.Minute, time.Since(began))
		require.Empty(t, c.Problems(), "the model knows all that the definition uses")
	})
}

func TestAnExecutionWhoseFunctionKeepsFailingEndsInADeadLetter(t *testing.T) {
	within(t, func(t *testing.T, c *Cloud) {
		var rounds atomic.Int64
		c.Deploy("Retry", func(*Sandbox) Handler {
			return func(context.Context, []byte) ([]byte, error) {
				rounds.Add(1)
				return nil, errors.New("broken")
			}
		})
		start(t, c, "e")
		time.Sleep(90 * 24 * time.Hour)
		require.Greater(t, rounds.Load(), int64(3))
		require.Equal(t, "FAILED", c.Machine.All()[0].Status)
		letters := 0
		for _, q := range c.Queues {
			letters += q.Len()
		}
		require.Equal(t, 1, letters)
		require.Empty(t, c.Problems())
	})
}

func TestAnExecutionCanBeStopped(t *testing.T) {
	within(t, func(t *testing.T, c *Cloud) {
		c.Deploy("Retry", func(*Sandbox) Handler {
			return func(context.Context, []byte) ([]byte, error) {
				return []byte(`{"batch":"b","round":1,"seconds":60,"more":true}`), nil
			}
		})
		start(t, c, "e")
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"e"}, c.Machine.Running())
		c.Machine.Stop("e")
		time.Sleep(time.Minute)
		require.Equal(t, "ABORTED", c.Machine.All()[0].Status)
	})
}
