package sim

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tocsin/scripts/awslocal"
)

// Queue is a queue of SQS. A standard one hands messages out in any order, and sometimes twice; a FIFO one keeps the
// order of a message group, hands out no more of it while some are in flight, and drops a repeat within five minutes.
type Queue struct {
	Name string
	URL  string
	FIFO bool
	// Hidden is the visibility time-out.
	Hidden time.Duration
	// Received is told of each message that is handed out; nil = nobody.
	Received func(Message)

	cloud *Cloud
	dead  *Queue // where what was received too often goes
	most  int

	mu       sync.Mutex
	messages []*Message
	ids      int
	given    int
	dedup    map[string]time.Time
	change   chan struct{} // closed when there is something new to look at
	oldest   time.Duration // the greatest age at a receive so far
}

// Message of a queue.
type Message struct {
	ID, Body, Group, Dedup string
	Sent                   time.Time
	Visible                time.Time // from when on it can be received
	Receives               int
	receipt                string
	flying                 bool // it is in flight: FIFO
}

// dedupFor is how long a FIFO queue remembers a message. SQS, "Using the message deduplication ID".
const dedupFor = 5 * time.Minute

func newQueue(c *Cloud, id string, r awslocal.Resource) *Queue {
	q := &Queue{Name: id, URL: "https://sqs.invalid/" + id, cloud: c, Hidden: 30 * time.Second,
		dedup: map[string]time.Time{}, change: make(chan struct{})}
	q.FIFO = awslocal.At(r.Properties, "FifoQueue") == true
	if s := awslocal.Number(awslocal.At(r.Properties, "VisibilityTimeout")); s > 0 {
		q.Hidden = time.Duration(s) * time.Second
	}
	return q
}

// put adds a message.
func (q *Queue) put(m *Message, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if q.FIFO {
		if at, ok := q.dedup[m.Dedup]; ok && now.Sub(at) < dedupFor {
			return
		}
		q.dedup[m.Dedup] = now
	}
	q.add(m, now, after)
}

// add needs the lock.
func (q *Queue) add(m *Message, now time.Time, after time.Duration) {
	q.ids++
	m.ID = q.Name + "-" + strconv.Itoa(q.ids)
	m.Sent, m.Visible, m.Receives = now, now.Add(after), 0
	q.messages = append(q.messages, m)
	q.news()
}

// news needs the lock.
func (q *Queue) news() {
	close(q.change)
	q.change = make(chan struct{})
}

// Len is how many messages there are, hidden ones included.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// Bodies are those of all messages.
func (q *Queue) Bodies() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]string, len(q.messages))
	for n, m := range q.messages {
		out[n] = m.Body
	}
	return out
}

// Purge drops all messages.
func (q *Queue) Purge() (count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	count = len(q.messages)
	q.messages = nil
	return count
}

// Redrive moves all messages to another queue, where they get new ids (SQS, StartMessageMoveTask).
func (q *Queue) Redrive(to *Queue) (count int) {
	q.mu.Lock()
	list := q.messages
	q.messages = nil
	q.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	for _, m := range list {
		to.add(&Message{Body: m.Body, Group: m.Group, Dedup: m.Dedup}, time.Now(), 0)
	}
	return len(list)
}

// ready are the messages that can be received now; wait is when the next one can, if none can. It needs the lock.
func (q *Queue) ready(now time.Time) (out []*Message, wait time.Duration) {
	wait = time.Hour
	closed := map[string]bool{}
	for _, m := range q.messages {
		visible := !m.Visible.After(now)
		switch {
		case q.FIFO && closed[m.Group]:
		case visible:
			out = append(out, m)
		default:
			wait = min(wait, m.Visible.Sub(now))
			closed[m.Group] = true
		}
	}
	if !q.FIFO {
		return out, wait
	}
	// While one of a group is in flight none of it is handed out.
	flying := map[string]bool{}
	for _, m := range q.messages {
		if m.flying && m.Visible.After(now) {
			flying[m.Group] = true
		}
	}
	return slices.DeleteFunc(out, func(m *Message) bool { return flying[m.Group] }), wait
}

// receive hands out up to limit messages, and waits until there is one.
func (q *Queue) receive(ctx context.Context, limit int) []Message {
	for {
		q.mu.Lock()
		list, wait := q.ready(time.Now())
		if len(list) > 0 {
			if out := q.hand(list, limit); len(out) > 0 {
				q.mu.Unlock()
				return out
			}
			q.mu.Unlock()
			continue // what was there went to the dead-letter queue
		}
		change := q.change
		q.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-change:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// hand needs the lock.
func (q *Queue) hand(list []*Message, limit int) (out []Message) {
	q.given++
	r := q.cloud.random("receive", q.Name, q.given)
	if r.Float64() < q.cloud.Untidy.Small {
		limit = 1 + r.IntN(limit)
	}
	if !q.FIFO {
		if q.cloud.Untidy.Small > 0 {
			r.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
		}
		q.fair(list)
		list = list[:min(limit, len(list))]
	} else {
		list = q.oneGroup(list, limit, r)
	}
	now := time.Now()
	for _, m := range list {
		if q.dead != nil && m.Receives >= q.most {
			q.bury(m)
			continue
		}
		m.Receives++
		q.oldest = max(q.oldest, now.Sub(m.Sent))
		m.receipt = m.ID + "/" + strconv.Itoa(m.Receives)
		m.flying, m.Visible = true, now.Add(q.Hidden)
		if !q.FIFO && r.Float64() < q.cloud.Untidy.Twice {
			m.Visible = now.Add(time.Duration(r.Int64N(int64(time.Second))))
		}
		out = append(out, *m)
		if q.Received != nil {
			q.Received(*m)
		}
	}
	return out
}

// fair puts the messages of groups that have few in flight first (SQS developer guide, "Amazon SQS fair queues"). It
// needs the lock.
func (q *Queue) fair(list []*Message) {
	if q.cloud.Untidy.Small > 0 {
		return // where anything may come, it does
	}
	flying := map[string]int{}
	now := time.Now()
	for _, m := range q.messages {
		if m.flying && m.Visible.After(now) {
			flying[m.Group]++
		}
	}
	slices.SortStableFunc(list, func(a, b *Message) int { return flying[a.Group] - flying[b.Group] })
}

// oneGroup takes the messages of one group, as a FIFO source mostly brings.
func (q *Queue) oneGroup(list []*Message, limit int, r *rand.Rand) (out []*Message) {
	group := list[r.IntN(len(list))].Group
	for _, m := range list {
		if m.Group == group && len(out) < limit {
			out = append(out, m)
		}
	}
	return out
}

// bury needs the lock of q.
func (q *Queue) bury(m *Message) {
	q.messages = slices.DeleteFunc(q.messages, func(o *Message) bool { return o == m })
	q.dead.mu.Lock()
	defer q.dead.mu.Unlock()
	q.dead.add(&Message{Body: m.Body, Group: m.Group, Dedup: m.Dedup}, time.Now(), 0)
}

// delete removes the messages of receipts. A receipt that is not the last one of a standard queue's message does it
// too.
func (q *Queue) delete(receipts []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := map[string]bool{}
	for _, r := range receipts {
		id, _, _ := strings.Cut(r, "/")
		ids[id] = true
	}
	q.messages = slices.DeleteFunc(q.messages, func(m *Message) bool { return ids[m.ID] })
	q.news()
}

// hide changes the visibility of a message in flight.
func (q *Queue) hide(receipt string, d time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	id, _, _ := strings.Cut(receipt, "/")
	for _, m := range q.messages {
		if m.ID == id {
			m.Visible = time.Now().Add(d)
			q.news()
			return true
		}
	}
	return false
}

// queueOf finds a queue by its URL.
func (c *Cloud) queueOf(url string) *Queue {
	if name, ok := strings.CutPrefix(url, "https://sqs.invalid/"); ok {
		return c.Queues[name]
	}
	return nil
}

type sending struct {
	ID                     string `json:"Id"`
	QueueURL               string `json:"QueueUrl"`
	MessageBody            string
	MessageGroupID         string `json:"MessageGroupId"`
	MessageDeduplicationID string `json:"MessageDeduplicationId"`
	DelaySeconds           int
	ReceiptHandle          string
	VisibilityTimeout      int
}

func (q *Queue) send(s sending) map[string]string {
	m := &Message{Body: s.MessageBody, Group: s.MessageGroupID, Dedup: s.MessageDeduplicationID}
	q.put(m, time.Duration(s.DelaySeconds)*time.Second)
	sum := md5.Sum([]byte(s.MessageBody))
	return map[string]string{"Id": s.ID, "MessageId": m.ID, "MD5OfMessageBody": hex.EncodeToString(sum[:])}
}

// serveQueues answers what the functions call. Lambda's own pollers use the queues directly.
func (c *Cloud) serveQueues(call Call, body []byte, fault Kind) (int, []byte, error) {
	var in struct {
		sending
		Entries        []sending
		AttributeNames []string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return 0, nil, err
	}
	q := c.queueOf(in.QueueURL)
	if q == nil {
		return refuse("com.amazonaws.sqs#QueueDoesNotExist", in.QueueURL)
	}
	if fault == Partly {
		in.Entries = in.Entries[:(len(in.Entries)+1)/2]
	}
	switch call.Action {
	case "SendMessage":
		return answer(q.send(in.sending))
	case "SendMessageBatch":
		return answer(c.sendBatch(q, in.Entries, body))
	case "ChangeMessageVisibility":
		q.hide(in.ReceiptHandle, time.Duration(in.VisibilityTimeout)*time.Second)
		return answer(map[string]string{})
	case "ChangeMessageVisibilityBatch":
		return answer(q.hideBatch(in.Entries))
	case "GetQueueAttributes":
		return answer(map[string]any{"Attributes": map[string]string{
			"ApproximateNumberOfMessages": strconv.Itoa(q.Len()), "ApproximateNumberOfMessagesNotVisible": "0"}})
	}
	c.Problem("the model knows no %s of SQS", call.Action)
	return refuse("com.amazonaws.sqs#UnsupportedOperation", call.Action)
}

// batchAnswer is what SQS answers to the batch of an action.
type batchAnswer struct {
	Successful []map[string]string
	Failed     []failed
}

type failed struct {
	ID          string `json:"Id"`
	Code        string
	SenderFault bool
}

// sendBatch sends those entries; what the call has beyond them fails.
func (c *Cloud) sendBatch(q *Queue, entries []sending, call []byte) (out batchAnswer) {
	size := 0
	for _, e := range entries {
		size += len(e.MessageBody)
		out.Successful = append(out.Successful, q.send(e))
	}
	if size > 1<<20 {
		c.Problem("a call of SendMessageBatch has %d bytes: more than a mebibyte is refused", size)
	}
	var whole struct{ Entries []sending }
	_ = json.Unmarshal(call, &whole) // it was decoded before
	for _, e := range whole.Entries[len(entries):] {
		out.Failed = append(out.Failed, failed{ID: e.ID, Code: "InternalError"})
	}
	return out
}

func (q *Queue) hideBatch(entries []sending) (out batchAnswer) {
	for _, e := range entries {
		if q.hide(e.ReceiptHandle, time.Duration(e.VisibilityTimeout)*time.Second) {
			out.Successful = append(out.Successful, map[string]string{"Id": e.ID})
		} else {
			out.Failed = append(out.Failed, failed{ID: e.ID, Code: "InvalidParameterValue", SenderFault: true})
		}
	}
	return out
}

// poll is an event source mapping: it brings batches of a queue to a function until the context ends.
func (q *Queue) poll(ctx context.Context, f *Function, size int, window time.Duration) {
	for ctx.Err() == nil {
		batch := q.receive(ctx, size)
		if len(batch) == 0 {
			return
		}
		if window > 0 && len(batch) < size && !q.FIFO {
			select {
			case <-time.After(window):
			case <-ctx.Done():
			}
			q.mu.Lock()
			if list, _ := q.ready(time.Now()); len(list) > 0 {
				batch = append(batch, q.hand(list, size-len(batch))...)
			}
			q.mu.Unlock()
		}
		var in events.SQSEvent
		for _, m := range batch {
			in.Records = append(in.Records, events.SQSMessage{
				MessageId: m.ID, ReceiptHandle: m.receipt, Body: m.Body, EventSource: "aws:sqs",
				EventSourceARN: "arn:aws:sqs:eu-west-1:000000000000:" + q.Name,
				AWSRegion:      "eu-west-1", Attributes: map[string]string{
					"SentTimestamp": strconv.FormatInt(m.Sent.UnixMilli(),
						10), "ApproximateReceiveCount": strconv.Itoa(m.Receives), "MessageGroupId": m.Group,
				},
			})
		}
		payload, err := json.Marshal(in)
		if err != nil {
			q.cloud.Problem("encode a batch of %s: %v", q.Name, err)
			return
		}
		got, err := f.Invoke(ctx, payload)
		if err != nil {
			continue // nothing is deleted: all of it comes again when it is visible
		}
		var out events.SQSEventResponse
		if err := json.Unmarshal(got, &out); err != nil {
			q.cloud.Problem("%s answered no batch response: %q", f.Name, got)
		}
		failed := map[string]bool{}
		for _, x := range out.BatchItemFailures {
			failed[x.ItemIdentifier] = true
		}
		var done []string
		for _, m := range batch {
			if !failed[m.ID] {
				done = append(done, m.receipt)
			}
		}
		q.delete(done)
	}
}

func (q *Queue) String() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := []string{strconv.Itoa(len(q.messages)) + " messages"}
	for _, m := range q.messages[:min(5, len(q.messages))] {
		out = append(out, fmt.Sprintf("%s receives %d visible %s: %.200s", m.ID, m.Receives, time.Until(m.Visible),
			m.Body))
	}
	return q.Name + ":\n  " + strings.Join(out, "\n  ")
}
