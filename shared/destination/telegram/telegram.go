// Package telegram sends notifications to a Telegram chat through the platform's bot (product facts, 2.3). There is one
// bot for a deployment: its token is the operator's. Which chat an integration writes to is no parameter that a person
// can enter, else anybody could write to any chat that the bot is in: package bot binds it.
package telegram

import (
	"embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// DefaultAPI is Telegram's own Bot API server.
const DefaultAPI = "https://api.telegram.org"

// What one delivery carries. A group takes about 20 messages a minute (Telegram, "Bots FAQ", "My bot is hitting
// limits"): the events of a burst share messages, and the messages of one delivery go out one after the other, so that
// a burst does not end in refusals that would disable the integration.
const (
	maxEvents = 20
	maxBytes  = 1 << 20
)

// Bot is the platform's bot. The zero value is a deployment without one: Telegram is listed, and says so when it is
// used.
type Bot struct {
	Token string // from @BotFather; a secret
	API   string // address of the Bot API server; "" = DefaultAPI
}

// NoBot says what a deployment without a bot lacks.
const NoBot = "this deployment has no Telegram bot: its operator must configure the bot's token"

// URL is the address of a method. It holds the token.
func (b Bot) URL(method string) string {
	api := strings.TrimSuffix(b.API, "/")
	if api == "" {
		api = DefaultAPI
	}
	return api + "/bot" + b.Token + "/" + method
}

// Parameters of a Telegram integration. A person sets none of them: binding does.
type Parameters struct {
	ChatID    int64      `json:"chat_id,omitempty" jsonschema:"title=Chat ID,readOnly=true" jsonschema_description:"Set when you open the link of this integration in Telegram; negative for a group."`
	ChatTitle string     `json:"chat_title,omitempty" jsonschema:"title=Chat,readOnly=true,maxLength=300" jsonschema_description:"The group's title or the person's name at the time of binding."`
	ChatType  string     `json:"chat_type,omitempty" jsonschema:"title=Kind of chat,readOnly=true,enum=private,enum=group,enum=supergroup" jsonschema_description:"A private chat, a group, or a supergroup."`
	BoundAt   *time.Time `json:"bound_at,omitempty" jsonschema:"title=Bound since,readOnly=true,format=date-time" jsonschema_description:"When the chat was bound."`
	RemovedAt *time.Time `json:"removed_at,omitempty" jsonschema:"title=Bot removed,readOnly=true,format=date-time" jsonschema_description:"When the bot was removed from the chat. Add it to the same chat again, or bind another one."`
}

// ExternalKey is the chat's id.
func (p *Parameters) ExternalKey() string {
	if p.ChatID == 0 {
		return ""
	}
	return fmt.Sprint(p.ChatID)
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is Telegram.
type Destination struct {
	system destination.System
	bot    Bot
}

// New makes the destination for a bot.
func New(b Bot) Destination {
	missing := ""
	if b.Token == "" {
		missing = NoBot
	}
	return Destination{bot: b, system: destination.System{
		Missing: missing,
		Name:    "telegram", Title: "Telegram", BoundThere: true,
		Group: destination.Messengers, Class: notification.Basic,
		Events:     append([]event.Type{event.ReportDaily, event.ReportWeekly, event.ReportMonthly}, event.Basic()...),
		Triggered:  event.TriggeredChats(),
		Parameters: destination.ParametersOf[Parameters](), Folder: destination.ReadFolder(files),
		Batch: destination.Batch{Count: maxEvents, Bytes: maxBytes},
	}}
}

// System describes Telegram.
func (d Destination) System() destination.System { return d.system }

// Secrets is the bot's token: it is in the address of every request.
func (d Destination) Secrets() []string {
	if d.bot.Token == "" {
		return nil
	}
	return []string{d.bot.Token}
}

// message is that of sendMessage. Telegram, Bot API, "sendMessage".
type message struct {
	ChatID    int64       `json:"chat_id"`
	Text      string      `json:"text"`
	ParseMode string      `json:"parse_mode"`
	Preview   linkPreview `json:"link_preview_options"`
}

// linkPreview is off: Telegram would fetch the Console's page, and what an attacker wrote.
type linkPreview struct {
	Disabled bool `json:"is_disabled"`
}

// Encode makes as few messages as hold the notifications. Error: NotReady when no chat is bound.
func (d Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	switch {
	case d.bot.Token == "":
		return nil, &destination.NotReady{Reason: NoBot, Ours: true}
	case p.ChatID == 0:
		return nil, &destination.NotReady{
			Reason: "no Telegram chat is bound to this integration yet: ask for its links and open one in Telegram"}
	case p.RemovedAt != nil:
		return nil, &destination.NotReady{Reason: "the bot was removed from the chat " + quote(p.ChatTitle) +
			": add it to the same chat again, or bind another chat"}
	}
	var out []destination.Request
	messages := make([]notification.Notification, 0, len(ns))
	for _, n := range ns {
		if n.Report == nil {
			messages = append(messages, n)
			continue
		}
		files, err := d.documents(p.ChatID, n)
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	for _, m := range join(messages) {
		r, err := d.request(p.ChatID, m.text)
		if err != nil {
			return nil, err
		}
		r.Holds, r.Where = m.holds, strconv.FormatInt(p.ChatID, 10)
		out = append(out, r)
	}
	return out, nil
}

func (d Destination) request(chat int64, text string) (destination.Request, error) {
	body, err := ijson.Marshal(message{ChatID: chat, Text: text, ParseMode: "HTML",
		Preview: linkPreview{Disabled: true}})
	if err != nil {
		return destination.Request{}, fmt.Errorf("write a Telegram message: %w", err)
	}
	return destination.Post(d.bot.URL("sendMessage"), body), nil
}

func quote(title string) string {
	return "“" + cut.Runes(destination.Printable(title), 128) + "”"
}
