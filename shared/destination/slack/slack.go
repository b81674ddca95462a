// Package slack sends notifications to a Slack channel: blocks for the eye, and the plain text of the facts for
// notifications and screen readers. They go through an incoming webhook (product facts, 2.2), which knows nothing of
// what it posted before; or with the bot token of an app, whose calls can: the first message of an object is kept
// up to date, and what became of the object stands in its thread.
package slack

import (
	"embed"
	"regexp"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Limits in characters. Slack, Block Kit reference: "Header", "Section", "Button"; and "chat.postMessage", text. Slack
// does not say whether a character that it escapes counts once: see units.
const (
	headerLimit  = 150
	sectionLimit = 3000
	fieldLimit   = 2000
	fieldCount   = 10 // texts of a section: five labels and their values
	linkLimit    = 3000
	textLimit    = 4000
	blocksLimit  = 12_000 // ours, of all values: Slack answers msg_blocks_too_long and publishes no number
)

// Ways in.
const (
	byWebhook = "webhook"
	byToken   = "token"
)

// Parameters of a Slack integration.
type Parameters struct {
	Access  string `json:"authorization" receiver:"true" jsonschema:"title=Authorization,enum=webhook,enum=token,default=webhook" jsonschema_description:"webhook: the URL of one channel; each event is a message. token: the bot token of an app; what becomes of a vulnerability or a security issue goes into the thread of its first message, which is kept up to date."`
	Token   string `json:"token,omitempty" form:"when=authorization:token needed" jsonschema:"title=Bot token,maxLength=255,pattern=^[!-~]*$,writeOnly=true" jsonschema_description:"From Slack: your app, OAuth & Permissions, Bot User OAuth Token (xoxb-…), with the right chat:write."`
	Channel string `json:"channel,omitempty" form:"when=authorization:token needed" jsonschema:"title=Channel,maxLength=32" jsonschema_description:"ID of the channel, such as C0123456789. The list shows the channels that the app may see; one that is not in it can be entered: it stands at the end of the channel's details. The app must be a member: write /invite and its name in the channel."`
	URL     string `json:"webhook_url,omitempty" form:"when=authorization:webhook needed" jsonschema:"title=Webhook URL,format=uri,minLength=1,maxLength=2048,writeOnly=true" jsonschema_description:"From Slack: Apps, Incoming WebHooks, choose a channel, copy the webhook URL (https://hooks.slack.com/services/…). Whoever has it can post to the channel, so it is kept secret."`
}

// KeepsObjects says that an app keeps a thread of an object, and a webhook knows nothing: see integration.Keeper.
func (p *Parameters) KeepsObjects() bool { return p.Access == byToken }

// Check finds what the schema can not say.
func (p *Parameters) Check() []destination.FieldProblem {
	var out destination.InvalidParameters
	if p.Access != byToken {
		if p.URL == "" {
			out.Add("webhook_url", "is required when the authorization is by webhook")
		}
		return out
	}
	switch {
	case p.Token == "":
		out.Add("token", "is required when the authorization is by token")
	case strings.HasPrefix(p.Token, "xoxe."):
		out.Add("token", "is a token that Slack changes every 12 hours: switch the app's token rotation off")
	case !botToken.MatchString(p.Token):
		out.Add("token", "must be a bot token, which begins with xoxb-: copy the Bot User OAuth Token of the app")
	}
	switch {
	case p.Channel == "":
		out.Add("channel", "is required when the authorization is by token")
	case !channelID.MatchString(p.Channel):
		out.Add("channel", "must be the channel's ID, such as C0123456789, and not its name: it stands at the end of "+
			"the channel's details")
	}
	return out
}

var (
	botToken  = regexp.MustCompile(`^xoxb-[A-Za-z0-9-]{12,}$`)
	channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{5,30}$`) // Slack, "conversations": public, private, direct
)

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Slack.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "slack", Title: "Slack", Group: destination.Messengers, Class: notification.Basic,
		Events: event.Basic(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](),
		Choosable: []string{"channel"}, Folder: destination.ReadFolder(files),
	}}
}

// System describes Slack.
func (d Destination) System() destination.System { return d.system }

// message is that of an incoming webhook. Blocks is what is shown. Text is for notifications and screen readers: with
// Markdown off and parse none Slack reads no markup in it and makes no links, names or mentions of what it finds.
// Nothing is unfurled: Slack would fetch what an attacker wrote.
type message struct {
	Text        string  `json:"text"`
	Markdown    bool    `json:"mrkdwn"`
	Parse       string  `json:"parse"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
	Blocks      []block `json:"blocks"`
}

type block struct {
	Type     string    `json:"type"`
	Text     *text     `json:"text,omitempty"`
	Fields   []text    `json:"fields,omitempty"`
	Elements []element `json:"elements,omitempty"`
}

type text struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Emoji *bool  `json:"emoji,omitempty"` // of a plain text; false leaves :smile: as it is
}

// element is a button of an actions block, or a text of a context block.
type element struct {
	Type  string `json:"type"`
	Text  any    `json:"text"`
	Emoji *bool  `json:"emoji,omitempty"`
	URL   string `json:"url,omitempty"`
}

// Encode makes one message of each notification: Slack takes no two in one request.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	if p.Access == byToken {
		return p.posts(t, ns)
	}
	return destination.Each(ns, func(n notification.Notification) any { return render(n) },
		func(body []byte) destination.Request { return destination.Post(p.URL, body) })
}

func render(n notification.Notification) message {
	m := message{Text: destination.Escaped(n.Summary()+"\n\n"+n.PlainText(), textLimit), Parse: "none"}
	m.add(block{Type: "header", Text: plain(n.Summary(), headerLimit)})
	m.body(n)
	var buttons []element
	for _, l := range destination.WebLinks(n, linkLimit) {
		buttons = append(buttons, element{Type: "button", Text: text{Type: "plain_text", Text: l.Title}, URL: l.URL})
	}
	if len(buttons) > 0 {
		m.add(block{Type: "actions", Elements: buttons})
	}
	foot := plain(n.Origin(), fieldLimit)
	m.add(block{Type: "context", Elements: []element{{Type: foot.Type, Text: foot.Text, Emoji: foot.Emoji}}})
	return m
}

// body is the integration's own text, or ours with the facts.
func (m *message) body(n notification.Notification) {
	if own := n.Text(); own != "" {
		m.add(block{Type: "section", Text: plain(own, sectionLimit)})
		return
	}
	m.add(block{Type: "section", Text: plain(n.Severity().Symbol()+" "+n.Sentence(), sectionLimit)})
	facts := n.Facts()
	limit := valueLimit(facts)
	var fields []text
	for _, f := range facts {
		if len(fields) == fieldCount {
			m.add(block{Type: "section", Fields: fields})
			fields = nil
		}
		// The label is ours. The value stands beside it in a text of its own, in which nothing is markup.
		fields = append(fields, text{Type: "mrkdwn", Text: "*" + f.Label + "*"}, *plain(f.Value, limit))
	}
	if len(fields) > 0 {
		m.add(block{Type: "section", Fields: fields})
	}
}

func (m *message) add(b block) { m.Blocks = append(m.Blocks, b) }

// plain is a text in which Slack reads no markup. Slack, Block Kit reference, "Text object".
func plain(s string, limit int) *text {
	return &text{Type: "plain_text", Text: cut.Sized(destination.Printable(s), limit, destination.EscapedUnits),
		Emoji: new(bool)}
}

// valueLimit is the largest limit of one value with which all of them keep to blocksLimit.
func valueLimit(facts []notification.Fact) int {
	limit := fieldLimit
	for ; limit > 100; limit /= 2 {
		all := 0
		for _, f := range facts {
			size := 0
			for _, r := range f.Value {
				size += destination.EscapedUnits(r)
			}
			all += min(size, limit)
		}
		if all <= blocksLimit {
			break
		}
	}
	return limit
}

// gone are those that say that this URL will never post again; unread those that are about the message.
var (
	gone = words("user_not_found", "channel_not_found", "channel_is_archived", "no_service", "no_active_hooks",
		"no_team", "team_disabled", "invalid_token")
	unread = words("invalid_payload", "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "no_text",
		"missing_text_or_fallback_or_attachments", "too_many_attachments", "msg_too_long")
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
	"invalid_payload":   "Slack could not read the message",
	"user_not_found":    "the user that the webhook posts to is gone: make a new webhook",
	"channel_not_found": "the channel is gone: make a new webhook for another channel",
	"channel_is_archived": "the channel is archived: bring it back, or make a new webhook for another " +
		"channel",
	"action_prohibited":                 "the workspace's administrator does not allow this posting",
	"posting_to_general_channel_denied": "the workspace does not allow posting to its general channel",
	"no_service": "the webhook was switched off or deleted at Slack: make a new one and enter " +
		"its URL",
	"no_service_id":         "the webhook URL is not complete: copy it again",
	"no_team":               "the workspace is gone: make a webhook in another one",
	"team_disabled":         "the workspace is switched off",
	"invalid_token":         "the webhook URL is not right, or was revoked: make a new one",
	"rollup_error":          "Slack has a fault of its own",
	"no_text":               "Slack found no text in the message",
	"too_many_attachments":  "Slack found the message too long",
	"msg_too_long":          "Slack found the message too long",
	"invalid_blocks":        "Slack could not read the message",
	"invalid_blocks_format": "Slack could not read the message",
	"invalid_attachments":   "Slack could not read the message",
	"no_active_hooks":       "the webhook was switched off at Slack: make a new one and enter its URL",
	"rate_limited":          "Slack takes about one message a second for each webhook",
	"ratelimited":           "Slack takes about one message a second for each webhook",
	"missing_text_or_fallback_or_attachments": "Slack found no text in the message",
}

// ownWord is an error as Slack writes them, whichever it adds.
var ownWord = regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)+$`)

// Judge takes `ok` for a success. Slack, "Sending messages using incoming webhooks": 200 with the plain text ok; a
// webhook of Slack's workflows answers the same as JSON.
func (Destination) Judge(r destination.Response) destination.Verdict {
	word := strings.TrimSpace(string(r.Body))
	fields := ijson.Fields(r.Body)
	if destination.Success(r.Status) && (strings.EqualFold(word, "ok") || fields["ok"] == "true") {
		return destination.Delivered()
	}
	if e := fields["error"]; e != "" {
		word = e // JSON, as the workflows answer
	}
	why, known := reasons[word]
	switch {
	case known:
	case destination.Success(r.Status) && ownWord.MatchString(word):
		return destination.Failed(r, "Slack answered "+destination.StatusText(r.Status)+" "+word)
	case destination.Success(r.Status):
		return destination.Unproven(r, "Slack answers 200 with the word ok")
	default:
		return destination.JudgeSaid(r, map[int]string{
			404: "the webhook is gone: make a new one at Slack and enter its URL",
			410: "the channel is archived or gone: make a webhook for another channel",
			429: "Slack takes about one message a second for each webhook",
		}, destination.Said(fields["error"]))
	}
	v := destination.Failed(r, "Slack answered "+destination.StatusText(r.Status)+" "+word+": "+why)
	v.Gone, v.Unread = gone[word], unread[word]
	v.Pace = v.Pace || strings.HasPrefix(word, "rate")
	return v
}
