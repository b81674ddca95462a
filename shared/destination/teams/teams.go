// Package teams sends notifications to a Microsoft Teams channel, as Adaptive Cards through a Workflow's webhook or
// through an incoming webhook of the older kind (product facts, 2.4).
package teams

import (
	"cmp"
	"embed"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// Limits in bytes. Microsoft, "Create an Incoming Webhook": 28 KB a message. A workflow reads the message and posts
// each card as a text inside of a further JSON object: forwarded counts that form, of which 1 KB is left for what is
// around it.
const (
	bodyLimit      = 20 << 10
	forwardedLimit = 27 << 10
	linkLimit      = plaintext.LinkLimit
	// maxActions is how many buttons a card shows: the renderer drops the others (adaptivecards, HostConfig.actions).
	maxActions = 5
)

// textLimits are tried one after the other until the message keeps to the limits: characters of one text.
var textLimits = []int{4000, 3000, 2000, 1500, 1000, 700, 500, 350, 250, 150, 100, 50, 25}

// Parameters of a Microsoft Teams integration.
type Parameters struct {
	URL string `json:"webhook_url" jsonschema:"required,title=Webhook URL,format=uri,minLength=1,maxLength=2048,writeOnly=true" jsonschema_description:"From Teams: the Workflows app, template “Send webhook alerts to a channel”, copy the URL that it shows. Whoever has it can post to the channel, so it is kept secret."`
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Microsoft Teams.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "ms_teams", Title: "Microsoft Teams", Group: destination.Messengers, Class: notification.Basic,
		Events: event.Basic(), Triggered: event.TriggeredChats(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
	}}
}

// System describes Microsoft Teams.
func (d Destination) System() destination.System { return d.system }

type message struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string `json:"contentType"`
	Content     card   `json:"content"`
}

type card struct {
	Schema   string    `json:"$schema"`
	Type     string    `json:"type"`
	Version  string    `json:"version"`
	Fallback string    `json:"fallbackText"`
	Body     []element `json:"body"`
	Actions  []action  `json:"actions,omitempty"`
	Teams    teams     `json:"msteams"`
}

type teams struct {
	Width string `json:"width"`
}

type element struct {
	Type      string    `json:"type"`
	Style     string    `json:"style,omitempty"`
	Bleed     bool      `json:"bleed,omitempty"`
	Items     []element `json:"items,omitempty"`
	Inlines   []run     `json:"inlines,omitempty"`
	Spacing   string    `json:"spacing,omitempty"`
	Separator bool      `json:"separator,omitempty"`
}

type run struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Subtle bool   `json:"isSubtle,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// contentType names the charset: without it some workflows read UTF-8 as Latin-1.
const contentType = "application/json; charset=utf-8"

// Encode makes one card of each notification: Teams takes no two in one request.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	out := make([]destination.Request, 0, len(ns))
	for _, n := range ns {
		body, err := write(n)
		if err != nil {
			return nil, fmt.Errorf("write a Teams card: %w", err)
		}
		out = append(out, destination.Post(p.URL, body, "Content-Type", contentType))
	}
	return out, nil
}

// write cuts the texts no shorter than the message must be.
func write(n notification.Notification) ([]byte, error) {
	for i, limit := range textLimits {
		body, err := ijson.Marshal(render(n, limit))
		if err != nil {
			return nil, err
		}
		if len(body) <= bodyLimit && forwarded(body) <= forwardedLimit || i == len(textLimits)-1 {
			return body, nil
		}
	}
	return nil, nil // not reached
}

// forwarded is the most bytes that JSON has as a text in JSON: quotes and backslashes take two, and what is not ASCII,
// or may be markup in a page, is written as \uXXXX by some writers (.NET's System.Text.Json).
func forwarded(body []byte) int {
	n := 2
	for _, r := range string(body) {
		switch {
		case r == '"' || r == '\\':
			n += 2
		case r > '~' || strings.ContainsRune("<>&'+`", r):
			n += len(`\u0000`) * max(1, utf16.RuneLen(r))
		default:
			n++
		}
	}
	return n
}

func render(n notification.Notification, limit int) message {
	c := card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		Fallback: fit(unmarked(n.Summary()), limit), Teams: teams{Width: "Full"},
	}
	c.Body = []element{{Type: "Container", Style: styles[n.Severity()], Bleed: true, Items: []element{
		line(run{Text: fit(n.Summary(), limit), Size: "large", Weight: "bolder"}),
	}}}
	if own := n.Text(); own != "" {
		for l := range strings.SplitSeq(own, "\n") {
			e := line(run{Text: fit(cmp.Or(l, " "), limit)})
			e.Spacing = "small"
			c.Body = append(c.Body, e)
		}
	} else {
		head := &c.Body[0]
		head.Items = append(head.Items, line(run{Text: fit(n.Say(severityText[n.Severity()])+n.Sentence(), limit)}))
		for _, f := range n.Facts() {
			e := line(run{Text: n.Mark(fit(f.Label, limit)), Weight: "bolder"}, run{Text: fit(f.Value, limit)})
			e.Spacing = "small"
			c.Body = append(c.Body, e)
		}
	}
	foot := line(run{Text: fit(n.Origin(), limit),
		Size: "small", Subtle: true})
	foot.Separator = true
	c.Body = append(c.Body, foot)
	links := destination.WebLinks(n, linkLimit)
	for _, l := range links[:min(len(links), maxActions)] {
		c.Actions = append(c.Actions, action{"Action.OpenUrl", l.Title, l.URL})
	}
	return message{Type: "message", Attachments: []attachment{{"application/vnd.microsoft.card.adaptive", c}}}
}

// line is text as it stands. It is no TextBlock: that one reads Markdown, and a payload of an attacker's would become a
// link that an engineer may follow.
func line(runs ...run) element {
	for i := range runs {
		runs[i].Type = "TextRun"
	}
	return element{Type: "RichTextBlock", Inlines: runs}
}

// styles colour the head of a card, severityText says the same in words for those who do not see colours.
var styles = map[notification.Severity]string{
	notification.Info: "emphasis", notification.Low: "accent", notification.Medium: "warning",
	notification.High: "attention", notification.Critical: "attention",
}

var severityText = map[notification.Severity]string{
	notification.Low: "🔵 Low · ", notification.Medium: "🟡 Medium · ", notification.High: "🟠 High · ",
	notification.Critical: "🔴 Critical · ",
}

func fit(s string, limit int) string { return cut.Runes(destination.Printable(s), limit) }

// unmarked takes Markdown out of a text: the fallback is the one text of a card that is read as such. Microsoft,
// "Adaptive Card schema", fallbackText.
func unmarked(s string) string {
	return strings.NewReplacer("\\", "∖", "*", "∗", "_", "＿", "`", "ˋ", "~", "∼", "#", "＃", "<", "‹", ">", "›", "](",
		"] (", "://", ":／／").Replace(s)
}

// Errors that a connector answers inside a 200. Microsoft, "Create an Incoming Webhook", and its repository
// msteams-docs, issues 400, 1736, 1810 and 7425.
var (
	failedText   = regexp.MustCompile(`(?i)delivery failed|HTTP error \d{3}`)
	failedStatus = regexp.MustCompile(`(?i)HTTP error (\d{3})`)
)

var reasons = map[int]string{
	400: "Teams could not read the card, or the channel or the workflow behind this URL is gone",
	401: "the URL is not complete or no longer valid: copy it again from the workflow, with the part after sig=",
	403: "the URL is not complete or no longer valid, or the workflow may not post to this channel",
	404: "the workflow or webhook is gone: make a new one in Teams and enter its URL",
	410: "the channel or webhook is gone: make a new one in Teams and enter its URL",
	413: "Teams found the message too large",
	429: "Teams takes four messages a second at one URL",
	502: "the workflow failed: look at its runs in the Workflows app",
}

// word is an error of a workflow's trigger, or of a connector.
type word struct {
	sign         string // in the answer, in lower case
	reason       string
	gone, unread bool
}

// words are looked for in this order. Microsoft, "Troubleshoot Azure Logic Apps" and "Power Automate, error reference"
// for the codes of workflows; "Retirement of Office 365 connectors within Microsoft Teams" for those that ended.
var words = []word{
	{"'deleted'", "the workflow or webhook is gone: make a new one in Teams and enter its URL", true, false},
	{"workflowtriggerisnotenabled",
		"the workflow is switched off, or its owner left: turn it on in the Workflows app, or give it another owner",
		false, false},
	{"workflownotfound", "the workflow or webhook is gone: make a new one in Teams and enter its URL", true, false},
	{"workflowtriggernotfound",
		"the workflow has no webhook trigger any more: make a new one in Teams and enter its URL", true, false},
	{"directapiauthorizationrequired", "the URL is not complete, or the workflow lets only people of your " +
		"organization trigger it: choose Anyone in its trigger, and copy the URL again with the part after sig=", false,
		false},
	{"directapiinvalidauthorizationscheme",
		"the URL is not complete: copy it again from the workflow, with the part after sig=", false, false},
	{"directapirequesthasmorethanoneauthorization", "the URL is not right: copy it again from the workflow", false,
		false},
	{"triggerinputschemamismatch",
		"the workflow expects another message: make it from the template “Send webhook alerts to a channel”", false,
		true},
	{"invalidrequestcontent", "the workflow could not read the message", false, true},
	{"connectorconfigurationnotfound",
		"the connector was removed from the channel: make a workflow in Teams and enter its URL", true, false},
	{"invalid webhook url", "the webhook is gone or the URL is not right: make a workflow in Teams and enter its URL",
		true, false},
	{"connectors are retired", "Microsoft has ended connectors: make a workflow in Teams and enter its URL", true,
		false},
	{"bad payload received", "Teams could not read the card", false, true},
	{"summary or text is required", "Teams could not read the card", false, true},
}

// Judge takes for a success what Microsoft documents for either kind of URL: 202 of a workflow ("When a Teams webhook
// request is received", asynchronous response), 200 with the text 1 of a connector ("Create an Incoming Webhook"). A
// workflow can have an answer of its own: another 2xx, nothing, JSON or ok are taken too. Every other text is an error:
// connectors answer 200 whatever became of the message.
func (Destination) Judge(r destination.Response) destination.Verdict {
	if !destination.Success(r.Status) {
		return explain(r, r.Status, "")
	}
	text := strings.TrimSpace(string(r.Body))
	if inner := failedStatus.FindSubmatch(r.Body); inner != nil {
		code, _ := strconv.Atoi(string(inner[1])) // three digits
		return explain(r, code, " (told in the text of a "+strconv.Itoa(r.Status)+")")
	}
	fields := ijson.Fields(r.Body)
	switch {
	case destination.WebPage(r):
		return destination.Unproven(r, "Teams answers 202, or 200 with 1")
	case failedText.Match(r.Body), fields["error.code"] != "", fields["error.message"] != "":
		// An error in any status.
	case r.Status == http.StatusAccepted, text == "1", strings.EqualFold(text, "ok"):
		return destination.Delivered()
	case r.Broken:
		return destination.BrokenOff(r)
	case text == "", fields != nil:
		return destination.Delivered()
	}
	for _, w := range words {
		if strings.Contains(strings.ToLower(text), w.sign) {
			v := destination.Failed(r, "answered "+destination.StatusText(r.Status)+" with an error in its text: "+
				w.reason)
			v.Gone, v.Unread = w.gone, w.unread
			return v
		}
	}
	return destination.Failed(r, "answered "+destination.StatusText(r.Status)+" with an error in its text (it says: "+
		destination.Said(text)+")")
}

// explain judges a failure by its status, wherever it was told, and by the words of the answer.
func explain(r destination.Response, status int, where string) destination.Verdict {
	inner := r
	inner.Status = status
	if where != "" {
		inner.Body = nil // its words are those that told the status
	}
	said := ijson.Fields(r.Body)
	v := destination.JudgeSaid(inner, reasons, destination.Said(said["error.code"], said["error.message"]))
	if v.Delivered { // "HTTP error 2xx" is nobody's success
		v = destination.Failed(r, "answered "+destination.StatusText(status))
	}
	// 400 alone does not say whether the card or the URL is at fault, and a 404 is the answer to any wrong URL.
	v.Unread = status == http.StatusRequestEntityTooLarge
	v.Gone = status == http.StatusGone
	text := strings.ToLower(string(r.Body))
	for _, w := range words {
		if strings.Contains(text, w.sign) {
			v.Reason, v.Gone, v.Unread = "answered "+destination.StatusText(status)+": "+w.reason, w.gone, w.unread
			break
		}
	}
	v.Reason += where
	return v
}
