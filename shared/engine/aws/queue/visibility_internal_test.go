package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAMessageThatFailsComesAgainSoonAndEachTimeLater(t *testing.T) {
	for receives, want := range map[int]time.Duration{
		0: 10 * time.Second, 1: 10 * time.Second, 2: 20 * time.Second, 5: 160 * time.Second, 6: 5 * time.Minute,
		7:    5 * time.Minute,
		1000: 5 * time.Minute,
	} {
		require.Equal(t, want, again(receives, 0), receives)
		require.Equal(t, want/2, again(receives, 1), "jitter takes half of it away at most")
	}
	least := time.Duration(0)
	for receives := 1; receives <= 100; receives++ {
		least += again(receives, 1)
	}
	require.Greater(t, least, 3*time.Hour, "an outage of hours makes no dead letters")
}

func TestAQueueIsFoundByItsName(t *testing.T) {
	v := &Visibility{Queues: []string{"https://sqs.eu-west-1.amazonaws.com/1/a-events", "http://localhost:1/1/b.fifo"}}
	require.Equal(t, v.Queues[0], v.url("arn:aws:sqs:eu-west-1:1:a-events"))
	require.Equal(t, v.Queues[1], v.url("arn:aws:sqs:eu-west-1:1:b.fifo"))
	require.Empty(t, v.url("arn:aws:sqs:eu-west-1:1:events"), "another, whose name it ends with")
}
