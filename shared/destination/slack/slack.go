// Package slack sends notifications to a Slack channel through an incoming webhook (product facts, 2.2): blocks for
// the eye, and the plain text of the facts for notifications and screen readers.
package slack

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// Limits in characters. Slack, Block Kit reference: "Header", "Section", "Button"; and "chat.postMessage", text.
const (
	headerLimit  = 150
	sectionLimit = 3000
	fieldLimit   = 2000
	fieldCount   = 10
	linkLimit    = 3000
	textLimit    = 4000
)

// Parameters of a Slack integration.
type Parameters struct {
	URL string `json:"webhook_url" jsonschema:"required,title=Webhook URL,format=uri,minLength=1,maxLength=2048,writeOnly=true" jsonschema_description:"From Slack: Apps, Incoming WebHooks, choose a channel, copy the webhook URL (https://hooks.slack.com/services/…). Whoever has it can post to the channel, so it is kept secret."`
}

//go:embed setup.md
var setUp string

// Destination is Slack.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "slack", Title: "Slack", Group: destination.Messengers, Class: notification.Basic,
		Events: event.Basic(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](), SetUp: setUp,
	}}
}

// System describes Slack.
func (d Destination) System() destination.System { return d.system }

type message struct {
	Text   string  `json:"text"`
	Blocks []block `json:"blocks"`
}

type block struct {
	Type     string    `json:"type"`
	Text     *text     `json:"text,omitempty"`
	Fields   []text    `json:"fields,omitempty"`
	Elements []element `json:"elements,omitempty"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// element is a button of an actions block, or a text of a context block.
type element struct {
	Type string `json:"type"`
	Text any    `json:"text"`
	URL  string `json:"url,omitempty"`
}

// Encode makes one message of each notification: Slack takes no two in one request.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	out := make([]destination.Request, 0, len(ns))
	for _, n := range ns {
		body, err := json.Marshal(render(n))
		if err != nil {
			return nil, fmt.Errorf("write a Slack message: %w", err)
		}
		out = append(out, destination.Request{
			Method: http.MethodPost, URL: p.URL, Body: body, Header: http.Header{"Content-Type": {"application/json"}},
		})
	}
	return out, nil
}

func render(n notification.Notification) message {
	m := message{Text: fit(n.Summary()+"\n\n"+n.PlainText(), textLimit)}
	m.add(block{Type: "header", Text: &text{"plain_text", destination.Cut(destination.Printable(n.Summary()), headerLimit)}})
	m.add(block{Type: "section", Text: mrkdwn(marks[n.Severity()]+" "+n.Sentence(), sectionLimit)})
	var fields []text
	for _, f := range n.Facts() {
		if len(fields) == fieldCount {
			m.add(block{Type: "section", Fields: fields})
			fields = nil
		}
		fields = append(fields, text{"mrkdwn", "*" + escape(f.Label) + "*\n" + fit(f.Value, fieldLimit-len(f.Label)-3)})
	}
	if len(fields) > 0 {
		m.add(block{Type: "section", Fields: fields})
	}
	if link := n.Link(); link != "" && len(link) <= linkLimit {
		m.add(block{Type: "actions", Elements: []element{{Type: "button", Text: text{"plain_text", "Open in the Console"}, URL: link}}})
	}
	m.add(block{Type: "context", Elements: []element{{
		Type: "mrkdwn", Text: fit(n.Event.Client()+" · "+n.Platform.Cloud+" · "+string(n.Event.Kind)+" · "+n.At(), fieldLimit),
	}}})
	return m
}

func (m *message) add(b block) { m.Blocks = append(m.Blocks, b) }

// marks make the severity visible without a colour.
var marks = map[notification.Severity]string{
	notification.Info: ":information_source:", notification.Low: ":large_blue_circle:", notification.Medium: ":large_yellow_circle:",
	notification.High: ":large_orange_circle:", notification.Critical: ":red_circle:",
}

func mrkdwn(s string, limit int) *text { return &text{"mrkdwn", fit(s, limit)} }

// fit escapes a text and cuts it so that the escaped form keeps to the limit and no entity is torn.
func fit(s string, limit int) string {
	s = destination.Printable(s) // Slack answers a control character with invalid_payload
	if e := escape(s); runes(e) <= limit {
		return e
	}
	keep, used := 0, 0
	for i, r := range s {
		n := runes(escape(string(r)))
		if used+n > limit-runes(destination.Mark) {
			keep = i
			break
		}
		used += n
	}
	return escape(s[:keep]) + destination.Mark
}

func runes(s string) int { return len([]rune(s)) }

// escape is that of Slack, "Formatting text for app surfaces": only these three are special.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escape(s string) string { return escaper.Replace(s) }

// gone are those that say that this URL will never post again; unread those that are about the message.
var (
	gone   = words("user_not_found", "channel_not_found", "channel_is_archived", "no_service", "no_active_hooks", "no_team", "team_disabled", "invalid_token")
	unread = words("invalid_payload", "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "no_text", "missing_text_or_fallback_or_attachments", "too_many_attachments", "msg_too_long")
)

func words(all ...string) map[string]bool {
	out := map[string]bool{}
	for _, w := range all {
		out[w] = true
	}
	return out
}

// reasons explain Slack's error words. Slack, "Sending messages using incoming webhooks", "Handling errors"; and
// "Improving error conditions for Incoming Webhooks" for their statuses.
var reasons = map[string]string{
	"invalid_payload":                   "Slack could not read the message",
	"user_not_found":                    "the user that the webhook posts to is gone: make a new webhook",
	"channel_not_found":                 "the channel is gone: make a new webhook for another channel",
	"channel_is_archived":               "the channel is archived: bring it back, or make a new webhook for another channel",
	"action_prohibited":                 "the workspace's administrator does not allow this posting",
	"posting_to_general_channel_denied": "the workspace does not allow posting to its general channel",
	"no_service":                        "the webhook was switched off or deleted at Slack: make a new one and enter its URL",
	"no_service_id":                     "the webhook URL is not complete: copy it again",
	"no_team":                           "the workspace is gone: make a webhook in another one",
	"team_disabled":                     "the workspace is switched off",
	"invalid_token":                     "the webhook URL is not right, or was revoked: make a new one",
	"rollup_error":                      "Slack has a fault of its own",
	"no_text":                           "Slack found no text in the message",
	"too_many_attachments":              "Slack found the message too long",
	"msg_too_long":                      "Slack found the message too long",
	"invalid_blocks":                    "Slack could not read the message",
	"invalid_blocks_format":             "Slack could not read the message",
	"invalid_attachments":               "Slack could not read the message",
	"no_active_hooks":                   "the webhook was switched off at Slack: make a new one and enter its URL",
	"rate_limited":                      "Slack takes about one message a second for each webhook",
	"ratelimited":                       "Slack takes about one message a second for each webhook",
	"missing_text_or_fallback_or_attachments": "Slack found no text in the message",
}

// Judge takes `ok` for a success. Slack, "Sending messages using incoming webhooks": 200 with the plain text ok; a webhook of
// Slack's workflows answers the same as JSON.
func (Destination) Judge(r destination.Response) destination.Verdict {
	word := strings.TrimSpace(string(r.Body))
	fields := destination.Fields(r.Body)
	if destination.Success(r.Status) && (strings.EqualFold(word, "ok") || fields["ok"] == "true") {
		return destination.Delivered()
	}
	if e := fields["error"]; e != "" {
		word = e // JSON, as the workflows answer
	}
	why, known := reasons[word]
	if destination.Success(r.Status) && !known {
		return destination.Unproven(r, "Slack answers 200 with the word ok")
	}
	if !known {
		return destination.JudgeSaid(r, map[int]string{
			404: "the webhook is gone: make a new one at Slack and enter its URL",
			410: "the channel is archived or gone: make a webhook for another channel",
			429: "Slack takes about one message a second for each webhook",
		}, "")
	}
	v := destination.Failed(r, "Slack answered "+destination.StatusText(r.Status)+" "+word+": "+why)
	v.Gone, v.Unread = gone[word], unread[word]
	v.Pace = v.Pace || strings.HasPrefix(word, "rate")
	return v
}
