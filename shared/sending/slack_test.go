package sending_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

const slackToken = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy"

// channel is a Slack channel as the documentation of the Web API says that it answers.
type channel struct {
	mu       sync.Mutex
	messages []*posted
	calls    []string
	lose     int    // so many answers to messages are lost, after they were posted
	refuse   string // the word that replies are refused with
	noEdits  bool   // the workspace forbids that messages are changed
}

// posted is a message.
type posted struct {
	TS        string          `json:"ts"`
	Thread    string          `json:"thread_ts,omitempty"`
	Broadcast bool            `json:"reply_broadcast,omitempty"`
	Text      string          `json:"text"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	gone      bool
}

// Do is the way out to Slack.
func (c *channel) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, err := url.Parse(q.URL)
	if err != nil || u.Host != "slack.com" || q.Header.Get("Authorization") != "Bearer "+slackToken {
		return destination.Response{Status: http.StatusTeapot}, err
	}
	c.calls = append(c.calls, u.Path)
	var p struct {
		Channel string
		posted
	}
	if q.Body != nil && json.Unmarshal(q.Body, &p) != nil || q.Body != nil && p.Channel != "C0123456789" {
		return destination.Response{Status: http.StatusTeapot}, nil
	}
	switch u.Path {
	case "/api/chat.postMessage":
		return c.post(p.posted)
	case "/api/chat.update":
		return c.update(p.posted), nil
	case "/api/conversations.history":
		return c.history(u.Query()), nil
	}
	return destination.Response{Status: http.StatusNotFound}, nil
}

func answer(v any) destination.Response {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts encode
	}
	return destination.Response{Status: http.StatusOK, Body: body}
}

func no(word string) destination.Response { return answer(map[string]any{"ok": false, "error": word}) }

func (c *channel) post(p posted) (destination.Response, error) {
	if p.Thread != "" && c.refuse != "" {
		return no(c.refuse), nil
	}
	p.TS = fmt.Sprintf("1677628800.%06d", len(c.messages)+1)
	c.messages = append(c.messages, &p)
	if c.lose > 0 {
		c.lose--
		return destination.Response{}, io.ErrUnexpectedEOF
	}
	return answer(map[string]any{"ok": true, "channel": "C0123456789", "ts": p.TS, "message": p}), nil
}

func (c *channel) update(p posted) destination.Response {
	if c.noEdits {
		return no("edit_window_closed")
	}
	for _, m := range c.messages {
		if m.TS == p.TS && !m.gone {
			m.Text, m.Metadata = p.Text, p.Metadata
			return answer(map[string]any{"ok": true, "channel": "C0123456789", "ts": p.TS, "text": p.Text})
		}
	}
	return no("message_not_found")
}

func (c *channel) history(q url.Values) destination.Response {
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || q.Get("include_all_metadata") != "true" || q.Get("channel") != "C0123456789" {
		return no("invalid_arguments")
	}
	list := []posted{}
	for _, m := range c.messages {
		if !m.gone && m.Thread == "" && m.TS >= q.Get("oldest") && len(list) < limit {
			list = append([]posted{*m}, list...)
		}
	}
	return answer(map[string]any{"ok": true, "messages": list})
}

// slackApp sends the events of findings to a channel with a bot token.
func slackApp(t *testing.T, c *channel) *customer {
	t.Helper()
	return at(t, c, "slack", `{"authorization":"token","token":"`+slackToken+`","channel":"C0123456789"}`)
}

func TestWhatBecomesOfAFindingIsInItsThread(t *testing.T) {
	c := &channel{}
	app := slackApp(t, c)
	for _, status := range []string{"open", "closed", "reopened"} {
		out := app.send(app.about("S-1", status))
		require.Equal(t, delivery.Delivered, out.State, out.Reason)
		require.Equal(t, sending.Well, out.Mark)
	}
	app.finish(app.about("S-2", "open"))
	require.Len(t, c.messages, 4)
	first, closed, again, other := c.messages[0], c.messages[1], c.messages[2], c.messages[3]
	require.Contains(t, first.Text, "Security issue was re-opened", "the first message is as the issue is now")
	require.Contains(t, closed.Text, "Security issue was closed")
	require.Equal(t, first.TS, closed.Thread)
	require.False(t, closed.Broadcast)
	require.Contains(t, again.Text, "Security issue was re-opened")
	require.Equal(t, first.TS, again.Thread)
	require.True(t, again.Broadcast, "the channel is told that it is back")
	require.Empty(t, other.Thread)
}

func TestAMessageWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	c := &channel{lose: 1}
	app := slackApp(t, c)
	first := app.send(app.about("S-1", "open"))
	require.Equal(t, delivery.Retrying, first.State)
	app.now.Add(int64(10 * time.Second))
	app.finish(first.Delivery)
	require.Len(t, c.messages, 1, "it is not posted twice")
	app.finish(app.about("S-1", "closed"))
	require.Equal(t, c.messages[0].TS, c.messages[1].Thread)
}

func TestAMessageThatWasDeletedIsPostedAnew(t *testing.T) {
	c := &channel{}
	app := slackApp(t, c)
	app.finish(app.about("S-1", "open"))
	c.messages[0].gone = true
	app.finish(app.about("S-1", "closed"))
	require.Len(t, c.messages, 2)
	require.Empty(t, c.messages[1].Thread)
	require.Contains(t, c.messages[1].Text, "Security issue was closed", "people are told that it is over")
	app.finish(app.about("S-1", "reopened"))
	require.Equal(t, c.messages[1].TS, c.messages[2].Thread)
}

func TestWhatIsOverIsToldThoughNothingToldThatItBegan(t *testing.T) {
	c := &channel{}
	slackApp(t, c).finish(slackApp(t, c).about("S-1", "closed"))
	require.Len(t, c.messages, 1)
	require.Contains(t, c.messages[0].Text, "Security issue was closed")
}

func TestAClosingOfWhatFiltersKeptFromAChannelIsNotToldThere(t *testing.T) {
	c := &channel{}
	app := slackApp(t, c)
	i := app.target.Integration
	i.Subscriptions = []integration.Subscription{{Event: event.IssueCritical}, {Event: event.IssueHigh}}
	i.Filters = []filter.Filter{{ID: filter.BySeverity, Operator: filter.Equal, Values: []filter.Value{"critical"}}}
	var err error
	app.target, err = app.sender.Open(t.Context(), app.opener, i)
	require.NoError(t, err)
	out := app.finish(app.about("S-1", "closed"))
	require.Empty(t, c.messages, "its risk is High: it was never told here")
	require.Equal(t, "there is nothing of it to close", out.Reason)
	fallen := app.about("S-2", "closed")
	fallen.From = &delivery.From{Integration: "j"}
	app.finish(fallen)
	require.Len(t, c.messages, 1, "what falls back is told whatever the fallback's own filters say")
	app.finish(app.about("S-3", "open")) // when it was critical
	app.finish(app.about("S-3", "closed"))
	require.Len(t, c.messages, 3)
	require.Equal(t, c.messages[1].TS, c.messages[2].Thread)
}

func TestAReplyThatFailedIsSentWithoutTheUpdateBeforeIt(t *testing.T) {
	c := &channel{}
	app := slackApp(t, c)
	app.finish(app.about("S-1", "open"))
	c.refuse, c.calls = "internal_error", nil
	out := app.send(app.about("S-1", "closed"))
	require.Equal(t, delivery.Retrying, out.State)
	require.Contains(t, out.Reason, "Slack has a fault of its own")
	require.NotContains(t, out.Reason, slackToken)
	c.refuse = ""
	app.finish(out.Delivery)
	require.Equal(t, []string{"/api/chat.update", "/api/chat.postMessage", "/api/chat.postMessage"}, c.calls)
	require.Len(t, c.messages, 2)
}

func TestAWorkspaceThatForbidsChangesStillGetsReplies(t *testing.T) {
	c := &channel{noEdits: true}
	app := slackApp(t, c)
	app.finish(app.about("S-1", "open"))
	app.finish(app.about("S-1", "closed"))
	require.Contains(t, c.messages[0].Text, "New security issue")
	require.Equal(t, c.messages[0].TS, c.messages[1].Thread)
}

func TestAThreadThatIsLockedBeginsAnew(t *testing.T) {
	c := &channel{}
	app := slackApp(t, c)
	app.finish(app.about("S-1", "open"))
	c.refuse = "restricted_action_thread_locked"
	app.finish(app.about("S-1", "reopened"))
	require.Len(t, c.messages, 2)
	require.Empty(t, c.messages[1].Thread)
}

func TestOfManyEventsAtOnceOneBeginsTheThread(t *testing.T) {
	c := &channel{}
	app := slackApp(t, c)
	var all sync.WaitGroup
	for range 8 {
		d := app.about("S-1", "open")
		all.Go(func() {
			for d.State != delivery.Delivered && t.Context().Err() == nil { // the clock stands still: no claim is old
				d = app.send(d).Delivery
			}
		})
	}
	all.Wait()
	require.Len(t, c.messages, 8)
	for _, m := range c.messages[1:] {
		require.Equal(t, c.messages[0].TS, m.Thread)
	}
}
