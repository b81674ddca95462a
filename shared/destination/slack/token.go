package slack

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// api is Slack's Web API.
const api = "https://slack.com/api/"

// keep is how much of an answer is read: that to a message holds the message.
const keep = destination.MaxKeep

// marked is the type of a message's metadata, by which it is found again (Slack, "Message metadata").
const marked = "platform_event"

// post is chat.postMessage, and chat.update with a TS.
type post struct {
	Channel   string `json:"channel"`
	TS        string `json:"ts,omitempty"`
	Thread    string `json:"thread_ts,omitempty"`
	Broadcast bool   `json:"reply_broadcast,omitempty"` // the channel sees the reply too
	message
	Metadata *metadata `json:"metadata,omitempty"` // of the first message of an object
}

type metadata struct {
	Type    string `json:"event_type"`
	Payload mark   `json:"event_payload"`
}

type mark struct {
	Event    string `json:"event"`
	Object   string `json:"object"` // what the event tells of: that of all its events
	Delivery string `json:"delivery"`
}

// call is a request of the Web API.
func (p *Parameters) call(method, name string) destination.Request {
	return destination.Request{
		Method: method, URL: api + name, Where: "slack.com/" + p.Channel, Keep: keep, Judge: posted,
		Header: http.Header{"Authorization": {"Bearer " + p.Token}},
	}
}

// posting is a call that sends JSON.
func (p *Parameters) posting(name string, body []byte) destination.Request {
	q := p.call(http.MethodPost, name)
	q.Body = body
	q.Header.Set("Content-Type", "application/json; charset=utf-8") // Slack warns where it has no charset
	return q
}

// posts makes one message of each notification.
func (p *Parameters) posts(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	return destination.Each(ns, func(n notification.Notification) any { return p.first(t, n) },
		func(body []byte) destination.Request { return p.posting("chat.postMessage", body) })
}

// first is a message of its own.
func (p *Parameters) first(t destination.Target, n notification.Notification) post {
	return post{Channel: p.Channel, message: render(n), Metadata: &metadata{marked,
		mark{Event: n.EventKey(), Object: n.Dedup(), Delivery: t.Delivery}}}
}

// Following is that of an app. A webhook knows nothing of what it posted. People want to know that something is over
// even where nothing told them that it began: the integration may be newer than that.
func (Destination) Following(t destination.Target) (destination.Following, bool) {
	return destination.Following{TellsClosed: true}, t.Parameters.(*Parameters).Access == byToken
}

// Find looks through the channel's newest messages for the first one of the object. It takes the right to read the
// channel's history (channels:history, groups:history), which an app may do without.
func (Destination) Find(t destination.Target, n notification.Notification, since time.Time) destination.Request {
	p := t.Parameters.(*Parameters)
	query := url.Values{"channel": {p.Channel}, "limit": {strconv.Itoa(recent)}, "include_all_metadata": {"true"},
		"oldest": {fmt.Sprintf("%d.000000", since.Add(-margin).Unix())}}
	q := p.call(http.MethodGet, "conversations.history?"+query.Encode())
	q.Judge = func(r destination.Response) destination.Verdict { return p.found(r, n) }
	return q
}

const (
	// recent is how many of the newest messages are looked through. Slack, "conversations.history": 999 at most, 200
	// are advised.
	recent = 200
	// margin is how much longer ago than our clock says a message may have been posted.
	margin = 10 * time.Minute
)

// Follow brings the first message up to date, and tells in its thread what became of the object. Of a thing that is
// there again, or worse, the channel sees the reply too.
func (Destination) Follow(t destination.Target, n notification.Notification, reference string) (
	[]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	update, reply := p.first(t, n), post{message: render(n)}
	channel, ts, _ := strings.Cut(reference, " ")
	update.Channel, update.TS = channel, ts
	reply.Channel, reply.Thread = channel, ts
	reply.Broadcast = n.Step() == event.Reopened || n.Step() == event.Worsened
	var out []destination.Request
	for _, c := range []struct {
		name  string
		body  post
		judge func(destination.Response) destination.Verdict
	}{{"chat.update", update, updated}, {"chat.postMessage", reply, replied}} {
		body, err := ijson.Marshal(c.body)
		if err != nil {
			return nil, fmt.Errorf("write %s of message %s: %w", c.name, reference, err)
		}
		q := p.posting(c.name, body)
		q.Judge = c.judge
		q.Newest = c.name == "chat.update"
		out = append(out, q)
	}
	return out, nil
}

// Options asks for the channels that the app may see.
func (Destination) Options(parameters any, field, after string) (destination.Request, error) {
	p := parameters.(*Parameters)
	query := url.Values{"types": {"public_channel,private_channel"}, "exclude_archived": {"true"},
		"limit": {strconv.Itoa(page)}}
	if after != "" {
		query.Set("cursor", after)
	}
	q := p.call(http.MethodGet, "conversations.list?"+query.Encode())
	switch {
	case field != "channel":
		return q, errors.New(field + " is not a parameter that Slack lists")
	case p.Token == "":
		return q, errors.New("enter the bot token first: the list shows the channels that its app may see")
	}
	return q, nil
}

// page is how many channels are asked for at once. Slack, "conversations.list": 200 are advised.
const page = 200
